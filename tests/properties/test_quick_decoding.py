"""The quick ways of reading an event take exactly what a plain one would.

The plain way is spelled out here: every rule of the stored form, one after the other.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

import msgpack
import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from eventstore import Event, EventId, InvalidEntry, Origin, codec
from eventstore.event import MS_MAX, Recovered, canonical, check_key
from tests.support.histories import MASTER, PAIR, STANDBY

ID = EventId(1_767_225_600_000, 1)
KEYED = {"entry-put", "entry-deleted", "licence-installed", "licence-removed"}
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=5)
    | st.text("aú", min_size=250, max_size=300)
    | st.binary(max_size=5)
    | st.builds(msgpack.ExtType, st.just(5), st.binary(max_size=3))
)
NAMES = st.text(max_size=3) | st.text("a", min_size=250, max_size=260)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=20)
        | st.dictionaries(NAMES | st.binary(max_size=3), inner, max_size=20)
    ),
    max_leaves=25,
)
FORMS = st.sampled_from(
    # Of the same things: 1, "a", {}, [], an object with the names in either order or twice.
    [
        b"\x01", b"\xcc\x01", b"\xcd\x00\x01", b"\xd0\x01", b"\xa1a", b"\xd9\x01a",
        b"\xc4\x01a", b"\x80", b"\xde\x00\x00", b"\x90", b"\xdc\x00\x00", b"\xff", b"\xe0",
        b"\x82\xa1a\x01\xa1b\x01", b"\x82\xa1b\x01\xa1a\x01", b"\x82\xa1a\x01\xa1a\x01",
        b"\xa3\xed\xa0\x80", b"\xc1", b"\xca\x00\x00\x00\x00", b"\x81\x01\x01",
    ]
)  # fmt: skip
DEPTHS = st.builds(
    lambda opening, depth, inner: opening * depth + inner,
    st.sampled_from([b"\x91", b"\x81\xa1a"]),
    st.integers(28, 40),
    FORMS,
)
PACKED = (
    (VALUES.map(msgpack.packb) | DEPTHS)
    | st.lists(FORMS, max_size=15).map(lambda p: bytes([0x90 + len(p)]) + b"".join(p))
    | st.lists(FORMS, max_size=9).map(
        lambda p: (
            bytes([0x80 + len(p)])
            + b"".join(b"\xa1" + bytes([97 + i]) + one for i, one in enumerate(p))
        )
    )
    | st.binary(max_size=40)
)


def is_canonical(packed: bytes) -> bool:
    """By the definition."""
    try:
        return codec.pack_value(msgpack.unpackb(packed)) == packed
    except (ValueError, InvalidEntry, msgpack.exceptions.UnpackException):
        return False


NOT_CANONICAL = {
    "names not sorted": b"\x82\xa1b\x01\xa1a\x01",
    "inner names not sorted": b"\x81\xa1a\x82\xa1b\x01\xa1a\x01",
    "a name twice": b"\x82\xa1a\x01\xa1a\x01",
    "no number": b"\xcb\x7f\xf8" + bytes(6),
    "infinity": b"\xcb\x7f\xf0" + bytes(6),
    "bytes": b"\xc4\x01a",
    "long bytes": b"\xc5\x01\x00" + b"a" * 256,
    "an extension": b"\xd4\x05a",
    "a time": b"\xd6\xff" + bytes(4),
    "a long extension": b"\xc7\x03\x05abc",
    "a name of bytes": b"\x81\xc4\x01a\x01",
    "a name of 257 bytes": b"\x81\xda\x01\x01" + b"a" * 257 + b"\x01",
    "deep": b"\x91" * 33 + b"\x01",
    "deep with long lists": (b"\xdc\x00\x10" + b"\xc0" * 15) * 33 + b"\x01",
    "deep with long objects": b"".join(
        [b"\xde\x00\x10", *(b"\xa1" + bytes([97 + n]) + b"\xc0" for n in range(15)), b"\xa1z"]
    )
    * 33
    + b"\x01",
    "a long form": b"\xcc\x01",
    "half of a surrogate pair": b"\xa3\xed\xa0\x80",
    "something behind": b"\x01\x01",
    "nothing": b"",
}  # fmt: skip


@pytest.mark.parametrize("packed", NOT_CANONICAL.values(), ids=NOT_CANONICAL)
def test_what_is_not_canonical_is_never_found_so(packed: bytes) -> None:
    assert not is_canonical(packed)
    assert not codec.is_surely_canonical(packed)


@given(PACKED)
def test_what_is_quickly_found_canonical_is(packed: bytes) -> None:
    if codec.is_surely_canonical(packed):
        event("quickly")
        assert is_canonical(packed)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-32, 127) | st.text("abc é", max_size=40),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.text("abc", max_size=3), inner, max_size=5)
    ),
    max_leaves=8,
)


@given(PLAIN)
def test_what_entries_hold_is_quickly_found_canonical(value: object) -> None:
    assert codec.is_surely_canonical(codec.pack_value(value))


def test_a_value_at_the_limit_of_depth_is_quickly_found_canonical_and_none_beyond() -> (
    None
):
    assert codec.is_surely_canonical(b"\x91" * 32 + b"\x01")
    assert is_canonical(b"\x91" * 32 + b"\x01")
    assert not codec.is_surely_canonical(b"\x91" * 33 + b"\x01")


def plainly(origin: Origin, event_id: EventId, blob: bytes) -> Event:
    """The event in `blob`, read without haste; ValueError or the like: it is none."""
    fields = msgpack.unpackb(blob)
    version, previous, own, place, kind, key, packed, actor, reason, wall_ns, stored = (
        fields[:11]
    )
    recovered = None
    if len(fields) == 12:
        was, digest = fields[11]
        need(type(fields[11]) is list and type(digest) is bytes and len(digest) == 32)
        recovered = Recovered(plain_id(was), digest)
    need(len(fields) in (11, 12) and type(version) is int and version == 1)
    need(type(previous) is bytes and len(previous) == 32)
    need(own == origin and place == str(event_id))
    for text, limit in ((kind, 64), (key, 256), (actor, 256), (reason, 1024)):
        need(type(text) is str and len(text) <= limit)
    if kind in KEYED:
        check_key(key)
    need(type(packed) is bytes and len(packed) <= 64 * 1024)
    need(msgpack.packb(canonical(msgpack.unpackb(packed))) == packed)
    need(type(wall_ns) is int and type(stored) is dict and len(stored) <= 16)
    vector = {}
    for name, text in stored.items():
        need(type(name) is str)
        vector[Origin(name)] = plain_id(text)
    need(all(seen.ms <= MS_MAX for seen in vector.values()))
    need(vector.get(origin) == event_id)
    return Event(
        origin, event_id, kind, key, packed, actor, reason, wall_ns, vector, previous,
        hashlib.sha256(blob).digest(), recovered,
    )  # fmt: skip


def plain_id(text: str) -> EventId:
    found = re.fullmatch(r"(0|[1-9][0-9]*)-(0|[1-9][0-9]*)", text)
    need(found is not None and len(text) <= 41)
    assert found is not None
    ms, n = int(found[1]), int(found[2])
    need(ms < 2**64 and n < 2**64)
    return EventId(ms, n)


def need(is_so: bool) -> None:
    if not is_so:
        raise ValueError


def both_ways(blob: bytes) -> None:
    try:
        expected: Event | None = plainly(MASTER, ID, blob)
    except (ValueError, TypeError, InvalidEntry, msgpack.exceptions.UnpackException):
        expected = None
    assert codec.readable(MASTER, ID, blob) == expected


FIELDS: list[Any] = [
    1,
    codec.genesis(PAIR, MASTER),
    MASTER,
    str(ID),
    "entry-put",
    "users/a",
    codec.pack_value({"a": 1, "b": None}),
    "jane",
    "",
    5,
    {MASTER: str(ID), STANDBY: "1-1"},
]
IDS = [
    str(ID), "0-0", "1-1", "01-1", "1-01", "+1-1", "1-+1", "-1-1", "1--1", " 1-1", "1-1 ",
    "1_0-1", "\u0661-1", "1-1\n", "1", "1-", "-", "", "1-1-1", f"{2**64}-1", f"1-{2**64}",
    f"{2**64 - 1}-1", f"{MS_MAX}-1", f"{MS_MAX + 1}-1", "9" * 400 + "-1", b"1-1", 3, None,
]  # fmt: skip
VECTORS: list[object] = [
    *({MASTER: str(ID), STANDBY: other} for other in IDS),
    *({MASTER: own, STANDBY: "1-1"} for own in IDS),
    *({MASTER: str(ID), **{str(i): "1-1" for i in range(n)}} for n in (14, 15, 16)),
    {MASTER: str(ID), b"standby": "1-1"},
    {b"master": str(ID)},
    {STANDBY: str(ID)},
    {},
]
HARD = [
    *IDS,
    *VECTORS,
    *NOT_CANONICAL.values(),
    *([was, digest] for was in IDS for digest in (bytes(32), bytes(31), "x" * 32)),
    *(
        "users/",
        "a",
        "/a",
        "a/\n",
        "a/\u200b",
        "é/é",
        "entry-deleted",
        "licence-removed",
    ),
    *("a/" + "é" * n for n in (127, 128)),
    *(char * n for n in (64, 65, 256, 257, 1024, 1025) for char in "xé"),
    *(0, 1, 2, True, 1.0, -1, 2**63, bytes(32), bytes(31), b"\xc0", b"\x00" * 65536),
]


def test_an_event_of_hard_parts_is_read_as_it_is_plainly() -> None:
    for kind in ("entry-put", "state-changed"):
        for place in range(12):
            for part in HARD:
                fields = [*FIELDS]
                fields[4] = kind
                fields[place : place + 1] = [part]
                both_ways(msgpack.packb(fields))


PARTS = SCALARS | PACKED | st.sampled_from(HARD)


@given(st.lists(st.tuples(st.integers(0, 11), PARTS), max_size=3))
def test_an_event_of_any_parts_is_read_as_it_is_plainly(
    changes: list[tuple[int, object]],
) -> None:
    fields = [*FIELDS]
    for place, part in changes:
        fields[place : place + 1] = [part]
    both_ways(msgpack.packb(fields))


@given(st.integers(0, 300), st.integers(0, 3), st.binary(max_size=4))
def test_changed_bytes_are_read_as_they_are_plainly(
    at: int, cut: int, new: bytes
) -> None:
    blob = msgpack.packb(FIELDS)
    both_ways(blob[:at] + new + blob[at + cut :])


@given(
    st.sampled_from(IDS) | st.text("0123456789-+_ ", max_size=45) | st.text(max_size=8)
)
def test_ids_are_taken_exactly_as_plainly(text: object) -> None:
    try:
        expected: EventId | None = plain_id(text)  # type: ignore[arg-type]
    except (ValueError, TypeError):
        expected = None
    try:
        found: EventId | None = EventId.parse(text)  # type: ignore[arg-type]
    except (ValueError, TypeError):
        found = None
    assert found == expected
