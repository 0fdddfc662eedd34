"""Which changes lost while both nodes were active, and what its event says."""

from __future__ import annotations

import attrs
import pytest

from eventstore import Event, JsonValue, Loss
from eventstore.codec import pack_value
from eventstore.event import VALUE_BYTES_MAX
from node.both_active import LOSER_COUNT_MAX, BothActive, GivenWay, newest
from node.link_messages import Head
from node.roles import Role
from tests.support.histories import History
from tests.support.links import HEARTBEAT


def heads(**ids: str) -> dict[str, Head]:
    return {origin: Head(found, "ab") for origin, found in ids.items()}


BEFORE = heads(master="10-1", standby="10-1")
GIVEN_WAY = GivenWay(
    from_s=100.0,
    yielded_s=107.5,
    next_sequence=9,
    before=BEFORE,
    ours=heads(master="10-1", standby="20-3"),
)
"""A standby was active for 7.5 s, in which it made two events."""
THEIRS = heads(master="30-4", standby="10-1")
"""The master made three meanwhile."""
ANSWER = attrs.evolve(HEARTBEAT, heard_sequence=9, heads=THEIRS)


@pytest.fixture
def told() -> BothActive:
    given_way = GIVEN_WAY.told(ANSWER, 99.0)
    return given_way.summary(heads(master="30-4", standby="20-3"), 108.5)


def events(origin: str) -> list[Event]:
    """One before, and at each end of, the time when both were active, and one after."""
    history = History()
    writer = history.master if origin == "master" else history.standby
    times = {"master": (10, 15, 20, 30, 40), "standby": (10, 15, 20, 40)}[origin]
    return [writer.put("users/a", ms=ms) for ms in times]


@pytest.mark.parametrize(
    ("loser", "winner", "lost_in_it"),
    [
        ("10-1", "10-1", False),
        ("10-1", "15-2", True),
        ("10-1", "30-4", True),
        ("10-1", "40-5", False),
        ("15-2", "10-1", True),
        ("20-3", "10-1", True),
        ("40-4", "10-1", False),
        ("40-4", "40-5", False),
        ("40-4", "30-4", True),
        ("20-3", "40-5", True),
    ],
)
def test_a_change_lost_in_it_if_it_or_what_overrode_it_was_made_in_it(
    told: BothActive, loser: str, winner: str, lost_in_it: bool
) -> None:
    (lost,) = (event for event in events("standby") if str(event.id) == loser)
    (won,) = (event for event in events("master") if str(event.id) == winner)
    loss = Loss(lost, won)
    assert told.losers([loss]) == ([loss] if lost_in_it else [])


def test_where_the_peer_did_not_tell_its_end_all_that_came_since_counts() -> None:
    untold = GIVEN_WAY.summary(heads(master="10-1", standby="20-3"), 108.5)
    assert (untold.theirs, untold.complete) == ({}, False)
    lost, won = events("standby")[0], events("master")[-1]
    assert untold.losers([Loss(lost, won)]) == [Loss(lost, won)]


def test_it_is_told_of_once_all_that_the_peer_had_is_here() -> None:
    here = heads(master="15-2", standby="20-3")
    assert not GIVEN_WAY.is_due(here, 108.0, peer_lost=False)
    assert GIVEN_WAY.is_due(here, 108.0, peer_lost=True), "it will not tell any more"
    given_way = GIVEN_WAY.told(ANSWER, 99.0)
    # A peer that is lost again may still have a Redis from which the rest comes.
    assert not given_way.is_due(here, 108.0, peer_lost=True)
    assert not given_way.is_due(here, 137.4, peer_lost=False)
    assert given_way.is_due(here, 137.5, peer_lost=False)
    assert given_way.is_due(heads(master="31-5"), 108.0, peer_lost=False) is False
    assert given_way.is_due({**here, **heads(master="31-5")}, 108.0, peer_lost=False)


@pytest.mark.parametrize(("peer_from_s", "lasted_s"), [(99.0, 7.5), (102.0, 5.5)])
def test_both_were_active_since_the_later_one_was(
    peer_from_s: float, lasted_s: float
) -> None:
    given_way = GIVEN_WAY.told(ANSWER, peer_from_s)
    # What the peer says later is of a time when this node was passive.
    given_way = given_way.told(attrs.evolve(ANSWER, heads=BEFORE), 107.0)
    assert given_way.summary({}, 109.0).lasted_s == lasted_s
    assert given_way.theirs == THEIRS


def test_words_that_the_cut_held_up_tell_nothing() -> None:
    late = attrs.evolve(ANSWER, heard_sequence=8, heads=BEFORE)
    assert GIVEN_WAY.told(late, 99.0) == GIVEN_WAY


def value(told: BothActive, losers: list[Loss]) -> dict[str, JsonValue]:
    return told.as_value(
        losers, role=Role.STANDBY, instance="s", began="10:00", ended="10:01"
    )


def test_the_event_names_what_lost_and_against_what(told: BothActive) -> None:
    loss = Loss(events("standby")[1], events("master")[2])
    assert value(told, [loss]) == {
        "began": "10:00",
        "ended": "10:01",
        "lasted_s": 7.5,
        "instance": "s",
        "before": {"master": "10-1", "standby": "10-1"},
        "vectors": {
            "master": {"master": "30-4", "standby": "10-1"},
            "standby": {"master": "10-1", "standby": "20-3"},
        },
        "losers": [{"key": "users/a", "id": "15-2", "overridden_by": "20-3"}],
        "more_losers": 0,
        "losers_complete": True,
    }


def test_the_event_stays_small_however_many_lost(told: BothActive) -> None:
    history = History()
    losers = []
    for number in range(LOSER_COUNT_MAX + 7):
        key = f"users/{number:0250d}"
        lost = history.standby.put(key, ms=10**12)
        losers.append(Loss(lost, history.master.put(key, ms=10**12)))
    found = value(told, losers)
    named = found["losers"]
    assert isinstance(named, list)
    assert [loser["id"] for loser in named if isinstance(loser, dict)] == [
        str(loss.loser.id) for loss in losers[:LOSER_COUNT_MAX]
    ]
    assert found["more_losers"] == 7
    assert len(pack_value(found)) < VALUE_BYTES_MAX / 2


def test_the_newest_of_two_places_is_taken_for_each_stream() -> None:
    here, there = heads(master="10-2", standby="10-1"), heads(standby="11-2")
    assert newest(here, there) == heads(master="10-2", standby="11-2")
    assert newest(there, here) == heads(master="10-2", standby="11-2")
    assert newest({}, {}) == {}
