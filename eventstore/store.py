"""What one node knows: its own stream, its copy of the peer's, and what they fold to.

Writing to the own stream goes through one lock, which is held while Redis works; during a
recovery, which may take minutes, `hindrance` refuses all writing in its place. Memory has a
lock of its own, held only while events are folded, so reading an entry or taking a
`Snapshot` never waits for Redis. Who needs several locks takes them in this order:
recovering, writing, copying, memory.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

import attrs

from eventstore import codec, snapshots
from eventstore.archived import Archived, newest_archived
from eventstore.codec import Unknown
from eventstore.configuration import Entry, Folded, Loss
from eventstore.errors import (
    DamagedEvent,
    EntryChanged,
    EventStoreError,
    InvalidEntry,
    NoSuchEntry,
    ResyncRefused,
    SecondWriter,
    StoreRefused,
    StoreUnavailable,
    StreamForked,
    WritesFrozen,
)
from eventstore.event import (
    ACTOR_BYTES_MAX,
    LICENCES,
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
from eventstore.memory import Head, Memory, Snapshot, Stored, chained
from eventstore.mending import Mended, Mending, WrongCopy, pages, read_pages
from eventstore.parting import Leaving
from eventstore.recovery import known_digests
from eventstore.resync import Resync, Resynced, ResyncOrder, Watch, told_of
from eventstore.streams import PAGE_EVENT_COUNT, Streams
from eventstore.trimming import (
    anchor_of,
    beginning,
    first_digest,
    is_archived,
    missing_anchors,
    take_base,
    trim,
)

_log = logging.getLogger("netphone.store")

BATCH_EVENT_COUNT_MAX = 1000
TURN_LIMIT_S = 2.0
"""How long a change waits for the ones before it; they may be waiting for Redis."""
_UNSETTLED_COUNT_MAX = 64
_NS_PER_MS = 1_000_000

_UNMET = "whether the resync came about is not known until Redis answers"

OnFolded = Callable[[Event, Folded | None], None]


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
        self._prevailing = prevailing
        self._known = Memory(streams.pair, self.origins, prevailing=self._prevailing)
        self._copy_end = self._known.heads[peer]
        """Where the copy ends in Redis: before our head only if Redis lost some of it."""
        self._archived_ms = 0
        self._covered_count = 0
        """Events that are in a snapshot which still fits."""
        self._hindrance: str | None = None
        self._named = self._forgone = START
        """The newest own event that the peer's events name and that is not here: found
        missing, and found to be lost for good.
        """
        self._damage: str | None = None
        self._wrong_end: bytes | None = None
        """How the peer's copy of the own stream ends, if that was found to be wrong."""
        self._unsettled: list[Sequence[Stored]] = []
        self._unmet: Memory | None = None
        """What is in Redis if a swap came about that got no answer; None: there is none."""
        self._broken: SecondWriter | None = None
        self._unrecorded: Mended | None = None
        """A recovery whose event is not stored yet."""
        self._writing = threading.Lock()
        self._recovering = threading.Lock()
        """Held throughout a recovery, in which nothing else may write the own stream."""
        self._copying = threading.Lock()
        self._memory = threading.RLock()
        self._grown = threading.Condition(self._memory)
        self._thawed = threading.Condition(self._writing)
        self._frozen_by: set[str] = set()
        self._snapshot = self._known.snapshot()

    @property
    def origins(self) -> tuple[Origin, Origin]:
        """The own one and the peer's."""
        return self._own, self._peer

    def _beginning(self) -> Memory:
        """Memory before the first event in Redis that is to be folded.

        Raises:
            StoreUnavailable, DamagedEvent: as `beginning`.
        """
        return beginning(self._streams, self.origins, prevailing=self._prevailing)

    # Reading: memory only, but for `event`.

    @property
    def snapshot(self) -> Snapshot:
        """The newest consistent view; costs nothing."""
        return self._snapshot

    @property
    def broken(self) -> SecondWriter | None:
        """Why this store will not write again, if so."""
        return self._broken

    @property
    def hindrance(self) -> str | None:
        """Why no change is taken for now: events that were lost must come back first."""
        return self._hindrance

    @property
    def needs_recovery(self) -> bool:
        """Whether `recover` has something to do, or to tell."""
        return self._hindrance is not None or self._unrecorded is not None

    @property
    def damage(self) -> str | None:
        """What is wrong with the copy of the peer's stream, so that only a part of it is here.

        None: nothing was found.
        """
        return self._damage

    @property
    def copy_end(self) -> Head:
        """Where the copy of the peer's stream ends in Redis: the cursor of replication."""
        return self._copy_end

    def get(self, key: str) -> Entry | None:
        """The entry `key`, or None."""
        return self._known.configuration.get(key)

    def entries(self, prefix: str = "") -> list[Entry]:
        """All entries whose key starts with `prefix`, by key, as of one moment."""
        with self._memory:
            return list(self._known.configuration.entries(prefix))

    def event(self, origin: Origin, event_id: EventId) -> Event | None:
        """One event, read from Redis; None: there is none, or it is of a later format.

        Raises:
            StoreUnavailable, DamagedEvent: it could not be read.
        """
        blob = self._streams.at(origin, event_id)
        found = None if blob is None else codec.decode(origin, event_id, blob)
        return found if isinstance(found, Event) else None

    def losses(self) -> list[Loss]:
        """Every change that lost and is not settled, by its id, as of one moment."""
        with self._memory:
            return self._known.configuration.losses()

    def latest(self, kind: Kind) -> Event | None:
        """The newest own event of a kind that concerns no entry."""
        found = self.recent(kind)
        return found[-1] if found else None

    def recent(self, kind: Kind, origin: Origin | None = None) -> list[Event]:
        """The newest events of a kind that concerns no entry, oldest first.

        Of the own stream where `origin` is not given; at most 100.
        """
        with self._memory:
            return list(self._known.recent.get((origin or self._own, kind), ()))

    def licences(self) -> list[Event]:
        """The newest event of each licence in the prevailing stream, removed ones too."""
        with self._memory:
            return list(self._known.licences.values())

    def await_head(self, origin: Origin, event_id: EventId, limit_s: float) -> bool:
        """Wait until the events of `origin` up to `event_id` are applied here."""
        with self._grown:
            return self._grown.wait_for(
                lambda: self._known.heads[origin].id >= event_id, limit_s
            )

    # The start.

    def open(self) -> None:
        """Fold both streams as they are in Redis, checking their hash chains.

        What a snapshot holds is not folded again; of the events in it only the newest, as
        many as memory keeps, are checked. Of a damaged copy of the prevailing stream, what is
        before the damage is folded: a resync makes it anew, and for that a node must run.

        Raises:
            StoreUnavailable: Redis did not answer.
            StreamForked, DamagedEvent: a stream is not one unbroken history.
        """
        self._streams.clear((self._own, self._peer))
        self._streams.clear_snapshot(snapshots.NEWEST)
        self._read_archived()
        self._load_snapshot()
        self._read_on(self._own, announce=False)
        try:
            self._read_on(self._peer, announce=False)
        except (StreamForked, DamagedEvent) as error:
            if self._peer != self._prevailing:
                raise
            self._damage = f"the copy of stream {self._peer!r} is damaged: {error}"
            _log.error("%s", self._damage)
            with suppress(StreamForked, DamagedEvent):
                self._read_on(self._peer, announce=False, page_count=1)
        self._copy_end = self._known.heads[self._peer]

    def _read_archived(self) -> None:
        """Ids go on above every archived one of this origin.

        What was archived of the copy may have any id: it need not have been an event.
        """
        found = self._streams.archives()
        ends = [a.last.ms for a in found if a.origin == self._own]
        self._archived_ms = max(ends, default=0)

    def _read_on(
        self, origin: Origin, *, announce: bool, page_count: int = PAGE_EVENT_COUNT
    ) -> None:
        while page := self._streams.read(
            origin, self._known.heads[origin].id, page_count
        ):
            events = self._known.chained(origin, page)
            self._fold(origin, page, events, announce=announce)

    # Snapshots.

    def _load_snapshot(self) -> None:
        known = snapshots.load(
            self._streams,
            snapshots.NEWEST,
            origins=(self._own, self._peer),
            prevailing=self._prevailing,
        )
        self._known = known or self._beginning()
        self._snapshot = self._known.snapshot()
        self._covered_count = self._snapshot.event_count

    @property
    def unsaved_count(self) -> int:
        """Events that a start would have to fold now."""
        return self._snapshot.event_count - self._covered_count

    @property
    def key_count(self) -> int:
        """Keys that a snapshot has, also those of deleted entries."""
        return self._known.configuration.key_count

    def write_snapshot(self, *, go_on: Callable[[], bool]) -> None:
        """Keep in the own Redis what memory is now, for the next start.

        Takes a second or so for 100,000 keys, holds up nobody, and is done by one thread at a
        time. `go_on` is asked between parts.

        Raises:
            StoreUnavailable: it was not written; nothing is lost but time at the next start.
        """
        with self._memory:
            known = self._known
            image = known.image()
        snapshots.write(
            self._streams,
            snapshots.NEWEST,
            image,
            prevailing=self._prevailing,
            go_on=go_on,
        )
        with self._memory:
            if self._known is known:
                self._covered_count = image.event_count

    # Letting go of what was archived.

    @property
    def archived(self) -> Archived | None:
        """What was archived last, as the history says; None: nothing ever was."""
        ordered = self.recent(Kind.HISTORY_ARCHIVED, self._prevailing)
        return newest_archived(ordered, self.origins)

    def trim(self, *, go_on: Callable[[], bool]) -> bool:
        """Let the streams in the own Redis begin with what was archived last.

        False: they do, or not now: events are to be recovered first. Takes as long as folding
        what leaves; changes go on meanwhile. Killed or cut off anywhere, it is done again.
        `go_on` is asked between pages.

        Raises:
            StoreUnavailable: Redis did not answer, or `go_on` said no; nothing was lost.
            StreamForked, DamagedEvent: what is to leave is not here as it was archived.
        """
        archived = self.archived
        if archived is None or not self._recovering.acquire(blocking=False):
            return False
        try:
            if self._broken or self._unmet or self.needs_recovery:
                return False
            done = trim(
                self._streams,
                archived,
                self.origins,
                prevailing=self._prevailing,
                go_on=go_on,
            )
        finally:
            self._recovering.release()
        if done:
            _log.info("the streams here begin with what %s ends with", archived.file)
        return done

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
        `expected` each entry must still be what this event left, nothing if it was a
        delete. While writes are frozen this waits up to `frozen_limit_s`.

        Raises:
            InvalidEntry: a part is outside its limits; nothing was stored.
            NoSuchEntry: there is no entry to delete; nothing was stored.
            EntryChanged: an entry is not `expected`; nothing was stored.
            WritesFrozen: a switch took longer than the limit; nothing was stored.
            StoreUnavailable: Redis did not answer; the text says whether it may be stored.
            SecondWriter: stop; another process writes this stream.
        """
        _check_author(actor, reason)
        drafts = [_draft(change) for change in changes]
        if not 0 < len(drafts) <= BATCH_EVENT_COUNT_MAX:
            raise InvalidEntry(
                f"a batch of {len(drafts)} changes; the limits are 1 and "
                f"{BATCH_EVENT_COUNT_MAX}"
            )
        return self._change(drafts, actor, reason, expected, frozen_limit_s)

    def _change(
        self,
        drafts: Sequence[_Draft],
        actor: str,
        reason: str,
        expected: EventId | None,
        frozen_limit_s: float,
    ) -> list[Event]:
        self._check_hindrance()
        with self._turn():
            self._await_thaw(frozen_limit_s)
            return self._write(drafts, actor, reason, expected)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        # Behind a Redis that hangs, or a resync, nobody must queue up for minutes:
        # test_changes_do_not_queue_up_behind_a_stopped_redis.
        if not self._writing.acquire(timeout=TURN_LIMIT_S):
            raise StoreRefused(
                f"the changes before this one have waited for Redis for {TURN_LIMIT_S} "
                "s; nothing was stored"
            )
        try:
            yield
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
        self._check_hindrance()
        with self._turn():
            return self._write([draft], actor, reason, None)[0]

    def change_licence(
        self,
        licence_id: str,
        document: JsonValue,
        *,
        installed: bool,
        actor: str,
        reason: str = "",
        frozen_limit_s: float = 5.0,
    ) -> Event:
        """Append that the licence `document` is `installed` from now on, or is not.

        Only in the prevailing stream it has an effect. Durable as by `append`.

        Raises: as `append`.
        """
        _check_author(actor, reason)
        kind = Kind.LICENCE_INSTALLED if installed else Kind.LICENCE_REMOVED
        key = check_key(LICENCES + licence_id)
        draft = _Draft(kind, key, codec.pack_value(document))
        return self._change([draft], actor, reason, None, frozen_limit_s)[0]

    @property
    def unsettled(self) -> bool:
        """Whether an append got no answer and may have come, or may still come."""
        return bool(self._unsettled)

    def settle(self) -> None:
        """Adopt what came of appends that got no answer, without waiting for the next one.

        Until then the peer may already have an event that this node does not show.

        Raises:
            StoreUnavailable: Redis still does not answer; try again later.
            SecondWriter: as `append`.
        """
        with self._writing:
            if self._unsettled and self._broken is None and self._hindrance is None:
                self._settle()

    def freeze(self, by: str) -> Mapping[Origin, Head]:
        """Hold back further changes; returns the heads once none is under way.

        `by` is what wants that; changes go through again when all that did have ended it.
        """
        self._frozen_by.add(by)
        with self._writing:
            return self._snapshot.heads

    def thaw(self, by: str) -> None:
        """Let changes through again, as far as `by` is concerned."""
        with self._thawed:
            self._frozen_by.discard(by)
            self._thawed.notify_all()

    def _await_thaw(self, limit_s: float) -> None:
        # Waiting gives the lock back: `freeze` and `record` need it.
        if not self._thawed.wait_for(lambda: not self._frozen_by, limit_s):
            raise WritesFrozen(
                "changes are held back for a switch or a resync, and it took over "
                f"{limit_s} s"
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
            raise SecondWriter(str(self._broken))
        self._check_hindrance()
        if self._unsettled:
            self._settle()
        behind: Head | None = None
        batch, events = list[Stored](), list[Event | Unknown]()
        while True:
            newest = self.latest(drafts[0].kind)
            if newest is not None and newest.packed == drafts[0].packed:
                return [newest]
            with self._memory:
                # At one moment, or a vector could cover what the caller never saw.
                self._check_entries(drafts, expected)
                heads = dict(self._known.heads)
            if heads[self._own] != behind:
                # Once for each place: the first try may be at the peer, and here lost again.
                behind = heads[self._own]
                batch = self._compose(drafts, actor, reason, heads, self._new_ms(heads))
                # Read before it is stored: what cannot be read back must not be written.
                events = self._known.chained(self._own, batch)
            if self._store(batch):
                self._fold(self._own, batch, events)
                self._unsettled.clear()
                return [event for event in events if isinstance(event, Event)]

    def _check_entries(
        self, drafts: Sequence[_Draft], expected: EventId | None
    ) -> None:
        for draft in drafts:
            entry = self._known.configuration.get(draft.key)
            standing = self._known.configuration.standing(draft.key)
            if expected is not None and (standing is None or standing.id != expected):
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
        ms: int,
    ) -> list[Stored]:
        own = heads[self._own]
        wall_ns = self._wall_ns()
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

    def _new_ms(self, heads: Mapping[Origin, Head]) -> int:
        """The time in a new id.

        Above the peer's, so that no two events of which one knew the other share an id.
        """
        own, peer = heads[self._own].id, heads[self._peer].id
        wall_ms = self._wall_ns() // _NS_PER_MS
        foreign_ms = max(peer.ms, self._named.ms, self._archived_ms)
        # Whatever stands there: what is beyond the end could not be written at all.
        return max(wall_ms, own.ms, min(foreign_ms + 1, MS_MAX))

    def _store(self, batch: Sequence[Stored]) -> bool:
        """Bring `batch` into the own stream. False: compose it anew behind what came.

        Sent again after no answer: the script makes that harmless, and only an answer
        tells that the first try is not still on its way (pitfalls R1, R2).
        """
        head = self._known.heads[self._own].id
        try:
            end = self._streams.append(self._own, head, batch)
        except StoreRefused:
            raise
        except StoreUnavailable:
            with self._outcome_unknown(batch):
                # Even if this try is refused: the first one may still arrive.
                end = self._streams.append(self._own, head, batch)
                return end is None or self._adopt(batch, self._behind_head())
        if end is None:
            return True
        with self._outcome_unknown(batch):
            found = self._behind_head()
        return self._adopt(batch, found)

    @contextmanager
    def _outcome_unknown(self, batch: Sequence[Stored]) -> Iterator[None]:
        """Until it is known whether `batch` is stored, it is remembered."""
        try:
            yield
        except SecondWriter:
            raise
        except EventStoreError as error:
            self._unsettled.append(batch)
            raise StoreUnavailable(
                f"{error}; whether the change is stored is unknown: read it back"
            ) from error

    def _behind_head(self) -> list[Stored]:
        head = self._known.heads[self._own].id
        return self._streams.read(self._own, head, BATCH_EVENT_COUNT_MAX + 1)

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
        if found != self._known.heads[self._own].id:
            self._adopt((), self._behind_head())

    def _adopt(self, batch: Sequence[Stored], found: Sequence[Stored]) -> bool:
        """The stream does not end with our head: find out why. True: `batch` is there.

        What was `found` behind our head may be `batch` or an earlier one whose answer was lost.
        Anything else was written by somebody else.
        """
        if batch and found == list(batch):
            return True
        for late in self._unsettled:
            if found == list(late):
                self._fold(self._own, found, self._known.chained(self._own, found))
                self._unsettled.clear()
                return False
        if found:
            self._broken = self._second_writer(found[0][0])
            raise self._broken
        self._restore_own()
        self._check_hindrance()
        return False

    def _check_hindrance(self) -> None:
        if self._unmet is not None:
            raise StoreRefused(f"{_UNMET}; nothing was stored")
        if self._hindrance is not None:
            raise StoreRefused(f"{self._hindrance}; nothing was stored")

    # The copy of the peer's stream.

    def take(self, page: Sequence[Stored]) -> None:
        """Add `page` to the copy, if it continues the hash chain, and fold what is new.

        Raises:
            StreamForked, DamagedEvent: it does not; nothing was added.
            StoreUnavailable: the own Redis did not answer; `reload_copy`, then go on.
        """
        with self._copying:
            end = self._copy_end
            events = chained(self._peer, end, page)
            self._check_known(events)
            found = self._streams.append(self._peer, end.id, page)
            if found is not None:
                raise StoreUnavailable(
                    f"the copy of {self._peer!r} ends with {found}, not {end.id}"
                )
            self._copy_end = Head(events[-1].id, events[-1].digest)
            # Else Redis has lost some of the copy: `meet_copy` folds what is new in it.
            if end == self._known.heads[self._peer]:
                self._fold(self._peer, page, events)

    def _check_known(self, events: Sequence[Event | Unknown]) -> None:
        """That the peer knew nothing of our own stream that we do not know."""
        known = max(
            (e.vector.get(self._own, START) for e in events if isinstance(e, Event)),
            default=START,
        )
        # It may be stored already, and just about to be applied.
        applied = max(self._known.heads[self._own].id, self._forgone) >= known
        if not applied and not self.await_head(
            self._own, known, self._applied_within_s
        ):
            self._named = max(self._named, known)
            lost = self._lost(f"the peer knows event {known} of it")
            self._hindrance = self._hindrance or lost
            raise StreamForked(lost)

    def reload_copy(self) -> Head:
        """Look anew where the copy ends, after a lost answer or a loss; returns that.

        What Redis lost of it is written again first, from memory: it may be nowhere else.

        Raises: as `open`.
        """
        with self._copying:
            self._restore(self._peer, self._end(self._peer))
            if self._holds_head(self._peer):
                self._read_on(self._peer, announce=True)
            self._copy_end = self._end(self._peer)
            return self._copy_end

    def meet_copy(self, *, go_on: Callable[[], bool]) -> None:
        """Let memory know what the copy is, now that it has all that the peer's Redis has.

        Costs nothing unless Redis had lost some of it. What only memory has then is put back
        into the copy, where the peer finds it and recovers it. `go_on` as in `recover`.

        Raises:
            StoreUnavailable: events were put back: compare the streams anew.
            Else as `open` and `append`.
        """
        if self._copy_end == self._known.heads[self._peer]:
            return
        self._put_back(go_on)
        with self._writing:
            if self._unsettled:
                self._settle()
            self._restore_own()
            if self._hindrance is None:
                self._meet_stream(self._peer)

    def _put_back(self, go_on: Callable[[], bool]) -> None:
        with self._copying:
            if self._holds_head(self._peer):
                return
            mending = Mending(self._streams, self._streams, self._peer, go_on=go_on)
            if not mending.put_back(list(self._known.tails[self._peer])):
                return
            self._copy_end = self._end(self._peer)
        text = f"events of stream {self._peer!r} that no Redis had were put back from memory"
        _log.warning("%s", text)
        raise StoreUnavailable(text)

    # Losses of Redis, and recovery (D9).

    def check(self) -> None:
        """See that Redis still has what it acknowledged; write again what it lost.

        What is in memory still is appended again as it was. Where that is not enough, no
        change is taken until `recover` was done. Waits for no change that is under way: that
        one sees for itself.

        Raises:
            StoreUnavailable, DamagedEvent: Redis did not answer, or not with events.
        """
        if self._recovering.acquire(blocking=False):
            try:
                self._check_own()
            finally:
                self._recovering.release()
        if self._copying.acquire(blocking=False):
            try:
                self._restore(self._peer, self._end(self._peer))
                self._copy_end = min(self._copy_end, self._end(self._peer), key=_by_id)
            finally:
                self._copying.release()

    def _check_own(self) -> None:
        if self._writing.acquire(blocking=False):
            try:
                if self._unmet is not None:
                    with self._copying:
                        self._meet_resynced()
                if self._broken is None and not self._unsettled:
                    self._restore_own()
            finally:
                self._writing.release()

    def compare_own(self, claimed: EventId, digest: bytes) -> bool:
        """The peer's copy of our own stream ends with `claimed`: is that event here?

        False: not yet, so ask again. If Redis has not got it, or another one in its place,
        events were lost, and no change is taken until they are back: what was written
        meanwhile would fork.

        Raises:
            StoreUnavailable, DamagedEvent: that could not be found out.
        """
        if self._broken is not None or claimed == START:
            return True
        if digest == self._wrong_end:
            return True
        blob = self._streams.at(self._own, claimed)
        if blob is not None and codec.digest_of(blob) == digest:
            return True
        if is_archived(self._streams, self._own, claimed):
            return True  # It is the peer that lost events.
        lost = self._lost(f"the peer holds event {claimed} of it")
        self._hindrance = self._hindrance or lost
        return False

    def recover(self, source: Streams, *, go_on: Callable[[], bool]) -> None:
        """Make the own stream whole with the copy that the peer's Redis, `source`, has of it.

        Nothing is lost: what was written here without knowing the lost events is archived as it
        is and appended anew behind them. Doing it twice, or again after it was cut off
        anywhere, changes nothing more. `go_on` is asked between pages.

        Raises:
            StoreUnavailable: a Redis did not answer, or `go_on` said no; try again later.
            StreamForked, DamagedEvent: a stream is not one unbroken history.
        """
        with self._recovering:
            if self._hindrance is None:
                self._record_recovery()
            # The peer is never waited for while changes wait for us.
            last = source.last(self._own)
            if self._broken is None:
                anchors = self._take_anchors(source, go_on)
                if self._own in anchors or self._finds_loss(last):
                    mending = Mending(
                        self._streams,
                        source,
                        self._own,
                        go_on=go_on,
                        anchors=anchors,
                        first=lambda: self._first_digest(source),
                    )
                    self._mend(mending, last)
            self._record_recovery()

    def _take_anchors(
        self, source: Streams, go_on: Callable[[], bool]
    ) -> dict[Origin, Stored]:
        """What the own stream, and an empty copy with it, must begin with.

        The snapshot of what stands before is here when this returns. A copy that alone is
        empty begins there already.
        """
        try:
            anchors = missing_anchors(
                self._streams, source, own=self._own, peer=self._peer
            )
        except StreamForked as error:
            self._hindrance = str(error)
            raise
        if not anchors:
            return {}
        if self._own in anchors and self._hindrance is None:
            self._hindrance = self._lost("the peer has archived events of it")
        take_base(
            self._streams, source, anchors, prevailing=self._prevailing, go_on=go_on
        )
        _log.warning(
            "what the peer had archived before its events is taken over: %s",
            ", ".join(f"{o} up to {stored[0]}" for o, stored in anchors.items()),
        )
        if self._own in anchors:
            return anchors
        with self._copying:
            # If somebody was quicker, it is seen when the copy is looked at.
            self._streams.append(self._peer, START, [anchors[self._peer]])
        return {}

    def _first_digest(self, source: Streams) -> bytes | None:
        """The digest of event number 1 of the own stream, if either Redis says it."""
        found = (
            first_digest(streams, self._own) for streams in (source, self._streams)
        )
        return next((digest for digest in found if digest is not None), None)

    def _finds_loss(self, last: Stored | None) -> bool:
        """Whether something is missing here; `last` is the end of the peer's copy."""
        if self._hindrance is None:
            if last is None or self._streams.at(self._own, last[0]) == last[1]:
                return False
            if is_archived(self._streams, self._own, last[0]):
                return False  # It is the peer that lost events, and says so.
            if codec.digest_of(last[1]) == self._wrong_end:
                return False
            self._hindrance = self._lost(f"the peer holds event {last[0]} of it")
        return True

    def _mend(self, mending: Mending, last: Stored | None) -> None:
        """Bring the own stream in order, and let memory know.

        The lock is held only until no change is under way. From then on the hindrance refuses
        all, so nothing writes, and a switch need not wait for what may take minutes.
        """
        with self._writing:
            if self._unsettled:
                with suppress(StoreRefused):
                    self._settle()
            end = self._end(self._own)
            memory = list(self._known.tails[self._own])
            ms_min = self._new_ms(self._known.heads)
        try:
            self._unrecorded = mending.mend(memory, ms_min=ms_min) or self._unrecorded
        except WrongCopy:
            if end == self._known.heads[self._own] and last is not None:
                # Whatever the peer has there, it must not stop this node.
                self._wrong_end = codec.digest_of(last[1])
                self._hindrance = None
            raise
        self._read_archived()
        self._meet_stream(self._own)
        self._hindrance = None
        self._forgo()

    def _record_recovery(self) -> None:
        """Write the event of a recovery; if that fails, the next call does it."""
        mended = self._unrecorded
        if mended is None or self._broken is not None:
            return
        draft = _Draft(Kind.STREAM_RECOVERED, "", codec.pack_value(mended.as_value()))
        with self._writing:
            self._write([draft], f"{self._own} node", "Redis had lost events", None)
        self._unrecorded = None
        _log.warning("stream %s was recovered: %s", self._own, mended)

    def _forgo(self) -> None:
        """What the peer's events name and its Redis has not will not come back."""
        if self._named > max(self._known.heads[self._own].id, self._forgone):
            _log.error(
                "event %s of stream %s, which the peer knew, is in neither Redis: it is lost",
                self._named, self._own,
            )  # fmt: skip
            self._forgone = self._named

    def _lost(self, proof: str) -> str:
        return (
            f"stream {self._own!r} lost events in the Redis here ({proof}): this node takes "
            "no changes until it has them back from the peer"
        )

    def _restore_own(self) -> None:
        end = self._end(self._own)
        self._check_writer(end)
        if not self._restore(self._own, end) and self._hindrance is None:
            head = self._known.heads[self._own].id
            self._hindrance = self._lost(f"this node wrote up to {head}")
            _log.error("%s", self._hindrance)

    def _check_writer(self, end: Head) -> None:
        """That what the own stream ends with was written here.

        Nothing is beyond our head, or it is of another process, or of an older Redis that was
        put in place of this one; but for what a recovery that was cut off took back.
        Redis that lost events ends with one that this process knows, as far back as it
        remembers, maybe as it was before a recovery. Another one is of a second process,
        whose clock was set back.
        """
        head = self._known.heads[self._own]
        if end == head:
            return
        if end.id > head.id and self._hindrance is None:
            self._broken = self._second_writer(end.id)
            raise self._broken
        tail = dict(self._known.tails[self._own])
        if not tail or not min(tail) <= end.id <= max(tail):
            return
        known = known_digests(codec.decode(self._own, i, b) for i, b in tail.items())
        if end.digest not in known:
            self._broken = self._second_writer(end.id)
            raise self._broken

    def _second_writer(self, event_id: EventId) -> SecondWriter:
        return SecondWriter(
            f"event {event_id} of stream {self._own!r} was not written by this process: is "
            "a second node running with this Redis? This one stops writing"
        )

    def _restore(self, origin: Origin, end: Head) -> bool:
        """Whether Redis, where it ends with `end`, has or now has again all we know."""
        head = self._known.heads[origin]
        if end.id > head.id or end == head:
            return True
        lost = [stored for stored in self._known.tails[origin] if stored[0] > end.id]
        try:
            chained(origin, end, lost)
        except EventStoreError:
            return False
        if not lost:
            return False
        for page in pages(lost):
            try:
                self._streams.append(origin, end.id, page)
            except StoreRefused:
                return False  # Deleted by hand, mostly: it must be made anew.
            end = Head(page[-1][0], codec.digest_of(page[-1][1]))
        _log.warning(
            "Redis lost %d events of stream %s; they were written again from memory",
            len(lost), origin,
        )  # fmt: skip
        return self._end(origin) == head

    def _end(self, origin: Origin) -> Head:
        last = self._streams.last(origin)
        if last is None:
            return Head(START, codec.genesis(self._streams.pair, origin))
        return Head(last[0], codec.digest_of(last[1]))

    # Resync (D3, D11, D12).

    def look_at_resync(
        self, source: Streams, *, discard: bool, with_entries: bool, watch: Watch
    ) -> Leaving:
        """What would leave if this node's data were replaced by the peer's, in `source`.

        Nothing is changed. `watch` is told how many events were read, and may end it. Which
        entries would be others is found out only `with_entries`.

        Raises:
            StoreUnavailable: a Redis did not answer, or `watch` said no.
            ResyncRefused, DamagedEvent: a stream is not one unbroken history.
        """
        resync = self._resync(source, watch)
        leaving = resync.part(self._known.heads[self._peer], discard=discard)
        if leaving.against() or not with_entries:
            return leaving
        return resync.look(leaving, self._known, self._beginning())

    def resync(self, source: Streams, order: ResyncOrder, *, watch: Watch) -> Resynced:
        """Replace the data here by those of the peer, whose Redis is `source`, in one step.

        What the own stream alone has must be at the peer already, or is discarded; what leaves
        is archived. An event `resynchronised` says so. Changes wait until it has ended. Doing
        it again, or after it was cut off anywhere, changes nothing more.

        Raises:
            ResyncRefused: nothing was changed.
            StoreUnavailable: a Redis did not answer, or `watch` said no. Nothing was changed,
                unless the text says that this is not known.
            SecondWriter, DamagedEvent: nothing was changed.
        """
        _check_author(order.actor, order.reason)
        with self._recovering, self._writing, self._copying:
            self._check_whole()
            resync = self._resync(source, watch)
            left = resync.part(self._known.heads[self._peer], discard=order.discard)
            if reasons := (*left.against(), *left.not_taken_over()):
                raise ResyncRefused(reasons)
            if left.is_nothing and not order.anyway:
                return Resynced(left, None)
            made = self._beginning()
            left = resync.make(left, self._known, made)
            ends = {origin: head.id for origin, head in made.heads.items()}
            event, batch = self._compose_resynchronised(left, order, made)
            try:
                resync.finish(left, event.id, ends, batch)
            except StoreUnavailable as error:
                self._unmet = made
                self._meet_resynced(error)
                if self._known is not made:
                    raise
            else:
                self._adopt_resynced(made)
            _log.warning(
                "this node's data are the peer's now: %d events left, %d entries changed",
                sum(p.event_count for p in left.replaced), left.changed_count,
            )  # fmt: skip
            return Resynced(left, event)

    def _compose_resynchronised(
        self, left: Leaving, order: ResyncOrder, made: Memory
    ) -> tuple[Event, list[Stored]]:
        """The event that tells of it, and all that is appended; folded into `made`."""
        # Above the ids that leave.
        above_ms = min(self._new_ms(self._known.heads) + 1, MS_MAX)
        ms = max(self._new_ms(made.heads), above_ms)
        name = EventId(ms, made.heads[self._own].id.n + 1)
        value = {**order.note, **told_of(left, name)}
        drafts = [_Draft(Kind.RESYNCHRONISED, "", codec.pack_value(value))]
        for kind in order.kept:
            newest, there = self.latest(kind), made.recent.get((self._own, kind))
            if newest and not (there and there[-1].packed == newest.packed):
                drafts.append(_Draft(kind, "", newest.packed))
        batch = self._compose(drafts, order.actor, order.reason, made.heads, ms)
        events = made.chained(self._own, batch)
        made.fold(self._own, batch, events)
        assert isinstance(events[0], Event)
        return events[0], batch

    def _resync(self, source: Streams, watch: Watch) -> Resync:
        return Resync(
            self._streams, source, own=self._own, peer=self._peer, watch=watch
        )

    def _check_whole(self) -> None:
        """That Redis has what this node wrote, so that nothing is replaced unseen."""
        if self._broken is not None:
            raise SecondWriter(str(self._broken))
        self._meet_resynced()
        self._check_hindrance()
        if self._unsettled:
            self._settle()
        self._restore_own()
        self._check_hindrance()

    def _meet_resynced(self, cause: StoreUnavailable | None = None) -> None:
        """Let memory know whether a swap came about.

        Raises:
            StoreUnavailable: Redis does not answer; no change is taken until it does.
        """
        made = self._unmet
        if made is None:
            return
        try:
            # Without what was made a swap that is still on its way changes nothing.
            self._streams.clear((self._own, self._peer))
            end = self._end(self._own)
        except StoreUnavailable as error:
            raise StoreUnavailable(f"{cause or error}; {_UNMET}") from error
        if end == made.heads[self._own]:
            self._adopt_resynced(made)
        self._unmet = None

    def _adopt_resynced(self, made: Memory) -> None:
        self._replace_memory(made)
        self._copy_end = made.heads[self._peer]
        self._wrong_end = self._damage = self._unmet = None

    # Memory.

    def _holds_head(self, origin: Origin) -> bool:
        """Whether what memory ends with is in Redis."""
        head = self._known.heads[origin]
        if head.id == START:
            return anchor_of(self._streams, origin) is None
        blob = self._streams.at(origin, head.id)
        return blob is not None and codec.digest_of(blob) == head.digest

    def _meet_stream(self, changed: Origin) -> None:
        """Let memory know what a stream is now. Nothing else writes the own one meanwhile."""
        with self._copying:
            if self._holds_head(changed):
                self._read_on(changed, announce=True)
                return
            known = self._beginning()
            for origin in self.origins:
                start = known.heads[origin].id
                for page in read_pages(self._streams, origin, start):
                    known.fold(origin, page, known.chained(origin, page))
            # Redis may have lost more of the copy than memory did.
            rest = [
                s for s in self._known.tails[self._peer] if s[0] > self._copy_end.id
            ]
            with suppress(StreamForked):
                events = known.chained(self._peer, rest)
                if events:
                    known.fold(self._peer, rest, events)
            self._replace_memory(known)

    def _replace_memory(self, known: Memory) -> None:
        with self._memory:
            before, self._known = self._known, known
            self._covered_count = 0
            self._snapshot = known.snapshot()
            self._grown.notify_all()
            for event, folded in known.configuration.differences(before.configuration):
                self._on_folded(event, folded)

    def _fold(
        self,
        origin: Origin,
        page: Sequence[Stored],
        events: Sequence[Event | Unknown],
        *,
        announce: bool = True,
    ) -> None:
        with self._memory:
            news = self._known.fold(origin, page, events)
            self._snapshot = self._known.snapshot()
            self._grown.notify_all()
            if announce:
                for event, folded in news:
                    self._on_folded(event, folded)


def _by_id(head: Head) -> EventId:
    return head.id


def _draft(change: Change) -> _Draft:
    key = check_key(change.key)
    if isinstance(change, Put):
        if key.startswith(LICENCES):
            raise InvalidEntry(f"key {key!r}: a licence is installed, not put")
        return _Draft(Kind.ENTRY_PUT, key, codec.pack_value(change.value))
    return _Draft(Kind.ENTRY_DELETED, key, codec.NOTHING)


def _check_author(actor: str, reason: str) -> None:
    check_text("actor", actor, ACTOR_BYTES_MAX)
    check_text("reason", reason, REASON_BYTES_MAX)
    if not actor:
        raise InvalidEntry("actor is empty; say who makes the change")
