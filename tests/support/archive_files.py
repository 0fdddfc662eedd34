"""What left the streams of a pair for files, as tests keep it: in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import attrs

from eventstore import START, EventId, Origin, Streams
from eventstore.archived import Archived
from eventstore.archiving import Archiving
from eventstore.event import Event
from eventstore.memory import Stored, head_of
from eventstore.store import EventStore

_ALL = 1_000_000


@attrs.define
class Files:
    """Every event that was archived, by what its stream begins with now."""

    _before: dict[tuple[Origin, bytes], list[Stored]] = attrs.field(factory=dict)

    def whole(self, streams: Streams, origin: Origin) -> list[Stored]:
        """A stream from its first event on, out of the files and Redis."""
        return self.completed(origin, streams.read(origin, START, _ALL))

    def completed(self, origin: Origin, stored: Sequence[Stored]) -> list[Stored]:
        """`stored`, which a Redis has, with what was before it."""
        if not stored or stored[0][0].n == 1:
            return list(stored)
        return [*self.before(origin, stored[0]), *stored]

    def before(self, origin: Origin, first: Stored) -> list[Stored]:
        """What was archived of a stream that begins with `first` now."""
        return [] if first[0].n == 1 else self._before[origin, head_of(first).digest]

    def keep(self, streams: Streams, archived: Archived) -> None:
        """As the operator does before the order: a copy of what is to leave."""
        for origin, head in archived.heads.items():
            self._before[origin, head.digest] = [
                stored for stored in self.whole(streams, origin) if stored[0] < head.id
            ]


@attrs.frozen
class Whole:
    """The streams in a Redis with what was archived of them before; a `Source`."""

    streams: Streams
    files: Files

    @property
    def pair(self) -> str:
        return self.streams.pair

    def read(self, origin: Origin, after: EventId, count: int) -> list[Stored]:
        whole = self.files.whole(self.streams, origin)
        return [stored for stored in whole if stored[0] > after][:count]

    def last(self, origin: Origin) -> Stored | None:
        return self.streams.last(origin)


class Peer(Protocol):
    """The other node."""

    @property
    def store(self) -> EventStore: ...
    @property
    def streams(self) -> Streams: ...


def archive(
    files: Files,
    store: EventStore,
    streams: Streams,
    peer: Peer,
    before_ns: int,
) -> Event | None:
    """Order at `store` what `admin archive` orders; None: nothing is that old."""
    archiving = Archiving(store, streams, peer.streams)
    heads = archiving.find(before_ns, peer.store.snapshot.heads)
    if heads == archiving.begins():
        return None
    left = {origin: head for origin, head in heads.items() if head.id != START}
    archived = Archived(left, "segment", "0" * 64)
    files.keep(streams, archived)
    return archiving.order(
        archived, peer.store.snapshot.heads, actor="jane", reason="old"
    )
