"""D9: a node whose Redis lost events gets them back, and loses nothing that it wrote since."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress

import pytest

from eventstore import (
    START,
    Delete,
    Event,
    EventId,
    Kind,
    Origin,
    Put,
    Replication,
    Replicator,
    SecondWriter,
    StoreRefused,
    StoreUnavailable,
    StreamForked,
    Streams,
    codec,
)
from eventstore.memory import Stored
from eventstore.mending import Mending, WrongCopy
from tests.contracts.conftest import Connect
from tests.contracts.convergence import check, events, exchange
from tests.contracts.nodes import LIMIT_S, MANY, Clock, Node, Running
from tests.support.histories import MASTER, STANDBY, Writer
from tests.support.waiting import wait_until

MS = 1_767_225_600_000
HOUR_MS = 3_600_000
PROMPT_S = 1.0
"""Well below what a change waits for its turn."""


def recoveries(node: Node) -> list[Event]:
    return node.store.recent(Kind.STREAM_RECOVERED)


@pytest.fixture
def lost(master: Node, standby: Node) -> list[Event]:
    """Three events of the master that only the standby's copy has, and one of each before."""
    first = [master.put("users/a", 0), standby.put("users/b", 0)]
    exchange(master, standby)
    master_then = master.saved()
    made = [master.put("users/a", n) for n in range(1, 4)]
    exchange(master, standby)
    master.put_back(master_then)
    master.restart()
    return first + made


def test_a_shorter_stream_gets_its_end_back(
    master: Node, standby: Node, lost: list[Event]
) -> None:
    master.recover(standby)
    assert [e.digest for e in events(master, MASTER)][: 1 + 3] == [
        event.digest for event in lost if event.origin == MASTER
    ]
    (told,) = recoveries(master)
    assert told.value == {
        "taken": 3, "kept": 0, "anew": 0, "archive": None, "unreadable": [], "missing": 0,
        "end": str(lost[-1].id),
    }  # fmt: skip
    assert master.streams.archives() == []
    check(master, standby, lost)


def test_each_of_two_equal_losses_is_in_the_history(
    master: Node, standby: Node
) -> None:
    for _ in range(2):
        then = master.saved()
        master.put("users/a", 1)
        exchange(master, standby)
        master.put_back(then)
        master.restart()
        master.recover(standby)
        exchange(master, standby)
    assert len(recoveries(master)) == 2


def test_an_empty_redis_gets_everything_back_and_overwrites_nothing(
    master: Node, standby: Node, lost: list[Event]
) -> None:
    before = standby.saved()
    master.client.flushdb()
    master.restart()
    master.recover(standby)
    assert standby.saved() == before
    check(master, standby, lost)


@pytest.mark.parametrize(
    "clock_ms", [MS, MS - HOUR_MS, MS + HOUR_MS], ids=["same", "set back", "set ahead"]
)
def test_what_was_written_in_ignorance_is_appended_anew_behind_what_was_lost(
    master: Node, standby: Node, clock: Clock, lost: list[Event], clock_ms: int
) -> None:
    clock.ms = clock_ms
    written = [master.put("users/a", "mine"), master.put("users/c", 1)]
    written += master.store.append([Delete("users/c")], actor="jane")
    branch = master.stored()[-3:]
    clock.ms = MS
    master.recover(standby)
    (told,) = recoveries(master)
    archive = f"master-{branch[0][0]}-{written[-1].digest.hex()[:12]}"
    assert told.value == {
        "taken": 3, "kept": 0, "anew": 3, "archive": archive, "unreadable": [],
        "missing": 0, "end": str(events(master, MASTER)[6].id),
    }  # fmt: skip
    (kept,) = master.streams.archives()
    assert (kept.name, kept.origin, kept.last) == (archive, MASTER, branch[-1][0])
    assert master.streams.read_archive(archive, START, 10) == branch
    anew = events(master, MASTER)[4:7]
    assert [e.recovered and e.recovered.digest for e in anew] == [
        e.digest for e in written
    ]
    assert [e.id for e in anew] > [branch[-1][0]] * 3, "above every archived one"
    entry = master.store.get("users/a")
    assert entry is not None
    assert entry.value == "mine"
    assert master.store.get("users/c") is None, "no delete comes back"
    check(master, standby, lost + written)


