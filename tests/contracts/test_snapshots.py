"""Snapshots in Redis: a start with one leaves what a fold of everything would, or uses none."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any, cast

import msgpack
import pytest
import redis

from eventstore import START, Delete, EventId, EventStore, Kind, Put, StoreUnavailable
from eventstore.memory import RECENT_COUNT_MAX, TAIL_COUNT_MAX, Stored
from eventstore.snapshot_format import PART_BYTES_MAX
from eventstore.snapshots import NEWEST, copy, load
from eventstore.store import BATCH_EVENT_COUNT_MAX
from tests.contracts.convergence import exchange
from tests.contracts.nodes import MANY, Clock, Node
from tests.simulation.redis_in_memory import RedisInMemory
from tests.support.histories import MASTER, ORIGINS, STANDBY
from tests.support.memories import everything_in, folded
from tests.support.redis_servers import RedisServer


def has_used_one(store: EventStore) -> bool:
    return store.unsaved_count < store.snapshot.event_count


def opened(node: Node) -> EventStore:
    """A store that was opened anew, and holds what a fold of both streams gives."""
    store = node.reopened()
    assert everything_in(store._known) == everything_in(folded(node.streams))
    return store


def parts(node: Node) -> list[Stored]:
    return node.streams.snapshot_parts(NEWEST, START, MANY)


def put_parts(node: Node, blobs: list[bytes]) -> None:
    """Let the snapshot be these parts."""
    streams, made = node.streams, START
    streams.clear_snapshot(NEWEST)
    for n, blob in enumerate(blobs, start=1):
        streams.make_snapshot(NEWEST, made, [(EventId(9, n), blob)])
        made = EventId(9, n)
    streams.put_snapshot(NEWEST, last=streams.snapshot_end(NEWEST), made=made)


@pytest.fixture
def pair(master: Node, standby: Node) -> tuple[Node, Node]:
    """The master has a snapshot; both wrote, one has lost, one entry is deleted."""
    master.put("users/a", 1)
    standby.put("users/a", 2)
    standby.put("users/b", 1)
    exchange(master, standby)
    master.put("users/c", 1)
    standby.store.append([Delete("users/b")], actor="joe")
    master.store.record(Kind.STATE_CHANGED, {"to": "active"}, actor="node")
    exchange(master, standby)
    master.write_snapshot()
    return master, standby


def test_only_what_is_behind_a_snapshot_is_folded(pair: tuple[Node, Node]) -> None:
    master, standby = pair
    assert opened(master).unsaved_count == 0
    standby.put("users/b", "again")
    exchange(master, standby)
    master.put("users/a", 3)
    store = opened(master)
    assert store.unsaved_count == 2
    assert store.losses() == master.store.losses()
    assert store.snapshot == master.store.snapshot


def test_what_a_snapshot_covers_is_not_read(pair: tuple[Node, Node]) -> None:
    """But for the newest events, which memory keeps."""
    master, _ = pair
    before = everything_in(master.store._known.configuration)
    for origin in ORIGINS:
        last = master.stored_ids(origin)[-1]
        master.client.xtrim(master.streams.key(origin), minid=str(last))
    store = master.reopened()
    assert everything_in(store._known.configuration) == before
    assert store.unsaved_count == 0


def test_a_later_snapshot_replaces_the_one_before(pair: tuple[Node, Node]) -> None:
    master, _ = pair
    first = parts(master)
    master.put("users/a", 3)
    master.write_snapshot()
    assert parts(master) != first
    assert opened(master).unsaved_count == 0
    assert master.store.unsaved_count == 0


def test_events_in_foreign_bytes_stay_as_they_are(pair: tuple[Node, Node]) -> None:
    master, standby = pair
    standby.put_otherwise("users/f", 1)
    exchange(master, standby)
    master.write_snapshot()
    store = opened(master)
    assert store.unsaved_count == 0
    assert store.get("users/f") == master.store.get("users/f") is not None


# What does not fit.


def with_head(blobs: list[bytes], change: Callable[[list[Any]], None]) -> list[bytes]:
    """Another head, and the hash that belongs to it."""
    tag, head = msgpack.unpackb(blobs[0])
    change(head)
    changed = [msgpack.packb([tag, head]), *blobs[1:-1]]
    digest = hashlib.sha256(b"".join(changed)).digest()
    return [*changed, msgpack.packb(["end", digest])]


def set_in(*path: int, value: object) -> Callable[[list[Any]], None]:
    def change(head: list[Any]) -> None:
        for place in path[:-1]:
            head = head[place]
        head[path[-1]] = value

    return change


def test_the_helper_above_changes_nothing_else(pair: tuple[Node, Node]) -> None:
    master, _ = pair
    put_parts(master, with_head([b for _, b in parts(master)], lambda _head: None))
    assert has_used_one(opened(master))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (set_in(0, 0, value=0), "another version"),
        (set_in(0, 1, value=2), "another version"),
        (set_in(0, 2, value=2), "another version"),
        (set_in(0, 3, value=99), "another version"),
        (set_in(0, 4, value=["entry-put"]), "another version"),
        (set_in(1, value="other"), "it is of pair 'other'"),
        (set_in(2, value="standby"), "it is of pair 'office', 'standby'"),
        (set_in(1, value="x" * 900_000), "it is of pair 'xxx"),
        (set_in(3, value=[]), "it is of streams"),
        (set_in(3, 0, 0, value=1), "a stream in it has no name"),
        (set_in(3, 0, 0, value="x" * 900_000), "a stream in it has no name"),
        (set_in(3, value=[[f"x{n}", "0-0", bytes(32)] for n in range(9000)]), "of streams"),
        (set_in(3, 0, 2, value=bytes(32)), "of stream 'master' is not there any more"),
        (set_in(3, 1, 1, value="5-1"), "of stream 'standby' is not there any more"),
        (set_in(3, 1, 1, value="x"), "is not an event id"),
        (set_in(3, 1, 2, value=b"x"), "a head has no digest"),
        (set_in(4, value="x"), "its count is no number"),
        (lambda head: head.pop(), "it is damaged"),
    ],
)  # fmt: skip
def test_a_snapshot_by_other_rules_or_of_others_is_discarded(
    pair: tuple[Node, Node],
    change: Callable[[list[Any]], None],
    why: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    master, _ = pair
    put_parts(master, with_head([b for _, b in parts(master)], change))
    assert not has_used_one(opened(master))
    (said,) = [r.getMessage() for r in caplog.records if "snapshot" in r.getMessage()]
    assert said.startswith("snapshot 'newest' is not used, all events are folded: ")
    assert why in said
    assert len(said) < 400


def test_a_key_of_another_type_in_its_place_is_no_snapshot(
    pair: tuple[Node, Node],
) -> None:
    master, _ = pair
    (key,) = master.client.keys("*:snapshot:newest")
    master.client.delete(key)
    master.client.set(key, "x")
    store = opened(master)
    assert not has_used_one(store)
    assert store.key_count == master.store.key_count > 0


@pytest.mark.parametrize(
    ("tag", "record"),
    [
        ("keys", [None, None, "0-0"]),
        ("keys", [None, None, None]),
        ("keys", [["1-1", None], None, "0-0"]),
        ("remembered", [1, "1-1", b""]),
        ("remembered", [[], "1-1", b""]),
    ],
)
def test_a_record_that_nobody_writes_is_damage_although_the_hash_fits(
    pair: tuple[Node, Node], tag: str, record: list[Any]
) -> None:
    master, _ = pair
    blobs = [blob for _, blob in parts(master)]
    forged = [*blobs[:-1], msgpack.packb([tag, [record]]), blobs[-1]]
    put_parts(master, with_head(forged, lambda _head: None))
    assert not has_used_one(opened(master))


def damages(blobs: list[bytes]) -> Iterator[tuple[str, list[bytes]]]:
    for n, blob in enumerate(blobs):
        rest = blobs[:n], blobs[n + 1 :]
        yield f"part {n} missing", [*rest[0], *rest[1]]
        yield f"part {n} twice", [*rest[0], blob, blob, *rest[1]]
        yield f"part {n} cut", [*rest[0], blob[:-1], *rest[1]]
        yield f"part {n} longer", [*rest[0], blob + b"\0", *rest[1]]
        yield f"part {n} nothing", [*rest[0], b"\xc0", *rest[1]]
        for place in range(0, len(blob), 7):
            flipped = bytearray(blob)
            flipped[place] ^= 1 << place % 8
            yield f"part {n} byte {place}", [*rest[0], bytes(flipped), *rest[1]]
    yield "swapped", [blobs[0], *blobs[2:-1], blobs[1], blobs[-1]]
    large = msgpack.packb(["keys", [[None, None, "x" * PART_BYTES_MAX]]])
    yield "too large a part", [*blobs[:-1], large, blobs[-1]]


def test_a_damaged_snapshot_is_discarded(pair: tuple[Node, Node]) -> None:
    master, _ = pair
    whole = [blob for _, blob in parts(master)]
    assert [msgpack.unpackb(b)[0] for b in whole] == [
        "head",
        "keys",
        "remembered",
        "end",
    ]
    count = 0
    for name, blobs in damages(whole):
        put_parts(master, blobs)
        found = load(master.streams, NEWEST, origins=ORIGINS, prevailing=MASTER)
        assert found is None, name
        count += 1
    assert count > 100
    assert not has_used_one(opened(master))


def test_what_an_older_redis_does_not_have_does_not_come_back(
    pair: tuple[Node, Node],
) -> None:
    """Somebody puts only the streams back to what they were."""
    master, _ = pair
    then = master.saved()
    master.put("users/late", 1)
    master.write_snapshot()
    kept = [blob for _, blob in parts(master)]
    master.put_back(then)
    put_parts(master, kept)
    assert opened(master).get("users/late") is None


def test_what_a_recovery_replaced_does_not_come_back(pair: tuple[Node, Node]) -> None:
    """The branch leaves the stream, and with it the head of the snapshot."""
    master, standby = pair
    then = master.saved()
    lost = master.put("users/lost", 1)
    exchange(master, standby)
    master.put_back(then)
    master.restart()
    ignorant = master.put("users/lost", "mine")
    master.write_snapshot()
    assert opened(master).unsaved_count == 0
    master.recover(standby)
    assert master.store.event(MASTER, lost.id) == lost
    assert master.store.unsaved_count == master.store.snapshot.event_count
    store = opened(master)
    assert not has_used_one(store)
    entry = store.get("users/lost")
    assert entry is not None
    assert entry.id != ignorant.id
    master.write_snapshot()
    assert opened(master).unsaved_count == 0


def test_a_snapshot_from_before_a_loss_fits_what_came_back(
    pair: tuple[Node, Node],
) -> None:
    """All that it covers is still there, and the rest is folded on top."""
    master, standby = pair
    then, kept = master.saved(), [blob for _, blob in parts(master)]
    master.put("users/lost", 1)
    exchange(master, standby)
    master.put_back(then)
    put_parts(master, kept)
    master.restart()
    assert master.store.unsaved_count == 0
    master.recover(standby)
    assert has_used_one(opened(master))


def test_a_damage_in_what_memory_keeps_is_found_as_without_a_snapshot(
    pair: tuple[Node, Node],
) -> None:
    master, _ = pair
    first, *_ = master.stored_ids(STANDBY)
    second = master.stored_ids(STANDBY)[1]
    assert first < second
    master.client.xdel(master.streams.key(STANDBY), str(second))
    found = load(master.streams, NEWEST, origins=ORIGINS, prevailing=MASTER)
    assert found is None


# Writing.


def test_an_interrupted_writing_leaves_the_one_before(pair: tuple[Node, Node]) -> None:
    master, _ = pair
    before = parts(master)
    master.put("users/a", 3)
    answers = iter([True, True, False])
    with pytest.raises(StoreUnavailable, match="interrupted"):
        master.store.write_snapshot(go_on=lambda: next(answers))
    assert parts(master) == before
    assert not master.client.keys("*temporary*")
    assert master.store.unsaved_count == 1


def test_what_a_killed_node_left_in_the_making_is_removed_at_the_start(
    pair: tuple[Node, Node],
) -> None:
    master, _ = pair
    master.streams.make_snapshot(NEWEST, START, [(EventId(9, 1), b"half")])
    assert opened(master).unsaved_count == 0
    assert not master.client.keys("*temporary*")


def test_an_order_to_put_it_in_place_that_arrives_late_puts_nothing_half_made(
    pair: tuple[Node, Node],
) -> None:
    master, _ = pair
    before, streams = parts(master), master.streams
    end = streams.snapshot_end(NEWEST)
    streams.make_snapshot(NEWEST, START, [(EventId(9, 1), b"half")])
    for last, made in ((end, EventId(9, 4)), (START, EventId(9, 1))):
        with pytest.raises(StoreUnavailable, match="was not replaced"):
            streams.put_snapshot(NEWEST, last=last, made=made)
    assert parts(master) == before


def test_a_snapshot_can_be_copied_to_the_other_redis(pair: tuple[Node, Node]) -> None:
    master, standby = pair
    copy(master.streams, standby.streams, NEWEST, go_on=lambda: True)
    assert parts(standby) == parts(master)
    assert opened(standby).unsaved_count == 0


def test_many_keys_and_large_values_make_several_parts(master: Node) -> None:
    for n in range(40):
        master.put(f"users/{n}", "x" * 60_000)
    master.write_snapshot()
    assert len(parts(master)) > 4
    assert all(len(blob) <= PART_BYTES_MAX for _, blob in parts(master))
    assert opened(master).unsaved_count == 0


@pytest.mark.redis
def test_a_full_redis_keeps_the_one_before(
    redis_server: RedisServer, clock: Clock
) -> None:
    with redis_server.client() as admin, redis_server.client() as client:
        node = Node(lambda: client, MASTER, clock)
        node.put("users/a", 1)
        node.write_snapshot()
        before = parts(node)
        node.put("users/a", 2)
        admin.config_set("maxmemory", "100kb")
        try:
            with pytest.raises(StoreUnavailable, match="raise its maxmemory"):
                node.write_snapshot()
        finally:
            admin.config_set("maxmemory", "0")
        assert parts(node) == before
        assert not client.keys("*temporary*")
        assert opened(node).unsaved_count == 1


def test_memory_keeps_as_much_of_a_long_history_as_after_a_fold(clock: Clock) -> None:
    """The newest events of a stream, and the newest of each kind that concerns no entry."""
    place = cast(redis.Redis, RedisInMemory())
    node = Node(lambda: place, MASTER, clock)
    for n in range(RECENT_COUNT_MAX + 20):
        node.store.record(Kind.STATE_CHANGED, {"number": n}, actor="node")
    for n in range(TAIL_COUNT_MAX // BATCH_EVENT_COUNT_MAX):
        batch = [Put(f"users/{k}", n) for k in range(BATCH_EVENT_COUNT_MAX)]
        node.store.append(batch, actor="jane")
    node.write_snapshot()
    node.put("users/1", "behind it")
    store = opened(node)
    assert store.unsaved_count == 1
    assert len(store.recent(Kind.STATE_CHANGED)) == RECENT_COUNT_MAX
    assert len(list(store._known.tails[MASTER])) == TAIL_COUNT_MAX
