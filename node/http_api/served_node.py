"""What the HTTP interface needs of a node; `NetPhoneNode` is one."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Literal, Protocol

from eventstore import (
    Archived,
    ArchivedEvent,
    Change,
    Entry,
    Event,
    EventId,
    Head,
    JsonValue,
    KeepingSource,
    Leaving,
    Loss,
    Origin,
    Verification,
)
from node.http_api.served_past import ServedPast
from node.licences import Validity
from node.roles import Role, State
from node.verifying import StoredHeads, VerifyPage

SwitchWhen = Literal["now", "idle"]


class SwitchReport(Protocol):
    """What became of an order to switch."""

    @property
    def outcome(self) -> str:
        """`done`, `ready` (a dry run), `waiting` (for idle) or `cancelled`."""

    @property
    def id(self) -> str:
        """Names this switch in `status()` and in the log."""

    @property
    def text(self) -> str:
        """The outcome in one line for an operator."""

    @property
    def active(self) -> Role | None:
        """The node that is active now; None while it is not known."""

    @property
    def duration_s(self) -> float:
        """From the order to the outcome, in seconds."""


class ResyncReport(Protocol):
    """What became of an order to resynchronise."""

    @property
    def outcome(self) -> str:
        """`done`, `nothing` or `ready` (a dry run)."""

    @property
    def text(self) -> str:
        """The outcome in one line for an operator."""

    @property
    def left(self) -> Leaving:
        """What left the node's data, or would."""

    @property
    def event(self) -> Event | None:
        """The event that says so in the history."""

    @property
    def duration_s(self) -> float:
        """From the order to the outcome, in seconds."""


class Archivable(Protocol):
    """Which events may leave the streams."""

    @property
    def after(self) -> Mapping[Origin, Head]:
        """The last one of each stream that is archived already."""

    @property
    def until(self) -> Mapping[Origin, Head]:
        """The last one of each stream that may be."""


