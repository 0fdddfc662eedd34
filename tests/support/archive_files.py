"""What left the streams of a pair for files, as tests keep it: in memory."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from eventstore import START, Origin, Streams
from eventstore.archiving import Archiving
from eventstore.event import Event
from eventstore.memory import Stored, head_of
from eventstore.retention import Archived
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


def archive(
    files: Files,
    store: EventStore,
    streams: Streams,
    peer: EventStore,
    before_ns: int,
) -> Event | None:
    """Order at `store` what `admin archive` orders; None: nothing is that old."""
    archiving = Archiving(store, streams)
    places = archiving.find(before_ns, peer.snapshot.heads)
    if not places:
        return None
    archived = Archived(places, "segment", "0" * 64)
    files.keep(streams, archived)
    heads = peer.snapshot.heads
    return archiving.order(archived, heads, actor="jane", reason="old")
