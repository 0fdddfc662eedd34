"""What of the attempts is lost, and what nobody added (tests/chaos)."""

from __future__ import annotations

import attrs
import pytest

from eventstore import Event, EventId, Kind, Origin
from eventstore.codec import pack_value
from eventstore.event import Recovered
from tests.chaos.verdict import Attempt, Counts, Destroyed, Outcome, count

MASTER = Origin("master")
ID = EventId(1000, 1)


def attempt(outcome: Outcome = Outcome.ACKNOWLEDGED) -> Attempt:
    event_id = ID if outcome is Outcome.ACKNOWLEDGED else None
    return Attempt(7, MASTER, "set/7", 50.0, outcome, event_id)


def event(**changed: object) -> Event:
    made = Event(
        origin=MASTER,
        id=ID,
        kind=Kind.ENTRY_PUT,
        key="set/7",
        packed=pack_value(7),
        actor="7",
        reason="",
        wall_ns=0,
        vector={},
        previous=bytes(32),
        digest=bytes(32),
    )
    return attrs.evolve(made, **changed)  # type: ignore[arg-type]


def counts(
    attempts: list[Attempt], *events: Event, destroyed: tuple[Destroyed, ...] = ()
) -> Counts:
    return count(attempts, {"standby": events}, destroyed)


def test_what_was_acknowledged_and_is_there_is_well() -> None:
    assert counts([attempt()], event()) == Counts(1, 0, 0, 0, (), ())


def test_what_was_acknowledged_is_lost_when_it_is_not_there() -> None:
    assert len(counts([attempt()]).lost) == 1


def test_another_event_of_the_same_integer_is_not_what_was_acknowledged() -> None:
    assert len(counts([attempt()], event(id=EventId(1000, 2))).lost) == 1


ANEW = event(id=EventId(2000, 5), recovered=Recovered(ID, bytes(32)))


def test_what_recovery_appended_anew_is_what_was_acknowledged() -> None:
    assert counts([attempt()], ANEW) == Counts(1, 0, 0, 0, (), ())
    other = attrs.evolve(ANEW, recovered=Recovered(EventId(999, 1), bytes(32)))
    assert len(counts([attempt()], other).lost) == 1


@pytest.mark.parametrize(
    ("outcome", "unexpected"), [(Outcome.UNKNOWN, 0), (Outcome.REFUSED, 1)]
)
def test_only_a_change_without_a_clear_answer_may_be_there(
    outcome: Outcome, unexpected: int
) -> None:
    assert len(counts([attempt(outcome)], event()).unexpected) == unexpected


@pytest.mark.parametrize(
    "strange",
    [
        pytest.param((event(actor="8"),), id="nobody added it"),
        pytest.param((event(packed=pack_value(8)),), id="another value"),
        pytest.param((event(key="set/8"),), id="another key"),
        pytest.param((event(), event(id=EventId(1001, 2))), id="twice"),
        pytest.param((event(), ANEW), id="also anew"),
    ],
)
def test_what_nobody_added_is_unexpected(strange: tuple[Event, ...]) -> None:
    assert len(counts([attempt()], *strange).unexpected) == 1


@pytest.mark.parametrize(
    ("kept", "at_s", "lost"),
    [
        pytest.param(EventId(999, 0), 60.0, 0, id="behind what was kept"),
        pytest.param(ID, 60.0, 1, id="the peer had it"),
        pytest.param(EventId(999, 0), 40.0, 1, id="added later"),
    ],
)
def test_what_only_a_destroyed_redis_had_is_not_lost_by_us(
    kept: EventId, at_s: float, lost: int
) -> None:
    found = counts([attempt()], destroyed=(Destroyed(MASTER, kept, at_s),))
    assert len(found.lost) == lost
    assert found.destroyed == 1 - lost
