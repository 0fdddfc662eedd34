"""Values: what may be stored, and in which form."""

from enum import IntEnum
from typing import Any

import pytest

from eventstore import VALUE_BYTES_MAX, InvalidEntry
from eventstore.codec import pack_value
from eventstore.event import VALUE_DEPTH_MAX, canonical, unpack_value


class Colour(IntEnum):
    RED = 1


class Name(str):
    __slots__ = ()


@pytest.mark.parametrize(
    "value",
    [
        None, True, False, 0, 1, -1, -(2**63), 2**64 - 1, 0.0, -0.0, 1.5, 5e-324,
        "", "ü", "\x00", [], {}, [[]], {"": None}, {"a": [1, {"b": None}]},
        [True, 1, 1.0],
    ],
    ids=repr,
)  # fmt: skip
def test_a_json_value_comes_back_as_it_was(value: Any) -> None:
    found = unpack_value(pack_value(value))
    assert repr(found) == repr(value)


def test_the_order_of_names_does_not_change_the_bytes() -> None:
    one: dict[str, object] = {"b": {"y": 1, "x": [{"d": 1, "c": 2}]}, "a": 2}
    same = {"a": 2, "b": {"x": [{"c": 2, "d": 1}], "y": 1}}
    assert pack_value(one) == pack_value(same)


def test_a_canonical_value_is_a_copy() -> None:
    inner = [1]
    value = {"a": inner}
    copy = canonical(value)
    inner.append(2)
    assert copy == {"a": [1]}


def test_an_unpacked_value_is_made_anew_each_time() -> None:
    packed = pack_value({"a": []})
    assert unpack_value(packed) is not unpack_value(packed)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (float("nan"), "value is nan, which JSON cannot carry"),
        ([0, float("inf")], r"value\[1\] is inf"),
        (2**64, "value is an integer beyond 64 bits"),
        ({"a": -(2**63) - 1}, r"value\.a is an integer beyond 64 bits"),
        ({"a": [(1, 2)]}, r"value\.a\[0\] is a tuple"),
        (b"x", "value is a bytes"),
        ({"a": {1}}, r"value\.a is a set"),
        (Colour.RED, "value is a Colour"),
        ([Name("x")], r"value\[0\] is a Name"),
        ({Name("x"): 1}, "a name in value is a Name, not a string"),
        ({"a": {1: 2}}, r"a name in value\.a is an int, not a string"),
        ({"a": {"x" * 257: 2}}, r"a name in value\.a .* the limit is 256"),
        ({"\udc80": 1}, "a name in value has half of a surrogate"),
        ({"a": "\udc80"}, r"value\.a has half of a surrogate"),
        (["x" * (VALUE_BYTES_MAX + 1)], r"value\[0\] .* the limit is 65536"),
        (type("", (), {})(), "value is a"),
        (type("Élan", (), {})(), "value is a Élan"),
        (type("odd", (), {})(), "value is an odd"),
    ],
    ids=lambda v: repr(v)[:40] if not isinstance(v, str) else v[:40],
)
def test_anything_else_is_refused_by_its_path(value: object, why: str) -> None:
    with pytest.raises(InvalidEntry, match=why):
        pack_value(value)


def test_a_value_may_be_nested_32_deep_and_no_deeper() -> None:
    value: Any = 0
    for _ in range(VALUE_DEPTH_MAX):
        value = [value]
    assert unpack_value(pack_value(value)) == value
    with pytest.raises(InvalidEntry, match="nested deeper than 32"):
        pack_value([value])


def test_a_value_that_holds_itself_is_refused() -> None:
    value: list[object] = []
    value.append(value)
    with pytest.raises(InvalidEntry, match="nested deeper"):
        pack_value(value)


def test_the_limit_of_a_value_counts_its_packed_bytes() -> None:
    head_bytes = 3
    fits = "x" * (VALUE_BYTES_MAX - head_bytes)
    assert len(pack_value(fits)) == VALUE_BYTES_MAX
    with pytest.raises(InvalidEntry, match="65537 bytes packed; the limit is 65536"):
        pack_value(fits + "x")
