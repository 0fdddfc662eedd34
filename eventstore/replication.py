"""Pulls the peer's stream, from the peer's Redis, into the copy here.

The cursor is the copy's own last id, so nothing can drift. A page is taken only if it
continues the copy's hash chain; anything else stops replication with its reason, until
the streams fit again. The peer's Redis may be down, slow or stopped: only this thread
waits.

The own stream is looked at first, at every connection: what Redis lost of it here is fetched
back from the copy over there before anything else (design D9).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import attrs

from eventstore import codec
from eventstore.errors import DamagedEvent, EventStoreError, StreamForked
from eventstore.event import START, EventId, Origin
from eventstore.store import EventStore
from eventstore.streams import PAGE_EVENT_COUNT, Streams
from eventstore.trimming import is_archived

_log = logging.getLogger("netphone.replication")

BLOCK_MS = 1000
"""One blocking read; the reading client's timeout must be longer (pitfalls R3)."""
RETRY_S = 1.0

Permit = Callable[[], AbstractContextManager[bool]]
"""Holds off an order to stand still while entered; says whether one was given before."""


@attrs.frozen
class Progress:
    """How replication stands."""

    connected: bool
    problem: str | None
    """Why it stands still, in one line."""
    complete_at_s: float | None
    """When the copy last had all that the peer's Redis had; None: not yet."""


class Replication:
    """Keeps the copy of `peer` current, step by step. For one thread, which `turn`s it."""

    def __init__(
        self,
        store: EventStore,
        source: Streams,
        *,
        own: Origin,
        peer: Origin,
        now_s: Callable[[], float],
    ) -> None:
        self._store = store
        self._source = source
        self._own = own
        self._peer = peer
        self._now_s = now_s
        self._stopping = False
        self.progress = Progress(False, "not connected yet", None)

    def turn(
        self, block_ms: int | None, permit: Permit, until: EventId | None = None
    ) -> None:
        """One step: compare the streams and recover, or take one page.

        Waits up to `block_ms` for an event (None: not at all). `permit` is asked, and held,
        while something is stored. Events behind `until` are left where they are.

        Raises:
            EventStoreError: it stands still; `pause` says so in `progress`.
        """
        if not self.progress.connected or self.needs_recovery:
            self.recover()
            self._check_common_head()
        end = self._store.copy_end.id
        found = self._source.follow(self._peer, end, PAGE_EVENT_COUNT, block_ms)
        page = [s for s in found if until is None or s[0] <= until]
        with permit() as allowed:
            if not allowed:
                return
            if page:
                self._store.take(page)
        complete = len(found) < PAGE_EVENT_COUNT
        if complete:
            self._store.meet_copy(go_on=self._goes_on)
        complete_at_s = self._now_s() if complete else self.progress.complete_at_s
        self.progress = Progress(True, None, complete_at_s)

    def pause(self, problem: str | None) -> None:
        """It stands still: the next turn compares the streams anew."""
        self.progress = attrs.evolve(self.progress, connected=False, problem=problem)

    @property
    def needs_recovery(self) -> bool:
        """Whether the own stream has lost events, or that it had is not recorded yet."""
        return self._store.needs_recovery

    def lacks(self, event_id: EventId) -> bool:
        """Whether the copy does not reach up to this event of the peer yet."""
        return self._store.copy_end.id < event_id

    @property
    def source(self) -> Streams:
        """The peer's Redis."""
        return self._source

    def recover(self) -> None:
        """Get the own stream's lost events back, if the peer's Redis has any (D9).

        This is repair and no replication: it is done while that is off, too.

        Raises:
            EventStoreError: it could not be done now.
        """
        self._store.recover(self._source, go_on=self._goes_on)

    def stop(self) -> None:
        """End a recovery that is under way before its next page."""
        self._stopping = True

    def _goes_on(self) -> bool:
        return not self._stopping

    def close(self) -> None:
        """Close the connections to the peer's Redis."""
        self._source.close()

    def _check_common_head(self) -> None:
        """That the peer's stream still holds what our copy ends with, byte for byte."""
        head = self._store.reload_copy()
        if head.id == START:
            return
        blob = self._source.at(self._peer, head.id)
        if blob is None and is_archived(self._source, self._peer, head.id):
            raise StreamForked(
                f"the copy of stream {self._peer!r} here ended with {head.id}, and the peer has "
                "archived what follows: recovery says what to do"
            )
        if blob is None:
            raise StreamForked(
                f"the peer's Redis lacks event {head.id} of stream {self._peer!r}, which "
                "is stored here: it lost events and gets them back from here first"
            )
        if codec.digest_of(blob) != head.digest:
            raise StreamForked(
                f"event {head.id} of stream {self._peer!r} is another one in the peer's "
                "Redis than here: the peer lost events and gets them back from here first"
            )


