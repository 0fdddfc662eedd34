import hashlib
from typing import Any

import msgpack
import pytest

from eventstore import (
    FORMAT_VERSION,
    VALUE_BYTES_MAX,
    DamagedEvent,
    Event,
    EventId,
    codec,
)
from eventstore.codec import EVENT_BYTES_MAX, Unknown
from eventstore.event import MS_MAX
from tests.support.histories import MASTER, PAIR, STANDBY

ID = EventId(1767225600000, 7)
PREVIOUS = bytes(range(32))
FIELDS: dict[str, Any] = {
    "version": FORMAT_VERSION,
    "previous": PREVIOUS,
    "origin": "master",
    "id": str(ID),
    "kind": "entry-put",
    "key": "users/alice",
    "packed": msgpack.packb({"extension": "101"}),
    "actor": "jane",
    "reason": "moved",
    "wall_ns": 1767225600000_000_001,
    "vector": {"master": str(ID), "standby": "5-3"},
}


def blob(**changed: object) -> bytes:
    """A stored event of version 1, with some fields changed."""
    packed: bytes = msgpack.packb(list((FIELDS | changed).values()))
    return packed


def nested(depth: int) -> bytes:
    """A list in a list in a list, packed."""
    return b"\x91" * depth + b"\x01"


def test_every_format_that_was_ever_written_is_read() -> None:
    assert set(codec._DECODERS) == set(range(1, FORMAT_VERSION + 1))


def test_the_stored_form_is_as_documented() -> None:
    stored = codec.encode(
        origin=MASTER,
        event_id=ID,
        kind="entry-put",
        key="users/alice",
        packed=FIELDS["packed"],
        actor="jane",
        reason="moved",
        wall_ns=FIELDS["wall_ns"],
        vector={STANDBY: EventId(5, 3), MASTER: ID},
        previous=PREVIOUS,
    )
    assert stored == blob()


def test_a_stored_event_is_read() -> None:
    assert codec.decode(MASTER, ID, blob()) == Event(
        origin=MASTER,
        id=ID,
        kind="entry-put",
        key="users/alice",
        packed=FIELDS["packed"],
        actor="jane",
        reason="moved",
        wall_ns=1767225600000_000_001,
        vector={MASTER: ID, STANDBY: EventId(5, 3)},
        previous=PREVIOUS,
        digest=hashlib.sha256(blob()).digest(),
    )


def test_a_kind_of_a_later_version_is_read_as_it_is() -> None:
    event = codec.decode(MASTER, ID, blob(kind="licence-blessed"))
    assert isinstance(event, Event)
    assert event.kind == "licence-blessed"


def test_the_start_of_a_chain_names_pair_and_origin() -> None:
    starts = {
        codec.genesis(pair, o) for pair in (PAIR, "other") for o in (MASTER, STANDBY)
    }
    assert len(starts) == 4
    expected = hashlib.sha256(b"netphone:office:events:master").digest()
    assert codec.genesis("office", MASTER) == expected


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        pytest.param({"version": 2}, "format version 2", id="later version"),
        pytest.param({"version": None}, "format version None", id="no version"),
        pytest.param({"version": True}, "format version None", id="true for 1"),
        pytest.param({"version": 1.0}, "format version None", id="1.0 for 1"),
        pytest.param({"origin": "standby"}, "it says it is", id="other origin"),
        pytest.param({"id": "1-1"}, "it says it is", id="other id"),
        pytest.param({"kind": 5}, "a text is none", id="kind no text"),
        pytest.param({"kind": "k" * 65}, "over its limit", id="long kind"),
        pytest.param({"key": "k" * 257}, "over its limit", id="long key"),
        pytest.param({"key": "alice"}, "collection/name", id="key of no entry"),
        *(
            pytest.param({"kind": kind, "key": key}, why, id=f"{key!r} of {kind}")
            for kind in ("licence-installed", "licence-removed")
            for key, why in (
                ("", "collection/name"),
                ("licences/a\nb", "control character"),
            )
        ),
        pytest.param({"actor": "a" * 257}, "over its limit", id="long actor"),
        pytest.param({"reason": "r" * 1025}, "over its limit", id="long reason"),
        pytest.param({"reason": b"r"}, "a text is none", id="reason of bytes"),
        pytest.param({"packed": "text"}, "its value is none", id="value no bytes"),
        pytest.param({"packed": bytes(65537)}, "over its limit", id="long value"),
        pytest.param({"packed": b""}, "", id="empty value"),
        pytest.param({"packed": b"\xc1"}, "", id="value no msgpack"),
        pytest.param({"packed": b"\xcc\x01"}, "canonical", id="value not minimal"),
        pytest.param({"packed": b"\x82\xa1b\x01\xa1a\x02"}, "canonical", id="unsorted"),
        pytest.param({"packed": b"\x82\xa1a\x01\xa1a\x02"}, "canonical", id="twice"),
        pytest.param({"packed": msgpack.packb(float("nan"))}, "nan", id="nan"),
        pytest.param({"packed": msgpack.packb(b"x")}, "bytes", id="bytes in value"),
        pytest.param({"packed": nested(33)}, "nested deeper", id="deep value"),
        pytest.param({"packed": nested(1020)}, "", id="very deep value"),
        pytest.param({"packed": b"\xd6\xff" + bytes(4)}, "", id="timestamp"),
        pytest.param({"wall_ns": 1.5}, "its time or vector", id="time no integer"),
        pytest.param({"wall_ns": True}, "its time or vector", id="time a bool"),
        pytest.param({"vector": []}, "its time or vector", id="vector no map"),
        pytest.param({"vector": {}}, "its own id", id="vector without itself"),
        pytest.param({"vector": {"master": "1-1"}}, "its own id", id="other in vector"),
        pytest.param({"vector": {"master": 5}}, "", id="vector of numbers"),
        pytest.param({"vector": {"master": "x"}}, "not an event id", id="vector of x"),
        pytest.param(
            {"vector": {"master": str(ID), b"standby": "5-3"}},
            "",
            id="bytes for origin",
        ),
        pytest.param(
            {"vector": {"master": str(ID)} | {f"o{i}": "1-1" for i in range(16)}},
            "its vector has 17 origins",
            id="too many origins",
        ),
        pytest.param(
            {"vector": {"master": str(ID), "standby": f"{2**64 - 1}-1"}},
            "beyond the year 9999",
            id="vector beyond all time",
        ),
        pytest.param({"was": 1}, "no pair", id="what it was: no pair"),
        pytest.param({"was": [1]}, "no pair", id="what it was: one part"),
        pytest.param({"was": [5, bytes(32)]}, "no id and digest", id="was: no id"),
        pytest.param({"was": ["1-1", "x"]}, "no id and digest", id="was: no digest"),
        pytest.param({"was": ["1-1", b"x"]}, "another length", id="was: short digest"),
        pytest.param({"was": ["x", bytes(32)]}, "not an event id", id="was: bad id"),
        pytest.param(
            {"was": ["1-1", bytes(32)], "more": 1}, "too many values", id="two too many"
        ),
    ],
)
def test_what_is_not_understood_is_kept_with_its_place_in_the_chain(
    changed: dict[str, object], why: str
) -> None:
    stored = blob(**changed)
    found = codec.decode(MASTER, ID, stored)
    assert isinstance(found, Unknown)
    assert (found.origin, found.id, found.previous) == (MASTER, ID, PREVIOUS)
    assert found.digest == hashlib.sha256(stored).digest()
    assert why in found.why


