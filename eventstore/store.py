"""What one node knows: its own stream, its copy of the peer's, and what they fold to.

Writing to the own stream goes through one lock, which is held while Redis works.
Memory has a lock of its own, held only while events are folded, so reading an entry or
taking a `Snapshot` never waits for Redis.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence

import attrs

from eventstore import codec
from eventstore.codec import Unknown
from eventstore.configuration import Configuration, Entry, Folded
from eventstore.errors import (
    DamagedEvent,
    EntryChanged,
    EventStoreError,
    InvalidEntry,
    NoSuchEntry,
    SecondWriter,
    StoreRefused,
    StoreUnavailable,
    StreamForked,
    WritesFrozen,
)
from eventstore.event import (
    ACTOR_BYTES_MAX,
    MS_MAX,
    REASON_BYTES_MAX,
    START,
    Change,
    Event,
    EventId,
    JsonValue,
    Kind,
    Origin,
    Put,
    check_key,
    check_text,
)
from eventstore.streams import PAGE_EVENT_COUNT, Stored, Streams

BATCH_EVENT_COUNT_MAX = 1000
TURN_LIMIT_S = 2.0
"""How long a change waits for the ones before it; they may be waiting for Redis."""
_UNSETTLED_COUNT_MAX = 64
_RECENT_COUNT = 100
_NS_PER_MS = 1_000_000

OnFolded = Callable[[Event, Folded | None], None]


@attrs.frozen
class Head:
    """The end of a stream: the newest event's id and digest. `START`: still empty."""

    id: EventId
    digest: bytes


@attrs.frozen
class Snapshot:
    """What a node knows at one moment; all parts belong together."""

    heads: Mapping[Origin, Head]
    digest: str
    """Of the entries; see `Configuration.digest`."""
    entry_count: int
    conflict_count: int
    unknown_count: int
    """Events kept but not understood: of a later version, or damaged inside."""

    @property
    def vector(self) -> dict[Origin, EventId]:
        """The newest event applied of each origin that has any."""
        return {o: head.id for o, head in self.heads.items() if head.id != START}


@attrs.frozen
class _Draft:
    """An event before it has an id."""

    kind: Kind
    key: str
    packed: bytes


