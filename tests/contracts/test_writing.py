"""`EventStore`: writing to the own stream."""

import threading
from itertools import pairwise

import pytest

from eventstore import (
    BATCH_EVENT_COUNT_MAX,
    START,
    DamagedEvent,
    Delete,
    EntryChanged,
    Event,
    EventId,
    InvalidEntry,
    Kind,
    NoSuchEntry,
    Origin,
    Put,
    SecondWriter,
    StoreRefused,
    WritesFrozen,
    codec,
)
from eventstore.streams import Swap
from tests.contracts.conftest import Connect
from tests.contracts.nodes import LIMIT_S, Clock, Node, Running, entries_of
from tests.support.histories import MASTER, STANDBY
from tests.support.waiting import wait_until

HOUR_MS = 3_600_000


def decoded(node: Node, origin: Origin | None = None) -> list[Event]:
    found = [
        codec.decode(origin or node.origin, event_id, blob)
        for event_id, blob in node.stored(origin)
    ]
    return [event for event in found if isinstance(event, Event)]


def test_a_change_is_stored_and_told(master: Node) -> None:
    event = master.put("users/alice", {"extension": "101"})
    assert decoded(master) == [event]
    assert master.told[0][0] is event
    entry = master.store.get("users/alice")
    assert entry is not None
    assert (entry.event, entry.value) == (event, {"extension": "101"})
    assert event.vector == {MASTER: event.id}
    assert (event.actor, event.reason, event.kind) == ("jane", "", Kind.ENTRY_PUT)


def test_a_batch_is_one_chain_with_ids_without_gaps(master: Node) -> None:
    first = master.put("users/a")
    rest = master.store.append(
        [Put("users/b", 1), Delete("users/a"), Put("users/b", 2)],
        actor="jane",
        reason="moved",
    )
    events = [first, *rest]
    assert decoded(master) == events
    assert [event.id.n for event in events] == [1, 2, 3, 4]
    for before, after in pairwise(events):
        assert after.previous == before.digest
        assert after.vector == {MASTER: after.id}
    assert {event.reason for event in rest} == {"moved"}
    assert [e.key for e in master.store.entries()] == ["users/b"]


def test_a_batch_with_one_bad_part_stores_nothing(master: Node) -> None:
    before = master.store.snapshot
    for bad, why in (
        (Put("users", 1), "collection/name"),
        (Put("users/a", {"a": [float("nan")]}), r"value\.a\[0\]"),
        (Put("users/a", "x" * 70_000), "65536"),
    ):
        with pytest.raises(InvalidEntry, match=why):
            master.store.append([Put("users/good", 1), bad], actor="jane")
    with pytest.raises(NoSuchEntry, match="users/none"):
        master.store.append([Put("users/a", 1), Delete("users/none")], actor="jane")
    assert (master.stored(), master.store.snapshot) == ([], before)


@pytest.mark.parametrize(
    ("actor", "reason", "why"),
    [
        ("", "", "actor is empty"),
        ("a" * 257, "", "actor .* the limit is 256"),
        ("jane", "r" * 1025, "reason .* the limit is 1024"),
        ("jane\ud800", "", "actor has half"),
    ],
    ids=["no actor", "long actor", "long reason", "surrogate"],
)
def test_an_author_outside_the_limits_is_refused(
    master: Node, actor: str, reason: str, why: str
) -> None:
    with pytest.raises(InvalidEntry, match=why):
        master.store.append([Put("users/a", 1)], actor=actor, reason=reason)
    with pytest.raises(InvalidEntry, match=why):
        master.store.record(Kind.STATE_CHANGED, None, actor=actor, reason=reason)
    assert master.stored() == []


def test_a_batch_has_at_least_one_and_at_most_1000_changes(master: Node) -> None:
    most = [Put(f"users/{n}", n) for n in range(BATCH_EVENT_COUNT_MAX)]
    for changes in ([], [*most, Put("users/x", 0)]):
        with pytest.raises(InvalidEntry, match="the limits are 1 and 1000"):
            master.store.append(changes, actor="jane")
    assert len(master.store.append(most, actor="jane")) == 1000
    assert len(master.stored()) == master.store.snapshot.entry_count == 1000
    assert entries_of(master.reopened()) == entries_of(master.store)


