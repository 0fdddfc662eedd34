"""Histories in two copies, and everything that somebody may do to one of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import attrs

from eventstore import Event, EventId, Head, Origin, Streams, codec
from eventstore.event import START
from eventstore.memory import Stored
from tests.support.histories import (
    MASTER,
    ORIGINS,
    PAIR,
    History,
    other,
)
from tests.support.sources import MemorySource

MS = 1_767_225_600_000
Tamper = Callable[[list[Stored], int], list[Stored]]
"""Makes of a stream another one; the number is that of the event it is about."""


@lru_cache
def history(count: int) -> History:
    """`count` events of each origin, which hear of each other now and then."""
    made = History()
    for n in range(1, count + 1):
        for origin in ORIGINS:
            writer = made.of(origin)
            if n % 4 == 0:
                writer.hear(made.of(other(origin)))
            writer.put(f"users/u{n % 7}", {"extension": str(n)}, ms=MS + 10 * n)
    return made


class Copy(MemorySource):
    """One copy of both streams in memory, to be tampered with."""

    def __init__(self, made: History, *, page_count_max: int = 1000) -> None:
        super().__init__({origin: list(made.of(origin).blobs) for origin in ORIGINS})
        self._page_count_max = page_count_max

    def read(self, origin: Origin, after: EventId, count: int) -> list[Stored]:
        return super().read(origin, after, min(count, self._page_count_max))

    def heads(self) -> dict[Origin, Head]:
        return {
            origin: Head(stored[-1][0], codec.digest_of(stored[-1][1]))
            for origin, stored in self.streams.items()
        }


def put_into(streams: Streams, origin: Origin, stored: Sequence[Stored]) -> None:
    """Let the stream of `origin`, which is empty, hold `stored`."""
    after = START
    for start in range(0, len(stored), 500):
        page = stored[start : start + 500]
        assert streams.append(origin, after, page) is None
        after = page[-1][0]


def event_of(stored: Stored, origin: Origin = MASTER) -> Event:
    event = codec.decode(origin, *stored)
    assert isinstance(event, Event)
    return event


def re_encoded(stored: Stored, **changes: object) -> Stored:
    """An event with other fields, as somebody would write it who knows the format."""
    return stored[0], codec.encode_event(attrs.evolve(event_of(stored), **changes))  # type: ignore[arg-type]


OTHER_VALUE = codec.pack_value({"extension": "666"})


def with_bit_flipped(stored: Stored, byte: int, bit: int) -> Stored:
    blob = bytearray(stored[1])
    blob[byte] ^= 1 << bit
    return stored[0], bytes(blob)


def one_bit(stream: list[Stored], n: int) -> list[Stored]:
    """One bit of the value."""
    place = stream[n - 1][1].index(b"extension")
    return _with(stream, n, with_bit_flipped(stream[n - 1], place, 0))


def changed(stream: list[Stored], n: int) -> list[Stored]:
    """Another value, in good form."""
    return _with(stream, n, re_encoded(stream[n - 1], packed=OTHER_VALUE))


def removed(stream: list[Stored], n: int) -> list[Stored]:
    return [*stream[: n - 1], *stream[n:]]


def inserted(stream: list[Stored], n: int) -> list[Stored]:
    """One more event before that one, which continues what is there."""
    before = codec.digest_of(stream[n - 2][1]) if n > 1 else codec.genesis(PAIR, MASTER)
    event_id = EventId(stream[n - 1][0].ms - 1, n)
    vector = {**event_of(stream[n - 1]).vector, MASTER: event_id}
    more = re_encoded(
        stream[n - 1], id=event_id, vector=vector, previous=before, packed=OTHER_VALUE
    )
    return [*stream[: n - 1], (event_id, more[1]), *stream[n - 1 :]]


def swapped(stream: list[Stored], n: int) -> list[Stored]:
    """The bytes of that event and of its neighbour in each other's place."""
    m = n + 1 if n < len(stream) else n - 1
    (one, first), (two, second) = stream[n - 1], stream[m - 1]
    return _with(_with(stream, n, (one, second)), m, (two, first))


def re_signed(stream: list[Stored], n: int) -> list[Stored]:
    """Another value, and the next event made to continue that."""
    made = changed(stream, n)
    if n == len(stream):
        return made
    previous = codec.digest_of(made[n - 1][1])
    return _with(made, n + 1, re_encoded(made[n], previous=previous))


def re_made(stream: list[Stored], n: int) -> list[Stored]:
    """Another value, and the whole tail made to continue that."""
    made = changed(stream, n)
    for k in range(n, len(made)):
        previous = codec.digest_of(made[k - 1][1])
        made[k] = re_encoded(made[k], previous=previous)
    return made


def truncated(stream: list[Stored], n: int) -> list[Stored]:
    return stream[: n - 1]


def emptied(stream: list[Stored], n: int) -> list[Stored]:
    """Bytes that are no event."""
    return _with(stream, n, (stream[n - 1][0], b"\xc1"))


def _with(stream: list[Stored], n: int, stored: Stored) -> list[Stored]:
    return [*stream[: n - 1], stored, *stream[n:]]