class EventStore:
    """The events of one node, over its own Redis. Thread-safe; call `open` first."""

    def __init__(
        self,
        streams: Streams,
        *,
        own: Origin,
        peer: Origin,
        prevailing: Origin,
        wall_ns: Callable[[], int],
        on_folded: OnFolded = lambda _event, _folded: None,
        applied_within_s: float = 1.0,
    ) -> None:
        """`prevailing` wins conflicts; `on_folded` is told of each new event, in order.

        It is called while memory is locked: it must return at once and not call back.
        `applied_within_s`: how long an own event that the peer knows may take to be
        applied here.
        """
        self._streams = streams
        self._own, self._peer = own, peer
        self._wall_ns = wall_ns
        self._on_folded = on_folded
        self._applied_within_s = applied_within_s
        self._configuration = Configuration(prevailing=prevailing)
        self._heads = {
            origin: Head(START, codec.genesis(streams.pair, origin))
            for origin in (own, peer)
        }
        self._recent: dict[tuple[Origin, str], deque[Event]] = {}
        """Events that concern no entry, the newest of each origin and kind."""
        self._unknown_count = 0
        self._unsettled: list[Sequence[Stored]] = []
        self._broken: EventStoreError | None = None
        self._writing = threading.Lock()
        self._copying = threading.Lock()
        self._memory = threading.RLock()
        self._grown = threading.Condition(self._memory)
        self._thawed = threading.Condition(self._writing)
        self._frozen = False
        self._snapshot = self._take_snapshot()

    # Reading: memory only.

    @property
    def snapshot(self) -> Snapshot:
        """The newest consistent view; costs nothing."""
        return self._snapshot

    @property
    def broken(self) -> EventStoreError | None:
        """Why this store will not write again, if so: `SecondWriter` or `StreamForked`."""
        return self._broken

    def get(self, key: str) -> Entry | None:
        """The entry `key`, or None."""
        return self._configuration.get(key)

    def entries(self, prefix: str = "") -> list[Entry]:
        """All entries whose key starts with `prefix`, by key, as of one moment."""
        with self._memory:
            return list(self._configuration.entries(prefix))

    def latest(self, kind: Kind) -> Event | None:
        """The newest own event of a kind that concerns no entry."""
        found = self.recent(kind)
        return found[-1] if found else None

    def recent(self, kind: Kind, origin: Origin | None = None) -> list[Event]:
        """The newest events of a kind that concerns no entry, oldest first.

        Of the own stream where `origin` is not given; at most 100.
        """
        with self._memory:
            return list(self._recent.get((origin or self._own, kind), ()))

    def await_head(self, origin: Origin, event_id: EventId, limit_s: float) -> bool:
        """Wait until the events of `origin` up to `event_id` are applied here."""
        with self._grown:
            return self._grown.wait_for(
                lambda: self._heads[origin].id >= event_id, limit_s
            )

    # The start.

    def open(self) -> None:
        """Fold both streams as they are in Redis, checking their hash chains.

        Raises:
            StoreUnavailable: Redis did not answer.
            StreamForked, DamagedEvent: a stream is not one unbroken history.
        """
        for origin in (self._own, self._peer):
            self._read_on(origin, announce=False)

    def _read_on(self, origin: Origin, *, announce: bool) -> None:
        while page := self._streams.read(
            origin, self._heads[origin].id, PAGE_EVENT_COUNT
        ):
            self._fold(origin, self._chained(origin, page), announce=announce)

    # Writing to the own stream.

    def append(
        self,
        changes: Sequence[Change],
        *,
        actor: str,
        reason: str = "",
        expected: EventId | None = None,
        frozen_limit_s: float = 5.0,
    ) -> list[Event]:
        """Append `changes` to the own stream, all or none, and return them as stored.

        Durable in the own Redis, at its `appendfsync` level, when this returns. With
        `expected` each entry must still be the version that this event made. While
        writes are frozen this waits up to `frozen_limit_s`.

        Raises:
            InvalidEntry: a part is outside its limits; nothing was stored.
            NoSuchEntry: there is no entry to delete; nothing was stored.
            EntryChanged: an entry is not `expected`; nothing was stored.
            WritesFrozen: a switch took longer than the limit; nothing was stored.
            StoreUnavailable: Redis did not answer; the text says whether it may be stored.
            SecondWriter, StreamForked: stop; another process writes, or events are lost.
        """
        _check_author(actor, reason)
        drafts = [_draft(change) for change in changes]
        if not 0 < len(drafts) <= BATCH_EVENT_COUNT_MAX:
            raise InvalidEntry(
                f"a batch of {len(drafts)} changes; the limits are 1 and "
                f"{BATCH_EVENT_COUNT_MAX}"
            )
        # Behind a Redis that hangs, changes must not queue up for minutes:
        # test_changes_do_not_queue_up_behind_a_stopped_redis.
        if not self._writing.acquire(timeout=TURN_LIMIT_S):
            raise StoreRefused(
                f"the changes before this one have waited for Redis for {TURN_LIMIT_S} "
                "s; nothing was stored"
            )
        try:
            self._await_thaw(frozen_limit_s)
            return self._write(drafts, actor, reason, expected)
        finally:
            self._writing.release()

    def record(
        self, kind: Kind, value: JsonValue, *, actor: str, reason: str = ""
    ) -> Event:
        """Append one event that concerns no entry. Not held back while frozen.

        Equal to the newest of its kind, it is not written again: so a caller may repeat
        what had an unknown outcome.

        Raises: as `append`.
        """
        _check_author(actor, reason)
        draft = _Draft(kind, "", codec.pack_value(value))
        with self._writing:
            return self._write([draft], actor, reason, None)[0]

    @property
    def unsettled(self) -> bool:
        """Whether an append got no answer and may have come, or may still come."""
        return bool(self._unsettled)

    def settle(self) -> None:
        """Adopt what came of appends that got no answer, without waiting for the next one.

        Until then the peer may already have an event that this node does not show.

        Raises:
            StoreUnavailable: Redis still does not answer; try again later.
            SecondWriter, StreamForked: as `append`.
        """
        with self._writing:
            if self._unsettled and self._broken is None:
                self._settle()

    def freeze(self) -> Mapping[Origin, Head]:
        """Hold back further changes; returns the heads once none is under way."""
        self._frozen = True
        with self._writing:
            return self._snapshot.heads

    def thaw(self) -> None:
        """Let changes through again."""
        with self._thawed:
            self._frozen = False
            self._thawed.notify_all()

    def _await_thaw(self, limit_s: float) -> None:
        # Waiting gives the lock back: `freeze` and `record` need it.
        if not self._thawed.wait_for(lambda: not self._frozen, limit_s):
            raise WritesFrozen(
                f"changes are held back for a switch, and it took over {limit_s} s"
            )

    def _write(
        self,
        drafts: Sequence[_Draft],
        actor: str,
        reason: str,
        expected: EventId | None,
    ) -> list[Event]:
        if self._broken is not None:
            # Anew each time: a raised error keeps hold of all that was in its frames.
            raise type(self._broken)(str(self._broken))
        if self._unsettled:
            self._settle()
        while True:
            newest = self.latest(drafts[0].kind)
            if newest is not None and newest.packed == drafts[0].packed:
                return [newest]
            with self._memory:
                # At one moment, or a vector could cover what the caller never saw.
                self._check_entries(drafts, expected)
                heads = dict(self._heads)
            batch = self._compose(drafts, actor, reason, heads)
            # Read before it is stored: what cannot be read back must not be written.
            events = self._chained(self._own, batch)
            if self._store(batch):
                self._fold(self._own, events)
                self._unsettled.clear()
                return [event for event in events if isinstance(event, Event)]

    def _check_entries(
        self, drafts: Sequence[_Draft], expected: EventId | None
    ) -> None:
        for draft in drafts:
            entry = self._configuration.get(draft.key)
            if expected is not None and (entry is None or entry.id != expected):
                current = None if entry is None else str(entry.id)
                raise EntryChanged(draft.key, expected=str(expected), current=current)
            if draft.kind is Kind.ENTRY_DELETED and entry is None:
                raise NoSuchEntry(f"there is no entry {draft.key!r}")

    def _compose(
        self,
        drafts: Sequence[_Draft],
        actor: str,
        reason: str,
        heads: Mapping[Origin, Head],
    ) -> list[Stored]:
        own = heads[self._own]
        wall_ns = self._wall_ns()
        # Above the peer's, so that no two events of which one knew the other share an id.
        ms = max(wall_ns // _NS_PER_MS, own.id.ms, heads[self._peer].id.ms + 1)
        vector = {o: head.id for o, head in heads.items() if head.id != START}
        previous = own.digest
        batch: list[Stored] = []
        for n, draft in enumerate(drafts, start=own.id.n + 1):
            event_id = EventId(ms, n)
            vector[self._own] = event_id
            blob = codec.encode(
                origin=self._own,
                event_id=event_id,
                kind=draft.kind,
                key=draft.key,
                packed=draft.packed,
                actor=actor,
                reason=reason,
                wall_ns=wall_ns,
                vector=vector,
                previous=previous,
            )
            previous = codec.digest_of(blob)
            batch.append((event_id, blob))
        return batch

    def _store(self, batch: Sequence[Stored]) -> bool:
        """Bring `batch` into the own stream. False: compose it anew behind what came.

        Sent again after no answer: the script makes that harmless, and only an answer
        tells that the first try is not still on its way (pitfalls R1, R2).
        """
        head = self._heads[self._own].id
        try:
            found = self._streams.append(self._own, head, batch)
        except StoreRefused:
            raise
        except StoreUnavailable:
            return self._store_again(head, batch)
        return found is None or self._adopt(batch)

    def _store_again(self, head: EventId, batch: Sequence[Stored]) -> bool:
        try:
            found = self._streams.append(self._own, head, batch)
            return found is None or self._adopt(batch)
        except (SecondWriter, StreamForked):
            raise
        except EventStoreError as error:
            # Even when this try was refused: the first one may still arrive.
            self._unsettled.append(batch)
            raise StoreUnavailable(
                f"{error}; whether the change is stored is unknown: read it back"
            ) from error

    def _settle(self) -> None:
        """Before writing after an unknown outcome: see that Redis answers, adopt what
        came.
        """
        if len(self._unsettled) > _UNSETTLED_COUNT_MAX:
            raise StoreUnavailable(
                f"{_UNSETTLED_COUNT_MAX} appends got no answer; restart this node"
            )
        last = self._streams.last(self._own)
        found = START if last is None else last[0]
        if found != self._heads[self._own].id:
            self._adopt(())

    def _adopt(self, batch: Sequence[Stored]) -> bool:
        """The stream does not end with our head: find out why. True: `batch` is there.

        What is behind our head may be `batch` or an earlier one whose answer was lost.
        Anything else was written by somebody else.
        """
        head = self._heads[self._own].id
        found = self._streams.read(self._own, head, BATCH_EVENT_COUNT_MAX + 1)
        if batch and found == list(batch):
            return True
        for late in self._unsettled:
            if found == list(late):
                self._fold(self._own, self._chained(self._own, found))
                self._unsettled.clear()
                return False
        if found:
            self._broken = SecondWriter(
                f"event {found[0][0]} of stream {self._own!r} was not written by this "
                "process: is a second node running with this Redis? This one stops "
                "writing"
            )
        else:
            self._broken = StreamForked(
                f"stream {self._own!r} lost events in Redis: this node wrote up to "
                f"{head}; "
                "was an old file restored? This node stops writing"
            )
        raise self._broken

    # The copy of the peer's stream.

    def take(self, page: Sequence[Stored]) -> None:
        """Add `page` to the copy, if it continues the hash chain, and fold it.

        Raises:
            StreamForked, DamagedEvent: it does not; nothing was added.
            StoreUnavailable: the own Redis did not answer; `reload_copy`, then go on.
        """
        with self._copying:
            head = self._heads[self._peer].id
            events = self._chained(self._peer, page)
            self._check_known(events)
            found = self._streams.append(self._peer, head, page)
            if found is not None:
                raise StoreUnavailable(
                    f"the copy of {self._peer!r} ends with {found}, not {head}"
                )
            self._fold(self._peer, events)

    def _check_known(self, events: Sequence[Event | Unknown]) -> None:
        """That the peer knew nothing of our own stream that we do not know."""
        known = max(
            (e.vector.get(self._own, START) for e in events if isinstance(e, Event)),
            default=START,
        )
        # It may be stored already, and just about to be applied.
        applied = self._heads[self._own].id >= known
        if not applied and not self.await_head(
            self._own, known, self._applied_within_s
        ):
            raise StreamForked(
                f"the peer knows event {known} of our own stream, which ends with "
                f"{self._heads[self._own].id}: the Redis here lost events, and must get "
                "them back first"
            )

    def compare_own(self, claimed: EventId, digest: bytes) -> None:
        """The peer's copy of our own stream ends with `claimed`: is that event here?

        If Redis has not got it, or another one in its place, events were lost, and this
        store does not write any more: what it wrote would fork.

        Raises:
            StoreUnavailable, DamagedEvent: that could not be found out.
        """
        if self._broken is not None or claimed == START:
            return
        blob = self._streams.at(self._own, claimed)
        if blob is None or codec.digest_of(blob) != digest:
            self._broken = StreamForked(
                f"the peer holds event {claimed} of stream {self._own!r}, which is not in "
                "the Redis here: it lost events; this node stops writing"
            )

    def reload_copy(self) -> Head:
        """Fold what the copy holds behind our head after a lost answer; returns its
        head.

        Raises: as `open`.
        """
        with self._copying:
            self._read_on(self._peer, announce=True)
            return self._heads[self._peer]

    # Memory.

    def _fold(
        self,
        origin: Origin,
        events: Sequence[Event | Unknown],
        *,
        announce: bool = True,
    ) -> None:
        with self._memory:
            news = []
            for event in events:
                if isinstance(event, Unknown):
                    self._unknown_count += 1
                    continue
                news.append((event, self._configuration.fold(event)))
                if not event.key:
                    place = origin, event.kind
                    kept = self._recent.setdefault(place, deque(maxlen=_RECENT_COUNT))
                    kept.append(event)
            self._heads[origin] = Head(events[-1].id, events[-1].digest)
            self._snapshot = self._take_snapshot()
            self._grown.notify_all()
            if announce:
                for event, folded in news:
                    self._on_folded(event, folded)

    def _take_snapshot(self) -> Snapshot:
        return Snapshot(
            heads=dict(self._heads),
            digest=self._configuration.digest,
            entry_count=len(self._configuration),
            conflict_count=self._configuration.conflict_count,
            unknown_count=self._unknown_count,
        )

    def _chained(self, origin: Origin, page: Sequence[Stored]) -> list[Event | Unknown]:
        """The events in `page`, if each continues the one before, the first our head."""
        head = self._heads[origin]
        events: list[Event | Unknown] = []
        for event_id, blob in page:
            if event_id.ms > MS_MAX:
                # Ids never go back: one such event, and nothing could be written behind.
                raise DamagedEvent(
                    f"event {event_id} of stream {origin!r} is from beyond the year 9999"
                )
            event = codec.decode(origin, event_id, blob)
            if event.previous != head.digest:
                raise StreamForked(
                    f"event {event_id} of stream {origin!r} does not continue our "
                    "history, "
                    f"which ends with {head.id}: another event came before it"
                )
            if event_id.n != head.id.n + 1 or event_id.ms < head.id.ms:
                raise StreamForked(
                    f"event {event_id} of stream {origin!r} cannot follow {head.id}"
                )
            head = Head(event_id, event.digest)
            events.append(event)
        return events


def _draft(change: Change) -> _Draft:
    key = check_key(change.key)
    if isinstance(change, Put):
        return _Draft(Kind.ENTRY_PUT, key, codec.pack_value(change.value))
    return _Draft(Kind.ENTRY_DELETED, key, codec.NOTHING)


def _check_author(actor: str, reason: str) -> None:
    check_text("actor", actor, ACTOR_BYTES_MAX)
    check_text("reason", reason, REASON_BYTES_MAX)
    if not actor:
        raise InvalidEntry("actor is empty; say who makes the change")
