"""Files of operators: secrets in them are closed to others, and none is overwritten."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from admin.errors import UsageProblem

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def reason_of(error: OSError) -> str:
    """What the system says of it, such as `No such file or directory`."""
    return error.strerror or type(error).__name__


def read_file(path: Path, what: str, bytes_max: int, *, secret: bool) -> bytes:
    """At most `bytes_max` bytes of the file; `what` it is, such as `token file`.

    Raises:
        UsageProblem: it cannot be read, or is `secret` and others could read it.
    """
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if secret and mode & _OTHERS:
                raise UsageProblem(
                    f"the {what} {path} has mode {mode:04o}, so others can read it; "
                    f"correct it with: chmod 600 {path}"
                )
            return file.read(bytes_max)
    except OSError as error:
        text = f"cannot read the {what} {path}: {reason_of(error)}"
        raise UsageProblem(text) from error


def write_new(path: Path, data: bytes, mode: int) -> None:
    """Write `data` to the new file `path`, with `mode` less what the umask takes.

    Raises:
        UsageProblem: it is there already, or cannot be written; then there is none.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    try:
        with os.fdopen(os.open(path, flags, mode), "wb") as file:
            try:
                file.write(data)
                file.flush()
            except OSError:
                path.unlink()
                raise
    except FileExistsError:
        raise UsageProblem(f"{path} is there already; name another file") from None
    except OSError as error:
        raise UsageProblem(f"cannot write {path}: {reason_of(error)}") from error