def test_two_different_events_under_one_id_are_told_apart(
    master: Node, standby: Node, clock: Clock, lost: list[Event]
) -> None:
    mine = master.put("users/a", "another")
    theirs = next(e for e in lost if e.id == mine.id)
    assert theirs.digest != mine.digest
    master.recover(standby)
    check(master, standby, [*lost, mine])


class FallingBack(Streams):
    """Redis stores the next batch and falls back before anybody here is told."""

    falls_back: Callable[[], None] | None = None

    def append(
        self, origin: Origin, after: EventId, page: Sequence[Stored]
    ) -> EventId | None:
        found = super().append(origin, after, page)
        falls_back, self.falls_back = self.falls_back, None
        if falls_back is not None:
            falls_back()
            raise StoreUnavailable("no answer")
        return found


def test_what_the_peer_has_of_a_change_without_an_answer_is_not_made_again(
    connect_to: Connect, clock: Clock, standby: Node
) -> None:
    """Simulation, seeds 4042 and 4605: the same change under another id was a second one."""
    master = Node(lambda: connect_to(0), MASTER, clock, FallingBack)
    made = [master.put("users/a", 0)]
    exchange(master, standby)
    then = master.saved()
    made.append(master.put("users/a", 1))
    assert isinstance(master.streams, FallingBack)

    def fall_back() -> None:
        standby.pull(master)
        master.put_back(then)
        clock.ms += HOUR_MS

    master.streams.falls_back = fall_back
    made.append(master.put("users/a", 2))
    check(master, standby, made)
    assert len(events(master, MASTER)) == 3


@pytest.mark.parametrize("forked", [False, True])
def test_a_copy_that_grows_while_it_is_read_breaks_no_chain(
    master: Node, standby: Node, lost: list[Event], forked: bool
) -> None:
    """Simulation, seed 8296: the peer wrote again from memory what its Redis had lost too."""
    copy = standby.stored(MASTER)
    standby.put_back({MASTER: copy[:-1], STANDBY: standby.stored()})
    lost.append(master.put("users/a", "mine"))
    if not forked:
        # Nothing to archive: what was written in ignorance is only in memory.
        master.put_back({MASTER: master.stored()[:-1], STANDBY: standby.stored()})

    asked = itertools.count()

    def grow() -> bool:
        if next(asked) == 2:  # It was read once, the beginning and the rest.
            assert standby.streams.append(MASTER, copy[-2][0], copy[-1:]) is None
        return True

    with pytest.raises(StoreUnavailable, match="grew while it was read"):
        master.store.recover(standby.streams, go_on=grow)
    master.recover(standby)
    check(master, standby, lost)


@pytest.mark.parametrize("ahead_ms", [0, HOUR_MS], ids=["same id", "later id"])
def test_what_only_the_memory_of_the_peer_has_is_put_back_into_its_copy(
    master: Node, standby: Node, clock: Clock, ahead_ms: int
) -> None:
    """Simulation, seed 1893: both Redis fell back behind an earlier loss, on another branch."""
    made = [master.put("users/a", 0)]
    exchange(master, standby)
    before = {node: node.saved() for node in (master, standby)}
    made.append(master.put("users/a", "first branch"))
    exchange(master, standby)
    branched = {node: node.saved() for node in (master, standby)}
    for node in (master, standby):
        node.put_back(before[node])
        node.restart()
    clock.ms += ahead_ms
    made += [master.put("users/a", n) for n in (1, 2)]
    exchange(master, standby)
    for node in (master, standby):
        node.put_back(branched[node])
    master.restart()
    made.append(master.put("users/b", "behind the first branch"))

    known = standby.store.snapshot
    standby.store.check()
    standby.store.reload_copy()
    with pytest.raises(StoreUnavailable, match="were put back from memory"):
        standby.pull(master)
    assert standby.store.snapshot == known
    assert standby.reopened().snapshot == known
    assert len(standby.streams.archives()) == 1
    master.recover(standby)
    check(master, standby, made)


