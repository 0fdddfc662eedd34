"""How far a long walk is: a bar on standard error, where somebody sees it.

Only on a terminal, never into a pipe or a file, and gone at the end. Where results are
written while the walk goes on, and may show on the same terminal, there is none: it would
stand between them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from admin.cli.output import Output
from eventstore import EventId, Origin, Source, Stored


class Steps:
    """Counts what is done. Drawn ten times a second at most, but tell it of whole pages."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def advance(self, count: int) -> None:
        """So many more are done."""
        self._progress.update(self._task, advance=count)

    def reach(self, count: int, total: int) -> None:
        """So many are done, and this is how many there are, as far as is known now."""
        self._progress.update(self._task, completed=count, total=max(total, count))

    @contextmanager
    def part(self, what: str, total: int | None) -> Iterator[Steps]:
        """Show a part of the work on a line of its own while it lasts."""
        task = self._progress.add_task(what, total=total)
        try:
            yield Steps(self._progress, task)
        finally:
            self._progress.remove_task(task)


@contextmanager
def shown_progress(
    output: Output, what: str, total: int | None, *, live: bool = False
) -> Iterator[Steps]:
    """Show how many of `total` are done (None: nobody knows) until the end of the block.

    `live`: the command writes results meanwhile.
    """
    hidden = not output.stderr_is_terminal or (live and output.shows_at_once)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        _CountColumn(),
        TimeRemainingColumn(),
        console=output.error_terminal(),
        disable=hidden,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    ) as progress:
        yield Steps(progress, progress.add_task(what, total=total))


class _CountColumn(MofNCompleteColumn):
    """`500/2000`; nothing where a node does the work, and nobody knows."""

    def render(self, task: Task) -> Text:
        return Text() if task.total is None else super().render(task)


class WatchedSource:
    """A `Source` that counts the events which are read from it for the first time."""

    def __init__(self, source: Source, steps: Steps) -> None:
        self._source = source
        self._steps = steps
        self._read: dict[Origin, int] = {}
        """Position of the newest event read of each stream."""

    @property
    def pair(self) -> str:
        """Whose events these are."""
        return self._source.pair

    def read(self, origin: Origin, after: EventId, count: int) -> list[Stored]:
        """At most `count` entries behind `after`, oldest first."""
        page = self._source.read(origin, after, count)
        if page:
            new = page[-1][0].n - self._read.get(origin, 0)
            if new > 0:
                self._steps.advance(new)
                self._read[origin] = page[-1][0].n
        return page

    def last(self, origin: Origin) -> Stored | None:
        """The newest entry; None: there is none."""
        return self._source.last(origin)
