"""A node's store over its own Redis, and what tests do with it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Protocol, TypeVar

import redis

from eventstore import (
    START,
    Event,
    EventId,
    EventStore,
    Folded,
    JsonValue,
    Kind,
    Origin,
    Put,
    Streams,
    codec,
)
from eventstore.memory import Stored
from tests.support.histories import MASTER, PAIR, other, packed_otherwise

T = TypeVar("T")


class NewStreams(Protocol):
    """What makes streams, as `Streams` does."""

    def __call__(self, client: redis.Redis, pair: str, *, name: str) -> Streams: ...


LIMIT_S = 20.0
"""No test waits for that long unless it fails."""
MANY = 1_000_000


class Clock:
    """A wall clock that stands where it is put."""

    def __init__(self, ms: int = 1_767_225_600_000) -> None:
        self.ms = ms

    def __call__(self) -> int:
        return self.ms * 1_000_000


class Node:
    """The store of one origin, opened; `connected` makes clients of its Redis."""

    def __init__(
        self,
        connected: Callable[[], redis.Redis],
        origin: Origin,
        wall_ns: Callable[[], int],
        new_streams: NewStreams = Streams,
        *,
        applied_within_s: float = 1.0,
    ) -> None:
        self.origin, self.peer = origin, other(origin)
        self.client = connected()
        self.streams = new_streams(connected(), PAIR, name=f"Redis of {origin}")
        self.told: list[tuple[Event, Folded | None]] = []
        self._connected, self._wall_ns = connected, wall_ns
        self._new_streams = new_streams
        self._applied_within_s = applied_within_s
        self.store = self._open(lambda event, folded: self.told.append((event, folded)))

    def reopened(self) -> EventStore:
        """A second store over the same streams, as after a restart."""
        return self._open(lambda _event, _folded: None)

    def source(self) -> Streams:
        """A client of its own for the peer's replicator."""
        return self._new_streams(
            self._connected(), PAIR, name=f"the peer's Redis ({self.origin})"
        )

    def put(self, key: str, value: JsonValue = None) -> Event:
        return self.store.append([Put(key, value)], actor="jane")[0]

    def stored(self, origin: Origin | None = None) -> list[Stored]:
        """Everything in a stream, the own one by default."""
        return self.streams.read(origin or self.origin, START, MANY)

    def stored_ids(self, origin: Origin | None = None) -> list[EventId]:
        return [event_id for event_id, _ in self.stored(origin)]

    def pull(self, source: Node, count: int = MANY) -> None:
        """Take the next `count` events of `source`, in one page, as `Replication` does."""
        page = source.streams.read(self.peer, self.store.copy_end.id, count)
        if page:
            self.store.take(page)
        if len(page) < count:
            self.store.meet_copy(go_on=lambda: True)

    def write_snapshot(self) -> None:
        self.store.write_snapshot(go_on=lambda: True)

    def recover(self, source: Node) -> None:
        """Get lost events back from the copy that `source` has."""
        self.store.recover(source.streams, go_on=lambda: True)
        self.store.reload_copy()

    def put_otherwise(
        self, key: str, value: JsonValue = None, version: int = codec.FORMAT_VERSION
    ) -> EventId:
        """Another program, with other bytes for the same, writes the next event."""
        heads = self.store.snapshot.heads
        head = heads[self.origin]
        event_id = EventId(head.id.ms, head.id.n + 1)
        vector = {self.peer: heads[self.peer].id, self.origin: event_id}
        blob = codec.encode(
            origin=self.origin,
            event_id=event_id,
            kind=Kind.ENTRY_PUT,
            key=key,
            packed=codec.pack_value(value),
            actor="joe",
            reason="",
            wall_ns=self._wall_ns(),
            vector=vector,
            previous=head.digest,
        )
        stored = event_id, packed_otherwise(blob, version)
        assert self.streams.append(self.origin, head.id, [stored]) is None
        self.restart()
        return event_id

    def restart(self) -> None:
        """Another process over the same Redis."""
        self.store = self.reopened()

    def saved(self) -> dict[Origin, list[Stored]]:
        """What Redis holds, to be put back later."""
        return {origin: self.stored(origin) for origin in (self.origin, self.peer)}

    def put_back(self, saved: Mapping[Origin, Sequence[Stored]]) -> None:
        """Redis is as it was: everything since then is lost."""
        self.client.flushdb()
        for origin, stored in saved.items():
            if stored:
                assert self.streams.append(origin, START, stored) is None

    def _open(self, on_folded: Callable[[Event, Folded | None], None]) -> EventStore:
        store = EventStore(
            self.streams,
            own=self.origin,
            peer=self.peer,
            prevailing=MASTER,
            wall_ns=self._wall_ns,
            on_folded=on_folded,
            applied_within_s=self._applied_within_s,
        )
        store.open()
        return store


def entries_of(store: EventStore) -> list[tuple[str, Origin, EventId, bytes]]:
    """All that a store shows of its entries, down to the bytes."""
    return [(e.key, e.origin, e.id, e.event.packed) for e in store.entries()]


class Running(Future[T]):
    """`call`, running in a thread of its own; a daemon, so nothing hangs at the end."""

    def __init__(self, call: Callable[[], T]) -> None:
        super().__init__()
        self._call = call
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def is_waiting(self) -> bool:
        """Whether it waits for a condition or for `freeze`, or has ended."""
        return self.done() or self.is_in("wait", "freeze")

    def is_in(self, *functions: str) -> bool:
        """Whether it is in one of these functions, and in nothing they call."""
        frame = sys._current_frames().get(self._thread.ident or 0)
        return frame is not None and frame.f_code.co_name in functions

    def _run(self) -> None:
        try:
            self.set_result(self._call())
        except BaseException as error:  # noqa: BLE001 told to whoever asks
            self.set_exception(error)
