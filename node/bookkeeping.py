"""Events that the node itself makes: written as soon as Redis lets it, in order.

Service before bookkeeping (S19): whoever hands in a record goes on at once. While Redis is
away the records wait here, and the time in each says when it was decided.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable

import attrs

from eventstore import EventStore, EventStoreError, JsonValue, Kind, StoreUnavailable
from node.service import NewJobs, Worker

_log = logging.getLogger("netphone.bookkeeping")

RECORD_COUNT_MAX = 1000


@attrs.frozen
class Record:
    """An event to be written. Its value is unique, so writing it twice is noticed."""

    kind: Kind
    value: JsonValue
    actor: str
    reason: str


class Bookkeeping:
    """One thread that works on the own stream for the decision loop."""

    def __init__(self, store: EventStore, new_jobs: NewJobs = Worker) -> None:
        self._store = store
        self._records: deque[Record] = deque()
        self._lock = threading.Lock()
        self._worker = new_jobs("bookkeeping")

    def start(self) -> None:
        self._worker.start()

    def stop(self, limit_s: float) -> None:
        """Write what is waiting, if Redis answers, then end."""
        self._worker.submit(self._write_all)
        self._worker.stop(limit_s)

    def hand_in(self, record: Record) -> None:
        """Take `record`; never waits."""
        with self._lock:
            if len(self._records) >= RECORD_COUNT_MAX:
                _log.error("lost a record, Redis is away for too long: %s", record)
                return
            self._records.append(record)
        self._worker.submit(self._write_all)

    def retry(self) -> None:
        """Try again to write what is waiting, and see what came of what got no answer.

        Never waits.
        """
        if self._records or self._store.unsettled:
            self._worker.submit(self._settle_and_write)

    def submit(self, job: Callable[[], object]) -> bool:
        """Do `job` in this thread, after what was handed in before; False: too much is."""
        return self._worker.submit(job)

    def _settle_and_write(self) -> None:
        try:
            self._store.settle()
        except EventStoreError as error:
            _log.warning("changes without an answer are not settled yet: %s", error)
            return
        self._write_all()

    def _write_all(self) -> None:
        while self._records:
            record = self._records[0]
            try:
                self._store.record(
                    record.kind, record.value, actor=record.actor, reason=record.reason
                )
            except StoreUnavailable as error:
                _log.warning("%s waits to be stored: %s", record.kind, error)
                return
            except EventStoreError as error:
                _log.error("%s cannot be stored: %s", record.kind, error)
            with self._lock:
                self._records.popleft()
