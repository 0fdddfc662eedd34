"""The operator's order to let go of events that are in a file: refused, or given."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

import attrs

from eventstore import (
    Archived,
    ArchiveRefused,
    Archiving,
    Event,
    EventId,
    EventStore,
    Head,
    Origin,
    Streams,
)
from node.archive_order import OwnFacts, failed_checks, too_young
from node.clock import Clock
from node.errors import NotMaster
from node.link_messages import Heartbeat
from node.roles import Role
from node.runtime import View


@attrs.frozen
class Archivable:
    """Which events may leave the streams; none where both are equal."""

    after: Mapping[Origin, Head]
    """The last event of each stream that is archived already."""
    until: Mapping[Origin, Head]
    """The last one of each stream that may be."""


class ArchiveOrders:
    """Takes orders, one at a time. Thread-safe."""

    def __init__(
        self,
        role: Role,
        *,
        store: EventStore,
        streams: Streams,
        source: Streams,
        enabled: Callable[[], bool],
        replicates: Callable[[], bool],
        view: Callable[[], View],
        clock: Clock,
    ) -> None:
        """`source` is the peer's Redis. `enabled` tells whether replication is on, `replicates`
        whether it goes on.
        """
        self._role = role
        self._store = store
        self._archiving = Archiving(store, streams, source)
        self._enabled = enabled
        self._replicates = replicates
        self._view = view
        self._clock = clock
        self._lock = threading.Lock()

    def find(self, before_ns: int) -> Archivable:
        """Which events from before `before_ns`, nanoseconds since 1970, may be archived now.

        Walks through them.

        Raises:
            NotMaster, ArchiveRefused: every reason why nothing may leave.
            StoreUnavailable, DamagedEvent: Redis did not answer, or not with events.
        """
        peer = self._checked(before_ns)
        until = self._archiving.find(before_ns, _heads_of(peer))
        return Archivable(self._archiving.begins(), until)

    def order(
        self, archived: Archived, before_ns: int, *, actor: str, reason: str
    ) -> Event:
        """Let both nodes forget what the file holds that `archived` names.

        Each trims its Redis when it has the event that this writes. Repeating it is harmless.

        Raises:
            NotMaster, ArchiveRefused: every reason; nothing was changed.
            Else as `EventStore.record`.
        """
        with self._lock:
            peer = self._checked(before_ns)
            return self._archiving.order(
                archived, _heads_of(peer), actor=actor, reason=reason
            )

    def _checked(self, before_ns: int) -> Heartbeat:
        if self._role is not Role.MASTER:
            raise NotMaster("events are archived at the master; ask it instead")
        view = self._view()
        own = OwnFacts(
            role=self._role,
            replication_enabled=self._enabled(),
            replicates=self._replicates(),
            hindrance=self._store.hindrance,
            link_open=view.connected,
        )
        young = too_young(before_ns, self._clock.wall_ns())
        reasons = (*young, *failed_checks(own, view.peer))
        if reasons or view.peer is None:
            raise ArchiveRefused(reasons)
        return view.peer


def _heads_of(peer: Heartbeat) -> Mapping[Origin, Head]:
    try:
        return {
            Origin(origin): Head(EventId.parse(head.id), bytes.fromhex(head.digest))
            for origin, head in peer.heads.items()
        }
    except ValueError as error:
        raise ArchiveRefused(["the standby says nonsense of what it has"]) from error
