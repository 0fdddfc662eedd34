"""Files of operators: secrets in them are closed to others, and none is overwritten."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from admin.errors import UsageProblem

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def reason_of(error: OSError) -> str:
    """What the system says of it, such as `No such file or directory`."""
    return error.strerror or str(error) or type(error).__name__


def read_file(path: Path, what: str, bytes_max: int) -> tuple[bytes, int]:
    """At most `bytes_max` bytes of the file, and its mode; `what` it is, such as `token file`.

    Raises:
        UsageProblem: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            return file.read(bytes_max), mode
    except OSError as error:
        text = f"cannot read the {what} {path}: {reason_of(error)}"
        raise UsageProblem(text) from error


def check_closed(path: Path, what: str, mode: int) -> None:
    """Let only the owner of a file with a secret read it.

    Raises:
        UsageProblem: others can.
    """
    if mode & _OTHERS:
        raise UsageProblem(
            f"the {what} {path} has mode {mode:04o}, so others can read it; "
            f"correct it with: chmod 600 {path}"
        )


def read_secret(path: Path, what: str, bytes_max: int) -> bytes:
    """As `read_file`, of a file that is closed to others.

    Raises:
        UsageProblem: it cannot be read, or others could read it.
    """
    data, mode = read_file(path, what, bytes_max)
    check_closed(path, what, mode)
    return data


def write_new(path: Path, data: bytes, mode: int) -> None:
    """Write `data` to the new file `path`, with `mode` less what the umask takes.

    Raises:
        UsageProblem: it is there already, or cannot be written; then there is none.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    try:
        descriptor = os.open(path, flags, mode)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
        except OSError:
            path.unlink()
            raise
    except FileExistsError:
        raise UsageProblem(f"{path} is there already; name another file") from None
    except OSError as error:
        raise UsageProblem(f"cannot write {path}: {reason_of(error)}") from error
