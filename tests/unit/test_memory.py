"""What memory keeps of a stream, for a Redis that forgets it."""

from __future__ import annotations

from eventstore import EventId
from eventstore.memory import TAIL_BYTES_MAX, TAIL_COUNT_MAX, Stored, Tail


def entries(count: int, blob: bytes) -> list[Stored]:
    return [(EventId(1, n), blob) for n in range(1, count + 1)]


def test_the_newest_events_are_kept_as_many_as_are_allowed() -> None:
    stored = entries(TAIL_COUNT_MAX + 2, b"e")
    tail = Tail()
    tail.extend(stored[:2])
    tail.extend(stored[2:])
    assert list(tail) == stored[2:]


def test_of_large_events_fewer_are_kept() -> None:
    blob = bytes(64 * 1024)
    fitting = TAIL_BYTES_MAX // len(blob)
    stored = entries(fitting + 3, blob)
    tail = Tail()
    for one in stored:
        tail.extend([one])
    assert list(tail) == stored[3:]
