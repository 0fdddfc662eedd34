"""What may leave the streams: as much as may, and causally closed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from eventstore import (
    START,
    Bundle,
    Chain,
    Event,
    EventId,
    Filter,
    Head,
    Header,
    Joined,
    Origin,
    closed_cut,
    codec,
    least,
    read_history,
    write_bundle,
)
from tests.support.histories import (
    MASTER,
    ORIGINS,
    PAIR,
    STANDBY,
    History,
    Writer,
    other,
)
from tests.support.sources import MemorySource

steps = st.lists(
    st.tuples(st.sampled_from(ORIGINS), st.integers(0, 3), st.integers(0, 40)),
    max_size=25,
)
"""Who writes next, how many events of the other it hears of before, and its clock."""


def history_of(made: list[tuple[Origin, int, int]]) -> History:
    history = History()
    for origin, heard, ms in made:
        writer = history.of(origin)
        writer.hear(history.of(other(origin)), heard)
        writer.put("users/1", ms, ms=ms)
    return history


def expected(
    history: History, limits: Mapping[Origin, EventId], before_ms: int
) -> dict[Origin, EventId]:
    """By definition: take away what may not leave until the rest knows nothing of it."""
    kept = {origin: list[Event](history.of(origin).written) for origin in ORIGINS}
    while True:
        ends = {o: kept[o][-1].id if kept[o] else START for o in ORIGINS}
        for origin in ORIGINS:
            last = kept[origin][-1] if kept[origin] else None
            if last is not None and (
                last.id > limits.get(origin, START)
                or last.id.ms >= before_ms
                or any(seen > ends[o] for o, seen in last.vector.items())
            ):
                kept[origin].pop()
                break
        else:
            return ends


@given(steps, st.integers(0, 45), st.integers(0, 25), st.integers(0, 25))
def test_the_furthest_closed_end_is_found(
    made: list[tuple[Origin, int, int]], before_ms: int, masters: int, standbys: int
) -> None:
    history = history_of(made)
    limits = {
        origin: history.of(origin).written[:count][-1].id
        for origin, count in ((MASTER, masters), (STANDBY, standbys))
        if history.of(origin).written[:count]
    }
    source = MemorySource.of(history)
    found = closed_cut(source, ORIGINS, limits=limits, before_ms=before_ms)
    assert found == expected(history, limits, before_ms)
    again = closed_cut(source, ORIGINS, limits=limits, before_ms=before_ms, left=found)
    assert again == found
    half = closed_cut(source, ORIGINS, limits=limits, before_ms=before_ms // 2)
    rest = MemorySource(
        {o: [s for s in source.streams[o] if s[0] > half[o]] for o in ORIGINS}
    )
    assert found == closed_cut(
        rest, ORIGINS, limits=limits, before_ms=before_ms, left=half
    )


def test_what_left_and_what_stays_are_the_history(tmp_path: Path) -> None:
    history = history_of([(ORIGINS[n % 2], n % 3, n) for n in range(40)])
    source = MemorySource.of(history)
    limits = {o: history.of(o).written[-2].id for o in ORIGINS}
    ends = closed_cut(source, ORIGINS, limits=limits, before_ms=20)
    assert all(START < ends[o] < limits[o] for o in ORIGINS)
    chains = tuple(
        Chain(origin=o, after=Head(START, codec.genesis(PAIR, o)), until=ends[o])
        for o in ORIGINS
    )
    header = Header(kind="segment", pair=PAIR, created_ns=1, by="jane", chains=chains)
    write_bundle(
        tmp_path / "1",
        header,
        lambda chain: [
            [s for s in source.streams[chain.origin] if s[0] <= ends[chain.origin]]
        ],
    )
    rest = MemorySource(
        {o: [s for s in source.streams[o] if s[0] > ends[o]] for o in ORIGINS}
    )
    expected = list(read_history(source, ORIGINS, Filter()))
    with Bundle(tmp_path / "1") as segment:
        joined = Joined([segment], rest)
        assert list(read_history(joined, ORIGINS, Filter())) == expected


def test_nothing_leaves_behind_an_event_that_stays() -> None:
    """An event made anew by a recovery knew less than the one before it."""
    history = history_of([(STANDBY, 0, 1), (MASTER, 0, 2), (MASTER, 1, 3)])
    del history.master.seen[STANDBY]
    history.master.put("users/1", "made anew")
    source = MemorySource.of(history)
    limits = {MASTER: history.master.written[-1].id}
    found = closed_cut(source, ORIGINS, limits=limits, before_ms=100)
    assert found == {MASTER: history.master.written[0].id, STANDBY: START}


def test_what_this_version_does_not_understand_stays() -> None:
    writer = Writer(MASTER)
    for n in range(3):
        writer.put("users/1", n, ms=n)
    blobs = list(writer.blobs)
    blobs[1] = blobs[1][0], b"\x92\x02\xc4\x20" + writer.written[0].digest
    source = MemorySource({MASTER: blobs, STANDBY: []})
    limits = {MASTER: blobs[-1][0]}
    found = closed_cut(source, ORIGINS, limits=limits, before_ms=100)
    assert found == {MASTER: blobs[0][0], STANDBY: START}


def test_least_is_what_all_have_seen() -> None:
    a, b = EventId(1, 1), EventId(2, 2)
    assert least({MASTER: b, STANDBY: a}, {MASTER: a}) == {MASTER: a, STANDBY: START}
