"""How far a long walk is: a bar on standard error, where somebody sees it.

Only on a terminal, never into a pipe or a file, and gone at the end. Where results are
written while the walk goes on, and may show on the same terminal, there is none: it would
stand between them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from admin.cli.output import Output

_STEP_COUNT = 500
"""Drawing takes longer than reading an event: not after each one."""

Item = TypeVar("Item")


class Steps:
    """Counts what was walked past."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task
        self._unshown = 0

    def advance(self, count: int = 1) -> None:
        """So many more are done."""
        self._unshown += count
        if self._unshown >= _STEP_COUNT:
            self._progress.update(self._task, advance=self._unshown)
            self._unshown = 0

    def through(self, items: Iterable[Item]) -> Iterator[Item]:
        """`items` as they are, each counted when the next one is asked for."""
        for item in items:
            yield item
            self.advance()


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
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=output.error_terminal(),
        disable=hidden,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    ) as progress:
        yield Steps(progress, progress.add_task(what, total=total))
