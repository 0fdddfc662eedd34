"""Segments in files and live streams, read as one history."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from eventstore import (
    START,
    Bundle,
    Chain,
    DamagedBundle,
    EventId,
    Filter,
    Head,
    Header,
    Joined,
    Origin,
    Stored,
    codec,
    read_history,
    write_bundle,
)
from tests.support.histories import MASTER, ORIGINS, PAIR, STANDBY, History
from tests.support.sources import MemorySource, small_history

ALL = 1000


class Files:
    """Segments of one history, in files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.source = MemorySource.of(small_history())
        self.opened = ExitStack()

    def segment(
        self,
        name: str,
        after: Mapping[Origin, int],
        until: Mapping[Origin, int],
        *,
        source: MemorySource | None = None,
        pair: str = PAIR,
    ) -> Bundle:
        """The events behind the `after`th of each stream up to the `until`th."""
        streams = (source or self.source).streams
        chains = tuple(
            Chain(
                origin=origin,
                after=self._head(streams[origin], after[origin], pair, origin),
                until=self._head(streams[origin], until[origin], pair, origin).id,
            )
            for origin in ORIGINS
        )
        header = Header(
            kind="segment", pair=pair, created_ns=1, by="jane", chains=chains
        )
        write_bundle(
            self.folder / name,
            header,
            lambda chain: [
                streams[chain.origin][after[chain.origin] : until[chain.origin]]
            ],
        )
        return self.opened.enter_context(Bundle(self.folder / name))

    def live(self, after: Mapping[Origin, int]) -> MemorySource:
        """The streams with the first events taken out."""
        return MemorySource({o: self.source.streams[o][after[o] :] for o in ORIGINS})

    def _head(
        self, stored: list[Stored], count: int, pair: str, origin: Origin
    ) -> Head:
        if count == 0:
            return Head(START, codec.genesis(pair, origin))
        event_id, blob = stored[count - 1]
        return Head(event_id, codec.digest_of(blob))


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Files]:
    files = Files(tmp_path)
    with files.opened:
        yield files


NONE, FIRST, SECOND = (
    {MASTER: 0, STANDBY: 0},
    {MASTER: 2, STANDBY: 1},
    {MASTER: 3, STANDBY: 3},
)
"""Small histories have 5 events of the master and 4 of the standby."""


def everything(joined: Joined, origin: Origin, count: int) -> list[Stored]:
    found, after = list[Stored](), START
    while page := joined.read(origin, after, count):
        found += page
        after = page[-1][0]
    return found


@pytest.mark.parametrize("count", [1, 2, ALL])
@pytest.mark.parametrize("live_from", [NONE, FIRST, SECOND])
def test_files_and_streams_are_one_history(
    files: Files, count: int, live_from: Mapping[Origin, int]
) -> None:
    first = files.segment("1", NONE, FIRST)
    second = files.segment("2", FIRST, SECOND)
    joined = Joined([second, first], files.live(live_from))
    assert joined.pair == PAIR
    for origin in ORIGINS:
        assert everything(joined, origin, count) == files.source.streams[origin]
        assert joined.last(origin) == files.source.last(origin)
    expected = list(read_history(files.source, ORIGINS, Filter()))
    assert list(read_history(joined, ORIGINS, Filter())) == expected


def test_without_live_streams_the_files_are_all(files: Files) -> None:
    joined = Joined([files.segment("1", NONE, FIRST)])
    assert everything(joined, MASTER, ALL) == files.source.streams[MASTER][:2]
    assert joined.last(STANDBY) == files.source.streams[STANDBY][0]


def test_a_stream_of_which_all_is_in_files_may_be_empty(files: Files) -> None:
    every = {MASTER: 5, STANDBY: 4}
    joined = Joined([files.segment("1", NONE, every)], files.live(every))
    assert joined.last(MASTER) == files.source.last(MASTER)
    assert everything(joined, STANDBY, ALL) == files.source.streams[STANDBY]


def test_a_segment_in_which_a_stream_has_nothing_new_fits(files: Files) -> None:
    more = {MASTER: 4, STANDBY: 1}
    first = files.segment("1", NONE, FIRST)
    second = files.segment("2", FIRST, more)
    joined = Joined([second, first], files.live(more))
    assert everything(joined, STANDBY, ALL) == files.source.streams[STANDBY]


def test_a_missing_segment_is_named(files: Files) -> None:
    second = files.segment("second", FIRST, SECOND)
    with pytest.raises(
        DamagedBundle, match=r"second begins behind .* the segment betw"
    ):
        Joined([second], files.live(SECOND))


def test_a_segment_given_twice_is_named(files: Files) -> None:
    first = files.segment("first", NONE, SECOND)
    again = files.segment("again", FIRST, SECOND)
    with pytest.raises(DamagedBundle, match=r"again .* leave one of them out"):
        Joined([first, again], files.live(SECOND))


def test_a_segment_behind_another_event_is_named(files: Files) -> None:
    history = History()
    for n in range(4):
        history.master.put(f"users/{n}", "another", ms=1000 + n)
    other = MemorySource({**files.source.streams, MASTER: history.master.blobs})
    first = files.segment("first", NONE, FIRST, source=other)
    second = files.segment("second", FIRST, SECOND)
    with pytest.raises(DamagedBundle, match="second continues another event"):
        Joined([first, second])


def test_live_streams_that_go_on_elsewhere_are_refused(files: Files) -> None:
    first = files.segment("first", NONE, FIRST)
    with pytest.raises(DamagedBundle, match="'master' does not go on behind 1001-2"):
        Joined([first], files.live(SECOND))
    streams = files.live(FIRST)
    streams.streams[MASTER] = files.source.streams[MASTER][:1]
    with pytest.raises(DamagedBundle, match="first ends"):
        Joined([first], streams)


def test_live_streams_that_continue_another_event_are_refused(files: Files) -> None:
    first = files.segment("first", NONE, FIRST)
    history = History()
    for n in range(4):
        history.master.put(f"users/{n}", "another", ms=1000 + n)
    streams = files.live(FIRST)
    streams.streams[MASTER] = history.master.blobs[2:]
    with pytest.raises(DamagedBundle, match="a copy of this one that was not altered"):
        Joined([first], streams)


def test_files_and_streams_are_of_one_pair(files: Files) -> None:
    first = files.segment("first", NONE, FIRST)
    other = files.segment("other", NONE, FIRST, pair="shop")
    with pytest.raises(DamagedBundle, match="is of pair 'shop'"):
        Joined([first, other])
    with pytest.raises(DamagedBundle, match="is of pair 'shop'"):
        Joined([other], files.source)


def test_reading_beyond_the_end_is_nothing(files: Files) -> None:
    joined = Joined([files.segment("1", NONE, FIRST)], files.live(FIRST))
    assert joined.read(MASTER, EventId(2**63, 99), ALL) == []
