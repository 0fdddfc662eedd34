"""The order to let go of events that are in a file: found, checked, and written as an event.

Each node trims its own streams when it has the event (`EventStore.trim`). So what the order
names must be at both nodes by then: it is compared with what the peer says it has.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from eventstore import codec
from eventstore.archived import Archived
from eventstore.errors import ArchiveRefused
from eventstore.event import START, Event, EventId, Kind, Origin
from eventstore.memory import Head
from eventstore.retention import closed_cut
from eventstore.store import EventStore
from eventstore.streams import Streams

_NS_PER_MS: Final = 1_000_000


class Archiving:
    """Orders for the pair of `store`, whose streams are `streams`. For the prevailing node.

    `source` is the peer's Redis.
    """

    def __init__(self, store: EventStore, streams: Streams, source: Streams) -> None:
        self._store = store
        self._streams = streams
        self._source = source

    def find(
        self, before_ns: int, peer_heads: Mapping[Origin, Head]
    ) -> dict[Origin, Head]:
        """What may leave: by origin, the last event of it, or what `begins` says.

        Written before `before_ns`, nanoseconds since 1970, and at both nodes, of which the
        peer's has `peer_heads`. Walks through what leaves.

        Raises:
            ArchiveRefused: every reason why nothing may leave now.
            StoreUnavailable, DamagedEvent: Redis did not answer, or not with events.
        """
        begins = self.begins()
        first, second = begins
        cut = closed_cut(
            self._streams,
            (first, second),
            limits=self._limits(peer_heads),
            before_ms=before_ns // _NS_PER_MS,
            left={origin: head.id for origin, head in begins.items()},
        )
        return {
            origin: begins[origin]
            if last == begins[origin].id
            else self._there(origin, last)
            for origin, last in cut.items()
        }

    def begins(self) -> dict[Origin, Head]:
        """By origin, the last event that is archived already; the genesis: none is."""
        archived, pair = self._store.archived, self._streams.pair
        heads = {o: Head(START, codec.genesis(pair, o)) for o in self._store.origins}
        return heads | dict(archived.heads if archived is not None else {})

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
        begins = self.begins()
        reasons = [
            text
            for origin, limit in limits.items()
            if (text := self._against(archived, origin, begins[origin].id, limit))
        ]
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
            peers = peer_heads.get(origin, Head(START, b""))
            if peers.id > own.id and origin != store.origins[0]:
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
        self, archived: Archived, origin: Origin, begin: EventId, limit: EventId
    ) -> str | None:
        """What speaks against archiving up to this place of one stream."""
        head = archived.heads.get(origin)
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
        for streams, where in ((self._streams, "here"), (self._source, "at the peer")):
            blob = streams.at(origin, head.id)
            if blob is None or codec.digest_of(blob) != head.digest:
                return (
                    f"event {head.id} of stream {origin!r} is not {where} as it is in the "
                    "file"
                )
        return None

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
