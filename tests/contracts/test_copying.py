"""`EventStore.take`: the copy of the peer's stream takes only what continues it."""

import msgpack
import pytest

from eventstore import DamagedEvent, EventId, Put, StoreUnavailable, StreamForked, codec
from eventstore.codec import EVENT_BYTES_MAX
from eventstore.event import MS_MAX
from eventstore.memory import Stored
from tests.contracts.nodes import Node, entries_of
from tests.support.histories import MASTER, STANDBY, Writer


@pytest.fixture
def writer() -> Writer:
    """What the master wrote, made without Redis."""
    writer = Writer(MASTER)
    for n in range(6):
        writer.put(f"users/{n % 3}", n, ms=100 + n)
    return writer


def later_version(previous: bytes) -> bytes:
    """An event of a format that nobody knows yet, in its place in the chain."""
    blob: bytes = msgpack.packb([2, previous, {"all": ["new", 1.5, b"\x00"]}])
    return blob


def refuses(node: Node, page: list[Stored], why: str, error: type[Exception]) -> None:
    before = (node.store.snapshot, node.stored(MASTER), entries_of(node.store))
    with pytest.raises(error, match=why):
        node.store.take(page)
    after = (node.store.snapshot, node.stored(MASTER), entries_of(node.store))
    assert after == before


def test_a_copy_is_verbatim_and_folded(standby: Node, writer: Writer) -> None:
    standby.store.take(writer.blobs[:2])
    standby.store.take(writer.blobs[2:])
    assert standby.stored(MASTER) == writer.blobs
    assert standby.store.snapshot.vector == {MASTER: writer.written[-1].id}
    assert [e.value for e in standby.store.entries()] == [3, 4, 5]
    assert [event for event, _ in standby.told] == writer.written
    again = standby.reopened()
    assert again.snapshot == standby.store.snapshot
    assert entries_of(again) == entries_of(standby.store)


def test_a_gap_is_not_taken(standby: Node, writer: Writer) -> None:
    refuses(standby, writer.blobs[1:], "does not continue", StreamForked)
    standby.store.take(writer.blobs[:2])
    refuses(standby, writer.blobs[3:], "does not continue", StreamForked)
    hole = [writer.blobs[2], *writer.blobs[4:]]
    refuses(standby, hole, "does not continue", StreamForked)


def test_a_page_taken_twice_is_not_added_twice(standby: Node, writer: Writer) -> None:
    standby.store.take(writer.blobs[:3])
    refuses(standby, writer.blobs[:3], "does not continue", StreamForked)
    refuses(standby, writer.blobs[2:], "does not continue", StreamForked)


def test_another_history_is_not_taken(standby: Node, writer: Writer) -> None:
    fork = Writer(MASTER)
    for n in range(6):
        fork.put(f"users/{n % 3}", n if n != 1 else "other", ms=100 + n)
    standby.store.take(writer.blobs[:2])
    refuses(standby, fork.blobs[2:], "does not continue", StreamForked)


def test_the_stream_of_another_pair_is_not_taken(standby: Node) -> None:
    event_id = EventId(1, 1)
    blob = codec.encode(
        origin=MASTER, event_id=event_id, kind="entry-put", key="a/b", packed=b"\x01",
        actor="jane", reason="", wall_ns=1, vector={MASTER: event_id},
        previous=codec.genesis("other", MASTER),
    )  # fmt: skip
    refuses(standby, [(event_id, blob)], "does not continue", StreamForked)


@pytest.mark.parametrize(
    "event_id",
    [EventId(101, 4), EventId(100, 3), EventId(102, 2), EventId(101, 1), EventId(0, 3)],
    ids=str,
)
def test_an_id_that_cannot_follow_is_not_taken(
    standby: Node, writer: Writer, event_id: EventId
) -> None:
    standby.store.take([writer.blobs[0], writer.blobs[1]])
    blob = later_version(writer.written[1].digest)
    refuses(standby, [(event_id, blob)], "cannot follow 101-2", StreamForked)


def test_an_event_from_beyond_the_year_9999_is_not_taken(
    standby: Node, writer: Writer
) -> None:
    standby.store.take(writer.blobs[:1])
    blob = later_version(writer.written[0].digest)
    far = EventId(MS_MAX + 1, 2)
    refuses(standby, [(far, blob)], "beyond the year 9999", DamagedEvent)
    standby.store.take([(EventId(MS_MAX, 2), blob)])
    standby.put("users/jane", "still")  # What cannot be exceeded stops nobody.


def test_an_event_that_knew_one_from_beyond_the_year_9999_is_kept_but_not_understood(
    standby: Node, writer: Writer
) -> None:
    """Own ids go on above those that the peer knew: no id would be left."""
    event_id = EventId(106, 7)
    blob = codec.encode(
        origin=MASTER, event_id=event_id, kind="entry-put", key="a/b", packed=b"\x01",
        actor="jane", reason="", wall_ns=1, previous=writer.written[-1].digest,
        vector={MASTER: event_id, STANDBY: EventId(MS_MAX + 1, 1)},
    )  # fmt: skip
    standby.store.take([*writer.blobs, (event_id, blob)])
    assert standby.store.snapshot.unknown_count == 1
    assert standby.store.hindrance is None
    assert standby.put("users/1", 1).id.ms < MS_MAX


