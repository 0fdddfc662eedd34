"""Where a command's words go: results to standard output, all else to standard error.

On a terminal, tables are drawn, or where they are too wide for it, row by row; elsewhere
they are lines of tab-separated columns, which `cut` and `grep` like. Text that a node sent
is never taken as markup, and its control characters are never passed on: an actor's name
must not be able to steer a terminal.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from typing import TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from admin.errors import AdminError
from admin.fields import shortened
from admin.files import reason_of
from admin.json_text import JsonValue, written_json

_GAP_WIDTH = 2
"""Between two columns of a table."""


class OutputClosed(Exception):
    """The reader of standard output is gone, as after `| head`. Not an error."""


class Output:
    """Writes for one command."""

    def __init__(self, *, json: bool, stdout: TextIO, stderr: TextIO) -> None:
        """Write JSON lines if `json`, else text for people."""
        self.json = json
        self._stdout = stdout
        self._stderr = stderr
        self.is_terminal = stdout.isatty() and not json
        self.stderr_is_terminal = stderr.isatty()
        self.shows_at_once = _is_followed(stdout)
        """Whether results may show on a terminal while they are written."""

    def line(self, text: str) -> None:
        """Write a line of results, at once.

        Raises:
            OutputClosed: nobody reads any more.
            AdminError: it cannot be written, such as on a full disk.
        """
        self._write(plain(text) + "\n")

    def verbatim(self, text: str) -> None:
        """Write `text` as it is: it has its line end, and nothing that steers a terminal."""
        self._write(text)

    def record(self, value: object, *, indent: int | None = None) -> None:
        """Write `value` as one line of JSON, or indented for people."""
        encoding = (self._stdout.encoding or "utf-8").lower()
        ascii_only = not encoding.startswith("utf")  # The escapes of JSON read back.
        self._write(written_json(value, indent=indent, ascii_only=ascii_only) + "\n")

    def note(self, text: str) -> None:
        """Tell the operator something that is not a result."""
        self._tell(plain(text))

    def failure(self, error: AdminError) -> None:
        """Tell what went wrong: lines for people, one JSON object with `--json`."""
        if not self.json:
            for line in error.lines():
                self.note(line)
            return
        text = {"error": error.text, "code": error.code, "reasons": error.reasons}
        self._tell(written_json({**text, "exit": error.exit_code}))

    def table(self, titles: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Write rows of equal width under `titles`; as they come, if not on a terminal."""
        if not self.is_terminal:
            for row in itertools.chain([titles], rows):
                self._write("\t".join(plain(cell) for cell in row) + "\n")
            return
        kept = [[plain(cell) for cell in row] for row in rows]
        terminal = self.terminal()
        widths = _column_widths([titles, *kept], terminal.width)
        if widths is None:
            for line in _row_by_row(titles, kept):
                terminal.print(line, soft_wrap=True)
            return
        drawn = Table(box=None, pad_edge=False, header_style="bold")
        for title, width in zip(titles, widths, strict=True):
            drawn.add_column(title, width=width)
        for row in kept:
            drawn.add_row(*(Text(cell) for cell in row))
        terminal.print(drawn)

    def text(self, lines: Iterable[Text]) -> None:
        """Write styled lines; without style where nobody can see it."""
        console = self.terminal() if self.is_terminal else None
        for line in lines:
            if console is None:
                self.line(line.plain)
            else:
                console.print(line)

    def terminal(self) -> Console:
        """The terminal at standard output."""
        return Console(file=self._stdout, highlight=False, markup=False, emoji=False)

    def error_terminal(self) -> Console:
        """The terminal at standard error, for progress."""
        return Console(file=self._stderr, highlight=False, markup=False, emoji=False)

    def flush(self) -> None:
        """Hand over everything that was written.

        Raises:
            OutputClosed: nobody reads any more.
        """
        self._write("")

    def _tell(self, line: str) -> None:
        with contextlib.suppress(BrokenPipeError):  # Nobody is left to be told.
            self._stderr.write(line + "\n")
            self._stderr.flush()

    def _write(self, text: str) -> None:
        try:
            self._stdout.write(text)
            self._stdout.flush()
        except BrokenPipeError as error:
            raise OutputClosed from error
        except OSError as error:
            text = f"cannot write to standard output: {reason_of(error)}"
            raise AdminError(text) from error


def _is_followed(stdout: TextIO) -> bool:
    try:
        mode = os.fstat(stdout.fileno()).st_mode
    except io.UnsupportedOperation:
        return stdout.isatty()  # It is no file at all.
    # Behind a pipe there may be `grep` or `less`, which write to the terminal.
    return stdout.isatty() or stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def _column_widths(rows: Sequence[Sequence[str]], limit: int) -> list[int] | None:
    """Widths with which a table breaks only at spaces; None: it needs more than `limit`.

    An id that is broken over two lines cannot be copied to the next command.
    """
    columns = list(zip(*rows, strict=True))
    widths = [max(cell_len(w) for c in column for w in c.split()) for column in columns]
    spare = limit - sum(widths) - _GAP_WIDTH * (len(columns) - 1)
    if spare < 0:
        return None
    for index, column in enumerate(columns):
        more = min(spare, max(map(cell_len, column)) - widths[index])
        widths[index] += more
        spare -= more
    return widths


def _row_by_row(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[Text]:
    """Each row as a line per cell, and an empty line between two rows."""
    width = max(map(len, titles))
    for index, row in enumerate(rows):
        if index:
            yield Text()
        for title, cell in zip(titles, row, strict=True):
            if cell:
                yield Text(f"{title:<{width}} ", style="bold").append(
                    cell, style="not bold"
                )


def brief_value(value: JsonValue) -> str:
    """The start of `value`, for a column of a table.

    Digests that users log on with are as good as passwords: nobody needs to see them over
    a shoulder. `get` and `--json` give them.
    """
    if isinstance(value, dict) and "digests" in value:
        value = {**{k: v for k, v in value.items() if k != "digests"}, "digests": "…"}
    return shortened(written_json(value))


def plain(text: str) -> str:
    """`text` with control characters made visible."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else written_json(c)[1:-1] for c in text)
