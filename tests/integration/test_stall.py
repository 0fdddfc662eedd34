"""A node that stands still is replaced, and steps down before it does anything else (S13)."""

from __future__ import annotations

import time

import pytest

from node.roles import Role
from tests.support.looking import Looking, both_active
from tests.support.processes import NodeProcess, PairProcesses
from tests.support.waiting import wait_until

pytestmark = pytest.mark.redis

PEER_LOST_AFTER_S = 3.0
"""As it is by default."""
TAKEOVER_LIMIT_S = PEER_LOST_AFTER_S + 0.5
STAYS_S = PEER_LOST_AFTER_S + 0.5
"""Longer than any silence that could still change something."""


def make_active(pair: PairProcesses, role: Role) -> NodeProcess:
    """Let the node of `role` be active, by an orderly stop of the other."""
    node = pair.nodes[role]
    if not node.is_active:
        assert pair.other(node).terminate() == 0
        node.wait_until(lambda n: n.is_active, "takeover")
        pair.restore()
    return node


@pytest.mark.parametrize("role", Role)
def test_a_stalled_active_node_is_replaced_and_one_is_active_when_it_wakes(
    usual_pair: PairProcesses, role: Role
) -> None:
    stalled = make_active(usual_pair, role)
    taker = usual_pair.other(stalled)
    began_s = time.monotonic()
    stalled.pause()
    wait_until(lambda: taker.is_active, 2 * TAKEOVER_LIMIT_S, f"{taker} to be active")
    taken_s = time.monotonic() - began_s
    print(f"takeover after SIGSTOP of the {role}: {taken_s:.3f} s")
    assert taken_s <= TAKEOVER_LIMIT_S
    assert taken_s >= PEER_LOST_AFTER_S - 1.5, "silence was judged too early"
    assert taker.status()["reason"] == "peer lost"

    with Looking(usual_pair) as looking:
        stalled.resume()
        wait_until(
            lambda: looking.looks and looking.span_s() > STAYS_S, 3 * STAYS_S, "looks"
        )
    assert both_active(looking.looks) == []
    wrong = [
        look
        for look in looking.looks
        if look.is_active is not (look.role is taker.role)
    ]
    assert wrong == [], "it serves still, or the taker does not any more"
    assert "rule=S13" in stalled.log()
    assert usual_pair.wait_until_settled() is taker
    usual_pair.wait_until_equal()
