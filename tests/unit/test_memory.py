"""What memory keeps of a stream, for a Redis that forgets it."""

from __future__ import annotations

from eventstore import EventId, Kind
from eventstore.memory import TAIL_BYTES_MAX, TAIL_COUNT_MAX, Memory, Stored, Tail
from tests.support.histories import MASTER, ORIGINS, PAIR, Writer


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


def test_events_of_kinds_that_nobody_asks_for_are_not_kept() -> None:
    """Whoever writes the peer's stream can make up as many kinds as he likes."""
    writer = Writer(MASTER)
    kinds = ["state-changed", "made-up-1", "made-up-2"]
    events = [writer.write(kind, "", kind) for kind in kinds]
    memory = Memory(PAIR, ORIGINS, prevailing=MASTER)
    memory.fold(MASTER, writer.blobs, events)
    assert {kind for _, kind in memory.recent} == {Kind.STATE_CHANGED}
    assert memory.heads[MASTER].id == events[-1].id
