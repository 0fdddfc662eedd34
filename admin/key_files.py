"""Keys in files: a private one must be closed to others, a public one may be read by all."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from admin.errors import UsageProblem
from eventstore import KEY_FILE_BYTES_MAX, KeyRefused, PrivateKey, PublicKey

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_Key = TypeVar("_Key")


def read_private_key(path: Path) -> PrivateKey:
    """The Ed25519 private key in `path`.

    Raises:
        UsageProblem: the file cannot be read, is open to others, or holds no such key.
    """
    return _key(path, PrivateKey.from_pem, secret=True)


def read_public_key(path: Path) -> PublicKey:
    """The Ed25519 public key in `path`.

    Raises:
        UsageProblem: the file cannot be read, or holds no such key.
    """
    return _key(path, PublicKey.from_pem, secret=False)


def write_new_key(path: Path) -> PublicKey:
    """Make a key, and write it to `path` (mode 0600) and its public part to `path`.pub.

    Raises:
        UsageProblem: one of the files is there already, or cannot be written.
    """
    key = PrivateKey.new()
    public = path.with_name(path.name + ".pub")
    # The public one first: that a disk is full is then known before there is a secret.
    _create(public, key.public.pem, 0o644)
    try:
        _create(path, key.pem, 0o600)
    except UsageProblem:
        public.unlink()
        raise
    return key.public


def _key(path: Path, from_pem: Callable[[bytes], _Key], *, secret: bool) -> _Key:
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            key = from_pem(file.read(KEY_FILE_BYTES_MAX))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise UsageProblem(f"cannot read the key file {path}: {reason}") from error
    except KeyRefused as error:
        raise UsageProblem(f"the key file {path} cannot be used: {error}") from None
    # After the key: who gave the public one by mistake must not be told to guard it.
    if secret and mode & _OTHERS:
        raise UsageProblem(
            f"the key file {path} has mode {mode:04o}, so others can read it; "
            f"correct it with: chmod 600 {path}"
        )
    return key


def _create(path: Path, data: bytes, mode: int) -> None:
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
        reason = error.strerror or type(error).__name__
        raise UsageProblem(f"cannot write {path}: {reason}") from error
