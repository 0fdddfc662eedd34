"""Lines of the history in the shape in which `--json` gives them, wherever they come from. Pure.

The names are those of `GET /history`, with `before` and `settled_by` on top.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from admin.fields import Fields
from admin.json_text import JsonValue
from admin.replies import HistoryEvent
from eventstore import ArchivedEvent, Entry, Event, EventId, HistoryLine, Recovered

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def told_line(line: HistoryLine) -> HistoryEvent:
    """A line of the history that stands."""
    lost = line.overridden
    raw = _shown(line.event, overridden_by=None if lost is None else lost.by)
    raw["before"] = None if line.before is None else _before(line.before)
    raw["settled_by"] = None
    if lost is not None and lost.settled_by is not None:
        origin, event_id = lost.settled_by
        raw["settled_by"] = {"origin": origin, "id": str(event_id)}
    return HistoryEvent.from_reply(Fields(raw, "history"))


def told_archived(archived: ArchivedEvent) -> HistoryEvent:
    """An event that was replaced."""
    raw = _shown(archived.event, archive=archived.archive)
    return HistoryEvent.from_reply(Fields(raw, "history"))


def iso_time(wall_ns: int) -> str | None:
    """ISO 8601 in UTC with microseconds; None: beyond the years 1 to 9999."""
    try:
        instant = _EPOCH + timedelta(microseconds=wall_ns // 1000)
    except OverflowError:
        return None
    return instant.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _shown(
    event: Event, *, overridden_by: EventId | None = None, archive: str | None = None
) -> dict[str, JsonValue]:
    return {
        "id": str(event.id),
        "origin": event.origin,
        "kind": event.kind,
        "key": event.key,
        "value": event.value,
        "actor": event.actor,
        "reason": event.reason,
        "time": iso_time(event.wall_ns),
        "vector": {origin: str(seen) for origin, seen in sorted(event.vector.items())},
        "digest": event.digest.hex(),
        "recovered": None if event.recovered is None else _was(event.recovered),
        "overridden_by": None if overridden_by is None else str(overridden_by),
        "archived": archive,
    }


def _before(entry: Entry) -> dict[str, JsonValue]:
    return {"value": entry.value, "id": str(entry.id), "origin": entry.origin}


def _was(recovered: Recovered) -> dict[str, JsonValue]:
    return {"id": str(recovered.id), "digest": recovered.digest.hex()}
