"""Replaces what the standby has by what the master has, in Redis, in one step (D3, D12).

Only the own Redis is ever written. Both streams are made beside the old ones, page by page;
what of the old ones is not in them is archived, and all of it takes its place in one call. A
node that is killed anywhere before has everything as it was, and everything new after.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import attrs

from eventstore import codec
from eventstore.errors import (
    DamagedEvent,
    ResyncRefused,
    StoreRefused,
    StreamForked,
)
from eventstore.event import START, Event, EventId, JsonValue, Kind, Origin
from eventstore.memory import Head, Memory, Stored
from eventstore.mending import pages, read_pages
from eventstore.parting import Leaving, Parting, leaving_with, part
from eventstore.streams import Streams, Swap
from eventstore.trimming import anchor_of

Watch = Callable[[int], bool]
"""Told after each page how many events were read; says whether to go on."""


@attrs.frozen(kw_only=True)
class ResyncOrder:
    """Who orders a resync, why, and how."""

    actor: str
    reason: str
    discard: bool
    """Whether what this node alone has leaves, instead of being at the peer already."""
    anyway: bool
    """Whether the event is written even if there is nothing to be done."""
    note: Mapping[str, JsonValue]
    """What the event says on top of what was done."""
    kept: Sequence[Kind]
    """Kinds of which the newest own event is said again if it leaves."""


@attrs.frozen
class Resynced:
    """What a resync did."""

    left: Leaving
    event: Event | None
    """What says so in the history; None: there was nothing to do."""


class Resync:
    """One attempt to let `ours` become what `theirs` is."""

    def __init__(
        self,
        ours: Streams,
        theirs: Streams,
        *,
        own: Origin,
        peer: Origin,
        watch: Watch,
    ) -> None:
        self._ours = ours
        self._theirs = theirs
        self._own = own
        self._peer = peer
        self._watch = watch
        self._read_count = 0

    def part(self, known: Head, *, discard: bool) -> Leaving:
        """Compare both streams, here and there; `known` is the peer's newest event in memory.

        Raises:
            StoreUnavailable: a Redis did not answer, or there is a reason to stop.
            ResyncRefused: one of them has archived what the other still keeps.
            DamagedEvent: a stream has what is no event.
        """
        self._check_beginnings()
        own, copy = self._part(self._own), self._part(self._peer)
        return Leaving(
            own=own, copy=copy, discard=discard, is_forgotten=self._is_forgotten(known)
        )

    def look(self, leaving: Leaving, before: Memory, after: Memory) -> Leaving:
        """Fold into `after` what would be here; which entries of `before` are others then.

        Raises: as `make`.
        """
        self._fold(leaving, after, lambda _origin, _after, _page: None)
        return _with_changes(leaving, before, after)

    def make(self, leaving: Leaving, before: Memory, after: Memory) -> Leaving:
        """Make both streams beside the old ones, and fold them into `after`.

        Raises:
            StoreUnavailable: a Redis did not answer, or there is a reason to stop.
            ResyncRefused: a stream that is to be taken is not one unbroken history.
        """
        self._ours.clear([self._own, self._peer])
        self._fold(leaving, after, self._ours.make)
        return _with_changes(leaving, before, after)

    def finish(
        self,
        leaving: Leaving,
        name: EventId,
        ends: Mapping[Origin, EventId],
        batch: Sequence[Stored],
    ) -> None:
        """Add `batch` to the own stream, archive what leaves, swap.

        `name` is in the names of the archives; `ends` says how far the streams were made. The
        last moment to stop is before the swap.

        Raises:
            StoreUnavailable: as `Streams.swap`.
        """
        made, archived = dict(ends), dict.fromkeys(ends, START)
        for page in pages(batch):
            self._ours.make(self._own, made[self._own], page)
            made[self._own] = page[-1][0]
        for parting in leaving.replaced:
            origin = parting.origin
            for page in read_pages(self._ours, origin, parting.common.id):
                self._ours.make_archive(origin, archived[origin], page)
                archived[origin] = page[-1][0]
        swaps = [
            Swap(o, last, made[o], archived[o], archive_name(o, name))
            for o, last in ((p.origin, p.last) for p in (leaving.own, leaving.copy))
        ]
        self._check(0)
        self._ours.swap(swaps)

    def _check_beginnings(self) -> None:
        """What one side has archived, and the other not yet, cannot be compared."""
        for origin in (self._own, self._peer):
            here, there = (anchor_of(s, origin) for s in (self._ours, self._theirs))
            if here != there:
                raise ResyncRefused(
                    [
                        f"events of stream {origin!r} were archived and are kept still on "
                        f"one side only (from {_from(here)} on here, {_from(there)} at the "
                        "peer): both nodes trim first, while replication is on; an empty "
                        "Redis needs no resync"
                    ]
                )

    def _part(self, origin: Origin) -> Parting:
        genesis = Head(START, codec.genesis(self._ours.pair, origin))
        return part(
            origin,
            genesis,
            self._all_of(self._ours, origin),
            self._all_of(self._theirs, origin),
        )

    def _all_of(self, streams: Streams, origin: Origin) -> Iterator[Stored]:
        for page in read_pages(streams, origin):
            self._check(len(page))
            yield from page

    def _is_forgotten(self, known: Head) -> bool:
        if known.id == START:
            return False
        blobs = [s.at(self._peer, known.id) for s in (self._ours, self._theirs)]
        return all(b is None or codec.digest_of(b) != known.digest for b in blobs)

    def _fold(
        self,
        leaving: Leaving,
        memory: Memory,
        put: Callable[[Origin, EventId, Sequence[Stored]], None],
    ) -> None:
        own_from = self._theirs if leaving.is_own_replaced else self._ours
        for origin, streams in ((self._peer, self._theirs), (self._own, own_from)):
            end = START
            for page in read_pages(streams, origin):
                self._check(len(page))
                new = [s for s in page if s[0] > memory.heads[origin].id]
                try:
                    events = memory.chained(origin, new)
                except (StreamForked, DamagedEvent) as error:
                    where = "here" if streams is self._ours else "at the peer"
                    raise ResyncRefused(
                        [f"stream {origin!r} in the Redis {where} is damaged: {error}"]
                    ) from error
                put(origin, end, page)
                end = page[-1][0]
                if new:
                    memory.fold(origin, new, events)

    def _check(self, count: int) -> None:
        self._read_count += count
        if not self._watch(self._read_count):
            raise StoreRefused(
                "the resync was given up, because it may not go on; nothing was changed"
            )


def _from(anchor: Stored | None) -> str:
    return "the first event" if anchor is None else str(anchor[0])


def archive_name(origin: Origin, event_id: EventId) -> str:
    """Of what left the stream of `origin`: both archives of a resync name its event."""
    return f"{origin}-resync-{event_id}"


def told_of(left: Leaving, event_id: EventId) -> dict[str, JsonValue]:
    """What left, for the history, in the event with that id."""
    return {
        "discard": left.discard,
        "replaced": {
            parting.origin: {
                "archive": archive_name(parting.origin, event_id),
                "behind": str(parting.common.id),
                "events": parting.event_count,
                "changes": parting.change_count,
            }
            for parting in left.replaced
        },
        "entries": left.changed_count,
    }


def _with_changes(leaving: Leaving, before: Memory, after: Memory) -> Leaving:
    changes = after.configuration.differences(before.configuration)
    return leaving_with(leaving, (event.key for event, _ in changes))
