"""Which events are lost for good, and which must come back. A model, kept beside the pair.

An event that Redis loses is not lost while the other Redis has it, or a process that holds it
in memory. Only when the last of these is gone before it was stored anew, nobody can bring it
back: that is the limit of what `appendfsync` promises, and the only excuse there is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

import attrs

from eventstore import Event, EventId, Origin, codec
from eventstore.memory import Stored

Identity = tuple[Origin, EventId, bytes]
"""Of an event: origin, id and digest."""


def identity_of(event: Event) -> Identity:
    return event.origin, event.id, event.digest


def all_identities_of(event: Event) -> Iterator[Identity]:
    """Of an event, and of the one that it was before a recovery."""
    yield identity_of(event)
    if event.recovered is not None:
        yield event.origin, event.recovered.id, event.recovered.digest


def identities(origin: Origin, stream: Iterable[Stored]) -> set[Identity]:
    """Which events are in a stream, as themselves or appended anew by a recovery."""
    return {
        identity
        for event_id, blob in stream
        for identity in _identities_in(origin, event_id, blob)
    }


@lru_cache(maxsize=1 << 14)
def _identities_in(
    origin: Origin, event_id: EventId, blob: bytes
) -> tuple[Identity, ...]:
    event = codec.decode(origin, event_id, blob)
    assert isinstance(event, Event), "this version wrote it"
    return tuple(all_identities_of(event))


@attrs.define
class Ledger:
    """Tell it of every loss and of every process that ends, with what is left then."""

    lost: set[Identity] = attrs.field(factory=set)
    """In no Redis, and in no living memory, at some moment."""
    lost_count: int = 0
    """What Redis has lost, whether or not it came back."""
    _at_risk: set[Identity] = attrs.field(factory=set)
    """In no Redis when it was last looked, but in memory."""

    def look(
        self, gone: set[Identity], *, stored: set[Identity], remembered: set[Identity]
    ) -> None:
        """`gone` is what a Redis just lost; the others are what is somewhere now."""
        self.lost_count += len(gone)
        missing = (self._at_risk | gone) - stored
        self._at_risk = missing & remembered
        self.lost |= missing - remembered
