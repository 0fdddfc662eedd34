"""S13, S15 and two active nodes, as a core decides them from what its peer says."""

from __future__ import annotations

import attrs
import pytest

from node.both_active import LOSERS_LIMIT_S, BothActive
from node.core import CloseConnection, Note
from node.link_messages import Goodbye, Head
from node.roles import Role, State
from node.situation import FreezeWrites, NotHeardByPeer, RunCallbacks
from node.switch_order import URGENT_PAUSE_S
from tests.support.lone_core import LoneCore

MASTER, STANDBY = Role.MASTER, Role.STANDBY
ACTIVE, PASSIVE = State.ACTIVE, State.PASSIVE
BOTH_ROLES = pytest.mark.parametrize("role", list(Role))
SICK = {"sip": "no answer"}


def serving(role: Role) -> LoneCore:
    """An active core beside a passive peer."""
    lone = LoneCore(role)
    if role is STANDBY:
        lone.tick()
        lone.ticks(3)
    lone.connect()
    lone.tick(1.0)
    lone.beat(PASSIVE)
    assert lone.core.state is ACTIVE
    lone.effects.clear()
    return lone


def pass_seconds(lone: LoneCore, count: int, state: State = PASSIVE) -> None:
    for _ in range(count):
        lone.tick(1.0)
        lone.beat(state)


# Self-distrust (S13).


@BOTH_ROLES
def test_s13_after_a_stall_as_long_as_the_limit_an_active_node_steps_down(
    role: Role,
) -> None:
    lone = serving(role)
    lone.tick(3.0)
    assert lone.changes == [(PASSIVE, "S13")]


@BOTH_ROLES
def test_s13_the_stall_counts_from_its_last_word_as_it_does_at_the_peer(
    role: Role,
) -> None:
    lone = serving(role)
    lone.turn(0.75)
    lone.turn(2.25)
    assert lone.changes == [(PASSIVE, "S13")]


@BOTH_ROLES
def test_s13_after_a_shorter_stall_it_goes_on(role: Role) -> None:
    lone = serving(role)
    lone.tick(2.875)
    assert lone.changes == []


def test_s13_the_master_activates_when_a_fresh_word_says_passive() -> None:
    lone = serving(MASTER)
    before = lone.last_sequence
    lone.now_s += 9.0
    lone.beat(PASSIVE, heard_sequence=before)
    assert lone.changes == [(PASSIVE, "S13")]
    lone.beat(PASSIVE)  # It answers what was sent on waking.
    assert lone.last_sequence > before
    assert lone.changes == [(PASSIVE, "S13"), (ACTIVE, "S4")]


def test_s13_a_short_stall_makes_what_was_said_before_it_stale_too() -> None:
    lone = LoneCore(MASTER)
    lone.tick()
    lone.accept()
    lone.beat(ACTIVE)
    lone.answer()
    lone.tick(1.0)
    before = lone.last_sequence
    lone.now_s += 2.0
    lone.beat(PASSIVE, heard_sequence=before)
    assert lone.changes == []
    lone.tick(1.0)
    lone.beat(PASSIVE)
    assert lone.changes == [(ACTIVE, "S4")]


def test_s13_silence_after_waking_counts_like_any_other() -> None:
    lone = serving(STANDBY)
    lone.now_s += 9.0
    lone.tick()
    lone.tick(1.0)
    lone.tick(1.0)
    assert lone.changes == [(PASSIVE, "S13")]
    lone.tick(1.0)
    assert lone.changes == [(PASSIVE, "S13"), (ACTIVE, "S6")]


def test_s13_a_goodbye_from_before_a_stall_is_asked_about_first() -> None:
    lone = LoneCore(MASTER)
    lone.tick()
    number = lone.accept()
    lone.beat(ACTIVE)
    dialled = lone.answer()
    lone.now_s += 9.0
    lone.say(Goodbye())
    lone.close(number)
    lone.close(dialled)
    assert lone.changes == []
    lone.core.dial_failed(lone.now_s, refused=True)
    lone.settle()
    assert lone.changes == [(ACTIVE, "S12")]


def test_s13_a_refusal_from_before_a_stall_is_asked_about_first() -> None:
    """Since then another process may have begun to serve. Found by the exploration."""
    lone = serving(MASTER)
    lone.close(max(n for n in lone.ends if not lone.ends[n].dialled))
    lone.close(max(n for n in lone.ends if lone.ends[n].dialled))
    lone.turn(0.125)
    lone.now_s += 9.0
    before = lone.dials
    lone.core.dial_failed(lone.now_s, refused=True)
    lone.settle()
    assert lone.changes == [(PASSIVE, "S13")]
    assert lone.dials == before + 1
    lone.core.dial_failed(lone.now_s, refused=True)
    lone.settle()
    assert lone.changes == [(PASSIVE, "S13"), (ACTIVE, "S12")]


