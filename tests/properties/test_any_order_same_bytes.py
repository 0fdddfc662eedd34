"""Whatever the order of delivery, the same events leave the same entries (D6, D8, D10)."""

import itertools
import random

from hypothesis import event as note
from hypothesis import given
from hypothesis import strategies as st

from eventstore import Configuration, Event, Kind, Origin
from eventstore.history import merge_causally
from tests.properties.pairs import any_origin, histories, keys
from tests.support import oracle
from tests.support.histories import MASTER, ORIGINS, STANDBY, History, other

Outcome = tuple[list[tuple[str, Origin, str, bytes]], str, int]


def fold(events: list[Event], prevailing: Origin = MASTER) -> Configuration:
    configuration = Configuration(prevailing=prevailing)
    for event in events:
        configuration.fold(event)
    return configuration


def outcome(configuration: Configuration) -> Outcome:
    """All that a node shows of its entries, down to the bytes."""
    return (
        [(e.key, e.origin, str(e.id), e.event.packed) for e in configuration.entries()],
        configuration.digest,
        configuration.conflict_count,
    )


@given(histories(), st.randoms(use_true_random=False), any_origin)
def test_any_order_with_repeats_leaves_the_same_bytes_and_agrees_with_the_oracle(
    history: History, chance: random.Random, prevailing: Origin
) -> None:
    events = history.events
    repeated = events + chance.choices(events, k=len(events)) if events else []
    chance.shuffle(repeated)
    found = fold(repeated, prevailing)
    assert outcome(found) == outcome(fold(events, prevailing))

    expected = oracle.entries(events, prevailing=prevailing)
    assert {e.key: e.event for e in found.entries()} == expected
    conflicts = oracle.conflict_keys(events, prevailing=prevailing)
    assert found.conflict_count == len(conflicts)
    note(f"conflicts: {min(len(conflicts), 3)}")


@given(histories(actions_max=6))
def test_every_order_of_a_short_history_leaves_the_same_bytes(history: History) -> None:
    reference = outcome(fold(history.events))
    for order in itertools.permutations(history.events):
        assert outcome(fold(list(order))) == reference


@given(histories(), st.randoms(use_true_random=False))
def test_at_every_step_the_entries_are_those_of_the_events_so_far(
    history: History, chance: random.Random
) -> None:
    events = history.events
    chance.shuffle(events)
    configuration = Configuration(prevailing=MASTER)
    for n, event in enumerate(events, start=1):
        before = configuration.get(event.key)
        told = configuration.fold(event)
        so_far = events[:n]
        expected = oracle.entries(so_far, prevailing=MASTER)
        assert {e.key: e.event for e in configuration.entries()} == expected
        assert len(configuration) == len(expected)
        if told is None:
            assert configuration.get(event.key) == before
        else:
            assert (told.before, told.after) == (before, configuration.get(event.key))


@given(histories(), st.randoms(use_true_random=False))
def test_each_conflict_that_lasts_was_told(
    history: History, chance: random.Random
) -> None:
    events = history.events
    chance.shuffle(events)
    configuration = Configuration(prevailing=MASTER)
    told = [configuration.fold(event) for event in events]
    losers = [t.loser for t in told if t is not None and t.loser is not None]
    lasting = oracle.conflict_keys(events, prevailing=MASTER)
    assert lasting <= {loser.key for loser in losers}
    for loser in losers:
        assert any(
            oracle.are_concurrent(loser, e) and loser.key == e.key for e in events
        )


@given(histories(), any_origin, keys, st.randoms(use_true_random=False))
def test_a_delete_that_knew_all_does_not_come_back(
    history: History, origin: Origin, key: str, chance: random.Random
) -> None:
    writer = history.of(origin)
    writer.hear(history.of(other(origin)))
    writer.delete(key)
    events = history.events * 2
    chance.shuffle(events)
    configuration = fold(events)
    assert configuration.get(key) is None
    for event in chance.sample(events, len(events)):
        configuration.fold(event)
        assert configuration.get(key) is None


@given(histories(), any_origin, keys, st.randoms(use_true_random=False))
def test_a_change_that_knew_all_stands_on_either_node(
    history: History, origin: Origin, key: str, chance: random.Random
) -> None:
    writer = history.of(origin)
    writer.hear(history.of(other(origin)))
    last = writer.put(key, "last")
    events = history.events
    chance.shuffle(events)
    entry = fold(events).get(key)
    assert entry is not None
    assert entry.event == last


@given(histories(kinds=[*Kind, "entry-blessed"]))
def test_only_entries_are_folded(history: History) -> None:
    relevant = [
        e for e in history.events if e.kind in (Kind.ENTRY_PUT, Kind.ENTRY_DELETED)
    ]
    assert outcome(fold(history.events)) == outcome(fold(relevant))


@given(histories(), st.data())
def test_merging_two_streams_is_complete_and_puts_causes_first(
    history: History, data: st.DataObject
) -> None:
    behind = {
        o: data.draw(st.integers(0, len(history.of(o).written)), o) for o in ORIGINS
    }
    streams = {o: history.of(o).written[behind[o] :] for o in ORIGINS}
    merged = list(merge_causally(iter(streams[MASTER]), iter(streams[STANDBY])))
    for origin in ORIGINS:
        assert [e for e in merged if e.origin == origin] == streams[origin]
    assert len(merged) == sum(map(len, streams.values()))
    for place, event in enumerate(merged):
        assert not any(oracle.happened_before(e, event) for e in merged[place + 1 :])
