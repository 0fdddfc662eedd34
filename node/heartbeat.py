"""The APScheduler job that posts one tick per interval, and does nothing else.

The scheduler goes by the wall clock: it falls silent when that is set back, and would
make up for every missed run when it leaps ahead (pitfalls A1, A2). So the trigger knows
only the next run, and the loop that takes the ticks has a monotonic deadline of its own; when
that had to help, it calls `realign`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger

_JOB = "heartbeat"
_EXECUTOR = "netphone"
_LOGGERS = ("apscheduler.scheduler.netphone", f"apscheduler.executors.{_EXECUTOR}")
"""Of this scheduler alone; one that the embedding program has logs as it did."""


class _EachInterval(BaseTrigger):  # type: ignore[misc]
    """Runs an interval after the last run was due, or after now: never twice at once."""

    def __init__(self, interval_s: float) -> None:
        self._interval = timedelta(seconds=interval_s)

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime:
        if previous is None:
            return now
        following: datetime = previous + self._interval
        on_time = now < following <= now + self._interval
        return following if on_time else now + self._interval


class HeartbeatJob:
    """Posts a tick every `interval_s`, from a thread of the scheduler."""

    def __init__(self, interval_s: float, post_tick: Callable[[], Any]) -> None:
        for name in _LOGGERS:
            _log_no_runs(logging.getLogger(name))
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            daemon=True,
            executors={_EXECUTOR: ThreadPoolExecutor(1)},
            logger=logging.getLogger(_LOGGERS[0]),
        )
        self._scheduler.add_job(
            post_tick,
            _EachInterval(interval_s),
            id=_JOB,
            executor=_EXECUTOR,
            misfire_grace_time=None,
            coalesce=True,
            max_instances=1,
        )

    def start(self) -> None:
        """The first tick comes at once."""
        self._scheduler.start()

    def realign(self) -> None:
        """The wall clock has jumped: let the next run be due now."""
        self._scheduler.modify_job(_JOB, next_run_time=_now())

    def stop(self) -> None:
        """No tick is posted after this; does not wait for a running one (A6)."""
        self._scheduler.shutdown(wait=False)


def _log_no_runs(logger: logging.Logger) -> None:
    """Two lines for each heartbeat would fill the log of a program that logs at INFO."""
    if logger.level == logging.NOTSET:  # Else somebody wants it otherwise.
        logger.setLevel(logging.WARNING)


def _now() -> datetime:
    # The scheduler's own clock, and no decision depends on it.
    return datetime.now(UTC)  # noqa: TID251
