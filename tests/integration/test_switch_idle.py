"""A switch that waits until no call is active: it waits, goes, or gives up and says so (S9)."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from node.roles import Role
from tests.support.orders import Answer, cancel_switch, order_switch
from tests.support.processes import NodeProcess, PairProcesses
from tests.support.redis_servers import require_redis
from tests.support.waiting import wait_until

pytestmark = pytest.mark.redis

COMMAND_LIMIT_S = 30.0
REFUSED = 3


def calls_service(config: str) -> tuple[str, ...]:
    """A service that embeds a node and counts calls, in place of `python -m node`."""
    return (sys.executable, "-m", "tests.support.calls_service", "--config", config)


@pytest.fixture(scope="module")
def calling_pair_of_module(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[PairProcesses]:
    require_redis()
    directory = tmp_path_factory.mktemp("calling-pair")
    with PairProcesses(directory, command=calls_service) as processes:
        processes.start()
        yield processes


@pytest.fixture
def pair(calling_pair_of_module: PairProcesses) -> PairProcesses:
    """A settled pair of services without calls; overrides the fixture of that name."""
    pair = calling_pair_of_module
    pair.restore()
    for node in pair.nodes.values():
        set_calls(pair, node, 0)
    cancel_switch(pair.master)
    pair.restore()
    return pair


def set_calls(pair: PairProcesses, node: NodeProcess, count: int) -> None:
    """Let the service of `node` say that it has `count` calls, until both nodes know."""
    node.put(f"calls/{node.role}", count)
    node.wait_until(lambda n: n.status()["calls"] == count, f"{count} calls")
    pair.other(node).wait_until(
        lambda n: n.status()["peer"]["calls"] == count, f"a peer with {count} calls"
    )


def order_when_idle(pair: PairProcesses) -> Answer:
    answer = order_switch(pair.master, when="idle")
    assert (answer.status, answer.said["outcome"]) == (200, "waiting"), answer
    return answer


def wait_until_it_waits_for(pair: PairProcesses, count: int) -> None:
    def waits(node: NodeProcess) -> bool:
        switch = node.status()["switch"]
        assert switch["outcome"] is None, switch
        return (switch["step"], switch["waiting_for_calls"]) == ("waiting", count)

    pair.master.wait_until(waits, f"a switch that waits for {count} calls")


def wait_for_outcome(pair: PairProcesses, answer: Answer) -> tuple[str, str]:
    """Outcome and text of the switch, as the master tells them in the end."""

    def ended() -> dict[str, str] | None:
        switch = pair.master.status()["switch"]
        assert switch["id"] == answer.said["id"]
        return switch if switch["outcome"] else None

    switch = wait_until(ended, COMMAND_LIMIT_S, "the outcome")
    assert switch is not None
    return switch["outcome"], switch["text"]


def make_active(pair: PairProcesses, role: Role) -> NodeProcess:
    node = pair.nodes[role]
    if not node.is_active:
        assert order_switch(pair.master).status == 200
    assert pair.wait_until_settled() is node
    return node


@pytest.mark.parametrize("role", Role)
def test_it_waits_until_the_last_call_of_the_active_node_has_ended(
    pair: PairProcesses, role: Role
) -> None:
    giver = make_active(pair, role)
    set_calls(pair, pair.other(giver), 5)  # Calls of the passive node hold nothing up.
    set_calls(pair, giver, 2)
    answer = order_when_idle(pair)
    for count in (2, 1):
        set_calls(pair, giver, count)
        wait_until_it_waits_for(pair, count)
        assert giver.is_active
    set_calls(pair, giver, 0)
    outcome, text = wait_for_outcome(pair, answer)
    assert outcome == "done"
    assert f"the {giver.role.other} is active" in text
    assert pair.wait_until_settled() is pair.other(giver)


def test_the_command_says_what_it_waits_for_and_ends_when_it_is_done(
    pair: PairProcesses,
) -> None:
    giver = make_active(pair, Role.MASTER)
    set_calls(pair, giver, 1)
    environment = {
        **os.environ,
        "NETPHONE_NODE": giver.url,
        "NETPHONE_TOKEN": pair.change_token,
    }
    with subprocess.Popen(
        [sys.executable, "-m", "admin", "switch", "--when", "idle"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as command:
        assert command.stderr is not None
        assert "waiting for 1 call to end" in command.stderr.readline()
        assert giver.is_active
        set_calls(pair, giver, 0)
        out, err = command.communicate(timeout=COMMAND_LIMIT_S)
    assert command.returncode == 0, err
    assert "done: the standby is active" in out
    assert pair.wait_until_settled() is pair.standby


def test_a_change_of_state_cancels_it(pair: PairProcesses) -> None:
    giver = make_active(pair, Role.STANDBY)
    set_calls(pair, giver, 1)
    answer = order_when_idle(pair)
    wait_until_it_waits_for(pair, 1)
    giver.kill()
    assert wait_for_outcome(pair, answer) == ("cancelled", "this node became active")
    giver.start()
    assert pair.wait_until_settled() is pair.master
    set_calls(pair, giver, 0)
    assert pair.wait_until_settled() is pair.master


def test_a_restart_of_the_taker_cancels_it(pair: PairProcesses) -> None:
    giver = make_active(pair, Role.MASTER)
    set_calls(pair, giver, 1)
    answer = order_when_idle(pair)
    pair.standby.kill()
    pair.standby.start()
    assert wait_for_outcome(pair, answer) == ("cancelled", "the standby was restarted")
    set_calls(pair, giver, 0)
    assert pair.wait_until_settled() is pair.master


def test_it_can_be_cancelled_and_does_not_go_afterwards(pair: PairProcesses) -> None:
    giver = make_active(pair, Role.MASTER)
    set_calls(pair, giver, 1)
    answer = order_when_idle(pair)
    wait_until_it_waits_for(pair, 1)
    second = order_switch(pair.master)
    assert (second.status, second.code) == (409, "refused")
    assert "a switch waits for calls to end; cancel it first" in second.said["reasons"]
    cancelled = cancel_switch(pair.master)
    assert (cancelled.status, cancelled.said["outcome"]) == (200, "cancelled")
    assert wait_for_outcome(pair, answer)[0] == "cancelled"
    set_calls(pair, giver, 0)
    # A new order begins at once, so nothing of the old one is left that could go.
    assert order_switch(pair.master, dry_run=True).said["outcome"] == "ready"
    assert pair.wait_until_settled() is giver
    again = cancel_switch(pair.master)
    assert (again.status, again.code) == (409, "refused")


def test_it_gives_up_when_the_calls_do_not_end_in_time(pair: PairProcesses) -> None:
    giver = make_active(pair, Role.MASTER)
    set_calls(pair, giver, 3)
    answer = order_switch(pair.master, when="idle", wait_s=0.5)
    outcome, text = wait_for_outcome(pair, answer)
    assert (outcome, text) == ("cancelled", "3 calls did not end in time")
    assert pair.wait_until_settled() is giver
