"""A start with a snapshot leaves what a fold of everything would; no bytes harm its reader."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import cast

import attrs
import msgpack
import redis
from hypothesis import event as event_seen
from hypothesis import given
from hypothesis import strategies as st

from eventstore import START, Change, Delete, Kind, NoSuchEntry, Origin, Put
from eventstore.snapshot_format import SnapshotUnfit, image_of
from tests.contracts.convergence import exchange
from tests.contracts.nodes import Clock, Node
from tests.properties.pairs import any_origin, keys
from tests.simulation.redis_in_memory import RedisInMemory
from tests.support.histories import MASTER, ORIGINS, PAIR, other
from tests.support.memories import everything_in, folded


@attrs.frozen
class Write:
    origin: Origin
    changes: Sequence[Change]
    ms: int


@attrs.frozen
class Record:
    origin: Origin
    kind: Kind
    number: int


@attrs.frozen
class Hear:
    origin: Origin
    count: int


@attrs.frozen
class KeepOtherwise:
    """Another program writes the next event: other bytes for the same, or another format."""

    origin: Origin
    key: str
    version: int


@attrs.frozen
class License:
    origin: Origin
    name: str
    installed: bool


@attrs.frozen
class Snapshot:
    origin: Origin


@attrs.frozen
class Restart:
    origin: Origin


changes = st.builds(Put, keys, st.integers(0, 5)) | st.builds(Delete, keys)
some_changes = st.lists(changes, min_size=1, max_size=3)
kinds = st.sampled_from([Kind.STATE_CHANGED, Kind.BOTH_ACTIVE, Kind.STREAM_OPENED])
writes = st.builds(Write, any_origin, some_changes, st.integers(0, 9))
hears = st.builds(Hear, any_origin, st.integers(1, 4))
others = st.one_of(
    st.builds(Record, any_origin, kinds, st.integers(0, 9)),
    st.builds(KeepOtherwise, any_origin, keys, st.sampled_from([1, 99])),
    st.builds(License, any_origin, st.sampled_from(["a", "b"]), st.booleans()),
    st.builds(Snapshot, any_origin),
    st.builds(Restart, any_origin),
)
actions = st.one_of(writes, writes, hears, others)


@st.composite
def stories(draw: st.DrawFn) -> list[object]:
    """Much, a snapshot on either node, and more; snapshots in between besides."""
    story: list[object] = draw(st.lists(actions, min_size=6, max_size=16))
    story += [Snapshot(origin) for origin in ORIGINS]
    return story + draw(st.lists(actions, max_size=8))


class Pair:
    """Two nodes over a Redis in memory each."""

    def __init__(self) -> None:
        self._clock = Clock(5)
        self.nodes = {origin: self._new(origin, RedisInMemory()) for origin in ORIGINS}

    def _new(self, origin: Origin, place: RedisInMemory) -> Node:
        return Node(lambda: cast(redis.Redis, place), origin, self._clock)

    def do(self, action: object) -> None:
        match action:
            case Write(origin, wanted, ms):
                self._clock.ms = ms
                with suppress(NoSuchEntry):
                    self.nodes[origin].store.append(wanted, actor="jane")
            case Record(origin, kind, number):
                self.nodes[origin].store.record(kind, {"n": number}, actor="node")
            case Hear(origin, count):
                self.nodes[origin].pull(self.nodes[other(origin)], count)
            case KeepOtherwise(origin, key, version):
                node = self.nodes[origin]
                if node.store.snapshot.vector.keys() >= {node.peer}:
                    node.put_otherwise(key, 1, version)
            case Snapshot(origin):
                self.nodes[origin].write_snapshot()
            case Restart(origin):
                self.nodes[origin].restart()
        for node in self.nodes.values():
            self._check(node)

    def _check(self, node: Node) -> None:
        lived, store = node.store, node.reopened()
        expected = everything_in(folded(node.streams))
        assert everything_in(store._known) == expected
        assert everything_in(lived._known) == expected
        assert store.snapshot == lived.snapshot
        assert store.losses() == lived.losses()
        if store.unsaved_count < store.snapshot.event_count:
            event_seen("started with a snapshot")
            for name, is_so in (
                ("a loss", store.losses()),
                ("an unknown event", store.snapshot.unknown_count),
            ):
                if is_so:
                    event_seen(f"started with a snapshot and {name}")


@given(stories())
def test_a_start_with_a_snapshot_is_as_one_without(story: list[object]) -> None:
    pair = Pair()
    for action in story:
        pair.do(action)
    exchange(*(pair.nodes[origin] for origin in ORIGINS))
    for origin in ORIGINS:
        pair.do(Restart(origin))


values = st.recursive(
    st.none() | st.integers(0, 9) | st.binary(max_size=9) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=6),
    max_leaves=12,
)
tags = st.sampled_from(["head", "keys", "remembered", "end"]) | values
parts = st.binary(max_size=60) | st.builds(
    lambda tag, content: msgpack.packb([tag, content]), tags, values
)


def whole_head() -> bytes:
    node = Pair().nodes[MASTER]
    node.put("users/a", 1)
    node.write_snapshot()
    return node.streams.snapshot_parts("newest", START, 1)[0][1]


HEAD = whole_head()


@given(st.lists(parts, max_size=5), st.booleans())
def test_no_bytes_end_in_anything_but_a_refusal(
    made_up: list[bytes], begins_well: bool
) -> None:
    blobs = [HEAD, *made_up] if begins_well else made_up
    try:
        found = image_of(blobs, pair=PAIR, prevailing=MASTER, check=lambda _heads: None)
    except SnapshotUnfit:
        return
    assert found is None
    assert not blobs