def test_ids_never_go_back_whatever_the_wall_clock_does(
    master: Node, clock: Clock
) -> None:
    start_ms = clock.ms
    events = []
    for ms in (0, -HOUR_MS, 5, 100 * HOUR_MS, 0, -start_ms, -start_ms - 5000):
        clock.ms = start_ms + ms
        events.append(master.put("users/a"))
    assert [event.id.n for event in events] == [1, 2, 3, 4, 5, 6, 7]
    leapt = 100 * HOUR_MS
    expected = [0, 0, 5, leapt, leapt, leapt, leapt]
    assert [event.id.ms - start_ms for event in events] == expected
    assert events[1].wall_ns == (start_ms - HOUR_MS) * 1_000_000


def test_ids_are_above_the_newest_event_known_of_the_peer(
    master: Node, standby: Node, clock: Clock
) -> None:
    clock.ms += HOUR_MS
    theirs = standby.put("users/a")
    clock.ms -= HOUR_MS
    master.pull(standby)
    ours = master.put("users/b")
    # Equal would do for the order, but not to tell versions of an entry apart.
    assert ours.id == EventId(theirs.id.ms + 1, 1)
    assert ours.vector == {MASTER: ours.id, STANDBY: theirs.id}


def test_ids_go_on_above_every_archived_one(master: Node, clock: Clock) -> None:
    clock.ms += HOUR_MS
    archived = master.put("users/a")
    clock.ms -= HOUR_MS
    master.streams.make_archive(MASTER, START, master.stored())
    # Nothing was made in its place: the stream becomes empty.
    master.streams.swap([Swap(MASTER, archived.id, START, archived.id, "master-a")])
    event = master.reopened().append([Put("users/b", 1)], actor="jane")[0]
    assert event.id == EventId(archived.id.ms + 1, 1)


def test_a_reopened_store_goes_on_behind_the_newest_event(
    master: Node, clock: Clock
) -> None:
    last = master.put("users/a")
    clock.ms -= HOUR_MS
    event = master.reopened().append([Put("users/b", 1)], actor="jane")[0]
    assert event.id == EventId(last.id.ms, 2)


def test_changes_of_several_threads_are_all_there_once(master: Node) -> None:
    def change(thread: int) -> list[Event]:
        return [master.put(f"users/{thread}", n) for n in range(50)]

    running = [Running(lambda t=thread: change(t)) for thread in range(8)]  # type: ignore[misc]
    acknowledged = [event for run in running for event in run.result(LIMIT_S)]
    stored = decoded(master)
    assert sorted(acknowledged, key=lambda e: e.id) == stored
    assert [event.id.n for event in stored] == list(range(1, 401))
    assert [event for event, _ in master.told] == stored
    assert [e.value for e in master.store.entries()] == [49] * 8
    assert entries_of(master.reopened()) == entries_of(master.store)


def test_an_entry_is_changed_only_from_the_expected_version(master: Node) -> None:
    first = master.put("users/a", 1)
    second = master.store.append([Put("users/a", 2)], actor="jane", expected=first.id)[
        0
    ]
    for change in (Put("users/a", 3), Delete("users/a")):
        with pytest.raises(EntryChanged, match=f"now {second.id}") as refusal:
            master.store.append([change], actor="jane", expected=first.id)
        assert refusal.value.current == str(second.id)
    with pytest.raises(EntryChanged, match="gone") as refusal:
        master.store.append([Put("users/b", 1)], actor="jane", expected=first.id)
    assert refusal.value.current is None
    assert len(master.stored()) == 2
    master.store.append([Delete("users/a")], actor="jane", expected=second.id)
    assert master.store.get("users/a") is None


def test_a_peers_change_is_another_version(
    master: Node, standby: Node, clock: Clock
) -> None:
    first = master.put("users/a", 1)
    standby.pull(master)
    clock.ms += 1
    theirs = standby.put("users/a", 2)
    master.pull(standby)
    with pytest.raises(EntryChanged, match=str(theirs.id)):
        master.store.append([Put("users/a", 3)], actor="jane", expected=first.id)


def test_what_is_not_there_cannot_be_deleted(master: Node) -> None:
    master.put("users/a")
    master.store.append([Delete("users/a")], actor="jane")
    with pytest.raises(NoSuchEntry, match="'users/a'"):
        master.store.append([Delete("users/a")], actor="jane")
    assert len(master.stored()) == 2


def test_a_record_concerns_no_entry(master: Node) -> None:
    assert master.store.latest(Kind.STATE_CHANGED) is None
    master.store.record(Kind.STATE_CHANGED, {"to": "passive"}, actor="node")
    event = master.store.record(Kind.STATE_CHANGED, {"to": "active"}, actor="node")
    assert master.store.latest(Kind.STATE_CHANGED) is event
    assert master.reopened().latest(Kind.STATE_CHANGED) == event
    assert (event.key, master.store.snapshot.entry_count) == ("", 0)
    assert master.store.entries() == []


