"""Reads a pair's history straight from a Redis, when no node is up. A read-only user suffices."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from admin.errors import DataUnverified, Unreachable, UsageProblem
from admin.files import read_secret
from eventstore import (
    DamagedEvent,
    Origin,
    Source,
    StoreUnavailable,
    Streams,
    UnsuitableStore,
    connect,
    display_url,
)

MASTER, STANDBY = Origin("master"), Origin("standby")
ORIGINS = MASTER, STANDBY
"""The streams of a pair. The master's changes prevail."""

REPLY_LIMIT_S = 30.0
PASSWORD_BYTES_MAX = 4096
_SCHEMES = ("redis://", "rediss://", "unix://")


def event_count(source: Source) -> int:
    """How many events both streams have: ids count them without gaps."""
    found = (source.last(origin) for origin in ORIGINS)
    return sum(last[0].n for last in found if last is not None)


@contextmanager
def opened(
    url: str,
    pair: str,
    password_file: Path | None = None,
    *,
    may_be_empty: bool = False,
) -> Iterator[Streams]:
    """The streams of `pair` in the Redis at `url`, to be read; closed at the end.

    Raises:
        UsageProblem: `url` names no Redis, carries a password, the file cannot be used, or
            there is no event of `pair`, unless it `may_be_empty`.
        Unreachable: Redis does not answer, or does not let us in.
        DataUnverified: what it holds are no events.
    """
    with as_told_to_operators():
        streams = _streams(url, pair, password_file)
        with contextlib.closing(streams):
            streams.ping()
            if not may_be_empty:
                refuse_empty([streams])
            yield streams


def refuse_empty(copies: Sequence[Streams]) -> None:
    """Let nobody take a wrong name of a pair for a history in which nothing happened.

    Raises:
        UsageProblem: no copy has an event.
    """
    if any(streams.last(origin) for streams in copies for origin in ORIGINS):
        return
    raise UsageProblem(
        f"there are no events of pair {copies[0].pair!r} in the Redis that is named; check "
        "--pair, and the number of the database in the URL"
    )


def _streams(url: str, pair: str, password_file: Path | None) -> Streams:
    if not url.startswith(_SCHEMES):
        raise UsageProblem(
            f"--redis is {display_url(url)!r}; give a URL such as redis://10.0.0.1:6379/0"
        )
    if "@" in url and ":" in url.split("://", 1)[1].split("@", 1)[0]:
        raise UsageProblem(
            "--redis carries a password, which every user of this machine can see; put it "
            "into a file and name that with --redis-password-file"
        )
    password = None if password_file is None else _password(password_file)
    try:
        client = connect(url, password=password, timeout_s=REPLY_LIMIT_S)
    except ValueError as error:
        raise UsageProblem(f"--redis is {display_url(url)!r}: {error}") from None
    return Streams(client, pair, name=f"Redis at {display_url(url)}")


@contextmanager
def as_told_to_operators() -> Iterator[None]:
    """Let what a walk through a history raises end the command with its exit code."""
    try:
        yield
    except (StoreUnavailable, UnsuitableStore) as error:
        raise Unreachable(str(error)) from error
    except DamagedEvent as error:
        raise DataUnverified(str(error)) from error


def _password(path: Path) -> str:
    data = read_secret(path, "password file", PASSWORD_BYTES_MAX + 1)
    try:
        text = data.decode().removesuffix("\n")
    except UnicodeDecodeError:
        raise UsageProblem(f"the password file {path} is not UTF-8") from None
    if not text or len(data) > PASSWORD_BYTES_MAX:
        raise UsageProblem(
            f"the password file {path} is empty or over {PASSWORD_BYTES_MAX} bytes"
        )
    return text
