"""Secrets and passwords, each in a file of its own that only its owner can read."""

from __future__ import annotations

import stat
from pathlib import Path

from node.errors import ConfigError

SECRET_BYTES_MAX = 4096
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def read_secret(path: Path) -> str:
    """The text of `path`, without one newline at its end.

    The file must be closed to its group and to others, of 1 to 4096 bytes, and UTF-8.

    Raises:
        ConfigError: it is not; the message names the file and the remedy, never the text.
    """
    data = read_limited(path, SECRET_BYTES_MAX, secret=True)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 at byte {error.start}") from None
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise ConfigError(f"{path} is empty; a secret is expected in it")
    return text


def read_limited(path: Path, bytes_max: int, *, secret: bool = False) -> bytes:
    """The bytes of the regular file `path`; with `secret`, only of one closed to others.

    Raises:
        ConfigError: there is no such file, it cannot be read, is open to others, or is
            larger than `bytes_max`.
    """
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            raise ConfigError(f"{path} is not a regular file")
        if secret and mode & _OTHERS:
            raise ConfigError(
                f"{path} has mode {stat.S_IMODE(mode):04o}, open to others than its "
                f"owner; run: chmod 600 {path}"
            )
        with path.open("rb") as file:
            data = file.read(bytes_max + 1)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from None
    except ValueError:  # A NUL or half a surrogate pair in the name.
        raise ConfigError(f"{str(path)!r} cannot be the name of a file") from None
    if len(data) > bytes_max:
        raise ConfigError(f"{path} is larger than the limit of {bytes_max} bytes")
    return data
