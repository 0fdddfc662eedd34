"""S14 with both nodes: every step lost, or either node stopped there, once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from node.roles import Role, State
from node.situation import Outcome
from tests.simulation.world import MASTER, STANDBY, World, settled

BOTH_GIVERS = pytest.mark.parametrize("giver", list(Role))
STEP_COUNT = {MASTER: 5, STANDBY: 6}
"""Messages of a switch; the master first asks a standby that gives."""
EACH_STEP = pytest.mark.parametrize(
    ("giver", "index"), [(giver, i) for giver in Role for i in range(STEP_COUNT[giver])]
)
AT_WHICH = pytest.mark.parametrize("at_sender", [True, False], ids=["sender", "taker"])


def at_step(world: World, index: int, fault: Callable[[Role], bool]) -> None:
    """Let `fault` happen as step `index` is sent; it says whether that arrives."""

    def asked(number: int, sender: Role) -> bool:
        return fault(sender) if number == index else True

    world.network.on_switch_message = asked


def victim(sender: Role, at_sender: bool) -> Role:
    return sender if at_sender else sender.other


def check_end(world: World) -> None:
    """Exactly one is active, serves, and takes changes."""
    assert len(world.active) == 1
    assert not any(node.frozen for node in world.nodes.values())
    serving = {node.role for node in world.nodes.values() if node.serving}
    assert serving == world.active


@BOTH_GIVERS
def test_a_switch_ends_with_the_other_node_active(giver: Role) -> None:
    world = settled(giver)
    assert world.order() == ()
    took_s = world.run_until(lambda: bool(world.reports), 5.0)
    assert took_s < 0.5
    assert [report.outcome for report in world.reports] == [Outcome.DONE]
    world.run(10.0)
    assert list(world.state_changes(world.began_s)) == [
        (giver, State.PASSIVE, "S14"),
        (giver.other, State.ACTIVE, "S14"),
    ]
    assert world.both_active_s == []
    check_end(world)


@BOTH_GIVERS
def test_s17_the_giver_stops_serving_before_the_taker_begins(giver: Role) -> None:
    world = settled(giver)
    world.order()
    world.run_until(lambda: world.nodes[giver.other].serving, 5.0)
    assert not world.nodes[giver].serving


@BOTH_GIVERS
def test_s8_the_standby_refuses_to_order(giver: Role) -> None:
    world = settled(giver)
    assert world.order(at=STANDBY) == ("a switch is ordered at the master",)
    world.run(5.0)
    assert list(world.state_changes(world.began_s)) == []


@EACH_STEP
def test_a_lost_step_never_makes_two_active(giver: Role, index: int) -> None:
    world = settled(giver)
    at_step(world, index, lambda _: False)
    world.order()
    world.run(20.0)
    assert world.both_active_s == []
    assert len(world.reports) == 1
    last = index == STEP_COUNT[giver] - 1
    assert world.reports[0].outcome is (Outcome.FAILED if last else Outcome.ROLLED_BACK)
    assert world.active == ({MASTER} if last else {giver})
    check_end(world)


@EACH_STEP
@AT_WHICH
@pytest.mark.parametrize("gone_s", [0.0, 0.5, 10.0])
def test_a_crash_in_any_step_leaves_one_active(
    giver: Role, index: int, at_sender: bool, gone_s: float
) -> None:
    world = settled(giver)

    def crash(sender: Role) -> bool:
        role = victim(sender, at_sender)
        world.later(0.0, lambda: world.crash(role))
        world.later(gone_s, lambda: world.start(role))
        return True

    at_step(world, index, crash)
    world.order()
    world.run(30.0)
    assert world.both_active_s == []
    master_lives_on = world.nodes[MASTER].instance == "master-1"
    assert len(world.reports) == int(master_lives_on)
    check_end(world)


@EACH_STEP
@AT_WHICH
@pytest.mark.parametrize("tick_first", [False, True])
@pytest.mark.parametrize("still_s", [0.5, 1.0, 1.5, 1.875])
def test_a_short_stall_in_any_step_never_makes_two_active(
    giver: Role, index: int, at_sender: bool, still_s: float, tick_first: bool
) -> None:
    world = settled(giver)

    def pause(sender: Role) -> bool:
        role = victim(sender, at_sender)
        world.later(0.0, lambda: world.pause(role))
        world.later(still_s, lambda: world.resume(role, tick_first=tick_first))
        return True

    at_step(world, index, pause)
    world.order()
    world.run(20.0)
    assert world.both_active_s == []
    assert len(world.reports) == 1
    rolled_back = world.reports[0].outcome is Outcome.ROLLED_BACK
    assert not rolled_back or list(world.state_changes(world.began_s)) == []
    check_end(world)


@EACH_STEP
@AT_WHICH
@pytest.mark.parametrize("tick_first", [False, True])
def test_a_long_stall_in_any_step_leaves_one_active(
    giver: Role, index: int, at_sender: bool, tick_first: bool
) -> None:
    world = settled(giver)

    def pause(sender: Role) -> bool:
        role = victim(sender, at_sender)
        world.later(0.0, lambda: world.pause(role))
        world.later(10.0, lambda: world.resume(role, tick_first=tick_first))
        return True

    at_step(world, index, pause)
    world.order()
    world.run(30.0)
    assert len(world.reports) == 1
    check_end(world)


@EACH_STEP
@pytest.mark.parametrize("cut_s", [0.5, 2.0, 10.0])
def test_a_cut_in_any_step_leaves_one_active(
    giver: Role, index: int, cut_s: float
) -> None:
    world = settled(giver)

    def cut(_: Role) -> bool:
        world.network.silence(*Role)
        world.later(cut_s, world.network.heal)
        return True

    at_step(world, index, cut)
    world.order()
    world.run(30.0)
    assert len(world.reports) == 1
    check_end(world)
    if cut_s < 3.0:
        assert world.both_active_s == []


@BOTH_GIVERS
def test_a_taker_that_comes_back_with_a_wrong_secret_does_not_keep_the_giver_waiting(
    giver: Role,
) -> None:
    world = settled(giver)
    taker = giver.other

    def replace(_: Role) -> bool:
        world.later(0.0, lambda: world.crash(taker))
        world.later(0.0, lambda: world.start(taker, secret="not the pair's secret"))
        return True

    at_step(world, STEP_COUNT[giver] - 1, replace)
    world.order()
    world.run(30.0)
    check_end(world)


@BOTH_GIVERS
def test_s9_an_idle_switch_begins_when_no_call_is_active_at_the_giver(
    giver: Role,
) -> None:
    world = settled(giver)
    world.nodes[giver].calls = 2
    world.run(1.5)
    assert world.order(idle_s=60.0) == ()
    world.run(10.0)
    assert world.reports == []
    assert world.nodes[MASTER].core.waiting_for_calls() == 2
    world.nodes[giver].calls = 0
    world.run(3.0)
    assert [report.outcome for report in world.reports] == [Outcome.DONE]
    assert world.active == {giver.other}


@BOTH_GIVERS
def test_s9_a_change_of_state_cancels_a_waiting_switch(giver: Role) -> None:
    world = settled(giver)
    world.nodes[giver].calls = 1
    world.run(1.5)
    world.order(idle_s=60.0)
    world.crash(STANDBY)
    world.run(1.0)
    world.start(STANDBY)
    world.run(5.0)
    assert [report.outcome for report in world.reports] == [Outcome.CANCELLED]