class ServedNode(ServedPast, Protocol):
    """A node as HTTP sees it; every method may be called from any thread.

    `role`, `state`, `status`, `entry`, `licences`, `is_live` and `is_ready` only read memory: they
    are called from the loop that serves the probes and must not wait for anything.
    All others may wait for Redis, within deadlines of their own.
    """

    @property
    def role(self) -> Role:
        """What the node was installed as."""

    @property
    def state(self) -> State:
        """Whether it serves calls now."""

    def status(self) -> dict[str, object]:
        """All that `GET /status` shows; has `replication` and `licences`."""

    def is_live(self) -> bool:
        """Whether the node's own loop runs; a supervisor restarts it when not."""

    def is_ready(self) -> tuple[bool, Sequence[str]]:
        """Whether the node could take over now, and every reason why not."""

    def entry(self, key: str) -> Entry | None:
        """The entry of `key`, if there is one."""

    def list(self, prefix: str = "") -> Mapping[str, Entry]:
        """All entries whose key starts with `prefix`."""

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
        """Store a value.

        Raises:
            InvalidEntry, EntryChanged, StoreUnavailable, WritesFrozen, NotReplicated.
        """

    def delete(
        self,
        key: str,
        *,
        actor: str,
        reason: str = "",
        expected: EventId | None = None,
    ) -> Event:
        """Delete an entry.

        Raises:
            InvalidEntry, NoSuchEntry, EntryChanged, StoreUnavailable, WritesFrozen.
        """

    def change_many(
        self, changes: Sequence[Change], *, actor: str, reason: str = ""
    ) -> Sequence[Event]:
        """Store and delete, all or none; the events are in the order of `changes`.

        Raises:
            InvalidEntry, NoSuchEntry, StoreUnavailable, WritesFrozen.
        """

    @property
    def source(self) -> KeepingSource:
        """Streams and archives as they are stored; reading raises what `Streams.read` does."""

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
        """At most `limit` events behind `after`, oldest first, causes before effects.

        `since_ns` (inclusive) and `until_ns` (exclusive) are wall clocks of writers.

        Raises:
            StoreUnavailable, DamagedEvent: while iterating.
        """

    def conflicts(
        self,
        *,
        settled: bool = False,
        key: str | None = None,
        prefix: str | None = None,
        after: EventId | None = None,
        limit: int | None = 1000,
    ) -> Sequence[Loss]:
        """At most `limit` changes that lost, behind `after`, by their ids.

        Open ones come from memory; with `settled` the history is walked for all.

        Raises:
            StoreUnavailable, DamagedEvent: only with `settled`.
        """

    def restore(self, lost: EventId, *, actor: str, reason: str = "") -> Event:
        """Make the change `lost` again while the one that overrode it stands.

        Raises:
            NoSuchConflict, EntryChanged, NoSuchEntry, StoreUnavailable, WritesFrozen.
        """

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
        """The same of the events that were replaced, behind one of one archive.

        Raises:
            StoreUnavailable, DamagedEvent: while iterating.
        """

    def verify_page(
        self, after: Verification | None, *, compare: bool, archives: bool
    ) -> VerifyPage:
        """Verify some pages behind `after`; None: from the begin.

        Raises:
            StoreUnavailable, UnsuitableStore.
        """

    def stored_heads(
        self, at: Sequence[tuple[Origin, EventId]], *, compare: bool
    ) -> StoredHeads:
        """Where the streams end, and the digests of the events `at` in each copy.

        Raises:
            StoreUnavailable, UnsuitableStore.
        """

    def switch(
        self,
        *,
        actor: str,
        when: SwitchWhen = "now",
        reason: str = "",
        dry_run: bool = False,
        wait_s: float = 3600.0,
    ) -> SwitchReport:
        """Let the other node become active; `idle` returns at once with `waiting`.

        Raises:
            NotMaster, SwitchRefused, SwitchRolledBack, SwitchFailed.
        """

    def cancel_switch(self, *, actor: str) -> SwitchReport:
        """Take back a switch that waits.

        Raises:
            NotMaster, SwitchRefused.
        """

    def licences(self) -> Validity:
        """The licences that are installed, and what they are worth now."""

    def install_licence(
        self, document: JsonValue, *, actor: str, reason: str = ""
    ) -> Event:
        """Install a licence.

        Raises:
            NotMaster, InvalidLicence, LicenceRefused, StoreUnavailable, WritesFrozen.
        """

    def remove_licence(self, licence_id: str, *, actor: str, reason: str = "") -> Event:
        """Remove a licence.

        Raises:
            NotMaster, NoSuchLicence, StoreUnavailable, WritesFrozen.
        """

    def set_replication(self, enabled: bool, *, actor: str, reason: str = "") -> None:
        """Switch replication of the pair on or off.

        Raises:
            StoreUnavailable, WritesFrozen.
        """

    def resync(
        self,
        *,
        actor: str,
        reason: str = "",
        discard: bool = False,
        dry_run: bool = False,
    ) -> ResyncReport:
        """Replace the standby's data by the master's; returns when it is over.

        Raises:
            ResyncRefused, ResyncRolledBack, StoreUnavailable.
        """

    def archivable(self, before_ns: int) -> Archivable:
        """Which events from before may leave for a file.

        Raises:
            NotMaster, ArchiveRefused, StoreUnavailable, DamagedEvent.
        """

    def archive(
        self, archived: Archived, before_ns: int, *, actor: str, reason: str = ""
    ) -> Event:
        """Let both nodes forget what is in a file.

        Raises:
            NotMaster, ArchiveRefused, StoreUnavailable, DamagedEvent.
        """

    def pause_takeover(self, for_s: float, *, actor: str, reason: str = "") -> None:
        """Let neither node take over by itself for a while.

        Raises:
            StoreUnavailable, WritesFrozen.
        """

    def resume_takeover(self, *, actor: str, reason: str = "") -> None:
        """End a pause.

        Raises:
            StoreUnavailable, WritesFrozen.
        """