def test_a_record_equal_to_the_newest_of_its_kind_is_not_written_again(
    master: Node,
) -> None:
    first = master.store.record(Kind.STATE_CHANGED, {"to": "active"}, actor="node")
    master.store.record(Kind.REPLICATION_CHANGED, {"to": "active"}, actor="node")
    again = master.store.record(Kind.STATE_CHANGED, {"to": "active"}, actor="node")
    assert again is first
    assert (
        master.reopened().record(Kind.STATE_CHANGED, {"to": "active"}, actor="node")
        == first
    )
    assert len(master.stored()) == 2
    master.store.record(Kind.STATE_CHANGED, {"to": "passive"}, actor="node")
    master.store.record(Kind.STATE_CHANGED, {"to": "active"}, actor="node")
    assert len(master.stored()) == 4


def test_an_equal_change_of_an_entry_is_written_again(master: Node) -> None:
    assert [master.put("users/a", 1).id.n for _ in range(3)] == [1, 2, 3]


def test_reopening_folds_to_the_same(master: Node, standby: Node) -> None:
    master.put("users/a", 1)
    standby.put("users/a", 2)
    standby.put("users/b", 3)
    master.pull(standby)
    master.store.append([Delete("users/b")], actor="jane")
    again = master.reopened()
    assert again.snapshot == master.store.snapshot
    assert again.snapshot.conflict_count == 1
    assert again.snapshot.vector == master.store.snapshot.vector
    assert entries_of(again) == entries_of(master.store)


def test_reopening_tells_nobody_what_is_known(master: Node) -> None:
    master.put("users/a", 1)
    again = Node(lambda: master.client, MASTER, Clock())
    assert again.told == []
    again.put("users/a", 2)
    assert len(again.told) == 1


def test_a_second_writer_is_found_and_stops_this_one_for_good(master: Node) -> None:
    second = master.reopened()
    master.put("users/a", 1)
    with pytest.raises(SecondWriter, match="not written by this process") as found:
        second.append([Put("users/b", 2)], actor="joe")
    assert second.broken is found.value
    with pytest.raises(SecondWriter):
        second.append([Put("users/b", 2)], actor="joe")
    with pytest.raises(SecondWriter):
        second.record(Kind.STATE_CHANGED, None, actor="node")
    master.put("users/a", 3)
    assert master.store.broken is None
    assert [event.key for event in decoded(master)] == ["users/a", "users/a"]


def test_a_stream_whose_end_was_deleted_is_not_written_before_it_is_whole(
    master: Node,
) -> None:
    master.put("users/a", 1)
    lost = master.put("users/a", 2)
    master.client.xdel(master.streams.key(MASTER), str(lost.id))
    with pytest.raises(StoreRefused, match=f"wrote up to {lost.id}"):
        master.put("users/a", 3)
    with pytest.raises(StoreRefused, match="nothing was stored"):
        master.store.record(Kind.STATE_CHANGED, None, actor="node")
    assert master.store.broken is None
    assert master.store.hindrance is not None
    assert len(master.stored()) == 1
    assert master.store.snapshot.heads[MASTER].id == lost.id, "memory serves on"


def test_a_stream_that_redis_lost_is_written_again_from_memory(master: Node) -> None:
    master.put("users/a", 1)
    before = master.stored()
    master.client.delete(master.streams.key(MASTER))
    second = master.put("users/a", 2)
    assert master.stored()[:1] == before
    assert master.stored_ids() == [before[0][0], second.id]
    assert master.store.hindrance is None


def test_what_redis_lost_is_noticed_and_written_again_without_a_change(
    master: Node, standby: Node
) -> None:
    for n in range(3):
        master.put("users/a", n)
        standby.put("users/b", n)
    master.pull(standby)
    both = master.stored(), master.stored(STANDBY)
    for origin in (MASTER, STANDBY):
        master.client.delete(master.streams.key(origin))
    master.store.check()
    assert (master.stored(), master.stored(STANDBY)) == both
    assert master.store.hindrance is None
    master.store.check()
    assert (master.stored(), master.stored(STANDBY)) == both