@BOTH_ROLES
def test_s13_a_node_that_never_had_a_peer_comes_back_after_a_silence(
    role: Role,
) -> None:
    lone = LoneCore(role)
    lone.tick()
    lone.ticks(3)
    lone.tick(9.0)
    assert lone.changes == [(ACTIVE, "S2"), (PASSIVE, "S13")]
    lone.ticks(3)
    assert lone.changes[2:] == [(ACTIVE, "S6")]


# Handing over because of one's own sickness (S15).


@BOTH_ROLES
def test_s15_a_node_that_stays_sick_hands_over_to_a_well_peer(role: Role) -> None:
    lone = serving(role)
    lone.facts = attrs.evolve(lone.facts, problems=SICK)
    pass_seconds(lone, 3)
    assert lone.seen(FreezeWrites) == []
    pass_seconds(lone, 1)
    (begun,) = lone.seen(FreezeWrites)
    assert isinstance(begun, FreezeWrites)
    assert begun.switch.urgent
    assert begun.switch.giver is role
    assert begun.switch.reason == "it cannot serve: sip: no answer"


def test_s15_a_sickness_that_passes_changes_nothing() -> None:
    lone = serving(MASTER)
    for problems in (SICK, {}, SICK, {}):
        lone.facts = attrs.evolve(lone.facts, problems=problems)
        pass_seconds(lone, 3)
    assert lone.seen(FreezeWrites) == []


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"ready": False, "problems": {"redis": "away"}}, "not ready; redis: away"),
        ({"heard_sequence": 0}, "does not hear"),
    ],
)
def test_s15_without_a_well_peer_it_goes_on_and_says_so_once(
    said: dict[str, object], why: str
) -> None:
    lone = serving(MASTER)
    lone.facts = attrs.evolve(lone.facts, problems=SICK)
    for _ in range(9):
        lone.tick(1.0)
        lone.beat(PASSIVE, **said)
    assert lone.seen(FreezeWrites) == []
    assert lone.changes == []
    assert lone.core.unserved is not None
    assert why in lone.core.unserved
    alarms = [e.text for e in lone.effects if isinstance(e, Note) and e.alarming]
    assert len(alarms) == 1
    assert why in alarms[0]
    lone.facts = attrs.evolve(lone.facts, problems={})
    lone.tick(1.0)
    assert lone.core.unserved is None


def test_s15_alone_it_goes_on() -> None:
    lone = LoneCore()
    lone.facts = attrs.evolve(lone.facts, problems=SICK)
    lone.ticks(9)
    assert lone.changes == [(ACTIVE, "S2")]
    assert lone.core.unserved == "the peer is not connected"


def test_s15_not_twice_within_a_minute() -> None:
    lone = serving(MASTER)
    lone.facts = attrs.evolve(lone.facts, problems=SICK)
    pass_seconds(lone, 4)
    while len(lone.seen(FreezeWrites)) == 1:
        pass_seconds(lone, 1)  # Nobody answers: each try is rolled back.
        assert lone.now_s < 2000.0
    begun_s = 1000.0 + 1.0 + 4.0
    assert lone.now_s - begun_s == URGENT_PAUSE_S


def test_s15_while_it_waits_for_the_minute_it_says_so() -> None:
    lone = serving(MASTER)
    lone.facts = attrs.evolve(lone.facts, problems=SICK)
    pass_seconds(lone, 20)
    assert lone.core.unserved == "it tried to hand over within the last 60 s"


# Both were active.


def both_active(lone: LoneCore) -> list[BothActive]:
    return [effect for effect in lone.effects if isinstance(effect, BothActive)]


def test_who_gives_way_tells_how_long_both_were_active_and_what_each_knew() -> None:
    lone = serving(STANDBY)
    pass_seconds(lone, 20)
    ours = {"master": Head("5-1", "ab")}
    lone.facts = attrs.evolve(lone.facts, heads=ours)
    # The cut held this up: it does not name all that the peer wrote.
    lone.beat(ACTIVE, state_age_ms=250, heads={"master": Head("6-1", "aa")})
    assert lone.changes == [(PASSIVE, "S5")]
    lone.facts = attrs.evolve(lone.facts, heads={"master": Head("8-1", "aa")})
    theirs = {"master": Head("9-2", "cd")}
    lone.beat(ACTIVE, state_age_ms=7250, heads=theirs)
    assert both_active(lone) == [], "what the peer wrote is not here yet"
    lone.facts = attrs.evolve(lone.facts, heads=theirs)
    lone.tick(1.0)
    (found,) = both_active(lone)
    assert (found.lasted_s, found.ended_ago_s) == (7.25, 1.0)
    assert (found.ours, found.theirs, found.complete) == (ours, theirs, True)


