"""The document of a licence: its fields, its canonical bytes and its signature."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from eventstore import (
    InvalidLicence,
    JsonValue,
    read_licence,
    sign_licence,
)
from eventstore.licence import signed_bytes
from node.http_api.strict_json import InvalidJson, decode
from tests.support.licences import DAY_NS, KEY, NOW_NS, OTHER_KEY, document, signed


def test_a_document_says_what_its_fields_say() -> None:
    licence = read_licence(
        document(
            "L.1_a-B", option="recording", not_before="2026-01-01", ends="2026-01-31"
        )
    )
    assert (licence.id, licence.holder, licence.seats) == ("L.1_a-B", "Example Ltd", 50)
    assert (licence.product, licence.option) == ("netphone-standby", "recording")
    assert licence.starts_ns == NOW_NS
    assert licence.ends_ns == NOW_NS + 31 * DAY_NS, "its last day counts"
    assert licence.signature is None


def test_an_instant_is_taken_to_the_second() -> None:
    licence = read_licence(document(ends="2026-01-01T00:00:07Z"))
    assert licence.ends_ns == NOW_NS + 7_000_000_000


def test_the_last_day_there_is_has_an_end() -> None:
    assert read_licence(document(ends="9999-12-31")).ends_ns


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"id": None}, "missing: id"),
        ({"holder": None, "seats": None}, "missing: holder, seats"),
        ({"id": "a/b"}, "id is 'a/b', not 1 to 64 letters"),
        ({"id": "x" * 65}, "id is 'xxx"),
        ({"id": "."}, "id is '.', not"),
        ({"id": 7}, "id is 7, not"),
        ({"holder": ""}, "holder is '', not a text of 1 to 256 bytes"),
        ({"holder": "é" * 129}, "holder is "),
        ({"holder": "two\nlines"}, "holder is "),
        ({"holder": "half \ud800"}, "holder is "),
        ({"holder": ["x"]}, "holder is a list, not"),
        ({"product": " x"}, "product is ' x', not"),
        ({"seats": 0}, "seats is 0, not a whole number from 1 to 1000000"),
        ({"seats": 1_000_001}, "seats is 1000001, not"),
        ({"seats": 50.0}, "seats is 50.0, not"),
        ({"seats": True}, "seats is True, not"),
        ({"seats": "50"}, "seats is '50', not"),
        ({"seats": 10**5000}, "seats is a huge number, not"),
        ({"issued": "yesterday"}, "issued is 'yesterday', not a date"),
        ({"issued": "2026-02-30"}, "issued is 2026-02-30, which no calendar has"),
        ({"issued": "0000-01-01"}, "which no calendar has"),
        ({"issued": "2026-01-01T00:00:00"}, "issued is '2026-01-01T00:00:00', not"),
        ({"issued": "2026-01-01T00:00:00+01:00"}, "issued is "),
        ({"issued": "\u0662\u0660\u0662\u0666-01-01"}, "issued is "),
        ({"ends": "2025-11-30"}, "ends is '2025-11-30', not after issued, '"),
        (
            {"not_before": "2026-02-01", "ends": "2026-01-31"},
            "ends is '2026-01-31', not after not_before, '2026-02-01'",
        ),
        ({"option": ""}, "option is '', not"),
        ({"region": "EU"}, "'region' is no field of a licence"),
        ({"signature": "x"}, "signature is no object of algorithm, key, value"),
        ({"signature": {"key": "x"}}, "signature is no object of"),
    ],
)
def test_a_wrong_field_is_named(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidLicence) as error:
        read_licence(document(**{"licence_id": "L-1", **changes}))
    assert words in str(error.value)
    assert len(str(error.value).splitlines()) == 1
    assert str(error.value).isprintable()


def test_every_wrong_field_is_named_at_once() -> None:
    with pytest.raises(InvalidLicence, match=r"id is .*; holder is .*; seats is "):
        read_licence(document("?", holder="", seats=-1))


@pytest.mark.parametrize("value", [None, [], "x", 1, True])
def test_what_is_no_object_is_no_licence(value: object) -> None:
    with pytest.raises(InvalidLicence, match="a JSON object"):
        read_licence(value)


@pytest.mark.parametrize(
    ("part", "value", "words"),
    [
        ("algorithm", "rsa", "signature.algorithm is 'rsa', not 'ed25519'"),
        ("key", "00", "signature.key is '00', not 16 hex digits"),
        ("key", None, "signature.key is None"),
        ("value", "!", "signature.value is not 64 bytes in base64"),
        ("value", "AAAA", "signature.value is not 64 bytes"),
        ("value", "A" * 85 + "B==", "signature.value is not 64 bytes"),
        ("value", "A" * 100_000, "signature.value is not 64 bytes"),
        ("value", 5, "signature.value is not 64 bytes"),
    ],
)
def test_a_signature_has_one_form(part: str, value: JsonValue, words: str) -> None:
    found = signed()
    assert isinstance(found["signature"], dict)
    with pytest.raises(InvalidLicence, match=words.replace("(", r"\(")):
        read_licence({**found, "signature": {**found["signature"], part: value}})


def test_64_bytes_are_a_signature_in_one_spelling() -> None:
    """Of the other ones that decode to the same, one is refused above."""
    found = signed()
    assert isinstance(found["signature"], dict)
    zeros = {**found["signature"], "value": "A" * 86 + "=="}
    licence = read_licence({**found, "signature": zeros})
    assert licence.signature is not None
    assert licence.signature.value == bytes(64)


def test_what_is_signed_are_sorted_names_without_spaces_in_utf_8() -> None:
    given = signed(holder='Käse "AG" 漢', ends="2026-12-31")
    assert (
        signed_bytes(given)
        == (
            '{"ends":"2026-12-31","holder":"Käse \\"AG\\" 漢","id":"L-1",'
            '"issued":"2025-12-01","product":"netphone-standby","seats":50}'
        ).encode()
    )
    shuffled = list(given.items())
    random.Random(7).shuffle(shuffled)
    spaced = json.loads(json.dumps(dict(shuffled), indent=4))
    assert read_licence(spaced).is_signed_by(KEY.public)


def test_a_signature_is_of_one_key() -> None:
    licence = read_licence(signed())
    assert licence.is_signed_by(KEY.public)
    assert not licence.is_signed_by(OTHER_KEY.public)
    assert licence.signature is not None
    assert licence.signature.fingerprint == KEY.public.fingerprint
    assert not read_licence(document()).is_signed_by(KEY.public)


def test_signing_again_replaces_the_signature() -> None:
    again = sign_licence(signed(), OTHER_KEY)
    assert read_licence(again).is_signed_by(OTHER_KEY.public)


def test_what_is_no_licence_is_not_signed() -> None:
    with pytest.raises(InvalidLicence, match="seats is 0"):
        sign_licence(document(seats=0), KEY)


def test_no_change_of_one_byte_leaves_the_signature_true() -> None:
    """Whatever is altered, it is no licence any more, or not signed, or says the same."""
    given = signed(not_before="2026-01-01", ends="2026-12-31", option="recording")
    data = json.dumps(given).encode()
    chance = random.Random(1)
    survived = 0
    for position in range(len(data)):
        for bit in (1 << chance.randrange(7), 0x20):
            altered = bytearray(data)
            altered[position] ^= bit
            try:
                value = decode(altered)
                licence = read_licence(value)
            except (InvalidJson, InvalidLicence):
                continue
            survived += 1
            names_the_key = isinstance(value, dict) and (
                {**value, "signature": 0} == {**given, "signature": 0}
            )
            assert not licence.is_signed_by(KEY.public) or names_the_key
    assert survived > 100, "most of this test must have got to the signature"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", "L-2"),
        ("product", "another"),
        ("holder", "Example Ltd."),
        ("seats", 51),
        ("issued", "2025-12-02"),
        ("not_before", "2025-12-31"),
        ("ends", "2027-01-01"),
        ("option", "fax"),
    ],
)
def test_each_field_is_under_the_signature(field: str, value: JsonValue) -> None:
    given = signed(not_before="2026-01-01", ends="2026-12-31", option="recording")
    assert not read_licence({**given, field: value}).is_signed_by(KEY.public)
    if field in ("not_before", "ends", "option"):
        less = {name: v for name, v in given.items() if name != field}
        assert not read_licence(less).is_signed_by(KEY.public)
