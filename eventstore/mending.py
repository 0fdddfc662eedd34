"""Makes the own stream whole again, in Redis: finds what was lost, takes it back (D9).

Only the own Redis is ever written. A stream that merely lost its end gets it back in pages,
each of which leaves a good stream. One that was written to meanwhile is made anew beside
the old one and put in its place in one step, with the replaced events archived; a node that is
killed anywhere begins anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain

import attrs

from eventstore import codec
from eventstore.codec import Unknown
from eventstore.errors import (
    DamagedEvent,
    StoreRefused,
    StoreUnavailable,
    StreamForked,
)
from eventstore.event import START, Event, EventId, JsonValue, Origin
from eventstore.memory import Head, Stored, chained, head_of
from eventstore.recovery import known_digests, rejoin
from eventstore.streams import PAGE_EVENT_COUNT, Streams, Swap

Put = Callable[[EventId, Sequence[Stored]], None]
"""Stores events behind the one named."""


class WrongCopy(StreamForked):
    """What the peer's copy has and we have not is no continuation of our stream."""


@attrs.frozen
class Mended:
    """What a recovery did."""

    taken_count: int
    """Events that came back from the peer's copy."""
    kept_count: int
    """Events from memory that were appended again as they were."""
    anew_count: int
    """Events written in ignorance that were appended anew behind those."""
    archive: str | None
    """Where those are kept as they were."""
    unreadable: Sequence[EventId]
    """Events of a later format, which are in the archive only."""
    missing_count: int
    """Events that were acknowledged and are nowhere any more."""
    end: EventId
    """Where the stream ended then. No two recoveries end there, so each is recorded."""

    def as_value(self) -> JsonValue:
        return {
            "taken": self.taken_count,
            "kept": self.kept_count,
            "anew": self.anew_count,
            "archive": self.archive,
            "unreadable": [str(event_id) for event_id in self.unreadable],
            "missing": self.missing_count,
            "end": str(self.end),
        }

    def __str__(self) -> str:
        text = (
            f"{self.taken_count} events taken back from the peer, {self.kept_count} kept, "
            f"{self.anew_count} appended anew"
        )
        if self.archive is not None:
            text += f"; what they replace is kept as archive {self.archive}"
        if self.missing_count:
            text += f"; {self.missing_count} acknowledged events are lost for good"
        return text


