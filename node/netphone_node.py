"""`NetPhoneNode`: one node of a pair, to be run by a service or by `python -m node`."""

from __future__ import annotations

import builtins
import logging
import secrets
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from itertools import islice
from random import SystemRandom
from types import TracebackType
from typing import TYPE_CHECKING

import attrs

from eventstore import (
    FOLD_VERSION,
    FORMAT_VERSION,
    Archived,
    ArchivedEvent,
    Blame,
    Change,
    Delete,
    Entry,
    Event,
    EventId,
    EventStore,
    EventStoreError,
    Explanation,
    Filter,
    JsonValue,
    KeepingSource,
    Kind,
    Loss,
    Origin,
    Put,
    Replayed,
    Replication,
    Replicator,
    StoreUnavailable,
    Streams,
    Suitability,
    Until,
    Verification,
    VerifyReport,
    Watch,
    beginning,
    connect,
    display_url,
    read_archived,
    read_blame,
    read_explanation,
    read_history,
    replay,
)
from node.archiving import Archivable, ArchiveOrders
from node.clock import Clock, SystemClock, iso_utc
from node.config import NodeConfig
from node.conflicts import Conflicts
from node.core import Core, Facts
from node.errors import NotReplicated
from node.health import Health
from node.licence_watch import GraceView, LicenceWatch, readings
from node.licences import Validity
from node.licensing import Licensing, Seats
from node.link_messages import Head
from node.link_protocol import Identity
from node.notifications import (
    Conflict,
    EntryChange,
    LicenceWarning,
    Listeners,
    StateChange,
)
from node.resyncing import Resyncing, ResyncReport
from node.roles import Role, State
from node.runtime import Announce, Ask, Observed, Runtime
from node.service import Counts
from node.shells import Shells
from node.snapshotting import Snapshotting
from node.status import Sources, status_of
from node.switching import Switching, SwitchReport, When, active_role
from node.takeover_pause import PAUSE_S_MAX
from node.trimming import Trimming
from node.verifying import StoredHeads, Verifying, VerifyPage
from node.version import VERSION

if TYPE_CHECKING:
    from node.http_api import HttpServer

_log = logging.getLogger("netphone")

_REDIS_TIMEOUT_S = 2.0
_READER_TIMEOUT_S = 2.5
"""Longer than one blocking read of the replicator."""
_PROBE_TIMEOUT_S = 1.0
_STOP_LIMIT_S = 5.0
_ORIGINS = {
    "prevailing": Origin(Role.MASTER.value),
    "other": Origin(Role.STANDBY.value),
}
"""Whose changes prevail, and whose do not."""


