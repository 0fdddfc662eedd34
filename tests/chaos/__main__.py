"""`python -m tests.chaos`: run faults against a pair for some minutes, and judge."""

from __future__ import annotations

import argparse
import os
import secrets
import sys
from pathlib import Path
from random import Random

from node.embedded_redis import RedisMissing, redis_server_program
from tests.chaos import machines
from tests.chaos.faults import FAULTS
from tests.chaos.run import Plan, run
from tests.support.commands import exit_code, whole_number

MINUTES_DEFAULT = 10.0
PER_SECOND_DEFAULT = 50.0
LIMIT = 1440
"""Of minutes, and of changes in a second."""
USAGE_ERROR = 2


def main(arguments: list[str]) -> int:
    """Run, and return the exit code: 0 only if everything is as it must be."""
    asked = _parser().parse_args(arguments)
    complaint = _not_writable(asked.directory, asked.markdown)
    if complaint:
        print(complaint, file=sys.stderr)
        return USAGE_ERROR
    names = [name for part in asked.only for name in part.split(",") if name]
    unknown = [name for name in names if name not in FAULTS]
    if unknown:
        print(
            f"--only: there is no fault {unknown[0]!r}; there are {', '.join(FAULTS)}",
            file=sys.stderr,
        )
        return USAGE_ERROR
    try:
        redis_server_program()
    except RedisMissing as error:
        print(error, file=sys.stderr)
        return USAGE_ERROR
    why_not = "--proxies was given" if asked.proxies else machines.hindrance()
    seed = secrets.randbelow(2**32) if asked.seed is None else asked.seed
    if why_not is None and machines.INSIDE not in os.environ:
        machines.enter_private_namespaces(
            (sys.executable, "-m", "tests.chaos", *arguments, "--seed", str(seed))
        )
    return run(
        Plan(
            seconds=asked.minutes * 60,
            seed=seed,
            names=tuple(names),
            per_second=asked.per_second,
            no_namespaces_because=why_not,
            directory=asked.directory,
            markdown=asked.markdown,
            command=f"python -m tests.chaos {' '.join(arguments)}".strip(),
        ),
        Random(seed),
    )


def _not_writable(directory: Path | None, markdown: Path | None) -> str | None:
    """Found out now, and not after minutes of faults."""
    try:
        if directory is not None:
            directory.mkdir(parents=True, exist_ok=True)
        if markdown is not None:
            markdown.touch()
    except OSError as error:
        return f"{error.filename} cannot be written: {error.strerror}"
    return None


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number <= LIMIT:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a number above 0, up to {LIMIT}"
        )
    return number


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos",
        description="Break a real pair at random while both sides are written to.",
    )
    add = parser.add_argument
    add("--minutes", type=_positive, default=MINUTES_DEFAULT, metavar="N",
        help="how long faults are made; the last check comes on top (10)")  # fmt: skip
    add("--seed", type=whole_number, help="same faults, in the same order (by chance)")
    add("--only", action="append", default=[], metavar="FAULT,…",
        help="only these")  # fmt: skip
    add("--per-second", type=_positive, default=PER_SECOND_DEFAULT, metavar="N",
        help="changes in a second, on both sides together (50)")  # fmt: skip
    add("--proxies", action="store_true",
        help="TCP proxies, also where there could be network namespaces")  # fmt: skip
    add("--directory", type=Path, metavar="D",
        help="where logs and data stay (else they go when all was well)")  # fmt: skip
    add("--markdown", type=Path, metavar="FILE", help="also write the tables there")
    return parser


if __name__ == "__main__":
    sys.exit(exit_code(lambda: main(sys.argv[1:])))