class Replicator:
    """One thread that turns a `Replication`. `start` it once."""

    def __init__(self, replication: Replication, *, peer: Origin) -> None:
        self._replication = replication
        self._peer = peer
        self._logged: str | None = None
        """The problem that the log knows of; None: none."""
        self._changed = threading.Condition()
        self._enabled = False
        self._problem: str | None = None
        self._wanted = START
        """Up to where the peer wants to be read although replication is off (D12)."""
        self._stopping = False
        self._thread = threading.Thread(
            target=self._run, name="replicator", daemon=True
        )

    @property
    def progress(self) -> Progress:
        return self._replication.progress

    def start(self) -> None:
        self._thread.start()

    def stop(self, limit_s: float) -> None:
        """End the thread; at most one blocking read later."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._replication.stop()
        if self._thread.is_alive():
            self._thread.join(limit_s)
        self._replication.close()

    def set_enabled(self, enabled: bool, *, problem: str | None = None) -> None:
        """Read or stand still. Nothing is taken after this returns with `enabled`
        False; `problem` says why, where that is no order.
        """
        with self._changed:
            self._enabled, self._problem = enabled, problem
            self._changed.notify_all()

    def read_up_to(self, wanted: EventId) -> None:
        """While it stands still, take the peer's events up to `wanted`, and no more (D12).

        `START`: none.
        """
        with self._changed:
            self._wanted = wanted
            self._changed.notify_all()

    def _run(self) -> None:
        while self._await_work():
            if not self.step():
                with self._changed:
                    self._changed.wait_for(lambda: self._stopping, RETRY_S)

    def step(self) -> bool:
        """One turn, whatever comes of it; False: it stands still, and says why."""
        try:
            self._turn()
        except (StreamForked, DamagedEvent) as error:
            self._stand_still(error, logging.ERROR)
        except EventStoreError as error:
            self._stand_still(error, logging.WARNING)
        except Exception:  # noqa: BLE001 the thread must outlive any bug
            _log.exception("replication failed; trying again")
            self._stand_still(EventStoreError("internal error"), logging.ERROR)
        else:
            return True
        return False

    def _turn(self) -> None:
        wanted = None if self._enabled else self._wanted
        if wanted is not None and not self._replication.lacks(wanted):
            self._replication.recover()
            return
        was_connected = self.progress.connected
        self._replication.turn(BLOCK_MS, self._permit, wanted)
        if self.progress.connected and not was_connected:
            _log.info("replication follows stream %s", self._peer)
            self._logged = None

    @contextmanager
    def _permit(self) -> Iterator[bool]:
        with self._changed:
            yield self._may_read() and not self._stopping

    def _may_read(self) -> bool:
        return self._enabled or self._replication.lacks(self._wanted)

    def _await_work(self) -> bool:
        with self._changed:
            while not (self._may_read() or self._stopping):
                self._replication.pause(self._problem)
                if self._replication.needs_recovery:
                    break
                self._changed.wait(RETRY_S)
            return not self._stopping

    def _stand_still(self, error: EventStoreError, level: int) -> None:
        text = str(error)
        # In a cut the text changes with each try; one line says it, /status the newest.
        if self._logged is None or (level == logging.ERROR and text != self._logged):
            _log.log(level, "replication stands still: %s", text)
            self._logged = text
        self._replication.pause(text)
