"""The configuration as it was at a point of the past, from the events alone.

A point is a *cut*: for each origin, the id of its last event that is in. A cut is causally
closed: with an event all that its writer knew is in, so a node can have been there, and the
one conflict rule gives the entries. What is asked for is

- a vector: it must be such a cut;
- a time T, in nanoseconds since 1970 by the clocks of the writers: of each origin all up to
  its last event that was written at T or before, and what these knew. The order of a stream
  is the truth: a clock that leapt or was set back for a while cuts no stream short;
- None: all there is at the moment of asking.

Events of a later format are in the cut, but nobody who reads this one knows what they did.
Nothing is called back: a replay folds into a configuration of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import attrs

from eventstore import codec
from eventstore.beginnings import missing_text
from eventstore.blame import Blame, blame
from eventstore.codec import Unknown
from eventstore.configuration import Configuration, Entry
from eventstore.errors import DamagedEvent, NoSuchPoint
from eventstore.event import START, Event, EventId, Origin
from eventstore.explanation import Contest, Explanation
from eventstore.history import Filter, read_history, second_as_it_knew
from eventstore.memory import Memory, Stored
from eventstore.source import Source
from eventstore.streams import PAGE_EVENT_COUNT
from eventstore.version_vector import Vector, format_vector

Until = int | Vector | None
"""A point: a time in nanoseconds since 1970, a vector, or None for now."""

Watch = Callable[[int], object]
"""Told how many events are read next, page by page; what it raises ends the walk."""


@attrs.frozen
class Replayed:
    """What was at a point."""

    cut: dict[Origin, EventId]
    """The last event of each origin that has any."""
    configuration: Configuration


@attrs.frozen
class Difference:
    """What became of one entry between two points."""

    before: Entry | None
    after: Entry | None
    event: Event
    """What stands at the second point, a delete too; else what stood at the first one."""

    @property
    def key(self) -> str:
        return self.event.key


def replay(
    source: Source,
    until: Until = None,
    *,
    prevailing: Origin,
    other: Origin,
    key: str | None = None,
    prefix: str | None = None,
    watch: Watch | None = None,
    base: Callable[[], Memory] | None = None,
) -> Replayed:
    """The entries as they were at `until`, of one key or prefix if given.

    Reads all events up to there; holds the newest of each entry, as a node does. Where events
    were archived and are not in `source`, it begins with `base`, what these left.

    Raises:
        NoSuchPoint: `until` is a vector and no cut, or before what is there.
        StoreUnavailable, DamagedEvent: the events could not be read.
    """
    configuration = Configuration(prevailing=prevailing)
    wanted = Filter(key=key, prefix=prefix)

    def take(event: Event) -> None:
        if wanted.accepts(event):
            configuration.fold(event)

    origins, start = (prevailing, other), dict[Origin, EventId]()
    if base is None:
        _check_whole(source, origins)
    elif missing_text(source, origins) is not None:
        known = base()
        start = {origin: head.id for origin, head in known.heads.items()}
        for name, rivals in known.configuration.rivals().items():
            if (key is None or name == key) and name.startswith(prefix or ""):
                configuration.restore(name, rivals)
    cut = _walk(_watched(source, watch), origins, until, take, start)
    return Replayed(cut, configuration)


def diff(before: Replayed, after: Replayed) -> Iterator[Difference]:
    """What became of each entry that another event made at the second point, by key."""
    changed = after.configuration.differences(before.configuration)
    for event, folded in changed:
        yield Difference(folded.before, folded.after, event)


def read_blame(
    source: Source,
    key: str,
    until: Until = None,
    *,
    prevailing: Origin,
    other: Origin,
    limit: int,
    watch: Watch | None = None,
) -> Blame:
    """Every change that was the entry's value up to `until`; see `blame`.

    Walks the whole history up to there, and before that to the point if one is given.

    Raises: as `replay`.
    """
    origins = prevailing, other
    _check_whole(source, origins)
    source = _watched(source, watch)
    if until is not None:
        cut = _walk(source, origins, until, lambda _: None)
        source = _UpTo(source, cut)
    events = read_history(source, origins, Filter(), precedes=second_as_it_knew)
    return blame(events, key, prevailing=prevailing, other=other, limit=limit)


def read_explanation(
    source: Source,
    key: str,
    until: Until = None,
    *,
    prevailing: Origin,
    other: Origin,
    watch: Watch | None = None,
) -> Explanation:
    """Which events compete for `key` at `until`, and why which one stands.

    Raises: as `replay`.
    """
    _check_whole(source, (prevailing, other))
    contest = Contest(key, prevailing=prevailing)
    _walk(_watched(source, watch), (prevailing, other), until, contest.admit)
    return contest.explained()


def _walk(
    source: Source,
    origins: Sequence[Origin],
    until: Until,
    take: Callable[[Event], object],
    start: Vector | None = None,
) -> dict[Origin, EventId]:
    """Give `take` all events up to `until`, each stream in its order; returns the cut.

    What is up to `start` was given already.
    """
    is_given = isinstance(until, Mapping)
    reach = _reach(source, origins, until)
    read = dict.fromkeys(origins, START) | dict(start or {})
    if any(reach[origin] < read[origin] for origin in origins):
        raise NoSuchPoint(
            f"that is before what is kept here: {missing_text(source, origins)}"
        )
    while behind := [o for o in origins if read[o] < reach[o]]:
        for origin in behind:
            stored = _stored(source, origin, read[origin], reach[origin])
            for event_id, blob in stored:
                read[origin] = event_id
                event = codec.decode(origin, event_id, blob)
                if isinstance(event, Unknown):
                    continue
                for cause in origins:
                    known = event.vector.get(cause, START)
                    if known > reach[cause]:
                        if is_given:
                            raise _not_closed(reach, event, cause)
                        reach[cause] = known
                take(event)
            if read[origin] < reach[origin]:
                raise DamagedEvent(
                    f"stream {origin!r} ends with {read[origin]}, and an event of this "
                    f"history knew {reach[origin]}: that stream lost events"
                )
    return {origin: end for origin, end in read.items() if end != START}


def _check_whole(source: Source, origins: Sequence[Origin]) -> None:
    text = missing_text(source, origins)
    if text is not None:
        raise NoSuchPoint(text)


def _not_closed(reach: Vector, event: Event, cause: Origin) -> NoSuchPoint:
    return NoSuchPoint(
        f"{format_vector(reach)} is no point that a node can have been at: event {event.id} "
        f"of stream {event.origin!r} knew event {event.vector[cause]} of stream {cause!r}"
    )


def _reach(
    source: Source, origins: Sequence[Origin], until: Until
) -> dict[Origin, EventId]:
    """How far each stream is to be read at least."""
    if isinstance(until, Mapping):
        for origin in until:
            if origin not in origins:
                raise NoSuchPoint(f"there is no stream {origin[:20]!r}")
        for origin, end in until.items():
            if end != START and _entry_at(source, origin, end) is None:
                raise NoSuchPoint(f"there is no event {end} in stream {origin!r}")
        return {origin: until.get(origin, START) for origin in origins}
    ends = {origin: _end(source, origin) for origin in origins}
    if until is None:
        return ends
    return {o: _last_at(source, o, until, ends[o]) for o in origins}


def _last_at(source: Source, origin: Origin, until_ns: int, end: EventId) -> EventId:
    """The last event that was written at `until_ns` or before, by its writer's clock."""
    found = START
    for event_id, blob in _stored(source, origin, START, end):
        wall_ns = codec.written_ns(event_id, blob)
        if wall_ns is not None and wall_ns <= until_ns:
            found = event_id
    return found


