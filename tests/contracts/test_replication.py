"""`Replicator`: follows the peer's stream in the peer's Redis."""

import threading
from collections.abc import Iterator
from contextlib import nullcontext

import pytest

from eventstore import EventId, Progress, Replication, Replicator, codec, replication
from eventstore.streams import PAGE_EVENT_COUNT
from tests.contracts.nodes import LIMIT_S, Clock, Node, entries_of
from tests.support.histories import MASTER, STANDBY, Writer
from tests.support.waiting import wait_until


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replication, "BLOCK_MS", 20)
    monkeypatch.setattr(replication, "RETRY_S", 0.02)


class Pull:
    """A running replicator of `here` from `there`."""

    def __init__(self, here: Node, there: Node) -> None:
        self._threads = set(threading.enumerate())
        self.now_s = 5.0
        self.replication = Replication(
            here.store,
            there.source(),
            own=here.origin,
            peer=there.origin,
            now_s=lambda: self.now_s,
        )
        self.replicator = Replicator(self.replication, peer=there.origin)
        self.replicator.start()

    @property
    def progress(self) -> Progress:
        return self.replicator.progress

    @property
    def threads(self) -> list[threading.Thread]:
        """The replicator's own that are alive."""
        return [
            t
            for t in set(threading.enumerate()) - self._threads
            if t.name == "replicator"
        ]

    def await_problem(self, why: str) -> None:
        wait_until(lambda: why in (self.progress.problem or ""), LIMIT_S, why)
        assert not self.progress.connected


@pytest.fixture
def to_standby(master: Node, standby: Node) -> Iterator[Pull]:
    pull = Pull(standby, master)
    yield pull
    pull.replicator.stop(LIMIT_S)


@pytest.fixture
def to_master(master: Node, standby: Node) -> Iterator[Pull]:
    pull = Pull(master, standby)
    yield pull
    pull.replicator.stop(LIMIT_S)


def await_equal(master: Node, standby: Node) -> None:
    wait_until(
        lambda: master.store.snapshot.heads == standby.store.snapshot.heads,
        LIMIT_S,
        "equal heads",
    )
    assert master.store.snapshot.digest == standby.store.snapshot.digest
    assert entries_of(master.store) == entries_of(standby.store)
    for origin in (MASTER, STANDBY):
        assert master.stored(origin) == standby.stored(origin)


def test_changes_reach_the_other_node_both_ways(
    master: Node, standby: Node, to_standby: Pull, to_master: Pull
) -> None:
    for n in range(5):
        master.put(f"users/{n}", "before")
        standby.put(f"users/{n}", "concurrent")
    to_standby.replicator.set_enabled(True)
    to_master.replicator.set_enabled(True)
    await_equal(master, standby)
    assert {e.value for e in standby.store.entries()} == {"before"}
    assert master.store.snapshot.conflict_count == 5
    theirs = standby.put("users/0", "later")
    assert master.store.await_head(STANDBY, theirs.id, LIMIT_S)
    ours = master.put("users/1", "later")
    assert standby.store.await_head(MASTER, ours.id, LIMIT_S)
    await_equal(master, standby)


def test_more_than_a_page_is_caught_up(
    master: Node, standby: Node, to_standby: Pull
) -> None:
    writer = Writer(MASTER)
    for n in range(PAGE_EVENT_COUNT + 10):
        writer.put(f"users/{n}", n)
    master.streams.append(MASTER, EventId(0, 0), writer.blobs)
    to_standby.replicator.set_enabled(True)
    assert standby.store.await_head(MASTER, writer.written[-1].id, LIMIT_S)
    assert standby.stored(MASTER) == writer.blobs
    wait_until(lambda: to_standby.progress.complete_at_s, LIMIT_S, "completeness")


def test_progress_tells_when_the_copy_was_last_complete(
    master: Node, to_standby: Pull
) -> None:
    assert to_standby.progress.complete_at_s is None
    to_standby.replicator.set_enabled(True)
    wait_until(lambda: to_standby.progress == Progress(True, None, 5.0), LIMIT_S, "5 s")
    to_standby.now_s = 6.0
    wait_until(lambda: to_standby.progress == Progress(True, None, 6.0), LIMIT_S, "6 s")


