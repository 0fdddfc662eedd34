"""`export`: entries as JSON Lines, which `import` reads back."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated

import typer

from admin.cli.session import session_of
from admin.errors import UsageProblem
from admin.files import reason_of
from admin.importing.json_lines import written_json_lines


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("export")(export)


def export(
    context: typer.Context,
    file: Annotated[str, typer.Argument(help="Where to; else standard output")] = "-",
    prefix: Annotated[
        str, typer.Option(metavar="PREFIX", help="Only keys that start so.")
    ] = "",
) -> None:
    """Write entries to a file that import reads.

    JSON Lines, {"key": …, "value": …} each. FILE is replaced when all is written, never
    half. Only its owner can read it, because the entries of users hold the digests they
    log on with.
    """
    session = session_of(context)
    entries = session.client().entries(prefix)
    if file == "-":
        for entry in entries:
            session.output.record({"key": entry.key, "value": entry.value})
        return
    lines = written_json_lines((entry.key, entry.value) for entry in entries)
    try:
        count = _write_whole(Path(file), lines)
    except OSError as error:
        raise UsageProblem(f"cannot write {file}: {reason_of(error)}") from error
    if session.output.json:
        session.output.record({"file": file, "entries": count})
    else:
        session.output.line(f"{file}: {count} entries")


def _write_whole(path: Path, lines: Iterable[str]) -> int:
    """Replace `path` by `lines`, durably, or leave it as it was; return their count."""
    if path.exists() and not path.is_file():
        with path.open("w", encoding="utf-8") as special:  # A pipe or a device.
            return _write(special.write, lines)
    target = path.resolve()  # A link is followed, not replaced.
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            count = _write(file.write, lines)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    _sync_folder(target.parent)
    return count


def _write(write: Callable[[str], int], lines: Iterable[str]) -> int:
    count = 0
    for line in lines:
        write(line)
        count += 1
    return count


def _sync_folder(folder: Path) -> None:
    # Without it, the name may be lost with the power although the bytes are safe.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
