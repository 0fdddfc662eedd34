"""A planned switch loses nothing, hardly stops anything, and says what happened (S14)."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping

import pytest

from node.roles import Role
from tests.support.looking import Looking, both_active, longest_without_s
from tests.support.orders import order_switch
from tests.support.processes import NodeProcess, PairProcesses
from tests.support.told import ids_told
from tests.support.waiting import wait_until
from tests.support.writing import Writing

pytestmark = pytest.mark.redis

SWITCH_COUNT = 6
WRITES_BETWEEN = 40
"""Of each node, before each switch and after the last."""
WRITE_LIMIT_S = 1.0
WITHOUT_ACTIVE_LIMIT_S = 0.5
WAIT_LIMIT_S = 20.0
COMMAND_LIMIT_S = 30.0
REFUSED, UNREACHABLE, NOT_AUTHORISED = 3, 4, 6


def admin(
    node: NodeProcess, token: str, *arguments: str
) -> subprocess.CompletedProcess[str]:
    """`python -m admin`, run to its end."""
    environment: Mapping[str, str] = {
        **os.environ,
        "NETPHONE_NODE": node.url,
        "NETPHONE_TOKEN": token,
    }
    return subprocess.run(
        [sys.executable, "-m", "admin", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=COMMAND_LIMIT_S,
    )


def wait_for_writes(writing: Writing, count: int) -> None:
    before = {role: writing.count(role) for role in Role}
    wait_until(
        lambda: all(writing.count(role) >= before[role] + count for role in Role),
        WAIT_LIMIT_S,
        f"{count} more writes to each node",
    )


def test_switching_both_ways_under_writes_loses_refuses_and_delays_nothing(
    usual_pair: PairProcesses,
) -> None:
    took_s = []
    with Looking(usual_pair) as looking, Writing(usual_pair) as writing:
        for _ in range(SWITCH_COUNT):
            wait_for_writes(writing, WRITES_BETWEEN)
            giver = usual_pair.active()
            taker = usual_pair.other(giver)
            began_s = time.monotonic()
            answer = order_switch(usual_pair.master, when="now", reason="a test")
            took_s.append(time.monotonic() - began_s)
            assert (answer.status, answer.said.get("outcome")) == (200, "done"), answer
            assert answer.active is taker.role
            assert usual_pair.active() is taker
        wait_for_writes(writing, WRITES_BETWEEN)
    usual_pair.wait_until_equal()

    without_s = longest_without_s(looking.looks)
    print(
        f"{SWITCH_COUNT} switches, slowest {max(took_s):.3f} s; "
        f"{len(writing.writes)} writes, slowest {writing.slowest_s():.3f} s; "
        f"{len(looking.looks)} looks, at most {without_s:.3f} s without an active node"
    )
    assert writing.refused == []
    assert writing.slowest_s() <= WRITE_LIMIT_S
    for node in usual_pair.nodes.values():
        assert writing.acknowledged - ids_told(node) == set(), f"lost on {node}"
    assert both_active(looking.looks) == []
    assert without_s <= WITHOUT_ACTIVE_LIMIT_S
    assert {look.role for look in looking.looks if look.is_active} == set(Role)


def test_a_dry_run_changes_nothing(usual_pair: PairProcesses) -> None:
    active = usual_pair.active()
    answer = order_switch(usual_pair.master, dry_run=True)
    assert (answer.status, answer.said["outcome"]) == (200, "ready")
    assert usual_pair.wait_until_settled() is active


def test_the_standby_refuses_the_order_and_names_the_master(
    usual_pair: PairProcesses,
) -> None:
    active = usual_pair.active()
    answer = order_switch(usual_pair.standby)
    assert (answer.status, answer.code) == (409, "not-master")
    assert "ordered at the master" in answer.text
    run = admin(usual_pair.standby, usual_pair.change_token, "switch")
    assert run.returncode == REFUSED, run
    assert "ordered at the master" in run.stderr
    assert usual_pair.wait_until_settled() is active


def test_a_token_that_is_unknown_or_may_only_read_orders_no_switch(
    usual_pair: PairProcesses,
) -> None:
    active = usual_pair.active()
    for token in ("no-such-token-0123456789", usual_pair.read_token):
        run = admin(usual_pair.master, token, "switch")
        assert run.returncode == NOT_AUTHORISED, run
        assert len(run.stderr.splitlines()) == 1
    assert usual_pair.wait_until_settled() is active


def test_without_its_peer_a_switch_is_refused_with_every_failed_check(
    usual_pair: PairProcesses,
) -> None:
    usual_pair.standby.kill()
    usual_pair.redis[Role.STANDBY].kill()
    usual_pair.master.wait_until(
        lambda n: (
            n.is_active
            and not n.status()["peer"]["connected"]
            and not n.status()["replication"]["connected"]
        ),
        "the loss of the standby and of its Redis",
    )
    answer = order_switch(usual_pair.master)
    assert (answer.status, answer.code) == (409, "refused")
    reasons = [
        "replication into the master stands still; see its status",
        "the standby is not connected",
    ]
    assert answer.said["reasons"] == reasons
    run = admin(usual_pair.master, usual_pair.change_token, "switch")
    assert run.returncode == REFUSED, run
    for reason in reasons:
        assert reason in run.stderr


def test_a_node_that_is_gone_is_called_unreachable(usual_pair: PairProcesses) -> None:
    usual_pair.master.kill()
    run = admin(usual_pair.master, usual_pair.change_token, "switch")
    assert run.returncode == UNREACHABLE, run
    assert len(run.stderr.splitlines()) == 1