class NetPhoneNode:
    """One node of a pair. Thread-safe, blocking, and independent of the host's event loop.

    `start` and `stop` once, or use it as a context manager. Between them it supervises its
    peer, replicates, and serves HTTP where configured, all in threads of its own.
    """

    def __init__(self, config: NodeConfig, *, clock: Clock | None = None) -> None:
        self.config = config
        self._clock = clock or SystemClock()
        self._instance = secrets.token_hex(8)
        self._own, self._peer = (
            Origin(config.role.value),
            Origin(config.role.other.value),
        )
        self._counts = Counts()
        self._listeners = Listeners(self._counts)
        self._durability = Suitability(None, None, None)
        self._calls = 0
        self._started = False
        self._said_ready = True
        self._running = ExitStack()
        name = f"Redis at {display_url(config.redis_url)}"
        self._streams = self._connect(
            config.redis_url, config.redis_password, _REDIS_TIMEOUT_S, name
        )
        self._probe = self._connect(
            config.redis_url, config.redis_password, _PROBE_TIMEOUT_S, name
        )
        self._store = EventStore(
            self._streams,
            own=self._own,
            peer=self._peer,
            prevailing=Origin(Role.MASTER.value),
            wall_ns=self._clock.wall_ns,
            on_folded=self._listeners.folded,
        )
        self._snapshotting = Snapshotting(self._store)
        self._trimming = Trimming(self._store)
        self._licensing = Licensing(
            config,
            store=self._store,
            clock=self._clock,
            grace_over=lambda: self.grace_view().grace_over,
        )
        self._conflicts = Conflicts(self._store, self._streams)
        self._verifying = Verifying(
            pair=config.pair,
            role=config.role,
            store=self._store,
            streams=self._streams,
            connect_to_peers=lambda: self._connect_to_peers(_REDIS_TIMEOUT_S),
            view=lambda: self._runtime.view,
        )
        self._replication = Replication(
            self._store,
            self._connect_to_peers(_READER_TIMEOUT_S),
            own=self._own,
            peer=self._peer,
            now_s=self._clock.now_s,
        )
        self._replicator = Replicator(self._replication, peer=self._peer)
        self._health = Health(
            self._clock,
            interval_s=config.heartbeat_interval_s,
            stale_after_s=config.peer_lost_after_s,
        )
        self._health.add("redis", self._check_redis)
        self._runtime: Runtime
        self._shells = Shells(
            config,
            store=self._store,
            replicator=self._replicator,
            clock=self._clock,
            instance=self._instance,
            counts=self._counts,
            observe=lambda observation: self._runtime.post(Observed(observation)),
            announce=lambda: self._runtime.post(Announce()),
            tell=lambda work: self._runtime.post(Ask(work)),
            report=lambda report: self._switching.report(report),
        )
        self._resyncing = Resyncing(
            config.role,
            store=self._store,
            source=self._replication.source,
            replicates=lambda: self._shells.replication.current.enabled,
            unreadable=lambda: self._shells.unreadable,
            await_replicated=self._shells.await_replicated,
            view=lambda: self._runtime.view,
            announce=lambda: self._runtime.post(Announce()),
            clock=self._clock,
        )
        self._grace = LicenceWatch(
            config,
            store=self._store,
            streams=self._streams,
            read=readings(self._clock, self._instance),
            instance=self._instance,
            contact_s=lambda: self._runtime.view.contact_s,
            hand_in=self._shells.bookkeeping.hand_in,
            warn=self._listeners.licences_warned,
        )
        self._archive_orders = ArchiveOrders(
            config.role,
            store=self._store,
            streams=self._streams,
            source=self._replication.source,
            enabled=lambda: self._shells.replication.current.enabled,
            replicates=lambda: self._replicator.progress.connected,
            view=lambda: self._runtime.view,
            clock=self._clock,
        )
        core = Core(
            config,
            identity=self._identity(),
            facts=self._facts,
            rng=SystemRandom(),
            now_s=self._clock.now_s(),
        )
        self._runtime = Runtime(config, core, self._shells, self._clock)
        self._switching = Switching(
            config,
            clock=self._clock,
            ask=lambda work: self._runtime.post(Ask(work)),
            new_id=lambda: secrets.token_hex(4),
            active=self.active_role,
        )

    # Life.

    def start(self) -> None:
        """Take the addresses, read the streams, then listen, dial and serve.

        Raises:
            PortInUse: an address is taken; nothing was started.
            StoreUnavailable: the own Redis does not answer.
            UnsuitableStore: its settings would lose data.
            StreamForked, DamagedEvent: a stream in it is not one unbroken history.
        """
        with ExitStack() as undo:
            # Each part is undone by itself, in reverse: a start that fails leaves nothing.
            undo.callback(self._close_clients)
            link = self._runtime.link
            undo.callback(link.stop, _STOP_LIMIT_S)
            link.bind()
            http = self._bind_http(undo)
            self._durability = self._streams.check()
            self._store.open()
            # Before the stream is opened: a second process must fail here, and not fence
            # the first one.
            link.listen()
            self._get_lost_events_back()
            self._grace.open()
            self._open_stream()
            self._snapshotting.start()
            undo.callback(self._snapshotting.stop, _STOP_LIMIT_S)
            self._trimming.start()
            undo.callback(self._trimming.stop, _STOP_LIMIT_S)
            self._listeners.start()
            undo.callback(self._listeners.stop)
            self._shells.start()
            undo.callback(self._shells.stop, _STOP_LIMIT_S)
            self._health.start()
            undo.callback(self._health.stop)
            self._runtime.start()
            undo.callback(self._runtime.stop, _STOP_LIMIT_S)
            self._grace.start()
            undo.callback(self._grace.stop, _STOP_LIMIT_S)
            if http is not None:
                http.start()
            self._started = True
            self._running = undo.pop_all()
        ages_s = self._shells.takeover_ages_s()
        self._runtime.post(
            Ask(lambda core, now_s: core.remember_takeovers(ages_s, now_s))
        )
        self._runtime.post(Announce())  # The first heartbeat still said "not ready".
        _log.info(
            "%s of pair %s runs: link %s, HTTP %s, %d entries",
            self.config.role, self.config.pair, self.config.listen,
            self.config.http_listen or "off", self._store.snapshot.entry_count,
        )  # fmt: skip

    def stop(self) -> None:
        """Stop in order: an active node retires its service and says goodbye (S11)."""
        if self._shells.serving:
            self._shells.retire_and_wait(self.config.switch_timeout_s)
        self._started = False
        self._resyncing.stop()
        self._running.close()

    def __enter__(self) -> NetPhoneNode:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _bind_http(self, undo: ExitStack) -> HttpServer | None:
        if self.config.http_listen is None:
            return None
        # Not at the top: it takes as long to import as all the rest.
        from node.http_api import HttpServer

        http = HttpServer(self, self.config)
        undo.callback(http.stop)
        http.bind()
        return http

    def _close_clients(self) -> None:
        self._streams.close()
        self._probe.close()

    def _get_lost_events_back(self) -> None:
        """Before the first event is written: what the peer holds must not be forked (D9).

        Best effort: a peer that is not there cannot be asked, and what is written meanwhile
        is appended anew when it is back. Also while replication is off: it is repair. The
        first question is a quick one: a Redis that is stopped must not hold up the start.
        """
        try:
            with closing(self._connect_to_peers(_PROBE_TIMEOUT_S)) as quick:
                quick.last(self._own)
            self._replication.recover()
        except EventStoreError as error:
            _log.warning(
                "whether the Redis here lost events is not known yet: %s", error
            )

    def _open_stream(self) -> None:
        """Each process opens its stream: from then on an earlier one is a second writer."""
        snapshot = self._store.snapshot
        value: dict[str, JsonValue] = {
            "instance": self._instance,
            "version": VERSION,
            "baseline": self._resyncing.baseline() or VERSION,
            "knew": {origin: str(head.id) for origin, head in snapshot.heads.items()},
            **self._grace.at_start(),
        }
        actor = f"{self.config.role} node"
        self._store.record(Kind.STREAM_OPENED, value, actor=actor, reason="started")

    # State.

    @property
    def role(self) -> Role:
        """What this node was installed as."""
        return self.config.role

    @property
    def state(self) -> State:
        """Whether this node serves at this moment."""
        return self._runtime.state

    def active_role(self) -> Role | None:
        """Which node is active, as this one knows; None: none, or unknown."""
        peer = self._runtime.view.peer
        return active_role(self.role, self.state, peer.state if peer else None)

    def status(self) -> dict[str, object]:
        """All of `/status`, ready for JSON. Never waits for anything."""
        view, change = self._runtime.view, self._shells.last_change
        return status_of(
            Sources(
                config=self.config,
                version=VERSION,
                now_s=self._clock.now_s(),
                state=self.state,
                since=iso_utc(change.wall_ns),
                change=change,
                view=view,
                snapshot=self._store.snapshot,
                progress=self._replicator.progress,
                replication_enabled=self._shells.replication.current.enabled,
                resync=self._resyncing.progress,
                resync_due=self._resyncing.due(),
                pause=self._shells.takeover.current,
                both_active=self._shells.both_active_events(),
                health=self._health.summary(),
                durability=self._durability,
                licences={
                    **self._licensing.status(),
                    **attrs.asdict(self.grace_view()),
                },
                switch=self._switching.view(view.switch_step, view.waiting_for_calls),
                calls=self._calls,
                counts=self._counts,
                recovery=self._store.hindrance,
                not_ready=self.is_ready()[1],
            )
        )

    def grace_view(self) -> GraceView:
        """Whether licences lapsed here because the master was away for too long (L2)."""
        return self._grace.view()

    def is_live(self) -> bool:
        """Whether the decision loop turns."""
        return self._started and self._runtime.is_live()

    def is_ready(self) -> tuple[bool, builtins.list[str]]:
        """Whether this node can serve and take changes, and every reason why not."""
        reasons = [f"{name}: {text}" for name, text in self._health.problems().items()]
        if not self._started:
            reasons.insert(0, "not started")
        if self._store.broken is not None:
            reasons.append(str(self._store.broken))
        elif self._store.hindrance is not None:
            reasons.append(self._store.hindrance)
        if self._store.damage is not None:
            reasons.append(self._store.damage)
        return not reasons, reasons

    @property
    def failure(self) -> str | None:
        """Why this process must end, and a human be called; None: it need not.

        A second writer is one (it took the stream over). A stream that lost events is not:
        the node goes on serving from memory and refuses changes (S19).
        """
        broken = self._store.broken
        return None if broken is None else str(broken)

    # Entries.

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
        """Let entry `key` hold `value`; returns the event, durable in the own Redis.

        With `expected` the entry must still be the version that this event made; with
        `replicated_within_s` the event is in both Redis servers on return.

        Raises:
            InvalidEntry, EntryChanged: nothing was stored.
            StoreUnavailable, WritesFrozen, SecondWriter, StreamForked: see `eventstore`.
            NotReplicated: stored here, but not at the peer in time.
        """
        events = self._append([Put(key, value)], actor, reason, expected)
        return self._replicated(events[0], replicated_within_s)

    def put_many(
        self, values: Mapping[str, JsonValue], *, actor: str, reason: str = ""
    ) -> builtins.list[Event]:
        """Put several entries, all or none, in one round trip.

        Raises: as `put`.
        """
        changes = [Put(key, value) for key, value in values.items()]
        return self._append(changes, actor, reason, None)

    def change_many(
        self, changes: Sequence[Change], *, actor: str, reason: str = ""
    ) -> builtins.list[Event]:
        """Put and delete several entries, all or none, in one round trip.

        Raises: as `put` and `delete`.
        """
        return self._append(changes, actor, reason, None)

    def delete(
        self,
        key: str,
        *,
        actor: str,
        reason: str = "",
        expected: EventId | None = None,
    ) -> Event:
        """Let there be no entry `key`; the event stays in the history (D10).

        Raises:
            NoSuchEntry: there is none.
            Others: as `put`.
        """
        return self._append([Delete(key)], actor, reason, expected)[0]

    def get(self, key: str, default: JsonValue = None) -> JsonValue:
        """The value of entry `key`; a copy that the caller may change."""
        entry = self._store.get(key)
        return default if entry is None else entry.value

    def entry(self, key: str) -> Entry | None:
        """The entry `key` with the event that made it, or None."""
        return self._store.get(key)

    def list(self, prefix: str = "") -> dict[str, Entry]:
        """The entries whose key starts with `prefix`, in the order of keys."""
        return {entry.key: entry for entry in self._store.entries(prefix)}

    def _append(
        self,
        changes: Sequence[Change],
        actor: str,
        reason: str,
        expected: EventId | None,
    ) -> builtins.list[Event]:
        self._check_started()
        return self._store.append(
            changes,
            actor=actor,
            reason=reason,
            expected=expected,
            frozen_limit_s=self.config.switch_timeout_s,
        )

    def _replicated(self, event: Event, limit_s: float | None) -> Event:
        if limit_s is not None and not self._shells.await_replicated(event.id, limit_s):
            raise NotReplicated(event.id, limit_s)
        return event

    def _check_started(self) -> None:
        if not self._started:
            raise StoreUnavailable(
                "this node is starting or stopping; nothing was stored"
            )

    # History.

    @property
    def source(self) -> KeepingSource:
        """Both streams and the archives in the local Redis, byte for byte, to be read only.

        For all that `eventstore` offers; reading raises what `Streams.read` does.
        """
        return self._streams

    def history(
        self,
        *,
        key: str | None = None,
        prefix: str | None = None,
        actor: str | None = None,
        origin: Origin | None = None,
        kinds: Collection[str] | None = None,
        since_ns: int | None = None,
        until_ns: int | None = None,
        after: Mapping[Origin, EventId] | None = None,
        limit: int | None = None,
    ) -> Iterator[Event]:
        """At most `limit` events of both nodes, causes before effects, in constant memory.

        `since_ns` (inclusive) and `until_ns` (exclusive) are nanoseconds since 1970 by the
        clock of the node that made the event. `after` goes on behind these ids. What each
        entry was before: `eventstore.read_history_lines` over `source`.

        Raises:
            StoreUnavailable, DamagedEvent: while iterating.
        """
        wanted = Filter(
            key=key,
            prefix=prefix,
            actor=actor,
            origin=origin,
            kinds=kinds,
            since_ns=since_ns,
            until_ns=until_ns,
        )
        origins = Origin(Role.MASTER.value), Origin(Role.STANDBY.value)
        return islice(read_history(self._streams, origins, wanted, after), limit)

    # Conflicts.

    def conflicts(
        self,
        *,
        settled: bool = False,
        key: str | None = None,
        prefix: str | None = None,
        after: EventId | None = None,
        limit: int | None = 1000,
    ) -> builtins.list[Loss]:
        """Changes that lost against a concurrent one (D7), by id, at most `limit`.

        From memory. With `settled` the whole history is read, and those that a later change
        of the entry has settled are listed too. `after` goes on behind the loser of that id.

        Raises:
            StoreUnavailable, DamagedEvent: only with `settled`.
        """
        return self._conflicts.listed(
            settled=settled, key=key, prefix=prefix, after=after, limit=limit
        )

    def restore(self, lost: EventId, *, actor: str, reason: str = "") -> Event:
        """Make the change `lost` again, as a new event; returns it, durable as by `put`.

        Only while the change that overrode it still stands.

        Raises:
            NoSuchConflict: it has not lost, or that is settled; nothing was stored.
            EntryChanged, NoSuchEntry: the entry was changed meanwhile, or is gone already.
            StoreUnavailable, WritesFrozen, SecondWriter, StreamForked: as by `put`.
        """
        self._check_started()
        loss = self._conflicts.open(lost)
        given = reason or f"restores {lost}"
        return self._append([loss.change], actor, given, loss.winner.id)[0]

    def archived(
        self,
        *,
        key: str | None = None,
        prefix: str | None = None,
        actor: str | None = None,
        origin: Origin | None = None,
        kinds: Collection[str] | None = None,
        since_ns: int | None = None,
        until_ns: int | None = None,
        after: tuple[str, EventId] | None = None,
        limit: int | None = None,
    ) -> Iterator[ArchivedEvent]:
        """As `history`, of the events that a recovery or a resync replaced here (D11).

        `after` goes on behind this event of this archive.

        Raises:
            StoreUnavailable, DamagedEvent: while iterating.
        """
        wanted = Filter(
            key=key,
            prefix=prefix,
            actor=actor,
            origin=origin,
            kinds=kinds,
            since_ns=since_ns,
            until_ns=until_ns,
        )
        return islice(read_archived(self._streams, wanted, after), limit)

    # Licences.

    def licences(self) -> Validity:
        """The licences that are installed, and what they are worth now."""
        return self._licensing.validity()

    def install_licence(
        self, document: JsonValue, *, actor: str, reason: str = ""
    ) -> Event:
        """Install a licence, a JSON object as its vendor issued it; durable as by `put`.

        Only the master takes it (L1). One of the same id is replaced if this one was issued
        later. One that begins later is not valid until then.

        Raises:
            NotMaster: this is the standby.
            InvalidLicence: a field is wrong; the message names all that are.
            LicenceRefused: expired, forged, for another product, or not newer.
            StoreUnavailable, WritesFrozen, SecondWriter, StreamForked: as by `put`.
        """
        self._check_started()
        return self._licensing.install(document, actor=actor, reason=reason)

    def remove_licence(self, licence_id: str, *, actor: str, reason: str = "") -> Event:
        """Remove a licence; users that are logged on stay.

        Raises:
            NotMaster: this is the standby.
            NoSuchLicence: no such licence is installed.
            StoreUnavailable, WritesFrozen, SecondWriter, StreamForked: as by `put`.
        """
        self._check_started()
        return self._licensing.remove(licence_id, actor=actor, reason=reason)

    @property
    def seats(self) -> Seats:
        """Seats of users that are logged on here: a service takes and releases them."""
        return self._licensing.seats

    # Verification.

    def verify(
        self,
        *,
        compare: bool = True,
        archives: bool = True,
        watch: Callable[[Verification], None] = lambda _: None,
    ) -> VerifyReport:
        """Verify hash chains and vectors, and with `compare` both Redis against each other.

        In constant memory; about a minute for a million events. `watch` is told after every
        few thousand events; what it raises ends the walk. Where the peer's Redis does not
        answer, `problem` of the report says so.

        Raises:
            StoreUnavailable, UnsuitableStore: a Redis stopped answering.
        """
        return self._verifying.report(compare=compare, archives=archives, watch=watch)

    def verify_page(
        self, after: Verification | None, *, compare: bool, archives: bool
    ) -> VerifyPage:
        """A part of `verify`, behind `after`; None: the first one.

        Raises: as `verify`.
        """
        return self._verifying.page(after, compare=compare, archives=archives)

    def stored_heads(
        self, at: Sequence[tuple[Origin, EventId]] = (), *, compare: bool = True
    ) -> StoredHeads:
        """Where the streams end in the own Redis, and the digests of events in each copy.

        Raises: as `verify`.
        """
        return self._verifying.heads(at, compare=compare)

    # The past.

    def replay(
        self,
        until: Until = None,
        *,
        key: str | None = None,
        prefix: str | None = None,
        watch: Watch | None = None,
    ) -> Replayed:
        """The entries as they were at `until`, folded from the events; calls nobody back.

        `until`: a time in nanoseconds since 1970 by the clocks of the writers, a vector, or
        None for now; see `eventstore.replay`. `eventstore.diff` compares two. `watch` is told
        how many events are read next; what it raises ends the walk.

        Raises:
            NoSuchPoint: `until` is a vector that no node can have had, or before what is
                kept: the archive files have that.
            StoreUnavailable, DamagedEvent: the events could not be read.
        """
        return replay(
            self._streams,
            until,
            key=key,
            prefix=prefix,
            watch=watch,
            base=lambda: beginning(
                self._streams,
                self._store.origins,
                prevailing=_ORIGINS["prevailing"],
            ),
            prevailing=_ORIGINS["prevailing"],
            other=_ORIGINS["other"],
        )

    def blame(
        self,
        key: str,
        until: Until = None,
        *,
        limit: int = 1000,
        watch: Watch | None = None,
    ) -> Blame:
        """The newest `limit` changes that were the value of `key`: who, from what to what.

        Raises: as `replay`.
        """
        return read_blame(
            self._streams, key, until, limit=limit, watch=watch, **_ORIGINS
        )

    def explain(
        self, key: str, until: Until = None, *, watch: Watch | None = None
    ) -> Explanation:
        """Which events compete for `key`, and why which one stands.

        Raises: as `replay`.
        """
        return read_explanation(self._streams, key, until, watch=watch, **_ORIGINS)

    # Orders.

    def switch(
        self,
        *,
        actor: str,
        when: When = "now",
        reason: str = "",
        dry_run: bool = False,
        wait_s: float = 3600.0,
    ) -> SwitchReport:
        """Let the other node become active; only the master takes this order (S8).

        `now` returns when it is done; `idle` at once, and the switch begins as soon as no
        call is active, within `wait_s`: follow it in `status()["switch"]`.

        Raises:
            NotMaster, SwitchRefused: nothing was changed.
            SwitchRolledBack: it failed before the giver stepped down; all is as before.
            SwitchFailed: it failed after; the text says who is active, and why.
        """
        return self._switching.order(
            actor=actor, when=when, reason=reason, dry_run=dry_run, wait_s=wait_s
        )

    def cancel_switch(self, *, actor: str) -> SwitchReport:
        """Give up a switch that waits for calls to end.

        Raises:
            SwitchRefused: none waits.
        """
        return self._switching.cancel(actor=actor)

    def set_replication(self, enabled: bool, *, actor: str, reason: str = "") -> None:
        """Switch replication on or off for the pair (D4); supervision goes on.

        Raises:
            EventStoreError: the order could not be stored; all is as before.
        """
        self._check_started()
        self._shells.set_replication(enabled, actor=actor, reason=reason)

    def resync(
        self,
        *,
        actor: str,
        reason: str = "",
        discard: bool = False,
        dry_run: bool = False,
    ) -> ResyncReport:
        """Replace this standby's data by the master's, in one step (D3, D12).

        Replication is off, and this node passive. The master first takes over what only this
        node has; with `discard` that leaves, archived. Changes wait until it has ended.

        Raises:
            ResyncRefused: every reason why not; nothing was changed.
            ResyncRolledBack: it could not be ended; nothing was changed.
            EventStoreError: a Redis did not answer; the text says if anything is not known.
        """
        self._check_started()
        return self._resyncing.order(
            actor=actor, reason=reason, discard=discard, dry_run=dry_run
        )

    def archivable(self, before_ns: int) -> Archivable:
        """Which events from before may leave for a file; only the master tells.

        `before_ns` is in nanoseconds since 1970 and at least a minute ago. Walks through them.

        Raises:
            NotMaster, ArchiveRefused: every reason why nothing may leave now.
            StoreUnavailable, DamagedEvent: Redis did not answer, or not with events.
        """
        self._check_started()
        return self._archive_orders.find(before_ns)

    def archive(
        self, archived: Archived, before_ns: int, *, actor: str, reason: str = ""
    ) -> Event:
        """Let both nodes forget what is in a file, which must be whole and safe by now.

        The event that this writes is durable when it returns; each node trims its Redis
        soon after it has it. Only the master takes this order.

        Raises:
            NotMaster, ArchiveRefused: every reason why not; nothing was changed.
            StoreUnavailable, DamagedEvent: Redis did not answer; the text says what is known.
        """
        self._check_started()
        return self._archive_orders.order(
            archived, before_ns, actor=actor, reason=reason
        )

    def pause_takeover(self, for_s: float, *, actor: str, reason: str = "") -> None:
        """Let neither node take over by itself for `for_s` seconds, a week at most.

        A planned switch goes on working, and so does an active node. When it runs out, or on
        `resume_takeover`, a node whose peer is lost takes over at once.

        Raises:
            ValueError: `for_s` is outside its limits.
            EventStoreError: the order could not be stored; all is as before.
        """
        if not 0.0 < for_s <= PAUSE_S_MAX:
            raise ValueError(
                f"a pause of {for_s:g} s; the limits are above 0 and {PAUSE_S_MAX:g} s"
            )
        self._check_started()
        self._shells.pause_takeover(for_s, actor=actor, reason=reason)

    def resume_takeover(self, *, actor: str, reason: str = "") -> None:
        """End a pause on both nodes.

        Raises:
            EventStoreError: the order could not be stored; all is as before.
        """
        self._check_started()
        self._shells.pause_takeover(0.0, actor=actor, reason=reason)

    def set_calls(self, count: int) -> None:
        """Say how many calls are in progress here: `switch(when="idle")` waits for none."""
        if type(count) is not int or count < 0:
            raise ValueError(f"a number of calls is 0 or more, not {count!r}")
        self._calls = count
        if self._started:
            self._runtime.post(Announce())

    # Being told.

    def on_state_change(self, callback: Callable[[StateChange], object]) -> None:
        """Call `callback` after each change of state, in order (S17).

        In a planned switch the giver calls it before it says that it is passive. A call
        that takes longer than `hook_deadline_s` is counted and left behind.
        """
        self._shells.on_state_change(callback)

    def on_change(self, callback: Callable[[EntryChange], object]) -> None:
        """Call `callback` for each changed entry, of either node, in order."""
        self._listeners.on_change(callback)

    def on_conflict(self, callback: Callable[[Conflict], object]) -> None:
        """Call `callback` for each change that a concurrent one overrode."""
        self._listeners.on_conflict(callback)

    def on_licence_warning(self, callback: Callable[[LicenceWarning], object]) -> None:
        """Call `callback` on the standby before licences lapse, when they do, and after (L2).

        Each warning comes once for each absence of the master, over restarts too.
        """
        self._listeners.on_licence_warning(callback)

    def add_health_check(self, name: str, check: Callable[[], object]) -> None:
        """Ask `check` once per interval: None or True is well, all else is not.

        Raises:
            ValueError: the name is taken, or there are too many.
        """
        self._health.add(name, check)

    # For the parts.

    def _connect(
        self, url: str, password: str | None, timeout_s: float, name: str
    ) -> Streams:
        client = connect(url, password=password, timeout_s=timeout_s)
        return Streams(client, self.config.pair, name=name)

    def _connect_to_peers(self, timeout_s: float) -> Streams:
        url = self.config.peer_redis_url
        name = f"the peer's Redis at {display_url(url)}"
        return self._connect(url, self.config.peer_redis_password, timeout_s, name)

    def _identity(self) -> Identity:
        known = (self.config.secret, self.config.next_secret)
        return Identity(
            pair=self.config.pair,
            role=self.config.role,
            instance=self._instance,
            version=VERSION,
            event_format=FORMAT_VERSION,
            secrets=tuple(secret for secret in known if secret is not None),
        )

    def _facts(self) -> Facts:
        snapshot, setting = self._store.snapshot, self._shells.replication.current
        pause = self._shells.takeover.current
        return Facts(
            heads={
                o: Head(str(h.id), h.digest.hex()) for o, h in snapshot.heads.items()
            },
            digest=snapshot.digest,
            entry_count=snapshot.entry_count,
            fold_version=FOLD_VERSION,
            problems=self._health.problems(),
            ready=self.is_ready()[0],
            replicating=self._replicator.progress.connected,
            replication_revision=setting.revision,
            replication_enabled=setting.enabled,
            pause_revision=pause.revision,
            paused=pause.paused,
            pause_left_ms=int(1000 * pause.left_s(self._clock.now_s())),
            pause_text=pause.text,
            read_up_to=str(self._resyncing.wanted),
            calls=self._calls,
        )

    def _note_readiness(self) -> None:
        """One log line when this node stops being ready, and one when it is again."""
        ready, reasons = self.is_ready()
        if ready is self._said_ready or not self._started:
            return
        self._said_ready = ready
        if ready:
            _log.info("ready again")
        else:
            _log.error("not ready: %s", "; ".join(reasons))

    def _check_redis(self) -> None:
        try:
            self._probe.probe()
            self._store.check()
        finally:
            self._note_readiness()
            self._licensing.note_changes()
        self._shells.bookkeeping.retry()
        self._snapshotting.look()
        self._trimming.look()
        # Redis may come back with other settings than it had at the start.
        self._durability = self._probe.check()
