"""Searches for bytes that a parser answers with something it should not.

    python -m tests.fuzz [TARGET…] [--seconds 60] [--fallback]

Each target gets a process of its own with a limit for memory and for the time of one input.
What reached new code is kept in `.fuzz/corpus`, so the next run goes on from there. A finding
is written to `.fuzz/found`; mend the product, then put the file into `tests/fuzz/regressions`.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import attrs

from tests.fuzz.targets import INPUT_LIMIT_S, REGRESSIONS, TARGETS, TOP, Target
from tests.support.commands import at_least_one, exit_code

WORK = TOP / ".fuzz"
MEMORY_LIMIT_MB = 2048
GRACE_S = 60
"""A search that does not end so long after its time is one that hangs."""

_EXECUTED = re.compile(r"stat::number_of_executed_units:\s*(\d+)")
_COVERED = re.compile(r"cov: (\d+)")


@attrs.frozen
class Search:
    """How the search in one target ended."""

    name: str
    summary: str
    findings: list[Path]
    output: str


def main() -> int:
    options = _options()
    unguided = options.fallback or importlib.util.find_spec("atheris") is None
    engine = "hypothesis, blind to coverage" if unguided else "atheris"
    print(f"engine: {engine}; {options.seconds} s for each target", flush=True)
    failed = False
    for name in options.targets or TARGETS:
        search = (_unguided if unguided else _guided)(TARGETS[name], options.seconds)
        print(f"{search.name:<11} {search.summary}", flush=True)
        for path in search.findings:
            print(search.output)
            print(f"FOUND {path}: mend it, then keep it in {REGRESSIONS / name}")
            failed = True
    return 1 if failed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument(
        "--seconds", type=at_least_one, default=60, help="for each target (60)"
    )
    parser.add_argument(
        "--fallback", action="store_true", help="hypothesis even if atheris is there"
    )
    options = parser.parse_args()
    for name in options.targets:
        if name not in TARGETS:
            parser.error(f"there is no target {name!r}; there are {', '.join(TARGETS)}")
    return options


def _guided(target: Target, seconds: int) -> Search:
    corpus, found = _folders(target)
    code, output = _run(
        "guided", target.name, str(corpus),
        f"-max_total_time={seconds}",
        f"-max_len={target.bytes_max}",
        f"-timeout={INPUT_LIMIT_S}",
        f"-rss_limit_mb={MEMORY_LIMIT_MB}",
        f"-artifact_prefix={found}/",
        "-print_final_stats=1",
        limit_s=seconds + GRACE_S,
    )  # fmt: skip
    executed = _EXECUTED.findall(output)
    covered = _COVERED.findall(output)
    if code == 0:
        assert executed, f"atheris tried nothing:\n{output}"
    summary = f"{executed[-1] if executed else '?'} inputs, "
    summary += f"{covered[-1] if covered else '?'} branches reached"
    return Search(target.name, summary, _findings(found, code, output), output)


def _unguided(target: Target, seconds: int) -> Search:
    corpus, found = _folders(target)
    code, output = _run(
        "unguided", target.name, str(corpus), str(seconds), str(found),
        limit_s=seconds + GRACE_S,
    )  # fmt: skip
    summary = output.splitlines()[-1] if output else "no output"
    return Search(target.name, summary, _findings(found, code, output), output)


def _folders(target: Target) -> tuple[Path, Path]:
    """The corpus, with all seeds in it, and an empty folder for findings."""
    corpus, found = WORK / "corpus" / target.name, WORK / "found" / target.name
    for folder in (corpus, found):
        folder.mkdir(parents=True, exist_ok=True)
    for old in found.iterdir():
        old.unlink()
    for data in (*target.seeds(), *target.regressions()):
        (corpus / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
    return corpus, found


def _findings(found: Path, code: int, output: str) -> list[Path]:
    findings = sorted(found.iterdir())
    if code and not findings:
        raise RuntimeError(f"the search ended with {code} and no finding:\n{output}")
    return findings


def _run(module: str, *arguments: str, limit_s: float) -> tuple[int, str]:
    # libFuzzer ends the process without cleaning up: what is temporary is removed here.
    with tempfile.TemporaryDirectory(prefix="netphone-fuzz-") as scratch:
        done = subprocess.run(
            [sys.executable, "-m", f"tests.fuzz.{module}", *arguments],
            cwd=TOP, timeout=limit_s, check=False, env={**os.environ, "TMPDIR": scratch},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
    return done.returncode, done.stdout.decode(errors="replace")


if __name__ == "__main__":
    sys.exit(exit_code(main))
