"""Writes lines of the history in the format that was asked for."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from enum import StrEnum

from admin.cli.output import Output, plain
from admin.history_formats import (
    CSV_COLUMNS,
    TABLE_TITLES,
    cloud_event,
    csv_cells,
    csv_line,
    table_row,
)
from admin.replies import HistoryEvent
from eventstore import Source


class Format(StrEnum):
    """How lines are written; all but the table have an option of that name."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    CLOUDEVENTS = "cloudevents"


def written(
    events: Iterable[HistoryEvent],
    form: Format,
    output: Output,
    source: Source,
    *,
    archived: bool,
) -> None:
    """Write `events` as they come; a table on a terminal when all are there.

    Nothing is written, no title either, when what gives them fails before the first one.
    """
    events = _begun(events)
    match form:
        case Format.TABLE:
            _table(events, output, archived=archived)
        case Format.JSON:
            for event in events:
                output.record(dict(event.raw))
        case Format.CSV:
            output.verbatim(csv_line(CSV_COLUMNS))
            for event in events:
                # Line ends and the like in a text become escapes, as in JSON.
                output.verbatim(csv_line([plain(c) for c in csv_cells(event)]))
        case Format.CLOUDEVENTS:
            pair = source.pair
            for event in events:
                output.record(cloud_event(event, pair))


def _begun(events: Iterable[HistoryEvent]) -> Iterable[HistoryEvent]:
    left = iter(events)
    return itertools.chain(list(itertools.islice(left, 1)), left)


def _table(events: Iterable[HistoryEvent], output: Output, *, archived: bool) -> None:
    if archived:
        rows = ((*table_row(event)[:-1], event.archive or "") for event in events)
        output.table((*TABLE_TITLES[:-1], "archive"), rows)
    else:
        output.table(TABLE_TITLES, map(table_row, events))
