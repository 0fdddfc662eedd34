"""Replay, blame and explain of random histories, against the slow and obvious way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from random import Random
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventstore import (
    START,
    Configuration,
    Event,
    EventId,
    JsonValue,
    NoSuchPoint,
    Origin,
    diff,
    read_blame,
    read_explanation,
    replay,
)
from tests.support import oracle, past_oracle
from tests.support.histories import MASTER, ORIGINS, STANDBY, History, Writer, other
from tests.support.sources import MemorySource

KEYS = ("users/a", "users/b", "scripts/c")
PAIR_OF: dict[str, Any] = {"prevailing": MASTER, "other": STANDBY}
SEEDS = st.integers(min_value=0, max_value=2**32)
MS = 1_000_000


@attrs.frozen
class State:
    """What a node had at one moment, by the vector it had then."""

    vector: dict[Origin, EventId]
    entries: dict[str, tuple[bytes, bytes]]
    digest: str


@attrs.define
class Past:
    """A history, and the states that its two nodes went through."""

    history: History
    states: list[State]

    @property
    def events(self) -> list[Event]:
        return self.history.events

    @property
    def source(self) -> MemorySource:
        return MemorySource.of(self.history)


def entries_of(configuration: Configuration) -> dict[str, tuple[bytes, bytes]]:
    """Key, value and event, byte for byte."""
    return {
        entry.key: (entry.event.packed, entry.event.digest)
        for entry in configuration.entries()
    }


def past_of(seed: int, steps: int = 40) -> Past:
    """Two nodes that write, hear of each other in part, and have clocks that jump."""
    random = Random(seed)
    history = History()
    nodes = {o: Configuration(prevailing=MASTER) for o in ORIGINS}
    clocks = dict.fromkeys(ORIGINS, 1000)
    states = []
    for _ in range(steps):
        origin = random.choice(ORIGINS)
        writer, peer = history.of(origin), history.of(other(origin))
        clocks[origin] += random.choice((0, 1, 1, 2, 10, 500, -300, -20))
        clocks[origin] = max(clocks[origin], 0)
        if random.random() < 0.4:
            hear(writer, peer, nodes[origin], random.randrange(4))
        else:
            nodes[origin].fold(written(writer, random, clocks[origin]))
        entries = entries_of(nodes[origin])
        states.append(State(dict(writer.seen), entries, nodes[origin].digest))
    return Past(history, states)


def hear(writer: Writer, peer: Writer, node: Configuration, count: int) -> None:
    before = writer.seen.get(peer.origin, START).n
    writer.hear(peer, count)
    for event in peer.written[before : writer.seen.get(peer.origin, START).n]:
        node.fold(event)


def written(writer: Writer, random: Random, ms: int) -> Event:
    key = random.choice(KEYS)
    kind = random.random()
    if kind < 0.15:
        return writer.delete(key, ms=ms)
    if kind < 0.25:
        return writer.write("state-changed", "", {"to": "active"}, ms=ms)
    names = random.sample(("extension", "name", "forward"), random.randrange(4))
    value: JsonValue = {
        name: random.choice((1, 1.0, True, "x", None)) for name in names
    }
    return writer.put(key, random.choice((value, value, value, 7)), ms=ms)


def points(past: Past, random: Random) -> Iterator[int]:
    """Times before, in, between and behind the events."""
    for event in past.events:
        yield event.wall_ns + random.choice((-1, 0, 1))
    yield from (-1, 0, 10**15)


@given(SEEDS)
def test_a_replay_gives_what_a_node_had_byte_for_byte(seed: int) -> None:
    past = past_of(seed)
    for state in past.states:
        found = replay(past.source, state.vector, **PAIR_OF)
        assert found.cut == state.vector
        assert entries_of(found.configuration) == state.entries
        assert found.configuration.digest == state.digest


@given(SEEDS)
def test_a_replay_to_a_time_has_what_was_written_by_then_and_its_causes(
    seed: int,
) -> None:
    past = past_of(seed)
    for until_ns in points(past, Random(seed)):
        found = replay(past.source, until_ns, **PAIR_OF)
        cut = past_oracle.cut_at(past.events, until_ns)
        assert found.cut == cut
        expected = oracle.entries(
            past_oracle.within(past.events, cut), prevailing=MASTER
        )
        assert {e.key: e.event for e in found.configuration.entries()} == expected
        assert replay(past.source, cut, **PAIR_OF).configuration.digest == (
            found.configuration.digest
        )


@given(SEEDS)
def test_a_replay_of_one_key_or_prefix_is_a_part_of_the_whole(seed: int) -> None:
    past = past_of(seed)
    whole = entries_of(replay(past.source, **PAIR_OF).configuration)
    parts: tuple[dict[str, Any], ...] = (
        {"key": "users/a"},
        {"prefix": "users/"},
        {"prefix": "x"},
    )
    for asked in parts:
        part = replay(past.source, **PAIR_OF, **asked)
        start = next(iter(asked.values()))
        assert entries_of(part.configuration) == {
            key: entry for key, entry in whole.items() if key.startswith(start)
        }
        assert part.cut == replay(past.source, **PAIR_OF).cut


def is_closed(past: Past, vector: Mapping[Origin, EventId]) -> bool:
    return all(
        known <= vector.get(origin, START)
        for event in past_oracle.within(past.events, vector)
        for origin, known in event.vector.items()
    )


@given(SEEDS)
def test_a_vector_that_no_node_can_have_had_is_refused(seed: int) -> None:
    past, random = past_of(seed), Random(seed)
    for _ in range(20):
        vector = {
            origin: random.choice(
                [START, *(e.id for e in past.history.of(origin).written)]
            )
            for origin in ORIGINS
        }
        if is_closed(past, vector):
            assert replay(past.source, vector, **PAIR_OF).cut == {
                o: end for o, end in vector.items() if end != START
            }
        else:
            with pytest.raises(NoSuchPoint, match=" knew event "):
                replay(past.source, vector, **PAIR_OF)
        for origin in ORIGINS:
            ms, n = vector[origin]
            missing = {**vector, origin: EventId(ms + 1, n)}
            text = f"there is no event {missing[origin]} in stream '{origin}'"
            with pytest.raises(NoSuchPoint, match=text):
                replay(past.source, missing, **PAIR_OF)


@given(SEEDS)
def test_a_diff_names_each_entry_that_another_event_made(seed: int) -> None:
    past, random = past_of(seed), Random(seed)
    first, second = random.choice(past.states), random.choice(past.states)
    before, after = (replay(past.source, s.vector, **PAIR_OF) for s in (first, second))
    found = {d.key: d for d in diff(before, after)}
    keys = first.entries.keys() | second.entries.keys()
    assert list(found) == sorted(
        key for key in keys if first.entries.get(key) != second.entries.get(key)
    )
    standing = oracle.winners(
        past_oracle.within(past.events, second.vector), prevailing=MASTER
    )
    for key, difference in found.items():
        assert difference.before == before.configuration.get(key)
        assert difference.after == after.configuration.get(key)
        if key in standing:
            assert difference.event == standing[key]
        else:
            assert difference.before is not None
            assert difference.event == difference.before.event


@given(SEEDS)
def test_blame_tells_each_change_with_what_its_writer_replaced(seed: int) -> None:
    past, random = past_of(seed), Random(seed)
    state = random.choice(past.states)
    events = past_oracle.within(past.events, state.vector)
    losers = oracle.losers(events, prevailing=MASTER)
    for key in KEYS:
        found = read_blame(past.source, key, state.vector, limit=1000, **PAIR_OF)
        changes = past_oracle.changes(events, key)
        assert {c.event.digest for c in found.changes} == {e.digest for e in changes}
        assert found.change_count == len(changes) == len(found.changes)
        for number, change in enumerate(found.changes):
            assert change.before == past_oracle.before(events, change.event, MASTER)
            assert (change.loss is not None) == (change.event.digest in losers)
            for older in found.changes[number:]:
                assert not oracle.happened_before(change.event, older.event)
        standing = oracle.winners(events, prevailing=MASTER).get(key)
        assert found.standing == standing
        value = None if standing is None else standing.value
        names = value if isinstance(value, dict) else ()
        assert standing is None or dict(found.fields) == {
            name: past_oracle.set_by(events, standing, name, MASTER) for name in names
        }


@given(SEEDS)
def test_blame_within_a_limit_tells_the_newest(seed: int) -> None:
    past = past_of(seed)
    whole = read_blame(past.source, "users/a", limit=1000, **PAIR_OF)
    for limit in (1, 2, 3):
        found = read_blame(past.source, "users/a", limit=limit, **PAIR_OF)
        assert found.changes == whole.changes[:limit]
        assert found.change_count == whole.change_count
        assert found.fields == whole.fields


@given(SEEDS)
def test_explain_tells_what_stands_and_what_does_not(seed: int) -> None:
    past, random = past_of(seed), Random(seed)
    state = random.choice(past.states)
    events = past_oracle.within(past.events, state.vector)
    conflicts = oracle.open_losses(events, prevailing=MASTER)
    for key in KEYS:
        found = read_explanation(past.source, key, state.vector, **PAIR_OF)
        changes = past_oracle.changes(events, key)
        assert found.standing == oracle.winners(changes, prevailing=MASTER).get(key)
        newest = [
            max((e for e in changes if e.origin == o), key=lambda e: e.id, default=None)
            for o in ORIGINS
        ]
        assert [found.prevailing, found.other] == newest
        assert found.is_conflict == (key in conflicts)
        if key in conflicts:
            assert (found.loser, found.standing) == conflicts[key]
        seen = [e.vector.get(MASTER, START) for e in changes if e.origin == STANDBY]
        assert found.covered == max(seen, default=START)
        for event in (found.standing, found.loser):
            assert event is None or found.loser is None or str(event.id) in found.why


def test_a_walk_is_watched_page_by_page_and_can_be_ended() -> None:
    past = past_of(7, steps=400)
    counts: list[int] = []
    replay(past.source, **PAIR_OF, watch=counts.append)
    assert sum(counts) == len(past.events)
    source = past.source

    def end(_: int) -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        replay(source, **PAIR_OF, watch=end)
    assert source.read_count <= 500