def _end(source: Source, origin: Origin) -> EventId:
    last = source.last(origin)
    return START if last is None else last[0]


def _entry_at(source: Source, origin: Origin, event_id: EventId) -> Stored | None:
    if event_id.n == 0:
        return None  # Events are counted from 1.
    before = EventId(event_id.ms, event_id.n - 1)
    page = source.read(origin, before, 1)
    return page[0] if page and page[0][0] == event_id else None


def _stored(
    source: Source, origin: Origin, after: EventId, upto: EventId
) -> Iterator[Stored]:
    while after < upto and (page := source.read(origin, after, PAGE_EVENT_COUNT)):
        for stored in page:
            if stored[0] > upto:
                return
            yield stored
        after = page[-1][0]


def _watched(source: Source, watch: Watch | None) -> Source:
    return source if watch is None else _Watched(source, watch)


@attrs.frozen
class _Watched:
    """A source whose reader is watched."""

    _source: Source
    _watch: Watch

    @property
    def pair(self) -> str:
        return self._source.pair

    def read(self, origin: Origin, after: EventId, count: int) -> list[Stored]:
        page = self._source.read(origin, after, count)
        self._watch(len(page))
        return page

    def last(self, origin: Origin) -> Stored | None:
        return self._source.last(origin)


@attrs.frozen
class _UpTo:
    """A source as it was at a cut."""

    _source: Source
    _cut: Vector

    @property
    def pair(self) -> str:
        return self._source.pair

    def read(self, origin: Origin, after: EventId, count: int) -> list[Stored]:
        end = self._cut.get(origin, START)
        if after >= end:
            return []
        return [s for s in self._source.read(origin, after, count) if s[0] <= end]

    def last(self, origin: Origin) -> Stored | None:
        end = self._cut.get(origin, START)
        return None if end == START else _entry_at(self._source, origin, end)