@pytest.mark.parametrize("origin", [MASTER, STANDBY])
def test_a_stream_that_lost_its_beginning_is_not_opened(
    master: Node, standby: Node, origin: Origin
) -> None:
    for node in (master, standby):
        node.put("users/a", 1)
        node.put("users/a", 2)
    master.pull(standby)
    first = master.stored_ids(origin)[0]
    master.client.xdel(master.streams.key(origin), str(first))
    with pytest.raises(DamagedEvent, match="older events were archived, and"):
        master.reopened()


def test_waiting_for_a_head_ends_when_it_is_applied(
    master: Node, standby: Node
) -> None:
    event = standby.put("users/a", 1)
    assert not master.store.await_head(STANDBY, event.id, 0)
    waiting = Running(lambda: master.store.await_head(STANDBY, event.id, LIMIT_S))
    wait_until(waiting.is_waiting, LIMIT_S, "the waiting thread")
    master.pull(standby)
    assert waiting.result(LIMIT_S)
    assert master.store.await_head(STANDBY, event.id, 0)


# Freezing.


def test_while_frozen_a_change_waits_and_then_goes_through(master: Node) -> None:
    head = master.put("users/a", 1)
    assert master.store.freeze("switch")[MASTER].id == head.id
    put = Running(lambda: master.put("users/a", 2))
    wait_until(put.is_waiting, LIMIT_S, "the change to wait")
    assert not put.done()
    assert len(master.stored()) == 1
    master.store.thaw("switch")
    assert put.result(LIMIT_S).id.n == 2


def test_over_its_limit_a_frozen_change_is_refused(master: Node) -> None:
    master.store.freeze("switch")
    with pytest.raises(WritesFrozen, match=r"over 0\.01 s"):
        master.store.append([Put("users/a", 1)], actor="jane", frozen_limit_s=0.01)
    assert master.stored() == []
    master.store.thaw("switch")
    assert master.put("users/a", 1).id.n == 1


def test_changes_wait_for_all_that_hold_them_back(master: Node) -> None:
    """A resync that is given up must not let changes through in the middle of a switch."""
    master.store.freeze("switch")
    master.store.freeze("resync")
    put = Running(lambda: master.put("users/a", 1))
    wait_until(put.is_waiting, LIMIT_S, "the change to wait")
    master.store.thaw("resync")
    wait_until(put.is_waiting, LIMIT_S, "the change to wait on")
    assert not put.done()
    master.store.thaw("switch")
    assert put.result(LIMIT_S).id.n == 1


def test_while_frozen_the_node_still_records(master: Node) -> None:
    master.store.freeze("switch")
    put = Running(lambda: master.put("users/a", 1))
    wait_until(put.is_waiting, LIMIT_S, "the change to wait")
    assert master.store.record(Kind.STATE_CHANGED, None, actor="node").id.n == 1
    assert not put.done()
    master.store.thaw("switch")
    assert put.result(LIMIT_S).id.n == 2


def test_freezing_waits_for_the_change_under_way(connect_to: Connect) -> None:
    composing, go_on = threading.Event(), threading.Event()

    def slow_wall_ns() -> int:
        composing.set()
        assert go_on.wait(LIMIT_S)
        return 0

    node = Node(lambda: connect_to(0), MASTER, slow_wall_ns)
    put = Running(lambda: node.put("users/a", 1))
    assert composing.wait(LIMIT_S)
    freezing = Running(lambda: node.store.freeze("switch"))
    wait_until(freezing.is_waiting, LIMIT_S, "the freeze to wait")
    assert not freezing.done()
    go_on.set()
    heads = freezing.result(LIMIT_S)
    assert heads[MASTER].id == put.result(LIMIT_S).id


def test_a_redis_that_lost_what_the_peer_holds_is_not_written_on(
    master: Node,
) -> None:
    last = [master.put("users/a", n) for n in range(3)][-1]
    master.store.compare_own(last.id, last.digest)
    assert master.store.broken is None
    master.store.compare_own(EventId(last.id.ms, 4), last.digest)
    with pytest.raises(StoreRefused, match=r"the peer holds event .*-4 of it"):
        master.put("users/a", 4)
    assert len(master.stored()) == 3


def test_another_event_in_the_place_of_the_peers_is_not_written_on(
    master: Node,
) -> None:
    event = master.put("users/a", 1)
    master.store.compare_own(event.id, b"x" * 32)
    with pytest.raises(StoreRefused):
        master.put("users/a", 2)


def test_a_probe_writes_nothing_and_is_refused_like_a_write(master: Node) -> None:
    before = master.client.keys("*")
    master.streams.probe()
    assert master.client.keys("*") == before
