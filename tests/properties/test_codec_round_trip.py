"""Bytes and values: what goes in comes out, and nothing else escapes."""

import math
import random
import re
from typing import Any

import msgpack
from hypothesis import assume, given
from hypothesis import strategies as st

from eventstore import DamagedEvent, Event, EventId, InvalidEntry, Origin, codec
from eventstore.codec import Unknown, pack_value
from eventstore.event import unpack_value
from tests.properties.pairs import any_origin, event_ids, vectors
from tests.support.histories import MASTER

texts = st.text(st.characters(codec="utf-8"), max_size=12)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
values = st.recursive(
    scalars, lambda v: st.lists(v, max_size=4) | st.dictionaries(texts, v, max_size=4)
)
not_json = (
    st.sampled_from([math.nan, math.inf, -math.inf, "\ud800", 1j, ..., object, {1}, ()])
    | st.integers(min_value=2**64)
    | st.integers(max_value=-(2**63) - 1)
    | st.binary()
    | st.tuples(scalars)
    | st.builds(object)
    | st.dictionaries(st.integers() | st.none() | st.binary(), scalars, min_size=1)
    | st.datetimes()
)
anything = st.recursive(
    scalars | not_json | st.text(),
    lambda v: (
        st.lists(v, max_size=4)
        | st.tuples(v, v)
        | st.dictionaries(scalars | st.text(max_size=3), v, max_size=4)
    ),
)
msgpackable = st.recursive(
    scalars
    | st.binary(max_size=40)
    | st.builds(msgpack.ExtType, st.just(5), st.binary()),
    lambda v: st.lists(v, max_size=12) | st.dictionaries(texts | st.binary(), v),
    max_leaves=20,
)


@st.composite
def stored(draw: st.DrawFn) -> tuple[Origin, EventId, bytes]:
    """A stored event, with the place it was found at."""
    origin, event_id = draw(any_origin), draw(event_ids)
    blob = codec.encode(
        origin=origin,
        event_id=event_id,
        kind=draw(texts),
        key=draw(texts),
        packed=pack_value(draw(values)),
        actor=draw(texts),
        reason=draw(texts),
        wall_ns=draw(st.integers(-(2**63), 2**63 - 1)),
        vector=draw(vectors) | {origin: event_id},
        previous=draw(st.binary(min_size=32, max_size=32)),
    )
    return origin, event_id, blob


def decoded(origin: Origin, event_id: EventId, blob: bytes) -> Event | Unknown | None:
    """What is read; None for damaged bytes. Any other exception ends the test."""
    try:
        found = codec.decode(origin, event_id, blob)
    except DamagedEvent as error:
        assert "\n" not in str(error)
        return None
    assert (found.origin, found.id) == (origin, event_id)
    assert found.digest == codec.digest_of(blob)
    assert type(found.previous) is bytes
    assert len(found.previous) == codec.DIGEST_BYTES
    if isinstance(found, Event):
        assert pack_value(unpack_value(found.packed)) == found.packed
        assert all(type(o) is str for o in found.vector)
        assert found.covers(origin, event_id)
    return found


@given(stored())
def test_an_event_is_read_as_it_was_written(
    place: tuple[Origin, EventId, bytes],
) -> None:
    event = decoded(*place)
    assert isinstance(event, Event)
    assert codec.encode_event(event) == place[2]


@given(any_origin, event_ids, st.binary())
def test_any_bytes_are_read_or_damaged(
    origin: Origin, event_id: EventId, blob: bytes
) -> None:
    decoded(origin, event_id, blob)


@given(stored(), st.data())
def test_changed_bytes_are_read_or_damaged(
    place: tuple[Origin, EventId, bytes], data: st.DataObject
) -> None:
    origin, event_id, blob = place
    at = data.draw(st.integers(0, len(blob)), "at")
    cut = data.draw(st.integers(0, 3), "cut")
    changed = blob[:at] + data.draw(st.binary(max_size=4), "new") + blob[at + cut :]
    found = decoded(origin, event_id, changed)
    assume(changed != blob)
    assert found is None or found.digest != codec.digest_of(blob)


