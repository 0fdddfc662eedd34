"""Callbacks and hook commands (S17): in order, each with a deadline."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.service import Callback, Counts, Hook, Worker
from tests.support.waiting import wait_until

LIMIT_S = 20.0


@pytest.fixture
def worker() -> Iterator[Worker]:
    found = Worker("under test", queue_count_max=2)
    found.start()
    yield found
    found.stop(LIMIT_S)


def hook(code: str) -> Hook:
    return Hook([sys.executable, "-c", code])


def test_a_callback_is_called_and_waited_for() -> None:
    counts = Counts()
    called: list[int] = []
    Callback("c", called.append).run((5,), LIMIT_S, counts)
    assert called == [5]
    assert counts == Counts()


def test_a_callback_that_fails_is_counted() -> None:
    counts = Counts()
    Callback("c", lambda: 1 / 0).run((), LIMIT_S, counts)
    assert counts == Counts(failed=1)


def test_a_late_callback_is_left_behind_and_not_called_again_while_it_runs() -> None:
    counts, release, called = Counts(), threading.Event(), threading.Semaphore(0)

    def slow() -> None:
        called.release()
        release.wait(LIMIT_S)

    callback = Callback("slow", slow)
    callback.run((), 0.01, counts)
    assert counts == Counts(timed_out=1)
    callback.run((), 0.01, counts)
    assert counts == Counts(timed_out=1, dropped=1)
    release.set()
    running = callback._running
    assert running is not None
    running.join(LIMIT_S)
    callback.run((), LIMIT_S, counts)
    assert counts == Counts(timed_out=1, dropped=1)
    assert called.acquire(blocking=False)
    assert called.acquire(blocking=False)
    assert not called.acquire(blocking=False)


def test_a_hook_gets_its_variables(tmp_path: Path) -> None:
    counts, place = Counts(), tmp_path / "told"
    told = (
        f"import os, pathlib; pathlib.Path({str(place)!r}).write_text(os.environ['X'])"
    )
    hook(told).run({"X": "active"}, LIMIT_S, counts)
    assert place.read_text() == "active"
    assert counts == Counts()


def test_a_hook_that_fails_is_counted_with_what_it_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    counts = Counts()
    code = "import sys; print('x' * 5000); print('no such device'); sys.exit(3)"
    hook(code).run({}, LIMIT_S, counts)
    assert counts == Counts(failed=1)
    (record,) = caplog.records
    assert "ended with 3" in record.getMessage()
    assert record.getMessage().endswith("no such device")
    assert len(record.getMessage()) < 2200


def test_a_hook_that_cannot_be_run_is_counted(tmp_path: Path) -> None:
    counts = Counts()
    Hook([str(tmp_path / "missing")]).run({}, LIMIT_S, counts)
    assert counts == Counts(failed=1)


def test_a_late_hook_is_killed_with_its_children(tmp_path: Path) -> None:
    counts, place = Counts(), tmp_path / "pid"
    code = (
        "import subprocess, sys, pathlib, os;"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
        f"half = pathlib.Path({str(place)!r} + '.half');"
        "half.write_text(str(child.pid));"
        f"half.rename({str(place)!r});"
        "child.wait()"
    )
    hook(code).run({}, 2.0, counts)
    assert counts == Counts(timed_out=1)
    if place.exists():  # Else it was killed before it had a child.
        stat = Path("/proc") / place.read_text() / "stat"
        wait_until(
            lambda: not stat.exists() or stat.read_text().split()[2] == "Z",
            LIMIT_S,
            "the child of a hook to be killed",
        )


def test_a_child_in_the_background_does_not_hold_a_hook_up() -> None:
    counts = Counts()
    code = (
        "import subprocess, sys;"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(2)'])"
    )
    hook(code).run({}, LIMIT_S, counts)
    assert counts == Counts()


def test_jobs_are_done_in_order(worker: Worker) -> None:
    done: list[int] = []
    finished = threading.Event()
    worker.submit(lambda: done.append(1))
    worker.submit(finished.set)
    assert finished.wait(LIMIT_S)
    assert done == [1]


def test_a_job_that_fails_does_not_end_the_worker(worker: Worker) -> None:
    finished = threading.Event()
    worker.submit(lambda: 1 / 0)
    worker.submit(finished.set)
    assert finished.wait(LIMIT_S)


def test_a_full_queue_refuses_and_never_waits(worker: Worker) -> None:
    begun, release = threading.Event(), threading.Event()

    def block() -> None:
        begun.set()
        release.wait(LIMIT_S)

    worker.submit(block)
    assert begun.wait(LIMIT_S)
    assert [worker.submit(begun.set) for _ in range(3)] == [True, True, False]
    release.set()


def test_what_is_queued_is_done_before_the_end() -> None:
    worker = Worker("under test")
    done: list[int] = []
    worker.submit(lambda: done.append(1))
    worker.start()
    worker.stop(LIMIT_S)
    assert done == [1]
