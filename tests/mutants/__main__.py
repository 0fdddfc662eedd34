"""Breaks the code on purpose, one mutant at a time, and sees whether the tests notice.

    python -m tests.mutants [--jobs N] [--only NAME]… [--quick]

Each mutant gets a copy of the tree of its own; the tree itself is never touched. Of the copy
the tests run in stages, those most likely to notice first, each up to its first failure. A
catch counts when the same test fails again, alone, and passes without the mutant, so a
stumbling machine catches nothing. A run that does not end within its limit is a catch too,
called a hang, and not waited for again.

Two tests are left out because they would notice any change of text and no broken rule:
that of this table, and that of the page that is generated from the state machine.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import attrs
import psutil

from tests.mutants.mutant import Mutant
from tests.mutants.table import MUTANTS
from tests.support.commands import at_least_one, exit_code

ROOT = Path(__file__).parents[2]

QUICK = ("tests/unit", "tests/properties", "tests/contracts", "tests/simulation")
CLOSE = {
    "eventstore": ("tests/contracts/test_*.py",),
    "node": ("tests/unit/test_core*.py", "tests/unit/test_supervision*.py"),
}
"""By package: where its rules are tested, mostly."""
LEFT_OUT = (
    "--ignore=tests/unit/test_mutants.py",
    "--deselect=tests/unit/test_supervision_table.py::test_the_page_is_not_stale",
)
NOT_COPIED = shutil.ignore_patterns(
    ".git",
    ".venv",
    ".fuzz",
    "__pycache__",
    ".*_cache",
    ".hypothesis",
    "*.egg-info",
    "build",
)
LIMIT_FACTOR = 5
"""A run may take so many times what it takes unbroken: two run at a time, and machines are
shared.
"""
LIMIT_S_MIN = 120.0
REST_LIMIT_S = 3600.0
TRY_COUNT = 3
"""A stage that ended with a failure that does not come again is run again."""
NO_SUCH_TEST, NOTHING_COLLECTED = 4, 5  # Exit codes of pytest.

_FAILED = re.compile(r"^(?:FAILED|ERROR) (tests/.+?)(?: - .*)?$", re.MULTILINE)
_LAST = re.compile(r"^(tests/\S+::.*?)(?: (?:PASSED|FAILED|SKIPPED).*)?$", re.MULTILINE)


@attrs.frozen
class Run:
    """How one run of the tests ended."""

    passed: bool
    test: str
    """The first that failed, or was running when time was up."""
    hung: bool
    seconds: float
    output: str


@attrs.frozen
class Verdict:
    """What became of a mutant."""

    mutant: Mutant
    caught_by: Run | None
    """None: it survived."""
    seconds: float


def main() -> int:
    options = _options()
    chosen = [m for m in MUTANTS if not options.only or m.name in options.only]
    with tempfile.TemporaryDirectory(prefix="netphone-mutants-") as directory:
        unbroken = Path(directory) / "unbroken"
        shutil.copytree(ROOT, unbroken, ignore=NOT_COPIED)
        _check_import(unbroken)
        baseline = _baseline(unbroken)
        if not baseline.passed:
            print(baseline.output[-3000:])
            sys.exit(
                f"the tests fail without any mutant ({baseline.test}): mend that first"
            )
        print(f"the quick tests pass without a mutant, in {baseline.seconds:.0f} s")
        limit_s = max(LIMIT_S_MIN, LIMIT_FACTOR * baseline.seconds)
        laboratory = Laboratory(Path(directory), unbroken, limit_s, quick=options.quick)
        survivors = _try_all(laboratory, chosen, options.jobs)
    print(
        f"{len(chosen)} mutants: {len(chosen) - len(survivors)} caught, "
        f"{len(survivors)} survived"
    )
    return 1 if survivors else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants")
    parser.add_argument(
        "--jobs", type=at_least_one, default=2, help="how many run at once"
    )
    parser.add_argument("--only", action="append", default=[], metavar="NAME")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="leave out the tests with whole nodes; what they alone would notice survives",
    )
    options = parser.parse_args()
    unknown = set(options.only) - {mutant.name for mutant in MUTANTS}
    if unknown:
        parser.error(
            f"--only: there is no mutant {min(unknown)!r}; see tests/mutants/table.py"
        )
    return options


def _baseline(tree: Path) -> Run:
    run = run_tests(tree, QUICK, REST_LIMIT_S)
    for _ in range(TRY_COUNT - 1):
        if run.passed or not (
            run.test and run_tests(tree, [run.test], REST_LIMIT_S).passed
        ):
            break  # Else it was the machine that stumbled.
        run = run_tests(tree, QUICK, REST_LIMIT_S)
    return run


def _try_all(
    laboratory: Laboratory, chosen: Sequence[Mutant], jobs: int
) -> list[Mutant]:
    survivors = []
    with ThreadPoolExecutor(jobs) as pool:
        tried = [pool.submit(laboratory.try_out, mutant) for mutant in chosen]
        try:
            for future in as_completed(tried):
                verdict = future.result()
                print(_line(verdict), flush=True)
                if verdict.caught_by is None:
                    survivors.append(verdict.mutant)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for one in _descendants(os.getpid())[1:]:
                one.kill()  # Else their threads would be waited for.
            raise
    return survivors


def _line(verdict: Verdict) -> str:
    mutant, run = verdict.mutant, verdict.caught_by
    if run is None:
        return f"SURVIVED {mutant.name} ({mutant.file}): {mutant.breaks}"
    how = "by a hang in" if run.hung else "by"
    return f"caught   {mutant.name} in {verdict.seconds:.1f} s {how} {run.test}"


class Laboratory:
    """Where mutants are tried, each in a directory of its own. Thread-safe."""

    def __init__(
        self, directory: Path, unbroken: Path, limit_s: float, *, quick: bool
    ) -> None:
        self._directory = directory
        self._quick = quick
        self._unbroken = unbroken
        self._limit_s = limit_s

    def try_out(self, mutant: Mutant) -> Verdict:
        tree = self._directory / mutant.name
        # Not of the tree itself, which may be worked on meanwhile; with its bytecode.
        shutil.copytree(self._unbroken, tree)
        mutant.apply(tree)
        began_s = monotonic()
        try:
            for tests, limit_s in self._stages(tree, mutant):
                for _ in range(TRY_COUNT):
                    run = run_tests(tree, tests, limit_s)
                    caught_s = monotonic() - began_s
                    if run.passed:
                        break
                    if run.hung or self._is_confirmed(tree, run):
                        return Verdict(mutant, run, caught_s)
            return Verdict(mutant, None, monotonic() - began_s)
        finally:
            shutil.rmtree(tree, ignore_errors=True)

    def _stages(
        self, tree: Path, mutant: Mutant
    ) -> Iterator[tuple[Sequence[str], float]]:
        """The tests named after the module, those close to it, all quick ones, the rest."""
        package, stem = Path(mutant.file).parent.name, Path(mutant.file).stem
        named = {
            path for folder in QUICK for path in tree.glob(f"{folder}/test_{stem}*.py")
        }
        close = {path for pattern in CLOSE[package] for path in tree.glob(pattern)}
        for paths in (named, close - named):
            if paths:
                yield (
                    sorted(str(path.relative_to(tree)) for path in paths),
                    self._limit_s,
                )
        yield QUICK, self._limit_s
        if not self._quick:
            rest = [f"--ignore={folder}" for folder in QUICK]
            yield ["tests", *rest], REST_LIMIT_S

    def _is_confirmed(self, tree: Path, run: Run) -> bool:
        """Whether the mutant, and nothing else, makes the test fail."""
        if not run.test:
            raise RuntimeError(
                f"pytest came to nothing in {tree}:\n{run.output[-3000:]}"
            )
        if run_tests(tree, [run.test], self._limit_s).passed:
            return False
        if run.test.startswith(QUICK):
            return True  # Without a mutant these have all passed, at the beginning.
        return run_tests(self._unbroken, [run.test], self._limit_s).passed


def _check_import(tree: Path) -> None:
    """That a run in `tree` imports the code there, not an installed one."""
    code = "import eventstore, node, admin; print(eventstore.__file__, node.__file__)"
    found = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tree, env=_environment(tree), capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert found.count(str(tree)) == 2, f"it would test {found} instead of {tree}"


def _environment(tree: Path) -> dict[str, str]:
    # What killed tests leave is beside the tree, and goes with it.
    scratch = tree.parent / "scratch"
    scratch.mkdir(exist_ok=True)
    return {**os.environ, "PYTHONPATH": str(tree), "TMPDIR": str(scratch)}


def run_tests(tree: Path, tests: Sequence[str], limit_s: float) -> Run:
    """Run `tests` of `tree`, up to the first that fails."""
    command = [
        sys.executable, "-m", "pytest", "-x", "-v", "--tb=short", "--color=no",
        "-p", "no:cacheprovider", *LEFT_OUT, *tests,
    ]  # fmt: skip
    began_s = monotonic()
    with (
        tempfile.TemporaryFile("w+", errors="replace") as output,
        _started(command, tree, output.fileno()) as process,
    ):
        try:
            code = process.wait(limit_s)
            hung = False
        except subprocess.TimeoutExpired:
            code, hung = -1, True
        output.seek(0)
        text = output.read()
    seconds = monotonic() - began_s
    names = (_LAST if hung else _FAILED).findall(text)
    name = names[-1 if hung else 0].strip() if names else ""
    assert code not in (NO_SUCH_TEST, NOTHING_COLLECTED), f"no test in {tests}:\n{text}"
    return Run(code == 0, name, hung, seconds, text)


@contextmanager
def _started(
    command: Sequence[str], tree: Path, output: int
) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        command, cwd=tree, env=_environment(tree), stdout=output, stderr=output
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            for one in _descendants(process.pid):
                one.kill()
        process.wait()


def _descendants(pid: int) -> list[psutil.Process]:
    try:
        top = psutil.Process(pid)
        return [top, *top.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


if __name__ == "__main__":
    sys.exit(exit_code(main))