def test_a_memory_that_does_not_reach_back_changes_nothing(
    master: Node, standby: Node
) -> None:
    for n in range(4):
        master.put("users/a", n)
    exchange(master, standby)
    copy = standby.stored(MASTER)
    standby.put_back({MASTER: copy[:2]})
    mending = Mending(standby.streams, standby.streams, MASTER, go_on=lambda: True)
    assert not mending.put_back(copy[2:])
    assert not mending.put_back([])
    assert standby.stored(MASTER) == copy[:2]
    assert mending.put_back(copy[1:])
    assert standby.stored(MASTER) == copy
    assert not standby.streams.archives()


def test_a_memory_of_all_makes_a_copy_anew_that_has_nothing_of_it(
    master: Node, standby: Node
) -> None:
    master.put("users/a", "another branch")
    exchange(master, standby)
    branch = standby.stored(MASTER)
    master.put_back({MASTER: [], STANDBY: []})
    master.restart()
    master.put("users/a", 1)
    master.put("users/a", 2)
    whole = master.stored()
    mending = Mending(standby.streams, standby.streams, MASTER, go_on=lambda: True)
    assert mending.put_back(whole)
    assert standby.stored(MASTER) == whole
    (archive,) = standby.streams.archives()
    assert standby.streams.read_archive(archive.name, START, MANY) == branch
    standby.put_back({MASTER: []})
    assert mending.put_back(whole)
    assert standby.stored(MASTER) == whole


def test_a_delete_that_was_lost_stays_deleted(master: Node, standby: Node) -> None:
    made = [master.put("users/a", 1)]
    exchange(master, standby)
    then = master.saved()
    made += master.store.append([Delete("users/a")], actor="jane")
    exchange(master, standby)
    master.put_back(then)
    master.restart()
    assert master.store.get("users/a") is not None
    made.append(master.put("users/b", 1))
    master.recover(standby)
    assert master.store.get("users/a") is None
    check(master, standby, made)


def test_doing_it_twice_changes_nothing(
    master: Node, standby: Node, lost: list[Event]
) -> None:
    lost.append(master.put("users/a", "mine"))
    branched = master.saved()
    master.recover(standby)
    before = master.saved()
    master.recover(standby)
    master.restart()
    master.recover(standby)
    assert master.saved() == before
    exchange(master, standby)
    # The old file is put back once more: what is in it is known by now.
    master.put_back(branched)
    master.restart()
    master.recover(standby)
    assert [e.digest for e in events(master, MASTER)][: len(before[MASTER])] == [
        codec.digest_of(blob) for _, blob in before[MASTER]
    ]
    check(master, standby, lost)


def test_a_peer_that_has_less_has_nothing_to_give(master: Node, standby: Node) -> None:
    made = [master.put("users/a", 1)]
    exchange(master, standby)
    made.append(master.put("users/a", 2))
    before = master.saved()
    master.recover(standby)
    assert master.saved() == before
    standby.client.flushdb()
    master.recover(standby)
    assert master.saved() == before


def test_what_a_running_node_still_knows_is_not_lost_either(
    master: Node, standby: Node
) -> None:
    made = [master.put("users/a", 1), standby.put("users/b", 1)]
    exchange(master, standby)
    made.append(master.put("users/a", 2))
    exchange(master, standby)
    made.append(master.put("users/a", 3))  # In no other Redis.
    master.client.flushdb()
    with pytest.raises(StoreRefused):
        # As if more was lost than memory holds.
        master.store.compare_own(made[2].id, b"x" * 32)
        master.put("users/a", 4)
    master.recover(standby)
    made.append(master.put("users/a", 4))
    check(master, standby, made)


