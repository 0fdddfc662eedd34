"""CSV of any common dialect -> a header and rows with their line numbers. Pure.

FreePBX writes commas and double quotes; a spreadsheet that the file passed through may have
made semicolons or tabs of it, added a byte order mark, a `sep=` line or other quotes.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator

import attrs

from admin.importing.parsed import BrokenLines, Problems
from admin.importing.text_lines import decoded_lines

_DELIMITERS = (",", ";", "\t")


@attrs.frozen
class Row:
    """One record."""

    line: int
    """Number of its first line, from 1."""
    cells: tuple[str, ...] = attrs.field(repr=False)


@attrs.frozen
class Table:
    """A header and the rows below it, each as wide as the header."""

    header: Row
    rows: tuple[Row, ...]


def parse_table(data: bytes, column: str, problems: Problems) -> Table:
    """Read `data`, whose header has the column `column`; broken lines go to `problems`.

    The delimiter is the one that makes `column` a column. Messages never quote cells:
    where the columns are out of step, a cell may be a password.

    Raises:
        BrokenLines: there is no such header, so nothing below can be read.
    """
    lines = decoded_lines(data, problems)
    first = next((i for i, line in enumerate(lines) if line.strip()), None)
    if first is not None and lines[first].casefold().startswith("sep="):
        first += 1
    if first is None or first >= len(lines):
        raise BrokenLines({1: "the file is empty"})
    for delimiter, quote in _candidates(lines[first]):
        records = list(_records(lines, first, delimiter, quote))
        header = records[0] if records else None
        if isinstance(header, Row) and column in map(column_name, header.cells):
            if delimiter == "\t" and any(isinstance(r, _Broken) for r in records):
                # Tab-separated text often has no quoting at all: quotes are text then.
                records = list(_records(lines, first, delimiter, None))
            return _table(header, records[1:], problems)
    raise BrokenLines(
        {
            first
            + 1: f"the header has no column {column!r}, with commas, semicolons or "
            "tabs between columns; is this a Bulk Handler export of extensions?"
        }
    )


def column_name(cell: str) -> str:
    """The name by which a column is found: case and blanks around it do not matter."""
    return cell.strip().casefold()


@attrs.frozen
class _Broken:
    line: int
    reason: str


def _candidates(header: str) -> Iterator[tuple[str, str]]:
    quote = "'" if "'" in header and '"' not in header else '"'
    for delimiter in _DELIMITERS:
        yield delimiter, quote


def _records(
    lines: list[str], first: int, delimiter: str, quote: str | None
) -> Iterator[Row | _Broken]:
    reader = csv.reader(
        lines[first:],
        delimiter=delimiter,
        quotechar=quote,
        quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE,
        strict=True,
    )
    while True:
        line = first + reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield _Broken(line, _reason(error, line, first + reader.line_num))
            continue
        if any(cell.strip() for cell in cells):
            yield Row(line, tuple(cells))


def _reason(error: csv.Error, first_line: int, last_line: int) -> str:
    where = f" (read up to line {last_line})" if last_line > first_line else ""
    if "field limit" in str(error):
        limit = csv.field_size_limit()
        return f"a column is over {limit} characters{where}; is a quote not closed?"
    return f"quotes do not match{where}: a quote is not closed, or not doubled"


def _table(header: Row, records: list[Row | _Broken], problems: Problems) -> Table:
    width = len(header.cells)
    _check_header(header)
    rows = []
    for record in records:
        if isinstance(record, _Broken):
            problems.add(record.line, record.reason)
        elif len(record.cells) != width:
            problems.add(
                record.line, f"{len(record.cells)} columns; the header has {width}"
            )
        else:
            rows.append(record)
    return Table(header, tuple(rows))


def _check_header(header: Row) -> None:
    names: set[str] = set()
    for position, cell in enumerate(header.cells, start=1):
        name = column_name(cell)
        if not name:
            raise BrokenLines({header.line: f"column {position} has no name"})
        if name in names:
            raise BrokenLines({header.line: f"the column {name!r} occurs twice"})
        names.add(name)
