"""When a node writes a snapshot of its memory, so that its next start is quick.

In a thread of its own: it is work for a second or so, and nobody waits for it. One that
cannot be written costs time at the next start, and nothing else.
"""

from __future__ import annotations

import logging
import threading
from typing import Final

from eventstore import EventStore, EventStoreError
from node.service import NewJobs, Worker

_log = logging.getLogger("netphone.snapshots")

EVENT_COUNT_MIN: Final = 50_000
"""So many new events are worth a snapshot: folding them takes half a second or more."""
EVENT_COUNT_MIN_AT_END: Final = 10_000


def is_due(new_count: int, key_count: int, *, count_min: int) -> bool:
    """Whether a snapshot saves more than it costs, with so many new events.

    It costs by its keys; so on the average an event costs no more than a key of it.
    """
    return new_count >= max(count_min, key_count)


class Snapshotting:
    """One thread that writes snapshots of `store` when they are due."""

    def __init__(
        self,
        store: EventStore,
        new_jobs: NewJobs = Worker,
        *,
        count_min: int = EVENT_COUNT_MIN,
        count_min_at_end: int = EVENT_COUNT_MIN_AT_END,
    ) -> None:
        self._store = store
        self._count_min, self._count_min_at_end = count_min, count_min_at_end
        self._worker = new_jobs("snapshots")
        self._busy = False
        self._in_vain_count = 0
        """New events of which no snapshot could be written: that waits for as many more."""
        self._ending = threading.Event()

    def start(self) -> None:
        self._worker.start()

    def stop(self, limit_s: float) -> None:
        """Write one if enough is new; give it up where that takes longer than `limit_s`."""
        self._look(self._count_min_at_end, in_vain_count=0)
        self._worker.stop(limit_s)
        self._ending.set()

    def look(self) -> None:
        """See whether one is due, and have it written then. Never waits."""
        self._look(self._count_min, in_vain_count=self._in_vain_count)

    def _look(self, count_min: int, *, in_vain_count: int) -> None:
        store = self._store
        new_count = store.unsaved_count - in_vain_count
        if not self._busy and is_due(new_count, store.key_count, count_min=count_min):
            self._busy = self._worker.submit(self._write)

    def _write(self) -> None:
        self._in_vain_count = self._store.unsaved_count
        try:
            self._store.write_snapshot(go_on=lambda: not self._ending.is_set())
            self._in_vain_count = 0
        except EventStoreError as error:
            _log.warning("no snapshot was written, a start takes longer: %s", error)
        finally:
            self._busy = False
