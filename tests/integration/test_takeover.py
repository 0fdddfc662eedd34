"""A node that is gone is replaced within a second, and comes back passive."""

from __future__ import annotations

import signal
import statistics
import time

import pytest

from tests.support.processes import NodeProcess, PairProcesses
from tests.support.waiting import wait_until

pytestmark = pytest.mark.redis

KILL_COUNT = 20
TAKEOVER_LIMIT_S = 1.0
JUST_BACK_LIMIT_S = 0.5
"""Well below one heartbeat interval, for which it must not wait."""
WAIT_LIMIT_S = 10.0


def time_until_active_s(node: NodeProcess, since_s: float) -> float:
    wait_until(lambda: node.is_active, WAIT_LIMIT_S, f"{node} to be active")
    return time.monotonic() - since_s


def is_connected(node: NodeProcess) -> bool:
    return bool(node.status().get("peer", {}).get("connected"))


def test_after_kill_9_the_other_node_is_active_within_a_second(
    usual_pair: PairProcesses,
) -> None:
    taken_s = []
    for number in range(KILL_COUNT):
        killed = usual_pair.active()
        taker = usual_pair.other(killed)
        killed.put("users/alice", {"extension": str(number)})
        began_s = time.monotonic()
        killed.kill()
        taken_s.append(time_until_active_s(taker, began_s))
        assert taker.value("users/alice") == {"extension": str(number)}

        killed.start()
        assert usual_pair.wait_until_settled() is taker, "it was switched back"
        usual_pair.wait_until_equal()
        assert usual_pair.active() is taker, "it was switched back"
    shown = f"median {statistics.median(taken_s):.3f} s, maximum {max(taken_s):.3f} s"
    print(f"takeover after kill -9, {KILL_COUNT} tries: {shown}")
    assert max(taken_s) <= TAKEOVER_LIMIT_S, shown


def test_a_node_that_has_just_come_back_takes_over_as_fast(
    usual_pair: PairProcesses,
) -> None:
    """Its connections are new: a killed node may still take a dial, and drop it."""
    for _ in range(2):
        killed = usual_pair.active()
        taker = usual_pair.other(killed)
        taker.kill()
        taker.start()
        taker.wait_until(is_connected, "a connection")
        began_s = time.monotonic()
        killed.kill()
        took_s = time_until_active_s(taker, began_s)
        print(f"takeover by a node that has just come back: {took_s:.3f} s")
        assert took_s <= JUST_BACK_LIMIT_S
        killed.start()
        usual_pair.wait_until_settled()


@pytest.mark.parametrize("number", [1, 2], ids=["one", "and back"])
def test_after_an_orderly_stop_the_other_node_is_active_at_once(
    usual_pair: PairProcesses, number: int
) -> None:
    stopped = usual_pair.active()
    taker = usual_pair.other(stopped)
    began_s = time.monotonic()
    stopped.process.send(signal.SIGTERM)
    took_s = time_until_active_s(taker, began_s)
    assert stopped.terminate() == 0
    print(f"takeover after SIGTERM of the {stopped.role}: {took_s:.3f} s")
    assert took_s <= TAKEOVER_LIMIT_S
    assert taker.status()["reason"] == "the peer said goodbye"
