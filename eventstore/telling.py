"""What replay, blame and explain found, as JSON for people and programs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from eventstore.blame import Blame, Changed
from eventstore.configuration import Entry
from eventstore.event import START, Event, JsonValue
from eventstore.explanation import Explanation
from eventstore.replay import Difference

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def format_time(wall_ns: int) -> str | None:
    """ISO 8601 in UTC with microseconds; None: beyond the years 1 to 9999."""
    try:
        instant = _EPOCH + timedelta(microseconds=wall_ns // 1000)
    except OverflowError:
        return None
    return instant.isoformat(timespec="microseconds").replace("+00:00", "Z")


def told_event(event: Event) -> dict[str, JsonValue]:
    """Which change, to what, by whom, when and why."""
    return {
        "id": str(event.id),
        "origin": event.origin,
        "kind": event.kind,
        "value": event.value,
        "actor": event.actor,
        "reason": event.reason,
        "time": format_time(event.wall_ns),
    }


def told_difference(difference: Difference) -> dict[str, JsonValue]:
    """An entry at two points; `event` is what made it what it is at the second one."""
    return {
        "key": difference.key,
        "before": _told_entry(difference.before),
        "after": _told_entry(difference.after),
        "event": told_event(difference.event),
    }


def told_changed(changed: Changed) -> dict[str, JsonValue]:
    """A change of `blame`, with what it replaced and what it lost to."""
    loss = changed.loss
    settled_by = None if loss is None else loss.settled_by
    return {
        **_with_vector(changed.event),
        "before": _told(changed.before),
        "overridden_by": None if loss is None else str(loss.winner.id),
        "settled_by": None if settled_by is None else str(settled_by.id),
    }


def told_standing(found: Blame) -> dict[str, JsonValue]:
    """A `Blame` without its changes, which may be many."""
    return {
        "key": found.key,
        "standing": _told(found.standing),
        "fields": {name: _named(event) for name, event in sorted(found.fields.items())},
        "change_count": found.change_count,
    }


def told_explanation(found: Explanation) -> dict[str, JsonValue]:
    """All of it; `rivals` is the newest change of each origin that has one."""
    rivals = [_with_vector(e) for e in (found.prevailing, found.other) if e is not None]
    loser, by = found.loser, found.covered_by
    return {
        "key": found.key,
        "standing": _told(found.standing),
        "why": found.why,
        "rivals": list(rivals),
        "covered": None if found.covered == START else str(found.covered),
        "covered_by": None if by is None else str(by.id),
        "loser": None if loser is None else _named(loser),
        "is_conflict": found.is_conflict,
    }


def _told(event: Event | None) -> JsonValue:
    return None if event is None else told_event(event)


def _told_entry(entry: Entry | None) -> JsonValue:
    return None if entry is None else told_event(entry.event)


def _with_vector(event: Event) -> dict[str, JsonValue]:
    return {
        **told_event(event),
        "vector": {origin: str(seen) for origin, seen in sorted(event.vector.items())},
    }


def _named(event: Event) -> dict[str, JsonValue]:
    told = told_event(event)
    del told["value"]
    return told
