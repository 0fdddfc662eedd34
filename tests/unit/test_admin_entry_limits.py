"""What the command line checks of an entry is what the store checks."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import msgpack
import pytest
from hypothesis import given, settings

import eventstore
from admin.importing.entry_limits import (
    KEY_BYTES_MAX,
    LICENCES,
    VALUE_BYTES_MAX,
    OverLimit,
    _packed_bytes,
    check_entry,
    check_key,
)
from eventstore.codec import pack_value


def _nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=300),
    lambda inner: (
        st.lists(inner, max_size=20) | st.dictionaries(st.text(max_size=40), inner)
    ),
)


@settings(max_examples=50, deadline=None)
@given(_JSON)
def test_the_size_of_a_value_is_that_of_its_packed_form(value: Any) -> None:
    assert _packed_bytes(value, 0) == len(msgpack.packb(value))


@pytest.mark.parametrize(
    "value",
    [
        *(0, 127, 128, 255, 256, 65535, 65536, 2**32 - 1, 2**32, 2**64 - 1),
        *(-1, -32, -33, -128, -129, -(2**15), -(2**15) - 1, -(2**31), -(2**31) - 1),
        *("a" * 31, "a" * 32, "a" * 255, "a" * 256, "a" * 65536),
        *([1] * 16, [1] * 65536),
    ],
    ids=lambda value: str(value)[:12],
)
def test_the_size_is_exact_at_every_step_of_the_encoding(value: Any) -> None:
    assert _packed_bytes(value, 0) == len(msgpack.packb(value))


@pytest.mark.parametrize(
    "key",
    [
        *(
            "users/1",
            "users/a/b",
            "users/",
            "/a",
            "users",
            "",
            "a/b\n",
            "a/\x7f",
            "ü/ö",
        ),
        *("a/" + "b" * 254, "a/" + "b" * 255, "a/" + "ö" * 128, "a/b c", "a/\u202e"),
    ],
)
def test_a_key_is_judged_as_the_store_judges_it(key: str) -> None:
    assert _is_accepted(key) == _is_stored(key)


def test_the_limits_are_those_of_the_store() -> None:
    assert KEY_BYTES_MAX == eventstore.KEY_BYTES_MAX
    assert VALUE_BYTES_MAX == eventstore.VALUE_BYTES_MAX
    assert LICENCES == eventstore.LICENCES


def test_no_entry_is_imported_among_licences() -> None:
    with pytest.raises(
        OverLimit, match="'licences/a': a licence is installed, not put"
    ):
        check_entry("licences/a", 1)
    check_entry("licence/a", 1)


def test_a_value_may_fill_the_limit_and_not_a_byte_more() -> None:
    head = 5  # of a text of this length
    check_entry("a/b", "x" * (VALUE_BYTES_MAX - 3))
    with pytest.raises(OverLimit, match="65537 bytes; the limit is 65536"):
        check_entry("a/b", ["x" * (VALUE_BYTES_MAX - 3)])
    assert _packed_bytes("x" * 65536, 0) == 65536 + head


def test_deep_nesting_and_long_names_are_refused() -> None:
    with pytest.raises(OverLimit, match="deeper than 32"):
        check_entry("a/b", _nested(33))
    with pytest.raises(OverLimit, match="256 bytes"):
        check_entry("a/b", {"n" * 257: 1})


@pytest.mark.parametrize(
    "value",
    [
        _nested(32),
        _nested(33),
        {"n" * 256: 1},
        {"n" * 257: 1},
        {"ö" * 129: 1},
        "x" * (VALUE_BYTES_MAX - 3),
        ["x" * (VALUE_BYTES_MAX - 3)],
        {"": {"": []}},
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_value_is_judged_as_the_store_judges_it(value: Any) -> None:
    try:
        check_entry("a/b", value)
    except OverLimit:
        with pytest.raises(eventstore.InvalidEntry):
            pack_value(value)
    else:
        pack_value(value)


def _is_accepted(key: str) -> bool:
    try:
        check_key(key)
    except OverLimit:
        return False
    return True


def _is_stored(key: str) -> bool:
    try:
        eventstore.check_key(key)
    except eventstore.InvalidEntry:
        return False
    return True