@pytest.mark.parametrize(
    ("blob", "why"),
    [
        (b"", "not msgpack"),
        (b"\xc1\xc1", "not msgpack"),
        (msgpack.packb(["no", "event"]), "not an event of any version"),
        (bytes(EVENT_BYTES_MAX + 1), "the limit is"),
    ],
    ids=["nothing", "no msgpack", "no event", "too long"],
)
def test_damaged_bytes_are_not_taken(
    standby: Node, writer: Writer, blob: bytes, why: str
) -> None:
    first, (second_id, _) = writer.blobs[0], writer.blobs[1]
    refuses(standby, [first, (second_id, blob)], why, DamagedEvent)
    standby.store.take(writer.blobs)


def test_a_changed_byte_is_found_with_the_next_event(
    standby: Node, writer: Writer
) -> None:
    event_id, blob = writer.blobs[0]
    changed = blob.replace(b"jane", b"joan")
    page = [(event_id, changed), *writer.blobs[1:]]
    refuses(standby, page, "does not continue", StreamForked)


def test_an_event_of_the_other_origin_is_kept_but_not_understood(
    standby: Node, writer: Writer
) -> None:
    event_id, blob = writer.blobs[0]
    assert isinstance(codec.decode(STANDBY, event_id, blob), codec.Unknown)


def test_an_unknown_kind_is_kept_and_not_folded(standby: Node) -> None:
    writer = Writer(MASTER)
    writer.put("users/a", 1)
    writer.write("licence-blessed", "users/a", {"seats": 50})
    writer.put("users/b", 2)
    standby.store.take(writer.blobs)
    assert standby.stored(MASTER) == writer.blobs
    assert [e.key for e in standby.store.entries()] == ["users/a", "users/b"]
    assert standby.store.snapshot.unknown_count == 0
    assert standby.told[1] == (writer.written[1], None)


def test_an_unknown_version_is_kept_and_the_chain_goes_on_behind_it(
    standby: Node, writer: Writer
) -> None:
    standby.store.take(writer.blobs[:2])
    strange_id = EventId(200, 3)
    strange = later_version(writer.written[1].digest)
    after_id = EventId(201, 4)
    after = codec.encode(
        origin=MASTER, event_id=after_id, kind="entry-put", key="users/0", packed=b"\x07",
        actor="jane", reason="", wall_ns=1, vector={MASTER: after_id},
        previous=codec.digest_of(strange),
    )  # fmt: skip
    page = [(strange_id, strange), (after_id, after)]
    standby.store.take(page)
    assert standby.stored(MASTER) == [*writer.blobs[:2], *page]
    assert standby.store.snapshot.unknown_count == 1
    assert standby.store.snapshot.heads[MASTER].digest == codec.digest_of(after)
    assert len(standby.told) == 3
    entry = standby.store.get("users/0")
    assert entry is not None
    assert entry.value == 7
    assert standby.reopened().snapshot == standby.store.snapshot
    assert standby.put("users/c").vector[MASTER] == after_id


def test_an_unknown_version_in_the_own_stream_is_written_on(
    master: Node, writer: Writer
) -> None:
    event = master.put("users/a", 1)
    strange_id = EventId(event.id.ms, 2)
    master.streams.append(MASTER, event.id, [(strange_id, later_version(event.digest))])
    again = master.reopened()
    assert again.snapshot.unknown_count == 1
    assert again.append([Put("users/b", 2)], actor="jane")[0].id.n == 3
    assert master.reopened().snapshot.entry_count == 2


def test_a_copy_that_grew_behind_our_back_is_read_again(
    standby: Node, writer: Writer
) -> None:
    standby.store.take(writer.blobs[:1])
    standby.streams.append(MASTER, writer.written[0].id, writer.blobs[1:3])
    with pytest.raises(StoreUnavailable, match=r"ends with 102-3, not 100-1"):
        standby.store.take(writer.blobs[1:3])
    head = standby.store.reload_copy()
    assert (head.id, head.digest) == (writer.written[2].id, writer.written[2].digest)
    standby.store.take(writer.blobs[3:])
    assert standby.stored(MASTER) == writer.blobs
    assert [event for event, _ in standby.told] == writer.written


def test_both_nodes_come_to_the_same_bytes(master: Node, standby: Node) -> None:
    master.put("users/a", "master")
    standby.put("users/a", "standby")
    standby.put("users/b", "standby")
    master.pull(standby, 1)
    standby.pull(master)
    standby.store.append([Put("users/a", "wiser")], actor="joe")
    master.pull(standby)
    assert entries_of(master.store) == entries_of(standby.store)
    assert master.store.snapshot.digest == standby.store.snapshot.digest
    assert [e.value for e in master.store.entries()] == ["wiser", "standby"]
    for origin in (MASTER, STANDBY):
        assert master.stored(origin) == standby.stored(origin)


def test_a_lost_change_is_told_on_both_nodes(master: Node, standby: Node) -> None:
    master.put("users/a", "master")
    lost = standby.put("users/a", "standby")
    master.pull(standby)
    standby.pull(master)
    for node in (master, standby):
        losers = [folded.loser for _, folded in node.told if folded is not None]
        assert losers == [None, lost]
        assert node.store.snapshot.conflict_count == 1