def test_both_nodes_lost_their_ends_and_each_gets_its_own_back(
    master: Node, standby: Node
) -> None:
    made = [master.put("users/a", 1), standby.put("users/a", 1)]
    exchange(master, standby)
    then = master.saved(), standby.saved()
    made += [master.put("users/a", 2)]
    standby.pull(master)
    made += [standby.put("users/a", 3)]
    master.pull(standby)
    # The copies are newer than the streams that they are copies of.
    master.put_back({MASTER: then[0][MASTER], STANDBY: master.stored(STANDBY)})
    standby.put_back({STANDBY: then[1][STANDBY], MASTER: standby.stored(MASTER)})
    master.restart()
    standby.restart()
    master.recover(standby)
    standby.recover(master)
    check(master, standby, made)


def test_a_copy_that_redis_lost_is_taken_again_while_memory_serves(
    master: Node, standby: Node
) -> None:
    made = [master.put("users/a", n) for n in range(3)]
    exchange(master, standby)
    standby.store._known.tails[MASTER] = type(standby.store._known.tails[MASTER])()
    standby.client.delete(standby.streams.key(MASTER))
    standby.store.check()
    entry = standby.store.get("users/a")
    assert entry is not None
    assert entry.value == 2
    assert standby.store.copy_end.id == START
    check(master, standby, made)


def test_a_peer_that_knows_what_is_not_here_makes_a_node_recover_first(
    master: Node, standby: Node, lost: list[Event]
) -> None:
    knows = standby.put("users/b", "knew of the lost ones")
    with pytest.raises(StreamForked, match="lost events"):
        master.pull(standby)
    with pytest.raises(StoreRefused, match="lost events"):
        master.put("users/a", 9)
    master.recover(standby)
    check(master, standby, [*lost, knows])


def test_listeners_hear_of_what_came_back_and_of_nothing_twice(
    master: Node, standby: Node
) -> None:
    made = [master.put("users/a", 1)]
    exchange(master, standby)
    then = master.saved()
    made += [master.put("users/a", 2), master.put("users/b", 1)]
    exchange(master, standby)
    told: list[str] = []
    master.put_back(then)
    master.store = master._open(lambda event, _folded: told.append(event.key))
    made.append(master.put("users/c", 1))
    master.recover(standby)
    assert [key for key in told if key] == ["users/c", "users/a", "users/b"]
    check(master, standby, made)


def test_the_first_turn_of_replication_gets_lost_events_back_before_it_copies(
    master: Node, standby: Node, lost: list[Event]
) -> None:
    lost.append(standby.put("users/c", 2))
    pull = Replication(
        master.store, standby.source(), own=MASTER, peer=STANDBY, now_s=lambda: 5.0
    )
    pull.turn(None, lambda: nullcontext(False))
    assert [e.digest for e in events(master, MASTER)][:4] == [
        event.digest for event in lost if event.origin == MASTER
    ]
    assert master.stored(STANDBY) == standby.stored()[:-1], "it was not permitted"
    pull.close()
    check(master, standby, lost)


def test_events_that_nobody_has_any_more_are_counted_and_told(
    master: Node, standby: Node
) -> None:
    writer = Writer(MASTER)
    for n in range(6):
        writer.put("users/a", n)
    master.streams.append(MASTER, START, writer.blobs[:2])
    standby.streams.append(MASTER, START, writer.blobs[:3])
    # Of six, memory has the last two: the fourth is nowhere.
    attempt = Mending(master.streams, standby.streams, MASTER, go_on=lambda: True)
    mended = attempt.mend(writer.blobs[4:], ms_min=0)
    assert mended is not None
    assert (mended.taken_count, mended.anew_count, mended.missing_count) == (1, 2, 1)
    assert "1 acknowledged events are lost for good" in str(mended)
    assert len(master.stored(MASTER)) == 5


