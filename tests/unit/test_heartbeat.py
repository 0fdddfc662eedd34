"""The job that posts ticks: once per interval, whatever the wall clock does."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from node.heartbeat import HeartbeatJob, _EachInterval

LIMIT_S = 20.0
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
TRIGGER = _EachInterval(1.0)


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def test_the_first_run_is_due_at_once() -> None:
    assert TRIGGER.get_next_fire_time(None, NOON) == NOON


def test_the_next_run_is_one_interval_after_the_last_was_due() -> None:
    assert TRIGGER.get_next_fire_time(NOON, after(0.2)) == after(1.0)


def test_a_run_that_is_missed_is_not_made_up_for() -> None:
    assert TRIGGER.get_next_fire_time(NOON, after(1.0)) == after(2.0)
    assert TRIGGER.get_next_fire_time(NOON, after(30 * 86400.0)) == after(
        30 * 86400.0 + 1.0
    )


def test_a_clock_that_is_set_back_delays_no_run_for_long() -> None:
    assert TRIGGER.get_next_fire_time(NOON, after(-3600.0)) == after(-3599.0)


@pytest.fixture
def ticks() -> threading.Semaphore:
    return threading.Semaphore(0)


@pytest.fixture
def job(ticks: threading.Semaphore) -> Iterator[HeartbeatJob]:
    found = HeartbeatJob(0.02, ticks.release)
    found.start()
    yield found
    found.stop()


def test_it_ticks_until_it_is_stopped(
    job: HeartbeatJob, ticks: threading.Semaphore
) -> None:
    for _ in range(3):
        assert ticks.acquire(timeout=LIMIT_S)


def test_it_goes_on_after_it_was_realigned(
    job: HeartbeatJob, ticks: threading.Semaphore
) -> None:
    job.realign()
    for _ in range(3):
        assert ticks.acquire(timeout=LIMIT_S)


def test_at_info_no_line_is_logged_for_its_runs(
    ticks: threading.Semaphore, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        job = HeartbeatJob(0.02, ticks.release)
        job.start()
        for _ in range(3):
            assert ticks.acquire(timeout=LIMIT_S)
        job.stop()
    assert caplog.messages == []


def test_a_job_that_fails_is_logged(
    ticks: threading.Semaphore, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        ticks.release()
        raise ZeroDivisionError

    job = HeartbeatJob(0.02, fail)
    job.start()
    for _ in range(3):  # The first one has been dealt with when the second one runs.
        assert ticks.acquire(timeout=LIMIT_S)
    job.stop()
    assert {record.name for record in caplog.records} == {
        "apscheduler.executors.netphone"
    }


def test_other_schedulers_log_as_they_did() -> None:
    HeartbeatJob(1.0, lambda: None)
    for name in ("apscheduler.scheduler", "apscheduler.executors.default"):
        assert logging.getLogger(name).level == logging.NOTSET
