"""The quick look of a verification takes nothing that reading an event would refuse."""

from __future__ import annotations

import msgpack
from hypothesis import given
from hypothesis import strategies as st

from eventstore import Event, EventId, codec
from eventstore.verification import Walked, _Walk, walked_on
from tests.support.histories import MASTER, PAIR, STANDBY

ID = EventId(1_767_225_600_000, 1)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=5)
    | st.text("aú", min_size=250, max_size=300)
    | st.binary(max_size=5)
)
NAMES = st.text(max_size=3) | st.text("a", min_size=250, max_size=260)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(NAMES | st.binary(max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)
FIELDS = [
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
VECTORS = st.dictionaries(
    st.sampled_from([MASTER, STANDBY, "third", b"master"]),
    st.sampled_from([str(ID), "0-0", "1-1", "01-1", f"{10**15}-1", b"1-1", 3]),
    max_size=3,
)
PARTS = (
    SCALARS
    | VECTORS
    | VALUES.map(msgpack.packb)
    | st.sampled_from(["users/", "a", "entry-deleted", "x" * 65, "x" * 257, "x" * 1025])
)


@given(st.integers(2, 10), PARTS)
def test_an_event_that_is_quickly_taken_can_be_read(place: int, part: object) -> None:
    fields = [*FIELDS]
    fields[place] = part
    blob = msgpack.packb(fields)
    start = Walked.start(PAIR, MASTER)
    if walked_on(start, MASTER, STANDBY, [(ID, blob)]).fault is None:
        assert isinstance(codec.decode(MASTER, ID, blob), Event)


class Careless(_Walk):
    """Takes nothing but what is quickly found good."""

    def take(self, event_id: EventId, blob: bytes) -> str | None:
        return f"{event_id}: {len(blob)} bytes that need a closer look"


def test_most_events_are_taken_quickly() -> None:
    walk = Careless(Walked.start(PAIR, MASTER), MASTER, STANDBY)
    assert walk.run([(ID, msgpack.packb(FIELDS))]) is None
    assert walk.end().named == EventId(1, 1)
    walk = Careless(Walked.start(PAIR, MASTER), MASTER, STANDBY)
    assert walk.run([(ID, msgpack.packb([2, *FIELDS[1:]]))]) is not None
