"""Keys in files: a private one must be closed to others, a public one may be read by all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from admin.errors import UsageProblem
from admin.files import check_closed, read_file, write_new
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
    # The public one first: that a disk is full is then known before there is a secret.
    write_new(public, key.public.pem, 0o644)
    try:
        write_new(path, key.pem, 0o600)
    except UsageProblem:
        public.unlink()
        raise
    return key.public


def _key(path: Path, from_pem: Callable[[bytes], _Key], *, secret: bool) -> _Key:
    pem, mode = read_file(path, "key file", KEY_FILE_BYTES_MAX)
    try:
        key = from_pem(pem)
    except KeyRefused as error:
        raise UsageProblem(f"the key file {path} cannot be used: {error}") from None
    # After the key: who gave the public one by mistake must not be told to guard it.
    if secret:
        check_closed(path, "key file", mode)
    return key