@given(stored(), st.integers(0, 12), msgpackable | values.map(msgpack.packb))
def test_any_field_may_hold_anything(
    place: tuple[Origin, EventId, bytes], at: int, new: Any
) -> None:
    origin, event_id, blob = place
    fields = msgpack.unpackb(blob)
    fields[at : at + 1] = [new]
    decoded(origin, event_id, msgpack.packb(fields))


@given(
    st.sampled_from([0, 6, 10]),
    st.integers(0, 1023),
    st.sampled_from([b"\x91", b"\x81"]),
)
def test_any_depth_is_read_or_damaged(at: int, depth: int, opening: bytes) -> None:
    here = EventId(1, 1)
    fields: list[Any] = [
        1, bytes(32), "master", "1-1", "entry-put", "a/b", b"\x01", "jane", "", 1,
        {"master": "1-1"},
    ]  # fmt: skip
    nested = opening * depth + b"\xc0"
    packed = [msgpack.packb(field) for field in fields]
    packed[at] = msgpack.packb(nested) if at == 6 else nested
    decoded(MASTER, here, b"\x9b" + b"".join(packed))


@given(values)
def test_a_value_comes_back_as_it_was(value: Any) -> None:
    found = unpack_value(pack_value(value))
    assert found == value
    assert pack_value(found) == pack_value(value)
    assert _typed(found) == _typed(value)


@given(values, st.randoms(use_true_random=False))
def test_the_order_of_names_never_changes_the_bytes(
    value: Any, chance: random.Random
) -> None:
    assert pack_value(_shuffled(value, chance)) == pack_value(value)


@given(values, values)
def test_different_values_have_different_bytes(one: Any, two: Any) -> None:
    assert (pack_value(one) == pack_value(two)) == (_typed(one) == _typed(two))


@given(anything)
def test_any_object_is_stored_or_refused_by_its_path(value: object) -> None:
    try:
        packed = pack_value(value)
    except InvalidEntry as refusal:
        assert re.match(r"(a name in )?value\b", str(refusal))
    else:
        assert _typed(unpack_value(packed)) == _typed(value)


@given(values, not_json, st.lists(texts.filter(bool) | st.integers(0, 3), max_size=4))
def test_the_path_of_a_refused_part_is_named(
    good: Any, bad: object, steps: list[str | int]
) -> None:
    value, path = bad, ""
    for step in reversed(steps):
        if isinstance(step, str):
            value, path = {step: value}, f".{step}{path}"
        else:
            value, path = [*[good] * step, value], f"[{step}]{path}"
    try:
        pack_value(value)
    except InvalidEntry as refusal:
        assert str(refusal).startswith((f"value{path} ", f"a name in value{path} "))
    else:
        raise AssertionError("it was stored")


@given(st.text(max_size=50) | event_ids.map(str))
def test_any_text_is_an_id_or_refused(text: str) -> None:
    try:
        found = EventId.parse(text)
    except ValueError:
        return
    assert str(found) == text


@given(event_ids, event_ids)
def test_an_id_is_read_back_and_ordered_by_its_numbers(
    one: EventId, two: EventId
) -> None:
    assert EventId.parse(str(one)) == one
    assert (one < two) == ((one.ms, one.n) < (two.ms, two.n))


def _typed(value: Any) -> Any:
    """`value` with the type of each part, so that 1, 1.0 and true differ."""
    if isinstance(value, list):
        return ["list", *map(_typed, value)]
    if isinstance(value, dict):
        return {name: _typed(part) for name, part in value.items()}
    return (type(value).__name__, repr(value))


def _shuffled(value: Any, chance: random.Random) -> Any:
    if isinstance(value, list):
        return [_shuffled(part, chance) for part in value]
    if isinstance(value, dict):
        names = list(value)
        chance.shuffle(names)
        return {name: _shuffled(value[name], chance) for name in names}
    return value
