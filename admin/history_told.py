"""Lines of the history in the shape in which `--json` gives them, wherever they come from. Pure.

The names are those of `GET /history`, with `before` and `settled_by` on top.
"""

from __future__ import annotations

from admin.fields import Fields
from admin.json_text import JsonValue
from admin.replies import HistoryEvent
from eventstore import ArchivedEvent, Entry, HistoryLine, told_line, told_place


def shown_line(line: HistoryLine) -> HistoryEvent:
    """A line of the history that stands."""
    lost = line.overridden
    raw = told_line(line.event, overridden_by=None if lost is None else lost.by)
    raw["before"] = None if line.before is None else _before(line.before)
    raw["settled_by"] = None
    if lost is not None and lost.settled_by is not None:
        raw["settled_by"] = told_place(*lost.settled_by)
    return HistoryEvent.from_reply(Fields(raw, "history"))


def shown_archived(archived: ArchivedEvent) -> HistoryEvent:
    """An event that was replaced."""
    raw = told_line(archived.event, archive=archived.archive)
    return HistoryEvent.from_reply(Fields(raw, "history"))


def _before(entry: Entry) -> dict[str, JsonValue]:
    return {"value": entry.value, "id": str(entry.id), "origin": entry.origin}