def test_what_a_try_that_was_cut_off_left_in_the_making_is_thrown_away(
    master: Node, standby: Node, lost: list[Event]
) -> None:
    lost.append(master.put("users/a", "mine"))
    left_over = [(EventId(1, 1), b"left over")]
    master.streams.make(MASTER, START, left_over)
    master.streams.make_archive(MASTER, START, left_over)
    master.recover(standby)
    check(master, standby, lost)


def test_it_stops_between_pages_when_it_is_told_to(
    master: Node, standby: Node, lost: list[Event]
) -> None:
    lost.append(master.put("users/a", "mine"))
    before = master.saved()
    with pytest.raises(StoreUnavailable, match="begins anew"):
        master.store.recover(standby.streams, go_on=lambda: False)
    assert master.saved() == before
    with pytest.raises(StoreRefused):
        master.put("users/a", "too early")
    master.recover(standby)
    check(master, standby, lost)


def test_a_stream_whose_end_was_deleted_by_hand_is_made_anew(
    master: Node, standby: Node
) -> None:
    made = [master.put("users/a", n) for n in range(3)]
    exchange(master, standby)
    master.client.xdel(master.streams.key(MASTER), str(made[-1].id))
    master.store.check()
    master.recover(standby)
    check(master, standby, made)


def test_a_wrong_copy_at_the_peer_does_not_stop_a_node_that_is_whole(
    master: Node, standby: Node
) -> None:
    made = [master.put("users/a", 1)]
    exchange(master, standby)
    (_, blob) = master.stored()[-1]
    key = standby.streams.key(MASTER)
    standby.client.xadd(key, {"e": blob}, id="99999999999999-1")
    for _ in range(2):
        with suppress(WrongCopy):
            master.recover(standby)
        assert master.store.hindrance is None
    end = codec.digest_of(blob)
    master.store.compare_own(EventId(99999999999999, 1), end)
    made.append(master.put("users/a", 2))
    assert master.stored_ids() == [event.id for event in made]


def test_a_wrong_copy_is_named(master: Node, standby: Node) -> None:
    master.put("users/a", 1)
    exchange(master, standby)
    standby.client.xadd(standby.streams.key(MASTER), {"e": b"x"}, id="9999999999999-2")
    with pytest.raises(WrongCopy, match="put it aside there"):
        master.recover(standby)


@pytest.mark.parametrize(
    "later_ms", [1, 0], ids=["an id that we never made", "an id that we made, too"]
)
def test_a_second_writer_whose_clock_was_set_back_is_not_taken_for_a_loss(
    master: Node, clock: Clock, later_ms: int
) -> None:
    master.put("users/a", 1)
    then = master.saved()
    master.put("users/a", 2)
    master.put("users/a", 3)
    master.put_back(then)
    clock.ms += later_ms
    second = master.reopened()
    second.append([Put("users/a", "second")], actor="joe")
    clock.ms -= later_ms
    with pytest.raises(SecondWriter):
        master.put("users/a", 4)


def test_redis_may_fall_back_to_before_a_recovery_while_its_node_runs(
    master: Node, standby: Node, lost: list[Event]
) -> None:
    lost.append(master.put("users/a", "in ignorance"))
    then = master.saved()
    master.recover(standby)
    exchange(master, standby)
    master.put_back(then)
    master.store.check()
    assert master.store.broken is None
    master.recover(standby)
    lost.append(master.put("users/a", "at the end"))
    check(master, standby, lost)


