"""The order to let go of events that are in a file: found, checked, and written as an event.

Each node trims its own streams when it has the event (`EventStore.trim`). So what the order
names must be at both nodes by then: it is compared with what the peer says it has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from eventstore import codec
from eventstore.errors import ArchiveRefused
from eventstore.event import START, Event, EventId, Kind, Origin
from eventstore.memory import Head, Stored
from eventstore.retention import Archived, find_cut
from eventstore.store import EventStore
from eventstore.streams import PAGE_EVENT_COUNT, Streams
from eventstore.trimming import anchor_of


class Archiving:
    """Orders for the pair of `store`, whose streams are `streams`. For the prevailing node."""

    def __init__(self, store: EventStore, streams: Streams) -> None:
        self._store = store
        self._streams = streams

    def find(
        self, before_ns: int, peer_heads: Mapping[Origin, Head]
    ) -> dict[Origin, Head]:
        """What may leave: by origin, the last event of it; nothing: nothing may.

        Written before `before_ns`, nanoseconds since 1970, and at both nodes, of which the
        peer's has `peer_heads`. Walks through what leaves.

        Raises:
            ArchiveRefused: every reason why nothing may leave now.
            StoreUnavailable, DamagedEvent: Redis did not answer, or not with events.
        """
        limits = self._limits(peer_heads)
        begins = {origin: self._begin(origin) for origin in limits}
        cut = find_cut(self._read, begins, limits, before_ns=before_ns)
        if cut == begins:
            return {}
        return {o: self._there(o, last) for o, last in cut.items() if last != START}

    def order(
        self,
        archived: Archived,
        peer_heads: Mapping[Origin, Head],
        *,
        actor: str,
        reason: str,
    ) -> Event:
        """Let both nodes forget what is in the file that `archived` names.

        Repeating it is harmless. Durable in the own Redis when this returns.

        Raises:
            ArchiveRefused: every reason; nothing was changed.
            Else as `EventStore.record`.
        """
        limits = self._limits(peer_heads)
        reasons = [
            text
            for origin in limits
            if (text := self._against(archived, origin, limits[origin])) is not None
        ]
        if not archived.heads:
            reasons.append("the order names no event")
        if reasons:
            raise ArchiveRefused(reasons)
        value = archived.as_value()
        return self._store.record(
            Kind.HISTORY_ARCHIVED, value, actor=actor, reason=reason
        )

    def _limits(self, peer_heads: Mapping[Origin, Head]) -> dict[Origin, EventId]:
        """By origin, the last event that both nodes have."""
        store = self._store
        if store.broken is not None or store.hindrance is not None:
            raise ArchiveRefused([str(store.broken or store.hindrance)])
        limits = {}
        for origin, own in store.snapshot.heads.items():
            peers = peer_heads[origin]
            if peers.id > own.id:
                limits[origin] = own.id
                continue
            if peers.id != START and self._head(origin, peers.id) != peers:
                raise ArchiveRefused(
                    [
                        f"the peer's stream {origin!r} ends with another event {peers.id} "
                        "than there is here: recovery comes first"
                    ]
                )
            limits[origin] = peers.id
        return limits

    def _against(
        self, archived: Archived, origin: Origin, limit: EventId
    ) -> str | None:
        """What speaks against archiving up to this place of one stream."""
        head, begin = archived.heads.get(origin), self._begin(origin)
        if head is None:
            if begin == START:
                return None
            return f"stream {origin!r} is archived up to {begin}, and the order leaves it out"
        if head.id < begin:
            return f"stream {origin!r} is archived up to {begin}, beyond {head.id}"
        if head.id > limit:
            return (
                f"event {head.id} of stream {origin!r} is not at both nodes, which "
                f"have it up to {limit}"
            )
        if self._head(origin, head.id) != head:
            return (
                f"event {head.id} of stream {origin!r} is not here as it is in the file"
            )
        return None

    def _begin(self, origin: Origin) -> EventId:
        """Up to where it is archived, whether or not it was trimmed already."""
        anchor, archived = anchor_of(self._streams, origin), self._store.archived
        ordered = archived.cut.get(origin, START) if archived is not None else START
        return ordered if anchor is None else max(ordered, anchor[0])

    def _there(self, origin: Origin, last: EventId) -> Head:
        head = self._head(origin, last)
        if head is None:
            raise ArchiveRefused(
                [f"event {last} of stream {origin!r} is not in Redis any more"]
            )
        return head

    def _head(self, origin: Origin, event_id: EventId) -> Head | None:
        blob = self._streams.at(origin, event_id)
        return None if blob is None else Head(event_id, codec.digest_of(blob))

    def _read(self, origin: Origin, after: EventId) -> Sequence[Stored]:
        return self._streams.read(origin, after, PAGE_EVENT_COUNT)
