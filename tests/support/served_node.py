"""A node in memory that HTTP can serve: real events, no Redis, no peer."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import attrs

from eventstore import (
    LICENCES,
    START,
    Archived,
    ArchivedEvent,
    Change,
    Delete,
    Entry,
    EntryChanged,
    Event,
    EventId,
    Head,
    JsonValue,
    Kind,
    Leaving,
    Loss,
    NoSuchConflict,
    NoSuchEntry,
    Origin,
    Put,
    Stored,
    Verification,
    check_key,
    digest_of,
    read_licence,
    stored_at,
    verify_on,
)
from eventstore.codec import encode_event, pack_value
from eventstore.parting import Parting, leaving_with
from node.archiving import Archivable
from node.errors import NoSuchLicence
from node.http_api import ServedNode
from node.http_api.served_node import SwitchWhen
from node.licences import Licences, Validity, validity
from node.roles import Role, State
from node.verifying import StoredHeads, VerifyPage
from tests.support.served_past import FakePast
from tests.support.sources import MemorySource
from tests.support.tampering import Copy, history

ARCHIVE = "standby-resync-1767225600000-9"
MASTER, STANDBY = Origin("master"), Origin("standby")
FIRST_NS = 1_767_225_600_000_000_000
"""Wall clock of the first event: the begin of the year 2026."""


@attrs.frozen
class FakeReport:
    """What became of a switch."""

    outcome: str
    id: str = "s-1"
    text: str = "all is well"
    active: Role | None = Role.STANDBY
    duration_s: float = 0.25


@attrs.frozen
class FakeResync:
    """What became of a resync."""

    outcome: str
    left: Leaving
    text: str = "all is the master's"
    event: Event | None = None
    duration_s: float = 1.5


class FakeNode(FakePast):
    """Stores in memory. Set `error` to let everything that may wait raise it."""

    def __init__(self) -> None:
        super().__init__()
        self.role = Role.MASTER
        self.state = State.ACTIVE
        self.live = True
        self.reasons: list[str] = []
        self.error: Exception | None = None
        self.stuck: threading.Event | None = None
        """While it is there and not set, changes hang."""
        self.orders: list[dict[str, Any]] = []
        """The arguments of every order that came through."""
        self.events: list[Event] = []
        self.stored: MemorySource | None = None
        """What the streams and archives are; None: what was done here."""
        self.losses: list[Loss] = []
        """By the ids of the losers."""
        self.copies = [Copy(history(6), page_count_max=4) for _ in range(2)]
        """What is verified."""
        self.replicating = True
        self.paused = False
        self.told: dict[str, object] | None = None
        """The whole status, where a test gives one."""
        self._entries: dict[str, Entry] = {}
        self._licences: dict[str, Event] = {}

    def status(self) -> dict[str, object]:
        if self.told is not None:
            return self.told
        return {
            "pair": "office",
            "replication": {"enabled": self.replicating},
            "takeover": {"paused": self.paused},
            "licences": {"valid": self.licences().valid},
        }

    def is_live(self) -> bool:
        return self.live

    def is_ready(self) -> tuple[bool, Sequence[str]]:
        return not self.reasons, self.reasons

    def entry(self, key: str) -> Entry | None:
        return self._entries.get(key)

    def list(self, prefix: str = "") -> Mapping[str, Entry]:
        self._wait()
        return {k: e for k, e in self._entries.items() if k.startswith(prefix)}

    def put(
        self,
        key: str,
        value: JsonValue,
        *,
        actor: str,
        reason: str = "",
        expected: EventId | None = None,
        replicated_within_s: float | None = None,
    ) -> Event:
        self._wait(actor=actor, reason=reason, within_s=replicated_within_s)
        self._expect(key, expected)
        return self._append(Put(check_key(key), value), actor, reason)

    def delete(
        self,
        key: str,
        *,
        actor: str,
        reason: str = "",
        expected: EventId | None = None,
    ) -> Event:
        self._wait(actor=actor, reason=reason)
        self._expect(key, expected)
        if key not in self._entries:
            raise NoSuchEntry(f"there is no entry {key!r}")
        return self._append(Delete(key), actor, reason)

    def change_many(
        self, changes: Sequence[Change], *, actor: str, reason: str = ""
    ) -> Sequence[Event]:
        self._wait(actor=actor, reason=reason)
        for change in changes:
            check_key(change.key)
            if isinstance(change, Put):
                pack_value(change.value)
            elif change.key not in self._entries:
                raise NoSuchEntry(f"there is no entry {change.key!r}")
        return [self._append(change, actor, reason) for change in changes]

    @property
    def source(self) -> MemorySource:
        self._wait()
        if self.stored is not None:
            return self.stored
        blobs: dict[Origin, list[Stored]] = {MASTER: [], STANDBY: []}
        for event in self.events:
            blobs[event.origin].append((event.id, encode_event(event)))
        return MemorySource(blobs)

    def history(
        self,
        *,
        key: str | None = None,
        prefix: str | None = None,
        since_ns: int | None = None,
        until_ns: int | None = None,
        actor: str | None = None,
        origin: Origin | None = None,
        kinds: Collection[str] | None = None,
        after: Mapping[Origin, EventId] | None = None,
        limit: int = 1000,
    ) -> Iterator[Event]:
        self._wait(since_ns=since_ns, until_ns=until_ns, limit=limit)
        found = (
            event
            for event in self.events
            if event.id > (after or {}).get(event.origin, START)
            and (key is None or event.key == key)
            and (prefix is None or event.key.startswith(prefix))
            and (actor is None or event.actor == actor)
            and (origin is None or event.origin == origin)
            and (kinds is None or event.kind in kinds)
        )
        return iter([event for event, _ in zip(found, range(limit), strict=False)])

    def conflicts(
        self,
        *,
        settled: bool = False,
        key: str | None = None,
        prefix: str | None = None,
        after: EventId | None = None,
        limit: int | None = 1000,
    ) -> Sequence[Loss]:
        if settled:
            self._wait(settled=settled)
        found = [
            loss
            for loss in self.losses
            if (settled or loss.settled_by is None)
            and loss.loser.id > (after or START)
            and (key is None or loss.key == key)
            and (prefix is None or loss.key.startswith(prefix))
        ]
        return found[:limit]

    def restore(self, lost: EventId, *, actor: str, reason: str = "") -> Event:
        self._wait(actor=actor, reason=reason)
        for loss in self.conflicts():
            if loss.loser.id == lost:
                return self._append(loss.change, actor, reason)
        raise NoSuchConflict(f"no change with the id {lost} has lost")

    def archived(
        self,
        *,
        key: str | None = None,
        prefix: str | None = None,
        since_ns: int | None = None,
        until_ns: int | None = None,
        actor: str | None = None,
        origin: Origin | None = None,
        kinds: Collection[str] | None = None,
        after: tuple[str, EventId] | None = None,
        limit: int = 1000,
    ) -> Iterator[ArchivedEvent]:
        """All events, as if they were in one archive."""
        assert after is None or after[0] == ARCHIVE
        start = dict.fromkeys((MASTER, STANDBY), after[1]) if after else None
        found = self.history(
            key=key,
            prefix=prefix,
            since_ns=since_ns,
            until_ns=until_ns,
            actor=actor,
            origin=origin,
            kinds=kinds,
            after=start,
            limit=limit,
        )
        return (ArchivedEvent(ARCHIVE, event) for event in found)

    def verify_page(
        self, after: Verification | None, *, compare: bool, archives: bool
    ) -> VerifyPage:
        self._wait()
        compare = compare if after is None else after.copy_count > 1
        copies = self.copies if compare else self.copies[:1]
        start = after or Verification.start("office", len(copies), archives=archives)
        return VerifyPage(
            pair="office",
            now=verify_on(start, copies, originals={MASTER: 0}, remembered=tuple),
            names=["the master's Redis", "the standby's Redis"][: len(copies)],
            total=12,
            problem="",
        )

    def stored_heads(
        self, at: Sequence[tuple[Origin, EventId]], *, compare: bool
    ) -> StoredHeads:
        self._wait()
        copies = self.copies if compare else self.copies[:1]
        found = [[stored_at(copy, *place) for copy in copies] for place in at]
        return StoredHeads(
            pair="office",
            names=["the master's Redis", "the standby's Redis"][: len(copies)],
            heads=self.copies[0].heads(),
            digests=[
                [None if s is None else digest_of(s[1]) for s in f] for f in found
            ],
        )

    def switch(
        self,
        *,
        actor: str,
        when: SwitchWhen = "now",
        reason: str = "",
        dry_run: bool = False,
        wait_s: float = 3600.0,
    ) -> FakeReport:
        self._wait(
            actor=actor, when=when, reason=reason, dry_run=dry_run, wait_s=wait_s
        )
        if dry_run:
            return FakeReport("ready")
        return FakeReport("done" if when == "now" else "waiting")

    def cancel_switch(self, *, actor: str) -> FakeReport:
        self._wait(actor=actor)
        return FakeReport("cancelled", active=None)

    def licences(self) -> Validity:
        read = Licences.of_events(self._licences.values(), None)
        return validity(read, now_wall_ns=FIRST_NS, grace_over=False)

    def install_licence(
        self, document: JsonValue, *, actor: str, reason: str = ""
    ) -> Event:
        self._wait(actor=actor, reason=reason)
        licence = read_licence(document)
        event = self._made(
            Kind.LICENCE_INSTALLED, LICENCES + licence.id, document, actor, reason
        )
        self._licences[event.key] = event
        return event

    def remove_licence(self, licence_id: str, *, actor: str, reason: str = "") -> Event:
        self._wait(actor=actor, reason=reason)
        found = self._licences.pop(LICENCES + licence_id, None)
        if found is None:
            raise NoSuchLicence(f"no licence {licence_id!r} is installed")
        return self._made(Kind.LICENCE_REMOVED, found.key, found.value, actor, reason)

    def archivable(self, before_ns: int) -> Archivable:
        self._wait(before_ns=before_ns)
        head = Head(EventId(5, 5), bytes(32))
        start = Head(START, bytes(32))
        return Archivable({MASTER: start}, {MASTER: head})

    def archive(
        self, archived: Archived, before_ns: int, *, actor: str, reason: str = ""
    ) -> Event:
        self._wait(archived=archived, before_ns=before_ns, actor=actor, reason=reason)
        value = archived.as_value()
        return self._made(Kind.HISTORY_ARCHIVED, "", value, actor, reason)

    def set_replication(self, enabled: bool, *, actor: str, reason: str = "") -> None:
        self._wait(actor=actor, reason=reason)
        self.replicating = enabled

    def resync(
        self,
        *,
        actor: str,
        reason: str = "",
        discard: bool = False,
        dry_run: bool = False,
    ) -> FakeResync:
        self._wait(actor=actor, reason=reason, discard=discard, dry_run=dry_run)
        head = Head(EventId(1000, 1), b"")
        own = Parting(
            origin=STANDBY,
            common=head,
            last=EventId(2000, 9),
            event_count=8,
            change_count=len(self.events),
            listed=tuple(self.events),
        )
        copy = Parting(origin=MASTER, common=head, last=head.id)
        left = Leaving(own=own, copy=copy, discard=discard)
        keys = iter(self._entries)
        return FakeResync("ready" if dry_run else "done", leaving_with(left, keys))

    def pause_takeover(self, for_s: float, *, actor: str, reason: str = "") -> None:
        self._wait(actor=actor, reason=reason, for_s=for_s)
        self.paused = True

    def resume_takeover(self, *, actor: str, reason: str = "") -> None:
        self._wait(actor=actor, reason=reason)
        self.paused = False

    def receive(self, key: str, value: JsonValue) -> Event:
        """An event of the standby arrives."""
        return self._append(Put(key, value), "bob", "", STANDBY)

    def _wait(self, **order: object) -> None:
        if self.stuck is not None:
            assert self.stuck.wait(30), "a test left the node stuck"
        if self.error is not None:
            raise self.error
        self.orders.append(order)

    def _expect(self, key: str, expected: EventId | None) -> None:
        entry = self._entries.get(key)
        if expected is not None and (entry is None or entry.id != expected):
            current = None if entry is None else str(entry.id)
            raise EntryChanged(key, expected=str(expected), current=current)

    def _append(
        self, change: Change, actor: str, reason: str, origin: Origin = MASTER
    ) -> Event:
        is_put = isinstance(change, Put)
        kind = Kind.ENTRY_PUT if is_put else Kind.ENTRY_DELETED
        value = change.value if isinstance(change, Put) else None
        event = self._made(kind, change.key, value, actor, reason, origin)
        if is_put:
            self._entries[change.key] = Entry(change.key, event)
        else:
            del self._entries[change.key]
        return event

    def _made(
        self,
        kind: Kind,
        key: str,
        value: JsonValue,
        actor: str,
        reason: str,
        origin: Origin = MASTER,
    ) -> Event:
        position = sum(event.origin == origin for event in self.events) + 1
        wall_ns = FIRST_NS + len(self.events) * 1_000_001_000
        event_id = EventId(wall_ns // 1_000_000, position)
        event = Event(
            origin=origin,
            id=event_id,
            kind=kind,
            key=key,
            packed=pack_value(value),
            actor=actor,
            reason=reason,
            wall_ns=wall_ns,
            vector={origin: event_id},
            previous=b"\0" * 32,
            digest=b"\1" * 32,
        )
        self.events.append(event)
        return event


_: type[ServedNode] = FakeNode
