"""What a host is told of entries: in order, and never by a thread that matters."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from eventstore import Entry, Event, Folded, Kind
from node.notifications import Conflict, EntryChange, Listeners
from node.service import Counts
from tests.support.histories import MASTER, STANDBY, History
from tests.support.waiting import wait_until

LIMIT_S = 20.0


@pytest.fixture
def counts() -> Counts:
    return Counts()


@pytest.fixture
def listeners(counts: Counts) -> Iterator[Listeners]:
    found = Listeners(counts)
    found.start()
    yield found
    found.stop()


def put(value: int, history: History) -> Event:
    return history.of(MASTER).write(Kind.ENTRY_PUT, "users/a", value)


def entry(event: Event) -> Entry:
    return Entry(event.key, event)


def test_a_changed_entry_is_told_with_before_and_after(listeners: Listeners) -> None:
    history = History()
    first, second = put(1, history), put(2, history)
    told: list[EntryChange] = []
    listeners.on_change(told.append)
    before, after = entry(first), entry(second)
    listeners.folded(first, Folded(None, before, None))
    listeners.folded(second, Folded(before, after, None))
    listeners.folded(second, Folded(after, None, None))
    expected = [
        EntryChange("users/a", None, before, first),
        EntryChange("users/a", before, after, second),
        EntryChange("users/a", after, None, second),
    ]
    wait_until(lambda: told == expected, LIMIT_S, "three changes in order")


def test_what_changes_no_entry_is_not_told(listeners: Listeners) -> None:
    history = History()
    event = put(1, history)
    same = entry(event)
    told: list[object] = []
    done = threading.Event()
    listeners.on_change(told.append)
    listeners.on_change(lambda _: done.set())
    listeners.folded(event, None)
    listeners.folded(event, Folded(same, same, None))
    listeners.folded(event, Folded(None, same, None))
    assert done.wait(LIMIT_S)
    wait_until(lambda: len(told) == 1, LIMIT_S, "one change")


def test_a_conflict_is_told_with_winner_and_loser(listeners: Listeners) -> None:
    history = History()
    winner = put(1, history)
    loser = history.of(STANDBY).write(Kind.ENTRY_PUT, "users/a", 2)
    told: list[Conflict] = []
    listeners.on_conflict(told.append)
    stands = entry(winner)
    listeners.folded(loser, Folded(stands, stands, loser))
    wait_until(
        lambda: told == [Conflict("users/a", stands, loser)], LIMIT_S, "the conflict"
    )


def test_a_listener_that_fails_is_counted_and_called_again(
    listeners: Listeners, counts: Counts
) -> None:
    history = History()
    calls = threading.Semaphore(0)

    def failing(_: EntryChange) -> None:
        calls.release()
        raise RuntimeError("a bug of the host's")

    listeners.on_change(failing)
    for value in range(2):
        event = put(value, history)
        listeners.folded(event, Folded(None, entry(event), None))
        assert calls.acquire(timeout=LIMIT_S)
    wait_until(lambda: counts.failed == 2, LIMIT_S, "both failures counted")


def test_a_slow_listener_holds_up_nobody(listeners: Listeners) -> None:
    history = History()
    release, quick = threading.Event(), threading.Event()
    listeners.on_change(lambda _: release.wait(LIMIT_S))
    listeners.on_change(lambda _: quick.set())
    event = put(1, history)
    listeners.folded(event, Folded(None, entry(event), None))
    assert quick.wait(LIMIT_S)
    release.set()


def test_before_the_start_changes_wait() -> None:
    history, told = History(), threading.Event()
    listeners = Listeners(Counts())
    listeners.on_change(lambda _: told.set())
    event = put(1, history)
    listeners.folded(event, Folded(None, entry(event), None))
    assert not told.is_set()
    listeners.start()
    assert told.wait(LIMIT_S)
    listeners.stop()


def test_a_listener_that_falls_behind_by_a_whole_queue_misses_changes(
    counts: Counts, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = History()
    listeners = Listeners(counts)
    listeners.on_change(lambda _: None)
    ((worker, _),) = listeners._on_change
    monkeypatch.setattr(worker, "submit", lambda _job: False)
    event = put(1, history)
    listeners.folded(event, Folded(None, entry(event), None))
    assert counts.dropped == 1
