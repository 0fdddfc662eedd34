"""Histories of a pair, without Redis: two writers that hear of each other in part."""

from __future__ import annotations

import msgpack

from eventstore import START, Event, EventId, JsonValue, Kind, Origin, codec

PAIR = "office"
MASTER = Origin("master")
STANDBY = Origin("standby")
ORIGINS = (MASTER, STANDBY)


def other(origin: Origin) -> Origin:
    return STANDBY if origin == MASTER else MASTER


class Writer:
    """One origin: writes its own events and applies those of the other, in order."""

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.written: list[Event] = []
        self.blobs: list[tuple[EventId, bytes]] = []
        self.seen: dict[Origin, EventId] = {}

    def write(
        self, kind: str, key: str, value: JsonValue = None, *, ms: int = 0
    ) -> Event:
        """The next event, at `ms` by this writer's own clock."""
        event_id = EventId(self._next_ms(ms), len(self.written) + 1)
        self.seen[self.origin] = event_id
        previous = codec.genesis(PAIR, self.origin)
        if self.written:
            previous = self.written[-1].digest
        blob = codec.encode(
            origin=self.origin,
            event_id=event_id,
            kind=kind,
            key=key,
            packed=codec.pack_value(value),
            actor="jane",
            reason="",
            wall_ns=ms * 1_000_000,
            vector=dict(self.seen),
            previous=previous,
        )
        event = codec.decode(self.origin, event_id, blob)
        assert isinstance(event, Event)
        self.written.append(event)
        self.blobs.append((event_id, blob))
        return event

    def put(self, key: str, value: JsonValue = None, *, ms: int = 0) -> Event:
        return self.write(Kind.ENTRY_PUT, key, value, ms=ms)

    def delete(self, key: str, *, ms: int = 0) -> Event:
        return self.write(Kind.ENTRY_DELETED, key, ms=ms)

    def hear(self, peer: Writer, count: int | None = None) -> None:
        """Apply the next `count` events of `peer`, or all there are."""
        known = self.seen.get(peer.origin, START).n
        upto = len(peer.written) if count is None else known + count
        for event in peer.written[known:upto]:
            self.seen[peer.origin] = event.id

    def _next_ms(self, clock_ms: int) -> int:
        return max(clock_ms, *(i.ms for i in self.seen.values()), 0)


class History:
    """What both writers of a pair wrote."""

    def __init__(self) -> None:
        self.master = Writer(MASTER)
        self.standby = Writer(STANDBY)

    @property
    def events(self) -> list[Event]:
        return [*self.master.written, *self.standby.written]

    def of(self, origin: Origin) -> Writer:
        return self.master if origin == MASTER else self.standby


def packed_otherwise(blob: bytes, version: int = codec.FORMAT_VERSION) -> bytes:
    """The same event in other bytes, as another program may write it; or a later version."""
    fields = msgpack.unpackb(blob)
    fields[0] = version
    fields[10] = dict(reversed(fields[10].items()))
    other: bytes = msgpack.packb(fields)
    assert other != blob, "only a vector of both origins can be packed otherwise"
    return other
