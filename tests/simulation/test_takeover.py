"""Two cores on a virtual clock: who serves after each kind of failure."""

from __future__ import annotations

import itertools

import pytest

from node.roles import Role, State
from tests.simulation.network import LATENCY_S
from tests.simulation.world import MASTER, STANDBY, World, settled

ACTIVE, PASSIVE = State.ACTIVE, State.PASSIVE
BOTH_ROLES = pytest.mark.parametrize("role", list(Role))


@BOTH_ROLES
@pytest.mark.parametrize("gap_s", [0.0, 0.25, 1.0, 2.5, 2.875])
def test_s4_started_in_any_order_within_the_window_the_master_is_active(
    role: Role, gap_s: float
) -> None:
    world = World()
    world.start(role)
    world.run(gap_s)
    world.start(role.other)
    world.run(10.0)
    assert list(world.state_changes()) == [(MASTER, ACTIVE, "S4")]


@BOTH_ROLES
def test_s2_s3_who_came_first_stays_active(role: Role) -> None:
    world = World()
    world.start(role)
    world.run(5.0)
    world.start(role.other)
    world.run(10.0)
    assert list(world.state_changes()) == [(role, ACTIVE, "S2")]
    assert world.changes[0][0] == 3.0


@pytest.mark.parametrize("ready_after_s", [1.0, 4.0, 60.0])
def test_s2_the_window_begins_when_the_node_does_however_long_it_prepared(
    ready_after_s: float,
) -> None:
    world = World()
    world.start(STANDBY)
    world.run(5.0)
    world.start(MASTER, prepares_s=ready_after_s)
    world.run(ready_after_s + 10.0)
    assert list(world.state_changes()) == [(STANDBY, ACTIVE, "S2")]


@BOTH_ROLES
def test_s12_a_killed_active_node_is_replaced_at_once(role: Role) -> None:
    world = settled(role)
    world.crash(role)
    took_s = world.run_until(lambda: world.active == {role.other}, 5.0)
    assert took_s <= 3 * LATENCY_S
    assert world.changes[-1][3] == "S12"


@BOTH_ROLES
def test_s12_a_killed_passive_node_changes_nothing(role: Role) -> None:
    world = settled(role)
    world.crash(role.other)
    world.run(10.0)
    world.start(role.other)
    world.run(10.0)
    assert list(world.state_changes(world.began_s)) == []
    assert world.active == {role}


@BOTH_ROLES
def test_s3_a_killed_active_node_that_returns_stays_passive(role: Role) -> None:
    world = settled(role)
    world.crash(role)
    world.run(5.0)
    world.start(role)
    world.run(10.0)
    assert list(world.state_changes(world.began_s)) == [(role.other, ACTIVE, "S12")]


@pytest.mark.parametrize("gone_s", [0.0, LATENCY_S, 2 * LATENCY_S, 0.5])
@BOTH_ROLES
def test_after_a_fast_restart_exactly_one_is_active(role: Role, gone_s: float) -> None:
    world = settled(role)
    world.crash(role)
    world.run(gone_s)
    world.start(role)
    world.run(10.0)
    assert len(world.active) == 1
    assert world.both_active_s == []


@BOTH_ROLES
def test_s6_after_silence_the_takeover_comes_exactly_at_the_limit(role: Role) -> None:
    world = settled(role)
    heard_s = world.nodes[role.other].core.detector.heard_s
    assert heard_s is not None
    world.network.silence(*Role)
    world.run_until(lambda: world.active == set(Role), 5.0)
    assert world.now_s == heard_s + 3.0
    assert world.changes[-1][3] == "S6"


@BOTH_ROLES
def test_s11_an_orderly_stop_is_taken_over_at_once(role: Role) -> None:
    world = settled(role)
    world.stop(role)
    took_s = world.run_until(lambda: world.active == {role.other}, 5.0)
    assert took_s <= 2 * LATENCY_S
    assert list(world.state_changes(world.began_s)) == [
        (role, PASSIVE, "S11"),
        (role.other, ACTIVE, "S11"),
    ]
    assert world.both_active_s == []


@BOTH_ROLES
@pytest.mark.parametrize("count", [1, 5])
def test_s12_a_link_that_resets_and_reconnects_is_no_takeover(
    role: Role, count: int
) -> None:
    world = settled(role)
    for _ in range(count):
        world.network.reset()
        world.run(0.5)
    world.run(10.0)
    assert list(world.state_changes(world.began_s)) == []
    assert all(n.core.is_connected(world.now_s) for n in world.nodes.values())


@BOTH_ROLES
@pytest.mark.parametrize("untold", [{MASTER}, {STANDBY}, {MASTER, STANDBY}])
@pytest.mark.parametrize(
    "times",
    [
        {},
        {
            "heartbeat_interval_s": 0.25,
            "peer_lost_after_s": 1.0,
            "switch_step_s": 0.5,
        },
    ],
    ids=["default", "fast"],
)
def test_s12_connections_that_die_untold_are_replaced_before_the_peer_is_lost(
    role: Role, untold: set[Role], times: dict[str, float]
) -> None:
    interval_s = times.get("heartbeat_interval_s", 1.0)
    for phase, after in itertools.product(range(8), range(8)):
        world = World()
        for started in (role, role.other):
            world.start(started, **times)
            world.run(5.0 + phase / 8 * interval_s)
        world.run(after / 8 * interval_s)
        assert world.active == {role}
        began_s = world.now_s
        if len(untold) == 2:
            world.network.forget()
        else:
            world.network.reset(by=world.nodes[next(iter(untold))])
        world.run(20.0)
        assert list(world.state_changes(began_s)) == [], (phase, after)
        for node in world.nodes.values():
            assert node.core.is_connected(world.now_s)
            assert node.core.is_heard_by_peer(world.now_s)


