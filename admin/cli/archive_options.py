"""The option by which a command reads what was archived as well, and its files joined."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated

import typer

from admin.bundle_files import opened_bundle
from admin.cli.output import Output
from admin.offline import ORIGINS, as_told_to_operators
from eventstore import Joined, Source, missing_text

ArchiveFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--archive", metavar="FILE", help="What `archive` made; give every one."
    ),
]


@contextmanager
def joined(source: Source, files: Sequence[Path] | None) -> Iterator[Source]:
    """`source` with what `files` have of before; closed at the end.

    Raises:
        UsageProblem: a file cannot be read.
        DataUnverified: one was altered, or they do not fit together or to `source`.
    """
    with ExitStack() as stack, as_told_to_operators():
        if not files:
            yield source
            return
        bundles = [stack.enter_context(opened_bundle(path)) for path in files]
        yield Joined(bundles, source)


def note_what_is_missing(source: Source, output: Output) -> None:
    """Tell on standard error that the history goes further back than what is shown."""
    with as_told_to_operators():
        text = missing_text(source, ORIGINS)
    if text is not None:
        output.note(text)
