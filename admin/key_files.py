"""Keys in files: a private one must be closed to others, a public one may be read by all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from admin.errors import UsageProblem
from admin.files import read_file, write_new
from eventstore import KEY_FILE_BYTES_MAX, KeyRefused, PrivateKey, PublicKey

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
    if public.exists():
        raise UsageProblem(f"{public} is there already; name another file")
    write_new(path, key.pem, 0o600)
    write_new(public, key.public.pem, 0o644)
    return key.public


def _key(path: Path, from_pem: Callable[[bytes], _Key], *, secret: bool) -> _Key:
    pem = read_file(path, "key file", KEY_FILE_BYTES_MAX, secret=secret)
    try:
        return from_pem(pem)
    except KeyRefused as error:
        raise UsageProblem(f"the key file {path} cannot be used: {error}") from None
