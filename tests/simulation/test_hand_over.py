"""S15 with both nodes: a sick active node hands over to a well peer."""

from __future__ import annotations

import pytest

from node.roles import Role, State
from node.situation import Outcome
from tests.simulation.world import World, settled

ACTIVE, PASSIVE = State.ACTIVE, State.PASSIVE
BOTH_GIVERS = pytest.mark.parametrize("giver", list(Role))
STEP_COUNT = 5


def sick(giver: Role) -> World:
    world = settled(giver)
    world.nodes[giver].problems = {"sip": "no answer"}
    return world


@BOTH_GIVERS
@pytest.mark.parametrize("redis_hangs", [False, True])
def test_s15_the_well_peer_serves_and_never_both(
    giver: Role, redis_hangs: bool
) -> None:
    world = sick(giver)
    world.nodes[giver].redis_hangs = redis_hangs
    world.run(10.0)
    assert list(world.state_changes(world.began_s)) == [
        (giver, PASSIVE, "S15"),
        (giver.other, ACTIVE, "S15"),
    ]
    assert world.both_active_s == []
    assert [report.outcome for report in world.reports] == [Outcome.DONE]
    assert not world.nodes[giver].serving
    assert not world.nodes[giver].frozen


@BOTH_GIVERS
def test_s15_of_two_sick_nodes_the_active_one_goes_on(giver: Role) -> None:
    world = sick(giver)
    world.nodes[giver.other].problems = {"sip": "no answer"}
    world.run(200.0)
    assert list(world.state_changes(world.began_s)) == []
    assert world.nodes[giver].core.unserved is not None


@BOTH_GIVERS
@pytest.mark.parametrize("index", range(STEP_COUNT))
def test_s15_a_lost_step_never_makes_two_active_and_it_is_tried_again(
    giver: Role, index: int
) -> None:
    world = sick(giver)
    world.network.on_switch_message = lambda number, _: number != index
    world.run(100.0)
    assert world.both_active_s == []
    assert world.active == {giver.other}
    world.nodes[giver].problems = {}
    world.run(100.0)
    assert world.active == {giver.other}, "no switching back"


@BOTH_GIVERS
@pytest.mark.parametrize("index", range(STEP_COUNT))
@pytest.mark.parametrize("at_giver", [True, False])
def test_s15_a_crash_in_any_step_leaves_one_active(
    giver: Role, index: int, at_giver: bool
) -> None:
    world = sick(giver)
    victim = giver if at_giver else giver.other

    def crash(number: int, _: Role) -> bool:
        if number == index:
            world.later(0.0, lambda: world.crash(victim))
            world.later(5.0, lambda: world.start(victim))
        return True

    world.network.on_switch_message = crash
    world.run(100.0)
    assert world.both_active_s == []
    assert len(world.active) == 1
