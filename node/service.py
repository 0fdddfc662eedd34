"""Callbacks and hook commands, in order, each with a deadline.

Nothing here runs in the decision loop: one thread takes what happened from a bounded queue.
A callback that is late is left behind in its own thread, counted, and not called again while
it still runs; a hook command that is late is killed.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import attrs

from node.commands import run_command

_log = logging.getLogger("netphone.service")

QUEUE_COUNT_MAX = 10_000


@attrs.define
class Counts:
    """What went wrong with callbacks and hooks since the start."""

    failed: int = 0
    timed_out: int = 0
    dropped: int = 0
    """Not called at all: the queue was full, or the callback still ran."""


class Callback:
    """A function of the host's, called in a thread of its own."""

    def __init__(self, name: str, function: Callable[..., object]) -> None:
        self.name = name
        self._function = function
        self._running: threading.Thread | None = None

    def run(
        self, arguments: tuple[object, ...], limit_s: float, counts: Counts
    ) -> None:
        """Call it, and wait for its end at most `limit_s`."""
        if self._running is not None and self._running.is_alive():
            counts.dropped += 1
            _log.error("callback %s still runs; not called again", self.name)
            return
        self._running = threading.Thread(
            target=self._call,
            args=(arguments, counts),
            name=f"callback {self.name}",
            daemon=True,
        )
        self._running.start()
        self._running.join(limit_s)
        if self._running.is_alive():
            counts.timed_out += 1
            _log.error("callback %s is not done after %.1f s", self.name, limit_s)

    def _call(self, arguments: tuple[object, ...], counts: Counts) -> None:
        try:
            self._function(*arguments)
        except Exception:  # noqa: BLE001 whatever the host's code raises is its own
            counts.failed += 1
            _log.exception("callback %s failed", self.name)


class Hook:
    """A command of the operator's."""

    def __init__(self, command: Sequence[str]) -> None:
        self.name = command[0]
        self._command = list(command)

    def run(self, variables: Mapping[str, str], limit_s: float, counts: Counts) -> None:
        """Run it, and kill it with its children after `limit_s`."""
        try:
            ended = run_command(self._command, variables, limit_s)
        except OSError as error:
            counts.failed += 1
            _log.error("hook %s cannot be run: %s", self.name, error)
            return
        if ended.code is None:
            counts.timed_out += 1
            _log.error("hook %s was killed after %.1f s", self.name, limit_s)
        elif ended.code != 0:
            counts.failed += 1
            _log.error("hook %s ended with %d: %s", self.name, ended.code, ended.output)


class Jobs(Protocol):
    """Does jobs in order, elsewhere. A simulation does them on its own clock."""

    def start(self) -> None: ...
    def submit(self, job: Callable[[], object]) -> bool: ...
    def stop(self, limit_s: float) -> None: ...


NewJobs = Callable[[str], Jobs]
"""Makes them, by name."""


class Worker:
    """One thread that does jobs in order, from a bounded queue."""

    def __init__(self, name: str, queue_count_max: int = QUEUE_COUNT_MAX) -> None:
        self._jobs: queue.Queue[Callable[[], object] | None] = queue.Queue(
            queue_count_max
        )
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def submit(self, job: Callable[[], object]) -> bool:
        """Queue `job`; False when the queue is full. Never waits."""
        try:
            self._jobs.put_nowait(job)
        except queue.Full:
            return False
        return True

    def stop(self, limit_s: float) -> None:
        """Do what is queued, then end; wait at most `limit_s`."""
        with contextlib.suppress(queue.Full):
            self._jobs.put(None, timeout=limit_s)
        self._thread.join(limit_s)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job()
            except Exception:  # noqa: BLE001 the thread must outlive any bug
                _log.exception("a job failed")
