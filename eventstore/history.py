"""The events of both origins as one history, oldest first, in constant memory."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import dropwhile, takewhile

import attrs

from eventstore import codec
from eventstore.configuration import Loss
from eventstore.errors import DamagedEvent
from eventstore.event import START, Event, EventId, Origin
from eventstore.losses import losses
from eventstore.source import Source
from eventstore.streams import PAGE_EVENT_COUNT, Streams

Precedes = Callable[[Event, Event], bool]
"""Whether the first event, of the second stream, comes before the second one."""


@attrs.frozen(kw_only=True)
class Filter:
    """Which events to show; None stands for any."""

    key: str | None = None
    prefix: str | None = None
    actor: str | None = None
    origin: Origin | None = None
    kinds: Collection[str] | None = None
    """One of these, such as `Kind.ENTRY_PUT`."""
    since_ns: int | None = None
    """Wall clock of the writer, nanoseconds since 1970, inclusive."""
    until_ns: int | None = None
    """The same, exclusive."""

    def accepts(self, event: Event) -> bool:
        """Whether `event` is asked for."""
        return (
            (self.key is None or event.key == self.key)
            and (self.prefix is None or event.key.startswith(self.prefix))
            and (self.actor is None or event.actor == self.actor)
            and (self.origin is None or event.origin == self.origin)
            and (self.kinds is None or event.kind in self.kinds)
            and (self.since_ns is None or event.wall_ns >= self.since_ns)
            and (self.until_ns is None or event.wall_ns < self.until_ns)
        )


def by_time(b: Event, a: Event) -> bool:
    """Concurrent events in the order of their ids' time."""
    if a.covers(b.origin, b.id):
        return True
    return b.id.ms < a.id.ms and not b.covers(a.origin, a.id)


def second_as_it_knew(b: Event, a: Event) -> bool:
    """Events of the second stream each behind what its writer knew, and before all else."""
    return not b.covers(a.origin, a.id)


def read_history(
    streams: Source,
    origins: tuple[Origin, Origin],
    wanted: Filter,
    after: Mapping[Origin, EventId] | None = None,
    *,
    precedes: Precedes = by_time,
) -> Iterator[Event]:
    """Events of both streams that `wanted` accepts, causes before effects.

    Concurrent events are in the order of their ids' time, which is for people only.
    Events of a later format are left out. `after` holds, for each origin, the id to go
    on behind. `precedes` gives concurrent events another order.

    Raises:
        StoreUnavailable, DamagedEvent: while iterating.
    """
    start = after or {}
    ends = {o: _end(streams, o) for o in origins}

    def known(event: Event) -> bool:
        # What is stored while we read is left to the next reading: a cause of it may be
        # among what we have read past.
        beyond = [o for o in origins if event.vector.get(o, START) > ends[o]]
        for origin in beyond:
            if event.vector[origin] > _end(streams, origin):
                raise DamagedEvent(
                    f"event {event.id} of stream {event.origin!r} knew event "
                    f"{event.vector[origin]} of stream {origin!r}, which is not there: "
                    "that stream lost events"
                )
        return not beyond

    first, second = (
        takewhile(known, stream_events(streams, origin, start.get(origin, START)))
        for origin in origins
    )
    for event in merge_causally(first, second, precedes):
        if wanted.accepts(event):
            yield event


def read_losses(
    streams: Source,
    *,
    prevailing: Origin,
    other: Origin,
    key: str | None = None,
    prefix: str | None = None,
) -> Iterator[Loss]:
    """Every change that ever lost, of one key or prefix if given; see `losses`.

    Walks the whole history; holds the newest events of each entry meanwhile, as a node does.

    Raises:
        StoreUnavailable, DamagedEvent: while iterating.
    """
    wanted = Filter(key=key, prefix=prefix)
    origins = prevailing, other
    events = read_history(streams, origins, wanted, precedes=second_as_it_knew)
    yield from losses(events, prevailing=prevailing)


def _end(streams: Source, origin: Origin) -> EventId:
    last = streams.last(origin)
    return START if last is None else last[0]


@attrs.frozen
class ArchivedEvent:
    """An event that was replaced by a recovery or a resync."""

    archive: str
    event: Event


def read_archived(
    streams: Streams, wanted: Filter, after: tuple[str, EventId] | None = None
) -> Iterator[ArchivedEvent]:
    """Archived events that `wanted` accepts, one archive after the other, oldest first.

    What is no event of this format is left out. `after`: the archive and the id to go on
    behind.

    Raises:
        StoreUnavailable, DamagedEvent: while iterating.
    """
    archives = sorted(streams.archives(), key=lambda a: (a.last, a.name))
    if after is not None:
        archives = list(dropwhile(lambda a: a.name != after[0], archives))
    for archive in archives:
        start = after[1] if after is not None and after[0] == archive.name else START
        while page := streams.read_archive(archive.name, start, PAGE_EVENT_COUNT):
            for event_id, blob in page:
                event = codec.readable(archive.origin, event_id, blob)
                if event is not None and wanted.accepts(event):
                    yield ArchivedEvent(archive.name, event)
            start = page[-1][0]


def merge_causally(
    first: Iterator[Event], second: Iterator[Event], precedes: Precedes = by_time
) -> Iterator[Event]:
    """Two streams as one: no event comes before one that its writer had applied.

    `precedes(b, a)`: whether `b` of the second comes before `a` of the first. It must agree
    with what the two knew of each other.
    """
    a, b = next(first, None), next(second, None)
    while a is not None and b is not None:
        if precedes(b, a):
            yield b
            b = next(second, None)
        else:
            yield a
            a = next(first, None)
    if a is not None:
        yield a
        yield from first
    if b is not None:
        yield b
        yield from second


def stream_events(streams: Source, origin: Origin, after: EventId) -> Iterator[Event]:
    """The events of one stream behind `after`, without those of a later format."""
    while page := streams.read(origin, after, PAGE_EVENT_COUNT):
        for event_id, blob in page:
            event = codec.decode(origin, event_id, blob)
            if isinstance(event, Event):
                yield event
        after = page[-1][0]