class Mending:
    """One attempt to mend the stream of `origin` in `ours`, whose copy is in `theirs`."""

    def __init__(
        self,
        ours: Streams,
        theirs: Streams,
        origin: Origin,
        *,
        go_on: Callable[[], bool],
        anchors: Mapping[Origin, Stored] | None = None,
        first: Callable[[], bytes | None] = lambda: None,
    ) -> None:
        """`anchors`: with what streams here are to begin that are empty, or were begun anew.

        `first` tells the digest of event number 1 of the stream, if it is known.
        """
        self._ours = ours
        self._theirs = theirs
        self._origin = origin
        self._go_on = go_on
        self._genesis = Head(START, codec.genesis(ours.pair, origin))
        self._anchors = anchors or {}
        self._first = first

    def mend(self, memory: Sequence[Stored], *, ms_min: int) -> Mended | None:
        """Bring back what is missing; None: nothing was.

        `memory` is the newest part of the stream as this process knew it. New ids are not
        earlier than `ms_min`.

        Raises:
            StoreUnavailable: a Redis did not answer, or there is a reason to stop.
            WrongCopy: the peer's copy is not one unbroken history; ours may be whole.
            StreamForked, DamagedEvent: ours is not.
        """
        before, is_prefix = self._end(), self._is_prefix()
        common, branch = before, list[Stored]()
        if self._origin in self._anchors:
            common = head_of(self._anchors[self._origin])
            branch = list(self._all_ours())[::-1]
        elif not is_prefix:
            both, branch = fork(self._all_ours(), read_back(self._theirs, self._origin))
            common = self._genesis if both is None else head_of(both)
            self._check_reaches(both)
        lost = self._lost(memory)
        written = [*branch, *lost]
        events = self._decoded(written)
        tail_end, known = self._look_for(known_digests(events), common)
        candidates = list(zip(events, (blob for _, blob in written), strict=True))
        rejoined = rejoin(
            self._origin, tail_end, candidates, known=known, ms_min=ms_min
        )
        if is_prefix and not (rejoined.batch or rejoined.unreadable):
            return None
        behind = partial(self._behind, common, tail_end, rejoined.batch)
        if branch or self._anchors or not self._extend(common, behind()):
            self._replace(common, branch, behind())
        end = self._end().id
        return Mended(
            end.n - common.id.n - len(rejoined.batch),
            rejoined.verbatim_count,
            len(rejoined.batch) - rejoined.verbatim_count,
            self._archive_name(branch) if branch else None,
            rejoined.unreadable,
            _missing_count(lost, max(before.id.n, tail_end.id.n)),
            end,
        )

    def _check_reaches(self, both: Stored | None) -> None:
        if both is None and self._is_trimmed():
            raise WrongCopy(
                f"the peer's copy of stream {self._origin!r} has no event that is still kept "
                "here: what it ended with was archived, or is not ours; put it aside there"
            )

    def _lost(self, memory: Sequence[Stored]) -> list[Stored]:
        """What memory has behind the last event that it shares with our stream.

        Raises:
            StreamForked: it shares none, and some of it may have been archived since.
        """
        anchor = self._anchors.get(self._origin)
        both, lost = fork(reversed(memory), self._all_ours())
        if both is None and anchor is not None:
            both, lost = fork(reversed(memory), iter([anchor]))
        first = anchor or self._ours.first(self._origin)
        if both is None and memory and first is not None and first[0].n > 1:
            self._check_not_archived(memory[0], first)
        return lost

    def _check_not_archived(self, oldest: Stored, first: Stored) -> None:
        if oldest[0].n > first[0].n:
            return
        # What was appended anew and archived has no earlier time than what it was.
        may_be_anew = oldest[0].n == 1 and oldest[0].ms > first[0].ms
        digest = self._first() if may_be_anew else None
        if digest is None or codec.digest_of(oldest[1]) == digest:
            raise StreamForked(
                f"this process knows older events of stream {self._origin!r} than the Redis "
                f"here keeps, and not its first one, {first[0]}: start this node again"
            )

    def _is_trimmed(self) -> bool:
        first = self._ours.first(self._origin)
        return first is not None and first[0].n > 1

    def put_back(self, memory: Sequence[Stored]) -> bool:
        """Make ours, a copy, what this process knew of it, whose newest part is `memory`.

        What stands there instead is archived. False: the two have no event in common.

        Raises:
            StoreUnavailable: Redis did not answer, or there is a reason to stop.
            DamagedEvent: an entry there is no event.
        """
        both, branch = fork(self._all_ours(), reversed(memory))
        is_whole = memory and memory[0][0].n == 1 and not self._is_trimmed()
        if both is None and not is_whole:
            return False
        common = self._genesis if both is None else head_of(both)
        rest = [stored for stored in memory if stored[0].n > common.id.n]
        self._replace(common, branch, pages(rest))
        return True

    def _is_prefix(self) -> bool:
        """Whether the peer's copy has nothing that is not here."""
        last = self._theirs.last(self._origin)
        return last is None or self._ours.at(self._origin, last[0]) == last[1]

    def _look_for(self, wanted: set[bytes], common: Head) -> tuple[Head, set[bytes]]:
        """Where the tail behind `common` ends, and which of `wanted` are in it or before."""
        found: set[bytes] = set()
        end = common
        if not wanted:
            return end, found
        for page in chain(self._prefix(common), self._tail(common)):
            self._check()
            found |= known_digests(self._decoded(page)) & wanted
            end = head_of(page[-1])
        return end, found

    def _decoded(self, stored: Sequence[Stored]) -> list[Event | Unknown]:
        return [codec.decode(self._origin, i, blob) for i, blob in stored]

    def _all_ours(self) -> Iterator[Stored]:
        return read_back(self._ours, self._origin)

    def _behind(
        self, common: Head, tail_end: Head, batch: Sequence[Stored]
    ) -> Iterator[Sequence[Stored]]:
        """What is to follow `common`: the tail, and `batch`, made to follow `tail_end`.

        Raises:
            StoreUnavailable: the peer's copy has grown between, such as from the memory of
                the peer. What was copied is right, and the next try makes the rest anew.
        """
        end = common
        for page in self._tail(common):
            end = head_of(page[-1])
            yield page
        if batch and end != tail_end:
            raise StoreUnavailable(
                f"the peer's copy of stream {self._origin!r} grew while it was read; "
                "trying again"
            )
        yield from pages(batch)

    def _extend(self, common: Head, behind: Iterable[Sequence[Stored]]) -> bool:
        """Append what is missing; False: Redis takes nothing behind what was deleted there.

        Deleting an entry by hand (XDEL) leaves its id taken.
        """
        try:
            self._copy(behind, common, self._append)
        except StoreRefused:
            return False
        return True

    def _replace(
        self,
        common: Head,
        branch: Sequence[Stored],
        behind: Iterable[Sequence[Stored]],
    ) -> None:
        """Make the stream anew beside the old one, and put it in its place.

        With it come the first events of others that are empty, in the same step.
        """
        ours, origin = self._ours, self._origin
        others = {o: a for o, a in self._anchors.items() if o != origin}
        ours.clear([origin, *others])
        end = self._copy(self._prefix(common), self._genesis, self._make)
        made = self._copy(behind, end, self._make).id
        after = START
        for page in pages(branch):
            ours.make_archive(origin, after, page)
            after = page[-1][0]
        archive = self._archive_name(branch) if branch else ""
        swaps = [Swap(origin, self._end().id, made, after, archive)]
        for other, anchor in others.items():
            ours.make(other, START, [anchor])
            swaps.append(Swap(other, START, anchor[0], START, ""))
        ours.swap(swaps)

    def _archive_name(self, branch: Sequence[Stored]) -> str:
        """By its content, so that making it again makes the same one."""
        digest = codec.digest_of(branch[-1][1]).hex()
        return f"{self._origin}-{branch[0][0]}-{digest[:12]}"

    def _copy(
        self,
        source: Iterable[Sequence[Stored]],
        end: Head,
        put: Put,
    ) -> Head:
        for page in source:
            self._check()
            put(end.id, page)
            end = head_of(page[-1])
        return end

    def _append(self, after: EventId, page: Sequence[Stored]) -> None:
        found = self._ours.append(self._origin, after, page)
        if found is not None and found != page[-1][0]:
            raise StreamForked(
                f"stream {self._origin!r} ends with {found}, not with {after}: does "
                "another process write it?"
            )

    def _make(self, after: EventId, page: Sequence[Stored]) -> None:
        self._ours.make(self._origin, after, page)

    def _prefix(self, common: Head) -> Iterator[Sequence[Stored]]:
        if self._origin in self._anchors:
            yield [self._anchors[self._origin]]
            return
        for page in read_pages(self._ours, self._origin):
            kept = [stored for stored in page if stored[0] <= common.id]
            if kept:
                yield kept
            if len(kept) < len(page):
                return

    def _tail(self, end: Head) -> Iterator[Sequence[Stored]]:
        for page in read_pages(self._theirs, self._origin, end.id):
            try:
                chained(self._origin, end, page)
            except (StreamForked, DamagedEvent) as error:
                raise WrongCopy(
                    f"the peer's copy of stream {self._origin!r} is wrong and not what was "
                    f"lost here: {error}; put it aside there"
                ) from error
            end = head_of(page[-1])
            yield page

    def _end(self) -> Head:
        last = self._ours.last(self._origin)
        return self._genesis if last is None else head_of(last)

    def _check(self) -> None:
        if not self._go_on():
            raise StoreUnavailable("recovery was interrupted; it begins anew")