@BOTH_ROLES
@pytest.mark.parametrize("cut_s", [4.0, 10.0, 600.0])
def test_s5_after_a_cut_the_master_is_active_and_the_standby_passive(
    role: Role, cut_s: float
) -> None:
    world = settled(role)
    world.network.silence(*Role)
    world.run(cut_s)
    assert world.active == set(Role)
    world.network.heal()
    world.run(10.0)
    assert world.active == {MASTER}
    assert all(n.serving is (n.role is MASTER) for n in world.nodes.values())


def test_s20_a_master_that_is_not_heard_yields_to_the_active_standby() -> None:
    world = settled(MASTER)
    world.network.silence(MASTER)
    world.run(20.0)
    assert list(world.state_changes(world.began_s)) == [
        (STANDBY, ACTIVE, "S6"),
        (MASTER, PASSIVE, "S20"),
    ]
    yielded_s = world.changes[-1][0] - world.began_s
    assert 6.0 - 1.0 <= yielded_s <= 6.0 + 1.0 + 2 * LATENCY_S
    world.network.heal()
    world.run(10.0)
    assert len(world.active) == 1


def test_s5_a_standby_that_is_not_heard_yields_to_the_active_master() -> None:
    world = settled(STANDBY)
    world.network.silence(STANDBY)
    world.run(20.0)
    assert world.active == {MASTER}
    assert world.changes[-1][1:] == (STANDBY, PASSIVE, "S5")
    world.network.heal()
    world.run(10.0)
    assert world.active == {MASTER}


@BOTH_ROLES
@pytest.mark.parametrize("tick_first", [False, True])
def test_s13_a_passive_node_that_stood_still_does_not_judge_by_it(
    role: Role, tick_first: bool
) -> None:
    world = settled(role)
    world.pause(role.other)
    world.run(30.0)
    world.resume(role.other, tick_first=tick_first)
    world.run(10.0)
    assert list(world.state_changes(world.began_s)) == []


@BOTH_ROLES
@pytest.mark.parametrize("tick_first", [False, True])
def test_s13_a_node_that_stood_still_while_it_started_listens_anew(
    role: Role, tick_first: bool
) -> None:
    world = World()
    world.start(role.other)
    world.run(5.0)
    world.start(role)
    world.pause(role)
    world.run(5.0)
    world.resume(role, tick_first=tick_first)
    world.run(10.0)
    assert list(world.state_changes()) == [(role.other, ACTIVE, "S2")]


@BOTH_ROLES
@pytest.mark.parametrize("tick_first", [False, True])
def test_s13_an_active_node_that_stood_still_too_long_never_makes_two_active(
    role: Role, tick_first: bool
) -> None:
    world = settled(role)
    world.pause(role)
    world.run(10.0)
    world.resume(role, tick_first=tick_first)
    world.run(10.0)
    assert world.active == {role.other}
    assert world.both_active_s == [] or max(world.both_active_s) < world.began_s + 10.0


def test_s20_a_master_that_stood_still_is_not_unheard_for_that() -> None:
    world = settled(MASTER)
    world.pause(MASTER)
    world.run(10.0)
    world.resume(MASTER)
    world.run(10.0)
    assert "S20" not in [rule for _, _, rule in world.state_changes()]


@BOTH_ROLES
def test_s18_beside_a_peer_with_a_wrong_secret_nobody_who_serves_is_disturbed(
    role: Role,
) -> None:
    world = settled(role)
    world.crash(role.other)
    world.run(1.0)
    world.start(role.other, secret="not the pair's secret")
    world.run(10.0)
    assert list(world.state_changes(world.began_s)) == []
    for node in world.nodes.values():
        assert node.core.problem is not None
        assert "wrong secret" in node.core.problem


@BOTH_ROLES
def test_s18_an_unacceptable_peer_that_stops_answering_is_taken_over(
    role: Role,
) -> None:
    world = World()
    world.start(role)
    world.run(5.0)
    world.start(role.other, secret="not the pair's secret")
    world.run(5.0)
    assert world.active == {role}
    world.crash(role)
    took_s = world.run_until(lambda: world.active == {role.other}, 5.0)
    assert took_s <= 1.0 + 2 * LATENCY_S
    assert world.changes[-1][3] == "S12"


def test_s18_two_unacceptable_passive_nodes_activate_the_master() -> None:
    world = World()
    world.start(STANDBY, secret="not the pair's secret")
    world.start(MASTER)
    world.run(10.0)
    assert list(world.state_changes()) == [(MASTER, ACTIVE, "S4")]
