"""Segments in files and the live streams behind them, read as one history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from eventstore import codec
from eventstore.archive_verification import Archived, HasArchives
from eventstore.bundle import Bundle
from eventstore.errors import DamagedBundle
from eventstore.event import START, EventId, Origin
from eventstore.memory import Head, Stored, head_of
from eventstore.source import Source


class Joined:
    """Several bundles, and then `live`; a `Source`. Closes none of them."""

    def __init__(self, files: Sequence[Bundle], live: Source | None = None) -> None:
        """Read `files`, in whatever order they are given, and `live` behind the last.

        Raises:
            DamagedBundle: they are not of one pair, one is missing between two of them or before
                the first, or the live streams do not continue the last: the text names the
                file and what to do.
            StoreUnavailable, DamagedEvent: of `live`.
        """
        assert files, "something is to be joined"
        self._files = sorted(files, key=_place)
        self._live = live
        self.pair = self._files[0].pair
        """Whose events these are."""
        self._ends: dict[Origin, Head] = {}
        for file in self._files:
            self._add(file)
        if live is not None:
            self._check_live(live)

    def read(self, origin: Origin, after: EventId, count: int) -> list[Stored]:
        """At most `count` entries behind `after`, oldest first; fewer where a file ends.

        Raises:
            StoreUnavailable, DamagedEvent: a file or the live streams cannot be read.
        """
        for file in self._files:
            if after < _ends(file).get(origin, _NOWHERE).id:
                return file.read(origin, after, count)
        return [] if self._live is None else self._live.read(origin, after, count)

    def last(self, origin: Origin) -> Stored | None:
        """The newest entry; None: there is none.

        Raises: as `read`.
        """
        found = None if self._live is None else self._live.last(origin)
        for file in reversed(self._files):
            if found is not None:
                break
            found = file.last(origin)
        return found

    def archives(self) -> Sequence[Archived]:
        """What was replaced, in the live streams.

        Raises: as the live streams.
        """
        live: object = self._live
        return live.archives() if isinstance(live, HasArchives) else ()

    def read_archive(self, archive: str, after: EventId, count: int) -> list[Stored]:
        """At most `count` entries of an archive behind `after`, oldest first.

        Raises: as the live streams.
        """
        live: object = self._live
        assert isinstance(live, HasArchives), "it was listed"
        return live.read_archive(archive, after, count)

    def _add(self, file: Bundle) -> None:
        if file.pair != self.pair:
            raise DamagedBundle(
                f"{file.path} is of pair {file.pair!r}, {self._files[0].path} of "
                f"{self.pair!r}; give files of one pair"
            )
        for chain in file.header.chains:
            if chain.archive is not None or chain.after is None:
                continue
            origin = chain.origin
            genesis = Head(START, codec.genesis(self.pair, origin))
            end = self._ends.get(origin, genesis)
            if chain.after != end:
                raise DamagedBundle(_mismatch(file, origin, chain.after, end))
        self._ends |= _ends(file)

    def _check_live(self, live: Source) -> None:
        newest = self._files[-1].path
        if live.pair != self.pair:
            raise DamagedBundle(
                f"{newest} is of pair {self.pair!r}, the live streams of {live.pair!r}; "
                "give files of that pair"
            )
        for origin, end in self._ends.items():
            following = live.read(origin, end.id, 1)
            if following:
                is_next = following[0][0].n == end.id.n + 1
                fits = is_next and _previous(origin, following[0]) == end.digest
            else:
                last = live.last(origin)
                fits = last is None or head_of(last) == end
            if not fits:
                raise DamagedBundle(
                    f"the live stream {origin!r} does not go on behind {end.id}, where "
                    f"{newest} ends; give all segments up to the live streams, or a copy "
                    "of this one that was not altered"
                )


_NOWHERE = Head(START, b"")


def _previous(origin: Origin, stored: Stored) -> bytes:
    return codec.decode(origin, *stored).previous


def _ends(file: Bundle) -> Mapping[Origin, Head]:
    """Where each stream in it ends."""
    return {
        chain.origin: chain.after if held.last is None else held.last
        for chain, held in zip(file.header.chains, file.trailer.held, strict=True)
        if chain.archive is None and chain.after is not None
    }


def _place(file: Bundle) -> tuple[int, int]:
    """Segments of one pair have an order: no stream begins earlier in a later one."""
    starts = [c.start.n for c in file.header.chains if c.archive is None]
    return sum(starts), sum(head.id.n for head in _ends(file).values())


def _mismatch(file: Bundle, origin: Origin, start: Head, end: Head) -> str:
    if start.id > end.id:
        where = "at its begin" if end.id == START else f"with {end.id}"
        return (
            f"{file.path} begins behind {start.id} of stream {origin!r}, and what is before "
            f"it ends {where}; give the segment between"
        )
    if start.id < end.id:
        return (
            f"{file.path} begins behind {start.id} of stream {origin!r}, which another file "
            "holds too; leave one of them out"
        )
    return (
        f"{file.path} continues another event {start.id} of stream {origin!r} than the "
        "file before it ends with: one of the two was altered"
    )
