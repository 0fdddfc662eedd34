"""Service before bookkeeping (S19): records wait for Redis, nobody waits for them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import cast

import pytest

from eventstore import EventStore, InvalidEntry, JsonValue, Kind, StoreUnavailable
from node import bookkeeping as under_test
from node.bookkeeping import Bookkeeping, Record
from tests.support.waiting import wait_until

LIMIT_S = 20.0


class Store:
    """Takes records, or fails as it is told."""

    def __init__(self) -> None:
        self.written: list[JsonValue] = []
        self.failure: Exception | None = None
        self.tried = threading.Semaphore(0)
        self.unsettled = False
        self.settled = threading.Semaphore(0)

    def settle(self) -> None:
        self.settled.release()
        if self.failure is not None:
            raise self.failure
        self.unsettled = False

    def record(self, kind: Kind, value: JsonValue, *, actor: str, reason: str) -> None:
        self.tried.release()
        if self.failure is not None:
            raise self.failure
        self.written.append(value)


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def books(store: Store) -> Iterator[Bookkeeping]:
    found = Bookkeeping(cast("EventStore", store))
    found.start()
    yield found
    found.stop(LIMIT_S)


def record(value: JsonValue) -> Record:
    return Record(Kind.STATE_CHANGED, value, "master node", "why")


def written(store: Store, *values: JsonValue) -> None:
    wait_until(lambda: store.written == list(values), LIMIT_S, f"{values} written")


def test_records_are_written_in_order(books: Bookkeeping, store: Store) -> None:
    for number in range(3):
        books.hand_in(record(number))
    written(store, 0, 1, 2)


def test_while_redis_is_away_records_wait_and_then_follow(
    books: Bookkeeping, store: Store
) -> None:
    store.failure = StoreUnavailable("gone")
    books.hand_in(record(1))
    books.hand_in(record(2))
    for _ in range(2):
        assert store.tried.acquire(timeout=LIMIT_S)
    books.retry()
    assert store.settled.acquire(timeout=LIMIT_S)
    assert store.written == []
    store.failure = None
    books.retry()
    written(store, 1, 2)


def test_a_record_that_can_never_be_stored_does_not_hold_up_the_others(
    books: Bookkeeping, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    store.failure = InvalidEntry("too long")
    books.hand_in(record(1))
    assert store.tried.acquire(timeout=LIMIT_S)
    wait_until(lambda: "cannot be stored" in caplog.text, LIMIT_S, "a line in the log")
    store.failure = None
    books.hand_in(record(2))
    written(store, 2)


def test_nothing_is_tried_when_nothing_waits(books: Bookkeeping, store: Store) -> None:
    books.retry()
    books.stop(LIMIT_S)
    assert not store.tried.acquire(blocking=False)


def test_what_got_no_answer_is_settled_though_nothing_waits(
    books: Bookkeeping, store: Store
) -> None:
    store.unsettled = True
    books.retry()
    assert store.settled.acquire(timeout=LIMIT_S)
    wait_until(lambda: not store.unsettled, LIMIT_S, "it to be settled")


def test_what_waits_is_written_at_the_end(store: Store) -> None:
    books = Bookkeeping(cast("EventStore", store))
    books.hand_in(record(1))
    books.start()
    books.stop(LIMIT_S)
    assert store.written == [1]


def test_a_job_comes_behind_what_was_handed_in_before(
    books: Bookkeeping, store: Store
) -> None:
    seen: list[list[JsonValue]] = []
    done = threading.Event()
    books.hand_in(record(1))
    books.submit(lambda: seen.append(list(store.written)))
    books.submit(done.set)
    assert done.wait(LIMIT_S)
    assert seen == [[1]]


def test_records_are_bounded_and_a_lost_one_is_an_error(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(under_test, "RECORD_COUNT_MAX", 2)
    books = Bookkeeping(cast("EventStore", store))
    for number in range(3):
        books.hand_in(record(number))
    assert "lost a record" in caplog.text
    books.start()
    books.stop(LIMIT_S)
    assert store.written == [0, 1]
