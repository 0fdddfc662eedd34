"""Which events may leave the streams for a file: old ones, and all that they knew.

What leaves is a beginning of each stream, and causally closed: no event in it knew one that
stays, so the file is a whole history up to its end, and the streams go on from there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from eventstore import codec
from eventstore.codec import Unknown
from eventstore.event import START, Event, EventId, Origin
from eventstore.history import merge_causally
from eventstore.source import Source
from eventstore.streams import PAGE_EVENT_COUNT
from eventstore.version_vector import Vector


def least(*vectors: Vector) -> dict[Origin, EventId]:
    """What all of `vectors` have seen: of the heads of both nodes and of a snapshot, say."""
    origins = {origin for vector in vectors for origin in vector}
    return {o: min(vector.get(o, START) for vector in vectors) for o in origins}


def closed_cut(
    source: Source,
    origins: tuple[Origin, Origin],
    *,
    limits: Vector,
    before_ms: int,
    left: Vector | None = None,
) -> dict[Origin, EventId]:
    """The newest event of each origin that may leave. `left`: what did so already.

    The furthest end such that all up to there is at most `limits`, has an id from before
    `before_ms` (milliseconds since 1970), is understood, and is causally closed. An id is never
    earlier than the writer's clock was, so no event leaves early by that clock.

    In constant memory; reads what may leave.

    Raises:
        StoreUnavailable, DamagedEvent: as the source.
    """
    ends = {origin: (left or {}).get(origin, START) for origin in origins}

    def allowed(origin: Origin) -> Iterator[Event]:
        limit = limits.get(origin, START)
        for event in _understood(source, origin, ends[origin]):
            if event.id > limit or event.id.ms >= before_ms:
                return
            yield event

    open_to = set(origins)
    first, second = (allowed(origin) for origin in origins)
    # Causes come before effects: what an event knew and may leave has been seen before it.
    for event in merge_causally(first, second):
        if event.origin in open_to and _is_covered(event, ends):
            ends[event.origin] = event.id
        else:
            open_to.discard(event.origin)
        if not open_to:
            break
    return ends


def _is_covered(event: Event, ends: Mapping[Origin, EventId]) -> bool:
    others = (o for o in event.vector if o != event.origin)
    return all(event.vector[o] <= ends.get(o, START) for o in others)


def _understood(source: Source, origin: Origin, after: EventId) -> Iterator[Event]:
    """The events behind `after` up to the first that this version cannot read."""
    while page := source.read(origin, after, PAGE_EVENT_COUNT):
        for event_id, blob in page:
            event = codec.decode(origin, event_id, blob)
            if isinstance(event, Unknown):
                return
            yield event
        after = page[-1][0]