def test_it_tells_after_a_while_though_what_the_peer_wrote_does_not_come() -> None:
    lone = serving(STANDBY)
    lone.beat(ACTIVE, heads={"master": Head("9-2", "cd")})
    while not both_active(lone):
        lone.tick(1.0)
        lone.beat(ACTIVE)
        assert lone.now_s < 2000.0
    (found,) = both_active(lone)
    assert found.ended_ago_s == LOSERS_LIMIT_S
    assert not found.complete


@pytest.mark.parametrize("end", ["stop", "again"])
def test_nothing_that_is_still_to_be_told_gets_lost(end: str) -> None:
    lone = serving(STANDBY)
    lone.beat(ACTIVE, heads={"master": Head("9-2", "cd")})
    if end == "stop":
        lone.core.stop()
        lone.settle()
    else:
        lone.say(Goodbye())
        lone.tick(1.0)
        assert lone.core.state is ACTIVE
        lone.beat(ACTIVE, heads={"master": Head("9-2", "cd")})
    (found,) = both_active(lone)
    assert not found.complete


def test_what_was_known_as_it_became_active_was_before_both_were() -> None:
    lone = LoneCore(STANDBY)
    ours = {"master": Head("5-1", "ab"), "standby": Head("6-3", "ef")}
    lone.facts = attrs.evolve(lone.facts, heads=ours)
    lone.connect()
    lone.beat(ACTIVE, heads={"master": Head("7-2", "cd"), "standby": Head("6-2", "ee")})
    lone.say(Goodbye())
    lone.tick(1.0)
    assert lone.core.state is ACTIVE
    lone.facts = attrs.evolve(lone.facts, heads=ours | {"standby": Head("8-4", "aa")})
    lone.beat(ACTIVE, heads={})
    lone.beat(ACTIVE, heads={})
    (found,) = both_active(lone)
    assert found.before == {"master": Head("7-2", "cd"), "standby": Head("6-3", "ef")}


def test_what_was_known_when_the_peer_was_last_passive_was_before_both_were() -> None:
    lone = serving(MASTER)
    ms = 10**14
    before = {"master": Head(f"{ms}-4", "ab"), "standby": Head(f"{ms}-1", "cd")}
    lone.facts = attrs.evolve(lone.facts, heads=before)
    said = before | {"standby": Head(f"{ms}-2", "ee")}
    lone.beat(PASSIVE, heads=said)
    ours = before | {"master": Head(f"{ms}-5", "ef")}
    lone.facts = attrs.evolve(lone.facts, heads=ours)
    lone.beat(PASSIVE, heads=said)  # The network held it up.
    lone.beat(ACTIVE, heads={})
    lone.core.observe(NotHeardByPeer(9.0), lone.now_s)
    lone.settle()
    lone.beat(ACTIVE, heads={})
    (found,) = both_active(lone)
    assert found.before == said


def test_it_waits_for_the_heartbeat_when_a_hello_was_the_first_word() -> None:
    lone = serving(STANDBY)
    lone.close(max(lone.ends))
    lone.peer_state = ACTIVE
    lone.tick(1.0)
    lone.answer()
    assert lone.changes == [(PASSIVE, "S5")]
    assert both_active(lone) == []
    lone.beat(ACTIVE, state_age_ms=500, heads={})
    (found,) = both_active(lone)
    assert found.lasted_s == 0.5


def test_it_tells_what_it_knows_when_the_peer_is_lost_before_it_could() -> None:
    lone = serving(STANDBY)
    lone.close(max(lone.ends))
    lone.peer_state = ACTIVE
    lone.tick(1.0)
    lone.answer()
    lone.tick(1.0)
    lone.tick(1.0)
    lone.tick(1.0)
    (found,) = both_active(lone)
    assert found.theirs == {}
    assert found.lasted_s > 0.0


def test_it_counts_in_its_heartbeats_how_often_it_gave_way() -> None:
    lone = serving(STANDBY)
    lone.beat(ACTIVE)
    lone.tick(1.0)
    said = lone.heard[-1]
    assert getattr(said, "yield_count", None) == 1
    assert getattr(said, "state_age_ms", None) == 1000


def test_the_survivor_runs_its_callbacks_again_once() -> None:
    lone = serving(MASTER)
    for count in (1, 1, 1):
        lone.tick(1.0)
        lone.beat(PASSIVE, yield_count=count)
    assert lone.seen(RunCallbacks) == [RunCallbacks(ACTIVE)]


def test_nothing_is_closed_or_changed_for_that() -> None:
    lone = serving(MASTER)
    lone.beat(PASSIVE, yield_count=1)
    assert lone.changes == []
    assert lone.seen(CloseConnection) == []
