"""How far a long walk through a history is, on a terminal's standard error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from admin.cli.output import Output


@contextmanager
def walk_progress(output: Output, total: int | None) -> Iterator[Callable[[int], None]]:
    """A bar that moves with the events that are read; drawn ten times a second at most.

    `total`: how many events; None: a node does the work, and nobody knows. Elsewhere than
    on a terminal nothing is shown.
    """
    counted = () if total is None else (MofNCompleteColumn(),)
    with Progress(
        TextColumn("reading events"),
        BarColumn(),
        *counted,
        console=output.error_terminal(),
        disable=not output.stderr_is_terminal,
        transient=True,
    ) as progress:
        task = progress.add_task("reading", total=total)
        yield lambda count: progress.advance(task, count)