def test_a_copy_is_not_complete_while_pages_are_full(
    master: Node, standby: Node
) -> None:
    writer = Writer(MASTER)
    for n in range(PAGE_EVENT_COUNT + 1):
        writer.put("users/a", n)
    master.streams.append(MASTER, EventId(0, 0), writer.blobs)
    replication = Replication(
        standby.store, master.source(), own=STANDBY, peer=MASTER, now_s=lambda: 5.0
    )
    replication.turn(None, lambda: nullcontext(True))
    assert replication.progress == Progress(True, None, None)
    replication.turn(None, lambda: nullcontext(True))
    assert replication.progress == Progress(True, None, 5.0)
    replication.close()


def test_it_stands_still_until_it_is_enabled(
    master: Node, standby: Node, to_standby: Pull
) -> None:
    master.put("users/a", 1)
    wait_until(lambda: to_standby.progress.problem is None, LIMIT_S, "standing still")
    assert to_standby.progress == Progress(False, None, None)
    assert standby.stored(MASTER) == []


def test_switched_off_it_takes_nothing_and_switched_on_it_catches_up(
    master: Node, standby: Node, to_standby: Pull
) -> None:
    to_standby.replicator.set_enabled(True)
    first = master.put("users/a", 1)
    assert standby.store.await_head(MASTER, first.id, LIMIT_S)
    to_standby.replicator.set_enabled(False)
    last = [master.put("users/a", n) for n in range(3)][-1]
    wait_until(lambda: not to_standby.progress.connected, LIMIT_S, "standing still")
    assert to_standby.progress.problem is None
    assert standby.stored_ids(MASTER) == [first.id]
    to_standby.replicator.set_enabled(True)
    assert standby.store.await_head(MASTER, last.id, LIMIT_S)
    assert standby.stored(MASTER) == master.stored()


def test_it_says_why_it_stands_still_without_an_order(
    master: Node, standby: Node, to_standby: Pull
) -> None:
    for problem in ("not known yet", "a newer format"):
        to_standby.replicator.set_enabled(False, problem=problem)
        to_standby.await_problem(problem)
    to_standby.replicator.set_enabled(True)
    event = master.put("users/a", 1)
    assert standby.store.await_head(MASTER, event.id, LIMIT_S)
    wait_until(lambda: to_standby.progress.problem is None, LIMIT_S, "no problem")


def test_switching_off_and_on_many_times_loses_and_repeats_nothing(
    master: Node, standby: Node, to_standby: Pull
) -> None:
    for n in range(30):
        to_standby.replicator.set_enabled(n % 2 == 0)
        master.put("users/a", n)
    to_standby.replicator.set_enabled(True)
    await_equal(master, standby)


def test_a_head_that_the_peer_lacks_is_a_problem(
    master: Node, standby: Node, to_standby: Pull
) -> None:
    last = [master.put("users/a", n) for n in range(3)][-1]
    standby.pull(master)
    master.client.xdel(master.streams.key(MASTER), str(last.id))
    to_standby.replicator.set_enabled(True)
    to_standby.await_problem(f"lacks event {last.id} of stream 'master'")
    assert len(standby.stored(MASTER)) == 3


def test_a_head_that_is_another_event_at_the_peer_is_a_problem(
    master: Node, standby: Node, to_standby: Pull
) -> None:
    ours, theirs = Writer(MASTER), Writer(MASTER)
    ours.put("users/a", "ours")
    theirs.put("users/a", "theirs")
    theirs.put("users/a", "more")
    standby.store.take(ours.blobs)
    master.streams.append(MASTER, EventId(0, 0), theirs.blobs)
    to_standby.replicator.set_enabled(True)
    to_standby.await_problem("the peer lost events and gets them back from here first")
    assert standby.stored(MASTER) == ours.blobs