@pytest.mark.parametrize("peer_falls_back", [False, True])
def test_what_memory_has_made_anew_and_redis_as_it_was_is_the_same_event(
    master: Node, standby: Node, peer_falls_back: bool
) -> None:
    """Redis falls back to what was made anew since, under a process that lives on."""
    made = [master.put("users/a", 0)]
    exchange(master, standby)
    then = master.saved()
    made += [master.put("users/b", n) for n in range(2)]
    exchange(standby, master)
    branched = master.saved()
    for node in (master, standby):
        node.put_back(then)
        node.restart()
    made.append(master.put("users/c", "in their place"))
    standby.pull(master)
    master.put_back(branched)
    master.restart()
    master.recover(standby)
    made.append(master.put("users/d", "in memory only"))
    master.put_back(branched)
    if peer_falls_back:
        standby.put_back(branched)
        standby.restart()
    master.store.check()
    assert master.store.hindrance is not None
    master.recover(standby)
    made.append(master.put("users/d", "at the end"))
    check(master, standby, made)
    told = recoveries(master)[-1].value
    assert isinstance(told, dict)
    assert told["missing"] == 0


def test_what_both_redis_lost_comes_back_from_the_memory_of_the_peer(
    master: Node, standby: Node
) -> None:
    """Simulation, seed 1249: taking what the peer wrote anew must not come first."""
    made = [master.put("users/a", 0)]
    exchange(master, standby)
    then = master.saved(), standby.saved()
    made += [master.put("users/a", n) for n in range(1, 4)]
    exchange(master, standby)
    standby.put_back(then[1])
    master.put_back(then[0])
    master.restart()
    made.append(master.put("users/a", "in ignorance"))
    steps = Replication(
        standby.store, master.source(), own=STANDBY, peer=MASTER, now_s=lambda: 0.0
    )
    with pytest.raises(StreamForked, match="gets them back from here first"):
        steps.turn(None, lambda: nullcontext(True))
    master.recover(standby)
    steps.turn(None, lambda: nullcontext(True))
    check(master, standby, made)


@pytest.mark.parametrize("written_first", [False, True])
def test_an_event_that_is_nowhere_any_more_does_not_stop_a_node_for_ever(
    master: Node, standby: Node, clock: Clock, written_first: bool
) -> None:
    """Simulation, seed 1103: the peer wrote knowing it, and then both Redis lost it."""
    made = [master.put("users/a", 0)]
    exchange(master, standby)
    then = master.saved()
    gone = master.put("users/a", "lost")
    standby.pull(master)
    made.append(standby.put("users/a", "knew it"))
    standby.put_back({MASTER: then[MASTER], STANDBY: standby.stored()})
    master.put_back(then)
    master.restart()
    standby.restart()
    clock.ms -= HOUR_MS
    with pytest.raises(StreamForked, match="lost events"):
        master.pull(standby)
    master.recover(standby)
    if not written_first:
        master.pull(standby)
    new = master.put("users/a", "new")
    assert new.id > gone.id, "the standby never knew it, and must not seem to"
    check(master, standby, [*made, new], is_whole=False)
    (entry,) = master.store.entries("users/a")
    assert entry.value == "new"


def test_memory_follows_a_peer_that_lost_what_is_nowhere_any_more(
    master: Node, standby: Node
) -> None:
    """Simulation, seed 903: what no stream has must not stay in the entries either."""
    made = [master.put("users/a", 0)]
    exchange(master, standby)
    then = master.saved()
    master.put("users/b", "lost")
    exchange(master, standby)
    standby.store._known.tails[MASTER] = type(standby.store._known.tails[MASTER])()
    standby.client.delete(standby.streams.key(MASTER))
    standby.store.check()
    master.put_back(then)
    master.restart()
    standby.store.reload_copy()
    made.append(master.put("users/c", "new"))
    check(master, standby, made)
    assert standby.store.get("users/b") is None


def test_a_loss_that_the_peer_names_is_asked_about_until_it_is_back(
    master: Node, standby: Node, lost: list[Event]
) -> None:
    last = lost[-1]
    assert not master.store.compare_own(last.id, last.digest)
    master.recover(standby)
    assert master.store.compare_own(last.id, last.digest)


