"""When a node lets go of events that were archived: as soon as its history says so.

In a thread of its own: it is work for as long as folding them takes, and nobody waits for it.
What could not be done is tried again; nothing depends on when.
"""

from __future__ import annotations

import logging
import threading

from eventstore import EventStore, EventStoreError
from node.service import NewJobs, Worker

_log = logging.getLogger("netphone.trimming")


class Trimming:
    """One thread that trims the streams of `store` when they are to begin later."""

    def __init__(self, store: EventStore, new_jobs: NewJobs = Worker) -> None:
        self._store = store
        self._worker = new_jobs("trimming")
        self._busy = False
        self._problem: str | None = None
        """The one that the log knows of."""
        self._ending = threading.Event()

    def start(self) -> None:
        self._worker.start()

    def stop(self, limit_s: float) -> None:
        """Give up what is under way: it is done again after the next start."""
        self._ending.set()
        self._worker.stop(limit_s)

    def look(self) -> None:
        """See whether something is to be let go of, and have that done. Never waits."""
        if not self._busy and self._store.archived is not None:
            self._busy = self._worker.submit(self._trim)

    def _trim(self) -> None:
        problem = None
        try:
            self._store.trim(go_on=lambda: not self._ending.is_set())
        except EventStoreError as error:
            problem = str(error)
        finally:
            self._busy = False
        if problem is not None and problem != self._problem:
            _log.warning("archived events stay in Redis for now: %s", problem)
        self._problem = problem
