"""Files of checkpoints: a line is added, durably and whole, or the file stays as it was."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, cast

from admin.errors import UsageProblem
from admin.files import reason_of

_BEGIN: Final = b'{"heads":'
"""Of every line, for its names are sorted."""


def append_line(path: Path, line: bytes) -> None:
    """Add `line` to the file, which may be new. A line before it that was cut off stays one.

    Raises:
        UsageProblem: it holds something else, or cannot be written; then nothing was added.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND
    try:
        with _opened(path, flags, "r+b") as file:
            if not _BEGIN.startswith(file.read(len(_BEGIN))):
                raise UsageProblem(
                    f"{path} does not begin as a file of checkpoints does; nothing was "
                    "added: name another file"
                )
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 1))
            start = b"" if file.read(1) in (b"", b"\n") else b"\n"
            _add(file, size, start + line + b"\n")
    except OSError as error:
        raise UsageProblem(f"cannot write {path}: {reason_of(error)}") from error


@contextmanager
def opened_lines(path: Path) -> Iterator[BinaryIO]:
    """The file, to be read.

    Raises:
        UsageProblem: it cannot be read.
    """
    try:
        with _opened(path, os.O_RDONLY, "rb") as file:
            yield file
    except OSError as error:
        raise UsageProblem(f"cannot read {path}: {reason_of(error)}") from error


def _opened(path: Path, flags: int, mode: str) -> BinaryIO:
    # Without O_NONBLOCK, the open of a pipe would wait for somebody at its other end.
    descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError("it is no file")
    # Without a buffer, where lines are added: it would be written again after a failure.
    buffering = 0 if "+" in mode else -1
    return cast(BinaryIO, os.fdopen(descriptor, mode, buffering=buffering))


def _add(file: BinaryIO, size: int, data: bytes) -> None:
    try:
        while data:
            data = data[file.write(data) :]
        os.fsync(file.fileno())
    except OSError:
        file.truncate(size)
        raise
