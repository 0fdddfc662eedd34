"""What the reader of a snapshot takes, and what it refuses although the hash is right."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgpack
import pytest

from eventstore import START, Event, EventId, Origin, codec
from eventstore.memory import Head, Image, Memory
from eventstore.snapshot_format import (
    PART_BYTES_MAX,
    SnapshotUnfit,
    image_of,
    parts_of,
)
from tests.support.histories import MASTER, ORIGINS, PAIR, STANDBY, History


def told() -> tuple[Image, list[bytes]]:
    history = History()
    history.master.put("users/a", 1)
    history.master.put("users/b", 1)
    history.master.write("state-changed", "", {"to": "active"})
    history.standby.hear(history.master)
    history.standby.put("users/a", 2)
    memory = Memory(PAIR, ORIGINS, prevailing=MASTER)
    for origin in ORIGINS:
        page = history.of(origin).blobs
        memory.fold(origin, page, memory.chained(origin, page))
    image = memory.image()
    parts = parts_of(
        image, pair=PAIR, prevailing=MASTER, bytes_of=lambda e: stored(history, e)
    )
    return image, list(parts)


def stored(history: History, event: Event) -> bytes:
    return history.of(event.origin).blobs[event.id.n - 1][1]


IMAGE, PARTS = told()
KEYS = msgpack.unpackb(PARTS[1])[1]


def read(
    parts: Sequence[bytes], seen: list[Mapping[Origin, Head]] | None = None
) -> Image | None:
    def check(heads: Mapping[Origin, Head]) -> None:
        if seen is not None:
            seen.append(heads)

    return image_of(parts, pair=PAIR, prevailing=MASTER, check=check)


def ended(*parts: bytes) -> list[bytes]:
    """These, and the hash that belongs to them."""
    digest = hashlib.sha256(b"".join(parts)).digest()
    return [*parts, msgpack.packb(["end", digest])]


def with_records(tag: str, *records: object) -> list[bytes]:
    return ended(PARTS[0], msgpack.packb([tag, list(records)]))


def test_what_was_written_is_read_back() -> None:
    seen: list[Mapping[Origin, Head]] = []
    assert read(PARTS, seen) == IMAGE
    assert seen == [IMAGE.heads]
    assert read(ended(*PARTS[:-1])) == IMAGE, "the helper above changes nothing"
    assert read([]) is None


@pytest.mark.parametrize("n", range(len(PARTS)))
def test_nothing_stands_behind_the_end(n: int) -> None:
    with pytest.raises(SnapshotUnfit, match="it goes on behind its end"):
        read([*PARTS, PARTS[n]])


def test_a_part_over_the_limit_is_not_decoded() -> None:
    blank = len(msgpack.packb(["keys", bytes(PART_BYTES_MAX)])) - PART_BYTES_MAX
    fits = msgpack.packb(["keys", bytes(PART_BYTES_MAX - blank)])
    assert len(fits) == PART_BYTES_MAX
    with pytest.raises(SnapshotUnfit, match="damaged") as refused:
        read(ended(PARTS[0], fits))
    assert "the limit is" not in str(refused.value)
    with pytest.raises(SnapshotUnfit, match="bytes; the limit is 1048576"):
        read(ended(PARTS[0], fits + b"\0"))


def record_of(key: str) -> list[Any]:
    memory_key = next(k for k in KEYS if event_in(k).key == key)
    return list(memory_key)


def event_in(record: list[Any]) -> Event:
    side = 0 if record[0] is not None else 1
    event = codec.decode(ORIGINS[side], EventId.parse(record[side][0]), record[side][1])
    assert isinstance(event, Event)
    return event


A, B = record_of("users/a"), record_of("users/b")
REMEMBERED = msgpack.unpackb(PARTS[2])[1][0]


@pytest.mark.parametrize(
    "record",
    [
        [B[0], A[1], A[2]],
        [[REMEMBERED[1], REMEMBERED[2]], None, str(START)],
        [None, None, str(START)],
        [A[0], A[1], None],
        [A[0], A[1]],
        [A[0], A[1], A[2], None],
        [5, None, str(START)],
        ["ab", None, str(START)],
        [[A[0][0], "text"], None, str(START)],
        [[A[0][0], None], None, str(START)],
        [A[1], None, str(START)],
        None,
    ],
    ids=str,
)
def test_a_record_that_is_no_entry_is_refused(record: object) -> None:
    with pytest.raises(SnapshotUnfit):
        read(with_records("keys", record))


@pytest.mark.parametrize(
    "record",
    [[MASTER, *B[0]], [[], *B[0]], [STANDBY, *REMEMBERED[1:]], [MASTER], 5, None],
    ids=str,
)
def test_what_is_not_remembered_is_refused(record: object) -> None:
    with pytest.raises(SnapshotUnfit):
        read(with_records("remembered", record))


@pytest.mark.parametrize("origin", [5, None, b"master", [], True], ids=str)
def test_a_stream_has_a_name(origin: object) -> None:
    tag, head = msgpack.unpackb(PARTS[0])
    head[3][0][0] = origin
    seen: list[Mapping[Origin, Head]] = []
    with pytest.raises(SnapshotUnfit, match="it is damaged"):
        read(ended(msgpack.packb([tag, head]), *PARTS[1:-1]), seen)
    assert not seen


def test_a_reason_is_short_whatever_is_there() -> None:
    tag, head = msgpack.unpackb(PARTS[0])
    head[1] = "x" * 100_000
    with pytest.raises(SnapshotUnfit) as refused:
        read(ended(msgpack.packb([tag, head]), *PARTS[1:-1]))
    assert len(str(refused.value)) < 300
