"""`EventStore` rules that need no particular Redis; see `tests/contracts` for the rest."""

from __future__ import annotations

from collections.abc import Sequence

import fakeredis
import pytest

from eventstore import (
    START,
    Delete,
    EntryChanged,
    EventId,
    Folded,
    Kind,
    NoSuchEntry,
    Origin,
    Put,
    StoreUnavailable,
    Streams,
    codec,
)
from eventstore.memory import Stored
from tests.contracts.nodes import LIMIT_S, Clock, Node, Running
from tests.support.histories import MASTER, PAIR, STANDBY, Writer
from tests.support.waiting import wait_until


@pytest.fixture
def node() -> Node:
    server = fakeredis.FakeServer(version=(7,))
    return Node(lambda: fakeredis.FakeRedis(server=server), STANDBY, Clock())


def test_a_new_store_is_at_the_start_of_both_chains(node: Node) -> None:
    snapshot = node.store.snapshot
    for origin in (MASTER, STANDBY):
        assert snapshot.heads[origin].id == START
        assert snapshot.heads[origin].digest == codec.genesis(PAIR, origin)
    assert snapshot.vector == {}
    assert (snapshot.entry_count, snapshot.conflict_count) == (0, 0)
    assert int(snapshot.digest, 16) == 0
    assert node.store.broken is None
    assert node.store.get("users/a") is None


def test_a_snapshot_does_not_change_afterwards(node: Node) -> None:
    before = node.store.snapshot
    node.put("users/a", 1)
    after = node.store.snapshot
    assert before.heads[STANDBY].id == START
    assert after.heads[STANDBY].id.n == 1
    assert (before.entry_count, after.entry_count) == (0, 1)
    assert before.digest != after.digest


def test_entries_are_told_by_prefix_and_by_key(node: Node) -> None:
    for key in ("users/b", "scripts/a", "users/a"):
        node.put(key, key)
    assert [e.key for e in node.store.entries("users/")] == ["users/a", "users/b"]
    assert [e.key for e in node.store.entries()] == ["scripts/a", "users/a", "users/b"]


def test_each_change_is_told_with_what_it_did(node: Node) -> None:
    node.put("users/a", 1)
    node.put("users/a", 2)
    node.store.append([Delete("users/a")], actor="jane")
    node.store.record(Kind.STATE_CHANGED, None, actor="node")

    def shown(folded: Folded | None) -> tuple[object, object] | None:
        if folded is None:
            return None
        before, after = folded.before, folded.after
        return before and before.value, after and after.value

    steps = [shown(folded) for _, folded in node.told]
    assert steps == [(None, 1), (1, 2), (2, None), None]


def test_a_batch_is_checked_against_what_is_there_before_it(node: Node) -> None:
    with pytest.raises(NoSuchEntry):
        node.store.append([Put("users/a", 1), Delete("users/a")], actor="jane")
    first = node.put("users/a", 1)
    second = node.put("users/b", 1)
    with pytest.raises(EntryChanged):
        node.store.append(
            [Put("users/a", 2), Put("users/b", 2)], actor="jane", expected=first.id
        )
    assert node.stored_ids() == [first.id, second.id]


def test_the_peers_events_are_told_but_are_not_own_ones(node: Node) -> None:
    writer = Writer(MASTER)
    writer.write(Kind.STATE_CHANGED, "")
    node.store.take(writer.blobs)
    assert node.told == [(writer.written[0], None)]
    assert node.store.latest(Kind.STATE_CHANGED) is None


def test_a_vector_names_the_newest_event_applied_of_the_peer(node: Node) -> None:
    writer = Writer(MASTER)
    for n in range(3):
        writer.put("users/a", n)
    vectors = []
    for n in range(3):
        event = node.put("users/b", n)
        vectors.append(event.vector.get(MASTER))
        node.store.take(writer.blobs[n : n + 1])
    assert vectors == [None, writer.written[0].id, writer.written[1].id]


class LateStreams(Streams):
    """Holds appends back, without an answer, and does them before the next one."""

    hold_count = 0
    held: tuple[Origin, EventId, Sequence[Stored]] | None = None

    def append(
        self, origin: Origin, after: EventId, batch: Sequence[Stored]
    ) -> EventId | None:
        if self.hold_count > 0:
            self.hold_count -= 1
            self.held = (origin, after, batch)
            raise StoreUnavailable("no answer")
        if self.held is not None:
            held, self.held = self.held, None
            super().append(*held)
        return super().append(origin, after, batch)


@pytest.fixture
def late_node() -> Node:
    server = fakeredis.FakeServer(version=(7,))
    return Node(
        lambda: fakeredis.FakeRedis(server=server), STANDBY, Clock(), LateStreams
    )


def hold_back(node: Node, change: Put) -> None:
    assert isinstance(node.streams, LateStreams)
    node.streams.hold_count = 2
    with pytest.raises(StoreUnavailable, match="unknown"):
        node.store.append([change], actor="jane")
    assert node.streams.held is not None


def test_a_straggler_that_comes_at_the_last_moment_is_adopted(
    late_node: Node,
) -> None:
    hold_back(late_node, Put("users/late", 1))
    event = late_node.put("users/a", 2)
    assert event.id.n == 2
    assert [e.key for e, _ in late_node.told] == ["users/late", "users/a"]
    assert late_node.reopened().snapshot == late_node.store.snapshot


def test_after_a_straggler_the_condition_is_checked_anew(late_node: Node) -> None:
    first = late_node.put("users/a", 1)
    hold_back(late_node, Put("users/a", 2))
    with pytest.raises(EntryChanged, match=r"-2$"):
        late_node.store.append([Put("users/a", 3)], actor="jane", expected=first.id)
    assert len(late_node.stored()) == 2
    entry = late_node.store.get("users/a")
    assert entry is not None
    assert entry.value == 2


class WatchedId(EventId):
    """An expected id that lets something happen while it is compared."""

    during = staticmethod(lambda: None)

    def __ne__(self, found: object) -> bool:
        WatchedId.during()
        return tuple(self) != found

    __hash__ = EventId.__hash__


def test_no_peer_event_slips_in_between_the_condition_and_the_vector(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = Writer(MASTER)
    first = writer.put("users/a", 1)
    node.store.take(writer.blobs)
    newer = writer.put("users/a", 2)
    taking: list[Running[None]] = []

    def take_the_newer() -> None:
        taking.append(Running(lambda: node.store.take(writer.blobs[1:])))
        wait_until(
            lambda: taking[0].done() or taking[0].is_in("_fold"), LIMIT_S, "the peer's"
        )

    monkeypatch.setattr(WatchedId, "during", staticmethod(take_the_newer))
    event = node.store.append(
        [Put("users/a", 3)], actor="jane", expected=WatchedId(*first.id)
    )[0]
    taking[0].result(LIMIT_S)
    # Whoever says that the entry was still the first cannot have known of the newer.
    assert not event.covers(MASTER, newer.id)
    entry = node.store.get("users/a")
    assert entry is not None
    assert entry.event == newer