def test_a_fork_behind_the_head_is_a_problem_and_nothing_is_taken(
    master: Node, standby: Node, to_standby: Pull
) -> None:
    event = master.put("users/a", 1)
    to_standby.replicator.set_enabled(True)
    assert standby.store.await_head(MASTER, event.id, LIMIT_S)
    next_id = EventId(event.id.ms, 2)
    stranger = codec.encode(
        origin=MASTER, event_id=next_id, kind="entry-put", key="users/a", packed=b"\x07",
        actor="jane", reason="", wall_ns=1, vector={MASTER: next_id}, previous=bytes(32),
    )  # fmt: skip
    master.streams.append(MASTER, event.id, [(next_id, stranger)])
    to_standby.await_problem("does not continue our history")
    assert standby.stored_ids(MASTER) == [event.id]


def test_damaged_bytes_are_a_problem_and_nothing_is_taken(
    master: Node, standby: Node, to_standby: Pull
) -> None:
    master.client.xadd(master.streams.key(MASTER), {"x": "1"}, id="5-1")
    to_standby.replicator.set_enabled(True)
    to_standby.await_problem("5-1 is no event")
    assert standby.stored(MASTER) == []


def test_it_goes_on_by_itself_when_the_streams_fit_again(
    master: Node, standby: Node, to_standby: Pull
) -> None:
    event = master.put("users/a", 1)
    standby.pull(master)
    stored = master.stored()
    master.client.delete(master.streams.key(MASTER))
    to_standby.replicator.set_enabled(True)
    to_standby.await_problem("lacks event")
    master.streams.append(MASTER, EventId(0, 0), stored)
    wait_until(lambda: to_standby.progress.connected, LIMIT_S, "replication")
    later = master.put("users/a", 2)
    assert standby.store.await_head(MASTER, later.id, LIMIT_S)
    assert later.previous == event.digest


def test_a_copy_that_grew_behind_its_back_is_followed_on(
    master: Node, standby: Node, to_standby: Pull
) -> None:
    first = master.put("users/a", 1)
    standby.streams.append(MASTER, EventId(0, 0), master.stored())
    to_standby.replicator.set_enabled(True)
    assert standby.store.await_head(MASTER, first.id, LIMIT_S)
    last = master.put("users/a", 2)
    assert standby.store.await_head(MASTER, last.id, LIMIT_S)
    assert standby.stored(MASTER) == master.stored()


def test_it_outlives_a_failure_of_what_it_calls(
    master: Node, standby: Node, caplog: pytest.LogCaptureFixture
) -> None:
    pull = Pull(standby, master)
    clocks = iter([ZeroDivisionError("a bug")])

    def now_s() -> float:
        for error in clocks:
            raise error
        return 7.0

    pull.replication._now_s = now_s
    pull.replicator.set_enabled(True)
    event = master.put("users/a", 1)
    assert standby.store.await_head(MASTER, event.id, LIMIT_S)
    wait_until(lambda: pull.progress == Progress(True, None, 7.0), LIMIT_S, "progress")
    pull.replicator.stop(LIMIT_S)
    assert "a bug" in caplog.text


@pytest.mark.parametrize("enabled", [True, False])
def test_stopping_ends_the_thread(
    master: Node, standby: Node, clock: Clock, enabled: bool
) -> None:
    pull = Pull(standby, master)
    pull.replicator.set_enabled(enabled)
    if enabled:
        wait_until(lambda: pull.progress.connected, LIMIT_S, "replication")
    assert len(pull.threads) == 1
    pull.replicator.stop(LIMIT_S)
    assert pull.threads == []


def test_stopping_ends_a_thread_that_stands_still(
    master: Node, standby: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replication, "RETRY_S", LIMIT_S * 10)
    master.client.xadd(master.streams.key(MASTER), {"x": "1"}, id="5-1")
    pull = Pull(standby, master)
    pull.replicator.set_enabled(True)
    pull.await_problem("5-1 is no event")
    pull.replicator.stop(LIMIT_S)
    assert pull.threads == []
