"""A node that stands still is replaced, and gives way or resumes when it wakes."""

from __future__ import annotations

import time

import pytest

from node.roles import Role
from tests.support.looking import Looking
from tests.support.processes import NodeProcess, PairProcesses
from tests.support.waiting import wait_until

pytestmark = pytest.mark.redis

PEER_LOST_AFTER_S = 3.0
"""As it is by default."""
TAKEOVER_LIMIT_S = PEER_LOST_AFTER_S + 0.5
AGREED_LIMIT_S = 2.0
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

    woken_s = time.monotonic()
    stalled.resume()
    wait_until(
        lambda: usual_pair.master.is_active and usual_pair.standby.is_passive,
        AGREED_LIMIT_S,
        "the master to be active and the standby passive",  # S5
    )
    print(f"agreed after SIGCONT of the {role}: {time.monotonic() - woken_s:.3f} s")
    stays(usual_pair)
    assert usual_pair.wait_until_settled() is usual_pair.master
    usual_pair.wait_until_equal()


def stays(pair: PairProcesses) -> None:
    """The master is active and the standby passive, at every look for a while."""
    with Looking(pair) as looking:
        wait_until(
            lambda: looking.looks and looking.span_s() > STAYS_S, 3 * STAYS_S, "looks"
        )
    wrong = [
        look for look in looking.looks if look.is_active is (look.role == "standby")
    ]
    assert wrong == []
