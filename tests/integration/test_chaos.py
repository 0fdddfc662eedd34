"""`make chaos` in small: it runs, judges, ends when told to, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.support.redis_servers import require_redis
from tests.support.waiting import wait_until

pytestmark = pytest.mark.redis

RUN_LIMIT_S = 180.0
BEGUN_LIMIT_S = 60.0


def started(temporary: Path, *arguments: str) -> subprocess.Popen[str]:
    require_redis()
    return subprocess.Popen(
        [sys.executable, "-m", "tests.chaos", "--seed", "1", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1", "TMPDIR": str(temporary)},
    )  # fmt: skip


def processes_of(directory: Path) -> list[psutil.Process]:
    """Those that work in the directory or name it on their command lines."""
    found = []
    for process in psutil.process_iter(["cmdline", "cwd"]):
        words = [*(process.info["cmdline"] or ()), process.info["cwd"] or ""]
        if process.pid != os.getpid() and any(str(directory) in word for word in words):
            found.append(process)
    return found


def test_a_short_run_loses_nothing_and_writes_its_table(tmp_path: Path) -> None:
    table = tmp_path / "table.md"
    faults = "switch,active-killed,redis-path-cut"
    with started(
        tmp_path,
        *("--proxies", "--directory", str(tmp_path / "run")),
        *("--minutes", "0.4", "--only", faults, "--markdown", str(table)),
    ) as process:
        told, _ = process.communicate(timeout=RUN_LIMIT_S)
    assert process.returncode == 0, told
    assert "all is well" in told
    assert "| of these lost (must be 0) | 0 |" in table.read_text()
    assert "| active killed | 1 | 1 |" in table.read_text()
    assert processes_of(tmp_path) == []


@pytest.mark.parametrize("how", [["--proxies"], []], ids=["proxies", "as it can"])
def test_ctrl_c_ends_a_run_at_once_and_leaves_nothing_behind(
    tmp_path: Path, how: list[str]
) -> None:
    with started(tmp_path, "--only", "cut", *how) as process:
        assert process.stdout is not None
        begun = next(line for line in process.stdout if "the network is cut" in line)
        assert processes_of(tmp_path), begun
        process.send_signal(signal.SIGINT)
        told, _ = process.communicate(timeout=BEGUN_LIMIT_S)
    assert process.returncode == 130, told
    assert "interrupted" in told
    wait_until(lambda: not processes_of(tmp_path), 5.0, "all processes to be gone")
    assert list(tmp_path.iterdir()) == []
