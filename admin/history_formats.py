"""What each format makes of a line of the history: table, CSV, CloudEvents. Pure.

The digests that users log on with are as good as passwords, and these formats are passed
around: they show that digests changed, never the digests. `--json` gives them.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from urllib.parse import quote

from admin.fields import shortened
from admin.json_text import JsonValue, same_json, written_json
from admin.replies import HistoryEvent

TABLE_TITLES = (
    "time", "origin", "id", "kind", "key", "actor", "reason", "from", "to",
    "overridden by",
)  # fmt: skip

CSV_COLUMNS = (
    "time", "origin", "id", "kind", "key", "from", "from_origin", "from_id", "to",
    "actor", "reason", "overridden_by", "settled_by", "archive",
)  # fmt: skip
"""Programs rely on them: new ones come behind these."""

CLOUDEVENT_TYPE = "com.netphone.standby."
"""Followed by the kind of the event."""

_CHANGES = ("entry-put", "entry-deleted")
_FORMULA_STARTS = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20", "'")
"""What makes spreadsheets take a cell for a formula, wide forms too; and our own mark."""
_HIDDEN, _HIDDEN_CHANGED = "…", "… (changed)"


def table_row(event: HistoryEvent) -> tuple[str, ...]:
    """The cells under `TABLE_TITLES`."""
    before, value = _without_digests(event)
    return (
        event.time,
        event.origin,
        event.id,
        event.kind,
        event.key,
        event.actor,
        event.reason,
        "" if event.before is None else shortened(written_json(before)),
        _moved(event) or ("" if value is None else shortened(written_json(value))),
        _overridden(event),
    )


def csv_line(cells: Sequence[str]) -> str:
    """`cells` as a record of RFC 4180, its line end included.

    A cell that a spreadsheet would take for a formula gets a `'` in front.
    """
    text = io.StringIO()
    guarded = (f"'{c}" if c.startswith(_FORMULA_STARTS) else c for c in cells)
    csv.writer(text, lineterminator="\r\n").writerow(guarded)
    return text.getvalue()


def csv_cells(event: HistoryEvent) -> tuple[str, ...]:
    """The cells under `CSV_COLUMNS`. Values are JSON; an empty one: there is no entry."""
    before, value = _without_digests(event)
    had = event.before
    return (
        event.time,
        event.origin,
        event.id,
        event.kind,
        event.key,
        "" if had is None else written_json(before),
        "" if had is None else had.origin,
        "" if had is None else had.id,
        written_json(value) if value is not None or event.kind == "entry-put" else "",
        event.actor,
        event.reason,
        event.overridden_by or "",
        event.settled_by or "",
        event.archive or "",
    )


def cloud_event(event: HistoryEvent, pair: str) -> dict[str, JsonValue]:
    """The event in the JSON format of CloudEvents 1.0.

    What an archive keeps may have the id of another event that stands: its source is the
    archive. An attribute without a value is left out, as CloudEvents wants it.
    """
    place = f"/archive/{quote(event.archive, safe='')}" if event.archive else ""
    attributes = {
        "specversion": "1.0",
        "id": event.id,
        "source": f"netphone://{quote(pair, safe='')}/{quote(event.origin)}{place}",
        "type": CLOUDEVENT_TYPE + _attribute(event.kind),
        "subject": _attribute(event.key),
        "time": event.time,
        "datacontenttype": "application/json",
        "actor": _attribute(event.actor),
        "reason": _attribute(event.reason),
        "overriddenby": event.overridden_by or "",
        "settledby": event.settled_by or "",
    }
    before, value = _without_digests(event)
    had: JsonValue = None
    if event.before is not None:
        had = {
            "value": before,
            "id": event.before.id,
            "origin": event.before.origin,
        }
    data: JsonValue = {
        "before": had,
        "value": value,
        **{name: event.raw.get(name) for name in ("vector", "digest", "recovered")},
    }
    return {**{name: text for name, text in attributes.items() if text}, "data": data}


def _overridden(event: HistoryEvent) -> str:
    if event.overridden_by is None:
        return ""
    settled = f", settled by {event.settled_by}" if event.settled_by else ""
    return f"master {event.overridden_by}{settled}"


def _moved(event: HistoryEvent) -> str:
    value = event.value
    if event.kind != "state-changed" or not isinstance(value, dict):
        return ""
    # What matters of it, in the words of the nodes' logs; --json gives the rest.
    moved = f"{value.get('from')} -> {value.get('to')}, rule {value.get('rule')}"
    return shortened(moved)


def _without_digests(event: HistoryEvent) -> tuple[JsonValue, JsonValue]:
    """The value before and the value, each without its digests."""
    value, before = event.value, None if event.before is None else event.before.value
    old, new = _digests(before), _digests(value)
    changed = event.before is not None and old is not None and not same_json(old, new)
    mark = _HIDDEN_CHANGED if changed else _HIDDEN
    return _hidden(before, _HIDDEN), _hidden(value, mark)


def _digests(value: JsonValue) -> JsonValue:
    return value.get("digests") if isinstance(value, dict) else None


def _hidden(value: JsonValue, mark: str) -> JsonValue:
    if not isinstance(value, dict) or "digests" not in value:
        return value
    return {**{k: v for k, v in value.items() if k != "digests"}, "digests": mark}


def _attribute(text: str) -> str:
    """`text` without what no attribute may hold: control characters, noncharacters."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)
