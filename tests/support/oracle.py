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
    return set(open_losses(events, prevailing=prevailing))


def open_losses(
    events: Collection[Event], *, prevailing: Origin
) -> dict[str, tuple[Event, Event]]:
    """For each such key the other origin's newest event, and the one that stands."""
    of_entries = _of_entries(events)
    found = {}
    for key, standing in winners(events, prevailing=prevailing).items():
        theirs = [e for e in of_entries if e.key == key and e.origin != prevailing]
        if standing.origin != prevailing or not theirs:
            continue
        if are_concurrent(standing, _newest(theirs)):
            found[key] = _newest(theirs), standing
    return found


def losers(events: Collection[Event], *, prevailing: Origin) -> set[bytes]:
    """Digests of all that lost, if each writer's vectors only grow.

    A change of the other origin loses if the prevailing one made a concurrent one, and its
    own writer did not change the entry once more before it knew of that.
    """
    of_entries = _of_entries(events)
    ours = [e for e in of_entries if e.origin == prevailing]
    theirs = [e for e in of_entries if e.origin != prevailing]
    found = set()
    for event in theirs:
        later = [e for e in theirs if e.key == event.key and e.id > event.id]
        following = min(later, key=lambda e: e.id, default=None)
        if any(
            rival.key == event.key
            and are_concurrent(event, rival)
            and (following is None or happened_before(rival, following))
            for rival in ours
        ):
            found.add(event.digest)
    return found


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