def pages(stored: Sequence[Stored]) -> Iterator[Sequence[Stored]]:
    """`stored` in parts that fit one call."""
    for start in range(0, len(stored), PAGE_EVENT_COUNT):
        yield stored[start : start + PAGE_EVENT_COUNT]


def read_pages(
    streams: Streams, origin: Origin, after: EventId = START
) -> Iterator[Sequence[Stored]]:
    """All of a stream behind `after`, page by page."""
    while page := streams.read(origin, after, PAGE_EVENT_COUNT):
        yield page
        after = page[-1][0]


def read_back(
    streams: Streams, origin: Origin, before: EventId | None = None
) -> Iterator[Stored]:
    """All of a stream, or what is before `before`, the newest first, read page by page."""
    while page := streams.read_back(origin, before, PAGE_EVENT_COUNT):
        yield from page
        before = page[-1][0]


def fork(
    ours: Iterable[Stored], theirs: Iterator[Stored]
) -> tuple[Stored | None, list[Stored]]:
    """The last event that both have, byte for byte, and ours behind it, oldest first.

    Both come the newest first. By the hash chain all before it is the same too.
    """
    branch: list[Stored] = []
    other = next(theirs, None)
    for stored in ours:
        while other is not None and other[0] > stored[0]:
            other = next(theirs, None)
        if other == stored:
            return stored, branch[::-1]
        branch.append(stored)
    return None, branch[::-1]


def _missing_count(lost: Sequence[Stored], n: int) -> int:
    """Events behind the `n` first and before those that only memory had, which are gone."""
    return max(0, lost[0][0].n - n - 1) if lost else 0
