"""When a node writes a snapshot: if it saves more than it costs, and never in anybody's way."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import cast

import pytest

from eventstore import EventStore, StoreUnavailable
from node.snapshotting import Snapshotting, is_due


@pytest.mark.parametrize(
    ("new_count", "key_count", "due"),
    [
        (49_999, 0, False),
        (50_000, 0, True),
        (50_000, 50_000, True),
        (50_000, 50_001, False),
        (1_000_000, 1_000_000, True),
    ],
)
def test_a_snapshot_is_due_when_it_saves_more_than_it_costs(
    new_count: int, key_count: int, due: bool
) -> None:
    assert is_due(new_count, key_count, count_min=50_000) is due


class Store:
    """Counts what is written of it."""

    def __init__(self) -> None:
        self.unsaved_count = self.key_count = self.written_count = 0
        self.failure: Exception | None = None
        self.went_on: list[bool] = []

    def write_snapshot(self, *, go_on: Callable[[], bool]) -> None:
        self.went_on.append(go_on())
        if self.failure is not None:
            raise self.failure
        self.written_count += 1
        self.unsaved_count = 0


class Jobs:
    """Jobs that wait until a test does them."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], object]] = []
        self.is_done_at_the_end = True

    def start(self) -> None:
        pass

    def submit(self, job: Callable[[], object]) -> bool:
        self.waiting.append(job)
        return True

    def stop(self, limit_s: float) -> None:
        if self.is_done_at_the_end:
            self.do()

    def do(self) -> None:
        while self.waiting:
            self.waiting.pop(0)()


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def jobs() -> Jobs:
    return Jobs()


@pytest.fixture
def snapshotting(store: Store, jobs: Jobs) -> Snapshotting:
    return Snapshotting(
        cast(EventStore, store),
        lambda _name: jobs,
        count_min=10,
        count_min_at_end=4,
    )


def test_it_is_written_once_and_by_another_thread(
    store: Store, jobs: Jobs, snapshotting: Snapshotting
) -> None:
    store.unsaved_count = 9
    snapshotting.look()
    assert not jobs.waiting
    store.unsaved_count = 10
    for _ in range(3):
        snapshotting.look()
    assert len(jobs.waiting) == 1
    assert store.written_count == 0
    jobs.do()
    snapshotting.look()
    assert not jobs.waiting
    assert store.written_count == 1
    assert store.went_on == [True]


def test_one_that_cannot_be_written_is_a_line_in_the_log_and_waits_for_more_events(
    store: Store,
    jobs: Jobs,
    snapshotting: Snapshotting,
    caplog: pytest.LogCaptureFixture,
) -> None:
    store.unsaved_count, store.failure = 10, StoreUnavailable("Redis is full")
    snapshotting.look()
    jobs.do()
    assert [(r.levelno, r.getMessage()) for r in caplog.records] == [
        (
            logging.WARNING,
            "no snapshot was written, a start takes longer: Redis is full",
        )
    ]
    store.failure, store.unsaved_count = None, 19
    snapshotting.look()
    assert not jobs.waiting
    store.unsaved_count = 20
    snapshotting.look()
    jobs.do()
    store.unsaved_count = 10
    snapshotting.look()
    jobs.do()
    assert store.written_count == 2


@pytest.mark.parametrize(("new_count", "written_count"), [(3, 0), (4, 1)])
def test_at_the_end_fewer_events_are_enough(
    store: Store, snapshotting: Snapshotting, new_count: int, written_count: int
) -> None:
    store.unsaved_count = new_count
    snapshotting.stop(1.0)
    assert store.written_count == written_count


def test_one_that_is_still_written_when_the_time_is_up_is_given_up(
    store: Store, jobs: Jobs, snapshotting: Snapshotting
) -> None:
    store.unsaved_count, jobs.is_done_at_the_end = 10, False
    snapshotting.look()
    snapshotting.stop(1.0)
    jobs.do()
    assert store.went_on == [False]