def test_lost_events_come_back_while_replication_is_off(
    master: Node, standby: Node, lost: list[Event]
) -> None:
    steps = Replication(
        master.store, standby.source(), own=MASTER, peer=STANDBY, now_s=lambda: 0.0
    )
    replicator = Replicator(steps, peer=STANDBY)
    replicator.start()
    last = lost[-1]
    master.store.compare_own(last.id, last.digest)
    assert master.store.await_head(MASTER, last.id, LIMIT_S)
    wait_until(lambda: master.store.hindrance is None, LIMIT_S, "the end of recovery")
    replicator.stop(LIMIT_S)
    check(master, standby, lost)


def test_a_redis_with_more_than_this_process_wrote_is_not_served_from_memory_for_long(
    master: Node, clock: Clock
) -> None:
    """An older file, whose events this process never saw, is put in place of its Redis."""
    clock.ms += HOUR_MS
    master.put("users/a", "of another history")
    then = master.saved()
    clock.ms -= HOUR_MS
    master.client.flushdb()
    master.restart()
    master.put("users/a", 1)
    master.put_back(then)
    with pytest.raises(SecondWriter):
        master.store.check()
    assert master.store.broken is not None


class FullStreams(Streams):
    """Redis has no room for the event that tells of a recovery."""

    is_full = True

    def append(
        self, origin: Origin, after: EventId, batch: Sequence[Stored]
    ) -> EventId | None:
        event = codec.decode(origin, *batch[0])
        assert isinstance(event, Event)
        if self.is_full and event.kind == Kind.STREAM_RECOVERED:
            raise StoreRefused("full")
        return super().append(origin, after, batch)


def test_a_recovery_whose_event_could_not_be_written_is_recorded_later(
    connect_to: Connect, clock: Clock
) -> None:
    master = Node(lambda: connect_to(0), MASTER, clock, FullStreams)
    standby = Node(lambda: connect_to(1), STANDBY, clock)
    made = [master.put("users/a", 1)]
    exchange(master, standby)
    master.client.flushdb()
    master.restart()
    for _ in range(2):
        with pytest.raises(StoreRefused, match="full"):
            master.recover(standby)
        assert master.store.hindrance is None
        assert master.store.needs_recovery
    assert recoveries(master) == []
    assert isinstance(master.streams, FullStreams)
    master.streams.is_full = False
    for _ in range(2):
        master.recover(standby)
        assert not master.store.needs_recovery
    assert len(recoveries(master)) == 1
    check(master, standby, made)


def test_while_it_lasts_changes_are_refused_and_a_switch_need_not_wait(
    master: Node, standby: Node, lost: list[Event]
) -> None:
    lost.append(master.put("users/a", "mine"))
    under_way, may_go_on = threading.Event(), threading.Event()

    def go_on() -> bool:
        under_way.set()
        return may_go_on.wait(LIMIT_S)

    recovery = Running(lambda: master.store.recover(standby.streams, go_on=go_on))
    assert under_way.wait(LIMIT_S)
    heads = Running(lambda: master.store.freeze("switch")).result(PROMPT_S)
    assert heads == master.store.snapshot.heads
    Running(lambda: master.store.thaw("switch")).result(PROMPT_S)
    Running(master.store.settle).result(PROMPT_S)
    Running(master.store.check).result(PROMPT_S)
    with pytest.raises(StoreRefused, match="lost events"):
        Running(lambda: master.put("users/a", "too early")).result(PROMPT_S)
    with pytest.raises(StoreRefused, match="lost events"):
        Running(
            lambda: master.store.record(Kind.STATE_CHANGED, None, actor="node")
        ).result(PROMPT_S)
    assert not recovery.done()
    may_go_on.set()
    recovery.result(LIMIT_S)
    check(master, standby, lost)
