"""What was at a point, and who made an entry what it is: the slow and obvious way.

Every question is asked of all events anew; it shares no code with `eventstore.replay`,
`blame` and `explanation`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from eventstore import Event, EventId, Origin
from tests.support import oracle


def within(events: Collection[Event], cut: Mapping[Origin, EventId]) -> list[Event]:
    """The events that are in `cut`."""
    return [e for e in events if e.origin in cut and e.id <= cut[e.origin]]


def cut_at(events: Collection[Event], until_ns: int) -> dict[Origin, EventId]:
    """All up to the last of each origin by its clock, and, again and again, what they knew."""
    cut: dict[Origin, EventId] = {}
    for event in events:
        if event.wall_ns <= until_ns:
            cut[event.origin] = max(cut.get(event.origin, event.id), event.id)
    while True:
        found = dict(cut)
        for event in within(events, cut):
            for origin, known in event.vector.items():
                found[origin] = max(found.get(origin, known), known)
        if found == cut:
            return cut
        cut = found


def changes(events: Collection[Event], key: str) -> list[Event]:
    return [
        e for e in events if e.key == key and e.kind in ("entry-put", "entry-deleted")
    ]


def before(events: Collection[Event], event: Event, prevailing: Origin) -> Event | None:
    """What stood of the entry with all that the writer of `event` knew."""
    known = [e for e in events if oracle.happened_before(e, event)]
    return oracle.winners(known, prevailing=prevailing).get(event.key)


def set_by(
    events: Collection[Event], event: Event, name: str, prevailing: Origin
) -> Event:
    """The event that last gave the field `name` the value that it has in `event`."""
    value = event.value
    assert isinstance(value, dict)
    earlier = before(events, event, prevailing)
    was = earlier.value if earlier is not None else None
    if earlier is None or not isinstance(was, dict) or name not in was:
        return event
    if repr(was[name]) != repr(value[name]):  # 1, 1.0 and true are not the same.
        return event
    return set_by(events, earlier, name, prevailing)
