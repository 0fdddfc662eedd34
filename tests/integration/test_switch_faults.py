"""A planned switch that is disturbed in its middle: one node is active, the answer is true.

The middle is held in two ways: a hook of the giver that does not end (before it stepped
down), and a slow link (behind that: the giver is passive, the taker not told yet).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future

import attrs
import pytest

from node.roles import Role
from tests.support.hook import HoldingHook
from tests.support.orders import Answer, Operator, order_switch
from tests.support.processes import NodeProcess, PairProcesses
from tests.support.redis_servers import require_redis
from tests.support.waiting import wait_until

pytestmark = pytest.mark.redis

ANSWER_LIMIT_S = 30.0
RESTART_LIMIT_S = 0.1
LINK_DELAY_S = 0.2
"""Of what the giver says. PROMISE and ACTIVATE each take it, within one step."""


@attrs.frozen
class Pair:
    """A pair of which a switch can be held in its middle."""

    processes: PairProcesses
    hook: HoldingHook
    operator: Operator

    def of(self, giver: Role) -> tuple[NodeProcess, NodeProcess]:
        """Giver and taker; the giver is active on return."""
        node = self.processes.nodes[giver]
        if not node.is_active:
            assert order_switch(self.processes.master).status == 200
        assert self.processes.wait_until_settled() is node
        return node, self.processes.other(node)

    def order(self) -> Future[Answer]:
        return self.operator.order(self.processes.master)


@pytest.fixture(scope="module")
def pair_of_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    require_redis()
    directory = tmp_path_factory.mktemp("held-pair")
    hook = HoldingHook(directory / "hook")
    sections = {"hooks": {"on_passive": hook.command}}
    with (
        PairProcesses(directory, proxied=True, sections=sections) as processes,
        Operator() as operator,
    ):
        processes.start()
        yield Pair(processes, hook, operator)


@pytest.fixture
def pair(pair_of_module: Pair) -> Pair:
    """Settled again, whatever the test before did; overrides the fixture of that name."""
    for proxy in pair_of_module.processes.link_proxies.values():
        proxy.delay_s = 0.0
    pair_of_module.processes.restore()
    return pair_of_module


def kill(node: NodeProcess) -> None:
    node.kill()


def kill_and_restart(node: NodeProcess) -> None:
    began_s = time.monotonic()
    node.kill()
    node.start()
    assert time.monotonic() - began_s <= RESTART_LIMIT_S


FAULTS = [
    pytest.param(NodeProcess.pause, id="paused"),
    pytest.param(kill, id="killed"),
    pytest.param(kill_and_restart, id="restarted"),
]
Fault = Callable[[NodeProcess], None]


def settled_at(pair: Pair) -> Role:
    """Mend everything; the one active node, which must stay it."""
    pair.processes.restore()
    active = pair.processes.active()
    assert pair.processes.active() is active
    return active.role


def last_change(node: NodeProcess) -> object:
    """When the node, which was not restarted, changed its state last."""
    return node.status()["since"]


def assert_rolled_back(answer: Answer) -> None:
    assert (answer.status, answer.code) == (504, "rolled-back"), answer
    assert "as before" in answer.text


def assert_failed_over_to(answer: Answer, role: Role, rule: str) -> None:
    assert (answer.status, answer.code) == (504, "switch-failed"), answer
    assert answer.text.startswith(f"the {role} is active: ")
    assert answer.text.endswith(f"({rule})")


@pytest.mark.parametrize("giver_role", Role)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_taker_lost_before_the_giver_stepped_down_leaves_all_as_before(
    pair: Pair, giver_role: Role, fault: Fault
) -> None:
    giver, taker = pair.of(giver_role)
    before = last_change(giver)
    with pair.hook.held():
        ordered = pair.order()
        pair.hook.wait_until_entered(giver_role)
        assert giver.is_active, "it is not in the middle any more"
        fault(taker)
    # Held back while the switch goes on, so this ends when it is rolled back.
    assert giver.put("users/after", {"extension": "1"})
    assert giver.is_active
    taker.resume()
    answer = ordered.result(ANSWER_LIMIT_S)
    if taker.role is Role.MASTER and fault is not NodeProcess.pause:
        assert answer.status == 0, "the node that had the order was killed"
    else:
        assert_rolled_back(answer)
    assert settled_at(pair) is giver_role
    assert last_change(giver) == before, "the giver had stepped down"


@pytest.mark.parametrize("giver_role", Role)
@pytest.mark.parametrize("fault", FAULTS[1:])
def test_a_giver_killed_before_it_stepped_down_is_replaced(
    pair: Pair, giver_role: Role, fault: Fault
) -> None:
    giver, taker = pair.of(giver_role)
    with pair.hook.held():
        ordered = pair.order()
        pair.hook.wait_until_entered(giver_role)
        fault(giver)
        taker.wait_until(lambda node: node.is_active, "takeover")
    answer = ordered.result(ANSWER_LIMIT_S)
    if giver_role is Role.MASTER:
        assert answer.status == 0, "the node that had the order was killed"
    else:
        assert_failed_over_to(answer, taker.role, "S12")
    assert settled_at(pair) is taker.role


def test_a_giver_paused_before_it_stepped_down_is_replaced_and_one_stays_active(
    pair: Pair,
) -> None:
    giver, taker = pair.of(Role.STANDBY)
    with pair.hook.held():
        ordered = pair.order()
        pair.hook.wait_until_entered(giver.role)
        giver.pause()
        taker.wait_until(lambda node: node.is_active, "takeover")
    answer = ordered.result(ANSWER_LIMIT_S)
    assert_failed_over_to(answer, Role.MASTER, "S6")
    giver.resume()
    assert settled_at(pair) is Role.MASTER


def step_down(pair: Pair, giver: NodeProcess) -> Future[Answer]:
    """Order a switch, and return when the giver is passive and the taker not yet told."""
    link = pair.processes.link_proxies[giver.role]
    link.delay_s = LINK_DELAY_S
    ordered = pair.order()
    wait_until(
        lambda: giver.is_passive or ordered.done(),
        ANSWER_LIMIT_S,
        "the giver to step down",
    )
    link.black_hole()
    link.delay_s = 0.0
    assert pair.processes.other(giver).is_passive, "the middle was missed"
    assert not ordered.done(), ordered.result()
    return ordered


@pytest.mark.parametrize("giver_role", Role)
def test_a_taker_killed_after_the_giver_stepped_down_is_replaced_by_the_giver(
    pair: Pair, giver_role: Role
) -> None:
    giver, taker = pair.of(giver_role)
    ordered = step_down(pair, giver)
    taker.kill()
    pair.processes.heal()
    giver.wait_until(lambda node: node.is_active, "return to service")
    answer = ordered.result(ANSWER_LIMIT_S)
    if giver_role is Role.MASTER:
        assert_failed_over_to(answer, Role.MASTER, "S12")
    else:
        assert answer.status == 0, "the node that had the order was killed"
    assert settled_at(pair) is giver_role


def test_a_giver_killed_after_it_stepped_down_is_replaced(pair: Pair) -> None:
    giver, taker = pair.of(Role.STANDBY)
    ordered = step_down(pair, giver)
    giver.kill()
    taker.wait_until(lambda node: node.is_active, "takeover")
    answer = ordered.result(ANSWER_LIMIT_S)
    assert answer.code == "switch-failed", answer
    assert answer.text.startswith("the master is active: ")
    assert settled_at(pair) is Role.MASTER


def test_a_taker_that_stood_still_does_not_activate_on_a_promise_that_ran_out(
    pair: Pair,
) -> None:
    giver, taker = pair.of(Role.MASTER)
    before = last_change(taker)
    ordered = step_down(pair, giver)
    taker.pause()
    pair.processes.heal()  # What it is told waits for it.
    giver.wait_until(lambda node: node.is_active, "return to service")
    assert_failed_over_to(ordered.result(ANSWER_LIMIT_S), Role.MASTER, "S6")
    taker.resume()
    assert settled_at(pair) is Role.MASTER
    assert last_change(taker) == before, "both were active"


def test_an_order_to_activate_that_comes_too_late_is_not_obeyed(pair: Pair) -> None:
    giver, taker = pair.of(Role.MASTER)
    before = last_change(taker)
    ordered = step_down(pair, giver)
    # Its heartbeats show the giver that the promise has run out: nobody will activate.
    giver.wait_until(lambda node: node.is_active, "return to service")
    pair.processes.heal()
    assert_failed_over_to(ordered.result(ANSWER_LIMIT_S), Role.MASTER, "S4")
    assert settled_at(pair) is Role.MASTER
    assert last_change(taker) == before, "both were active"
