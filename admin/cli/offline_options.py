"""The options by which a command reads straight from a Redis instead of asking a node."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated

import typer

from admin.errors import UsageProblem
from admin.offline import opened
from eventstore import Streams

RedisUrl = Annotated[
    str | None,
    typer.Option(
        "--redis", metavar="URL", help="Read from this Redis; no node is asked."
    ),
]
PairName = Annotated[
    str | None,
    typer.Option("--pair", metavar="NAME", help="The pair's name, with --redis."),
]
PasswordFile = Annotated[
    Path | None,
    typer.Option(
        "--redis-password-file", metavar="FILE", help="Its password, with --redis."
    ),
]


def offline(
    redis: str | None,
    pair: str | None,
    password_file: Path | None,
    *,
    may_be_empty: bool = False,
) -> AbstractContextManager[Streams] | None:
    """The streams that these options name, to be entered; None: a node is to be asked.

    Raises:
        UsageProblem: one of them is given without another that it needs. On entering, that
            there is no event of the pair, unless it `may_be_empty`.
    """
    if redis is None:
        if pair is not None or password_file is not None:
            raise UsageProblem("--pair and --redis-password-file go with --redis URL")
        return None
    if not pair:
        raise UsageProblem("--redis needs --pair NAME: the pair whose events are read")
    return opened(redis, pair, password_file, may_be_empty=may_be_empty)