def test_a_version_of_any_shape_and_depth_is_unknown() -> None:
    fields = list(FIELDS.values())[1:]
    rest = b"".join(msgpack.packb(field) for field in fields)
    for version in (nested(1020), b"\xc7\x00\x05", b"\xd6\xff" + bytes(4), b"\xa1x"):
        found = codec.decode(MASTER, ID, b"\x9b" + version + rest)
        assert isinstance(found, Unknown)
        assert len(found.why) < 200


def test_sixteen_origins_are_understood() -> None:
    vector = {"master": str(ID)} | {f"o{i}": "1-1" for i in range(15)}
    found = codec.decode(MASTER, ID, blob(vector=vector))
    assert isinstance(found, Event)
    assert len(found.vector) == 16


@pytest.mark.parametrize(
    "stored",
    [
        b"",
        b"\x01",
        b"\xc1",
        b"\x90",
        msgpack.packb([2]),
        msgpack.packb({0: 1, 1: PREVIOUS}, use_bin_type=True),
        msgpack.packb({"a": 1, "b": PREVIOUS}),
        msgpack.packb([1, "p" * 32]),
        msgpack.packb([1, PREVIOUS[:31]]),
        blob() + b"\x00",
        blob()[:-1],
        b"\x91" * 5000,
        b"\x92\x81\xc0\x01",
    ],
    ids=lambda stored: stored[:8].hex() or "nothing",
)
def test_bytes_without_a_place_in_the_chain_are_damaged(stored: bytes) -> None:
    with pytest.raises(DamagedEvent, match=str(ID)):
        codec.decode(MASTER, ID, stored)


def test_nothing_over_the_limit_is_decoded() -> None:
    padding = (
        EVENT_BYTES_MAX - len(msgpack.packb([2, PREVIOUS, bytes(70_000)])) + 70_000
    )
    fits = msgpack.packb([2, PREVIOUS, bytes(padding)])
    assert len(fits) == EVENT_BYTES_MAX
    assert isinstance(codec.decode(MASTER, ID, fits), Unknown)
    over = msgpack.packb([2, PREVIOUS, bytes(padding + 1)])
    with pytest.raises(DamagedEvent, match=f"{len(over)} bytes; the limit is"):
        codec.decode(MASTER, ID, over)


def test_every_value_within_its_limits_fits_the_limit_of_an_event() -> None:
    longest = EventId(MS_MAX, 2**64 - 1)
    stored = codec.encode(
        origin=MASTER,
        event_id=longest,
        kind="k" * 64,
        key="ü" * 128,
        packed=codec.pack_value("x" * (VALUE_BYTES_MAX - 3)),
        actor="ü" * 128,
        reason="ü" * 512,
        wall_ns=2**64 - 1,
        vector={MASTER: longest, STANDBY: longest},
        previous=PREVIOUS,
    )
    assert isinstance(codec.decode(MASTER, longest, stored), Event)
