"""Events, and what replay, blame and explain found, as JSON for people and programs."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from eventstore.blame import Blame, Changed
from eventstore.configuration import Entry
from eventstore.event import START, Event, EventId, JsonValue, Origin, Recovered
from eventstore.explanation import Explanation
from eventstore.replay import Difference, Until
from eventstore.version_vector import parse_vector

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = re.compile("0|[0-9]{9,15}")
"""With 8 digits it is a date, and with fewer a year or a mistake."""


def format_time(wall_ns: int, timespec: str = "microseconds") -> str | None:
    """ISO 8601 in UTC, to the microsecond or what `timespec` says.

    None: beyond the years 1 to 9999.
    """
    try:
        instant = _EPOCH + timedelta(microseconds=wall_ns // 1000)
    except OverflowError:
        return None
    return instant.isoformat(timespec=timespec).replace("+00:00", "Z")


def parse_time(text: str) -> int:
    """The instant that `text` names, in nanoseconds since 1970.

    ISO 8601, UTC where it names no zone; or milliseconds since 1970: 0, or 9 to 15 digits.

    Raises:
        ValueError: it is neither.
    """
    if _MS.fullmatch(text):
        return int(text) * 1_000_000
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=UTC)
    return (instant - _EPOCH) // timedelta(microseconds=1) * 1000


def parse_point(text: str) -> Until:
    """The point of the past that `text` names: a time, or a vector as `format_vector` writes it.

    A time counts to the end of its microsecond, or of its millisecond where it is in those:
    the time that is told of an event is the point just behind it.

    Raises:
        ValueError: it names none.
        NoSuchPoint: it is no vector.
    """
    if "=" in text:
        return parse_vector(text)
    return parse_time(text) + (999_999 if _MS.fullmatch(text) else 999)


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


def told_place(origin: Origin, event_id: EventId) -> dict[str, JsonValue]:
    """Which event of which stream."""
    return {"origin": origin, "id": str(event_id)}


def told_line(
    event: Event, *, overridden_by: EventId | None = None, archive: str | None = None
) -> dict[str, JsonValue]:
    """All of an event, as a line of the history; `archive`: where it is, if it was replaced."""
    was = event.recovered
    return {
        "id": str(event.id),
        "origin": event.origin,
        "kind": event.kind,
        "key": event.key,
        "value": event.value,
        "actor": event.actor,
        "reason": event.reason,
        "time": format_time(event.wall_ns),
        "vector": _told_vector(event),
        "digest": event.digest.hex(),
        "recovered": None if was is None else _told_recovered(was),
        "overridden_by": None if overridden_by is None else str(overridden_by),
        "archived": archive,
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
        "settled_by": None
        if settled_by is None
        else told_place(settled_by.origin, settled_by.id),
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
    return {**told_event(event), "vector": _told_vector(event)}


def _told_recovered(was: Recovered) -> dict[str, JsonValue]:
    return {"id": str(was.id), "digest": was.digest.hex()}


def _told_vector(event: Event) -> dict[str, JsonValue]:
    return {origin: str(seen) for origin, seen in sorted(event.vector.items())}


def _named(event: Event) -> dict[str, JsonValue]:
    told = told_event(event)
    del told["value"]
    return told
