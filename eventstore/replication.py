"""Pulls the peer's stream, from the peer's Redis, into the copy here.

The cursor is the copy's own last id, so nothing can drift. A page is taken only if it
continues the copy's hash chain; anything else stops replication with its reason, until
the streams fit again. The peer's Redis may be down, slow or stopped: only this thread
waits.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import attrs

from eventstore import codec
from eventstore.errors import DamagedEvent, EventStoreError, StreamForked
from eventstore.event import START, Origin
from eventstore.store import EventStore
from eventstore.streams import PAGE_EVENT_COUNT, Streams

_log = logging.getLogger("netphone.replication")

BLOCK_MS = 1000
"""One blocking read; the reading client's timeout must be longer (pitfalls R3)."""
RETRY_S = 1.0


@attrs.frozen
class Progress:
    """How replication stands."""

    connected: bool
    problem: str | None
    """Why it stands still, in one line."""
    complete_at_s: float | None
    """When the copy last had all that the peer's Redis had; None: not yet."""


class Replicator:
    """One thread that keeps the copy of `peer` current. `start` it once."""

    def __init__(
        self,
        store: EventStore,
        source: Streams,
        *,
        peer: Origin,
        now_s: Callable[[], float],
    ) -> None:
        self._store = store
        self._source = source
        self._peer = peer
        self._now_s = now_s
        self._progress = Progress(False, "not connected yet", None)
        self._logged: str | None = None
        """The problem that the log knows of; None: none."""
        self._changed = threading.Condition()
        self._enabled = False
        self._stopping = False
        self._thread = threading.Thread(
            target=self._run, name="replicator", daemon=True
        )

    @property
    def progress(self) -> Progress:
        return self._progress

    def start(self) -> None:
        self._thread.start()

    def stop(self, limit_s: float) -> None:
        """End the thread; at most one blocking read later."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(limit_s)
        self._source.close()

    def set_enabled(self, enabled: bool) -> None:
        """Read or stand still. Nothing is taken after this returns with `enabled`
        False.
        """
        with self._changed:
            self._enabled = enabled
            self._changed.notify_all()

    def _run(self) -> None:
        while self._await_enabled():
            try:
                self._follow()
            except (StreamForked, DamagedEvent) as error:
                self._stand_still(error, logging.ERROR)
            except EventStoreError as error:
                self._stand_still(error, logging.WARNING)
            except Exception:  # noqa: BLE001 the thread must outlive any bug
                _log.exception("replication failed; trying again")
                self._stand_still(EventStoreError("internal error"), logging.ERROR)

    def _await_enabled(self) -> bool:
        with self._changed:
            if not (self._enabled or self._stopping):
                self._progress = attrs.evolve(
                    self._progress, connected=False, problem=None
                )
            self._changed.wait_for(lambda: self._enabled or self._stopping)
            return not self._stopping

    def _stand_still(self, error: EventStoreError, level: int) -> None:
        text = str(error)
        # In a cut the text changes with each try; one line says it, /status the newest.
        if self._logged is None or (level == logging.ERROR and text != self._logged):
            _log.log(level, "replication stands still: %s", text)
            self._logged = text
        self._progress = attrs.evolve(self._progress, connected=False, problem=text)
        with self._changed:
            self._changed.wait_for(lambda: self._stopping, RETRY_S)

    def _follow(self) -> None:
        self._check_common_head()
        while True:
            head = self._store.snapshot.heads[self._peer].id
            page = self._source.follow(self._peer, head, PAGE_EVENT_COUNT, BLOCK_MS)
            with self._changed:
                if self._stopping or not self._enabled:
                    return
                if page:
                    self._store.take(page)
            if not self._progress.connected:
                _log.info("replication follows stream %s", self._peer)
                self._logged = None
            now_s = self._now_s()
            complete = len(page) < PAGE_EVENT_COUNT
            complete_at_s = now_s if complete else self._progress.complete_at_s
            self._progress = Progress(True, None, complete_at_s)

    def _check_common_head(self) -> None:
        """That the peer's stream still holds what our copy ends with, byte for byte."""
        head = self._store.reload_copy()
        if head.id == START:
            return
        blob = self._source.at(self._peer, head.id)
        if blob is None:
            raise StreamForked(
                f"the peer's Redis lacks event {head.id} of stream {self._peer!r}, "
                "which "
                "is stored here: it lost events and must get them back first"
            )
        if codec.digest_of(blob) != head.digest:
            raise StreamForked(
                f"event {head.id} of stream {self._peer!r} is another one in the "
                "peer's "
                "Redis than here: the stream has forked"
            )
