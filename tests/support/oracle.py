"""What a set of events must leave, worked out the slow and obvious way.

Nothing here is kept from one event to the next: every question is asked of all pairs
of events anew. It shares no code with `eventstore.configuration`, so that the two can
check each other.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from eventstore import Event, Origin


def happened_before(first: Event, second: Event) -> bool:
    """Whether the writer of `second` knew `first`, by the vector alone."""
    known = second.vector.get(first.origin)
    return second.digest != first.digest and known is not None and known >= first.id


def are_concurrent(first: Event, second: Event) -> bool:
    """Whether neither writer knew of the other's event."""
    return not (happened_before(first, second) or happened_before(second, first))


def winners(events: Iterable[Event], *, prevailing: Origin) -> dict[str, Event]:
    """For each key the event that stands, deletes included."""
    of_entries = _of_entries(events)
    return {
        key: _winner([e for e in of_entries if e.key == key], prevailing)
        for key in {e.key for e in of_entries}
    }


def entries(events: Iterable[Event], *, prevailing: Origin) -> dict[str, Event]:
    """For each key that has an entry, the event that made it what it is."""
    standing = winners(events, prevailing=prevailing)
    return {k: event for k, event in standing.items() if event.kind == "entry-put"}


def conflict_keys(events: Collection[Event], *, prevailing: Origin) -> set[str]:
    """Keys where the prevailing origin's event stands over one it did not know of."""
    of_entries = _of_entries(events)
    return {
        key
        for key, standing in winners(events, prevailing=prevailing).items()
        if standing.origin == prevailing
        and any(
            are_concurrent(standing, newest)
            for newest in of_entries
            if newest.key == key and newest.origin != prevailing
            if all(
                e.id <= newest.id
                for e in of_entries
                if e.key == key and e.origin == newest.origin
            )
        )
    }


def _of_entries(events: Iterable[Event]) -> list[Event]:
    return [e for e in events if e.kind in ("entry-put", "entry-deleted")]


def _winner(rivals: list[Event], prevailing: Origin) -> Event:
    ours = [e for e in rivals if e.origin == prevailing]
    theirs = [e for e in rivals if e.origin != prevailing]
    for newest in ours:
        if all(e.id <= newest.id for e in ours):
            if not any(happened_before(newest, e) for e in theirs):
                return newest
            return _newest(theirs)
    return _newest(theirs)


def _newest(events: list[Event]) -> Event:
    return next(e for e in events if all(other.id <= e.id for other in events))
