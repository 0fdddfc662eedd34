"""The programs behind `make explore`, `simulate`, `chaos`, `mutants` and `fuzz`: wrong
arguments and Ctrl-C end in one clear line.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.mutants.__main__ import run_tests
from tests.support.waiting import wait_until

LIMIT_S = 60.0
USAGE, INTERRUPTED = 2, 130


def started(temporary: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(temporary)},
        start_new_session=True,
    )


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ("simulation --seeds abc", "argument --seeds: 'abc' is not a whole number"),
        ("simulation --seeds -1", "argument --seeds: '-1' is not a whole number from"),
        ("simulation --seed x", "argument --seed: 'x' is not a whole number"),
        ("simulation --jobs 0", "argument --jobs: '0' is not a whole number from 1"),
        ("chaos --minutes -1", "argument --minutes: '-1' is not a number above 0, up"),
        ("chaos --minutes nan", "argument --minutes: 'nan' is not a number above 0"),
        ("chaos --minutes x", "argument --minutes: 'x' is not a number above 0, up to"),
        ("chaos --seed x", "argument --seed: 'x' is not a whole number"),
        ("chaos --only nonsense", "--only: there is no fault 'nonsense'; there are"),
        ("chaos --markdown /proc/no/file", "/proc/no/file cannot be written: No such"),
        ("chaos --directory /proc/no", "/proc/no cannot be written: No such file"),
        ("mutants --only nonsense", "--only: there is no mutant 'nonsense'; see"),
        ("mutants --jobs 0", "argument --jobs: '0' is not a whole number from 1"),
        ("fuzz --seconds 0", "argument --seconds: '0' is not a whole number from 1"),
        ("fuzz nonsense", "there is no target 'nonsense'; there are frames,"),
        ("exploration --only nonsense", "argument --only: invalid choice: 'nonsense'"),
        ("exploration --small --only calm --states 0", "argument --states: '0' is not"),
        ("exploration --processes 0", "argument --processes: '0' is not a whole"),
    ],
)
def test_a_wrong_argument_is_one_line(
    tmp_path: Path, arguments: str, complaint: str
) -> None:
    with started(tmp_path, *f"tests.{arguments}".split()) as process:
        told, complained = process.communicate(timeout=LIMIT_S)
    assert process.returncode == USAGE, complained
    assert complaint in complained.splitlines()[-1]
    assert "Traceback" not in complained
    assert told == ""


def lives(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize(
    ("arguments", "worker_count"),
    [
        ("simulation --seeds 100000 --jobs 2", 2),
        ("exploration --processes 2", 2),
        ("mutants", 1),
        ("fuzz --fallback --seconds 600", 1),
    ],
)
def test_ctrl_c_ends_it_at_once_and_leaves_nothing_behind(
    tmp_path: Path, arguments: str, worker_count: int
) -> None:
    with started(tmp_path, *f"tests.{arguments}".split()) as process:
        above = psutil.Process(process.pid)

        def workers() -> list[psutil.Process]:
            children = above.children()
            busy = [child for child in children if child.cpu_times().user > 0.5]
            return children if len(busy) >= worker_count else []

        children = wait_until(workers, LIMIT_S, "it to be at work")
        os.killpg(process.pid, signal.SIGINT)
        _, complained = process.communicate(timeout=LIMIT_S)
    assert process.returncode == INTERRUPTED, complained
    assert complained == "interrupted\n"
    wait_until(lambda: not any(map(lives, children)), 5.0, "its processes to be gone")
    assert list(tmp_path.iterdir()) == []


def test_what_killed_tests_of_a_mutant_leave_is_beside_its_tree(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "test_it.py").write_text(
        "import os, tempfile\n\n"
        "def test_it():\n    tempfile.mkdtemp(prefix='left-')\n    os._exit(9)\n"
    )
    run = run_tests(tree, ["test_it.py"], LIMIT_S)
    assert not run.passed
    assert [path.parent for path in tmp_path.rglob("left-*")] == [tmp_path / "scratch"]
