"""What the shells hand to the thread that waits for Redis, and how often."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import attrs
import pytest

from eventstore import FORMAT_VERSION, EventId, Replicator
from node.core import PeerWrites
from node.link_messages import Head, Heartbeat
from node.service import Counts
from node.shells import Shells
from tests.contracts.nodes import Node
from tests.contracts.test_resyncing import Clock as StillClock
from tests.support.http_client import http_config
from tests.support.links import HEARTBEAT


class Jobs:
    """Jobs that wait until a test does them, as behind a Redis that hangs."""

    count_max = 10

    def __init__(self) -> None:
        self.waiting: list[Callable[[], object]] = []

    def start(self) -> None:
        pass

    def submit(self, job: Callable[[], object]) -> bool:
        if len(self.waiting) >= self.count_max:
            return False
        self.waiting.append(job)
        return True

    def stop(self, limit_s: float) -> None:
        pass

    def do(self) -> None:
        while self.waiting:
            self.waiting.pop(0)()


class Asked:
    """Instead of a replicator: up to where it was told to read."""

    def __init__(self) -> None:
        self.wanted: list[EventId] = []

    def set_enabled(self, enabled: bool, *, problem: str | None) -> None:
        """Whatever is said, nothing is read."""

    def read_up_to(self, wanted: EventId) -> None:
        self.wanted.append(wanted)


@pytest.fixture
def jobs() -> Jobs:
    return Jobs()


@pytest.fixture
def asked() -> Asked:
    return Asked()


@pytest.fixture
def shells(master: Node, jobs: Jobs, asked: Asked) -> Shells:
    def nothing(*_: Any) -> None:
        """Nobody listens."""

    return Shells(
        http_config(),
        store=master.store,
        replicator=cast(Replicator, asked),
        clock=StillClock(),
        instance="m",
        counts=Counts(),
        observe=nothing,
        announce=nothing,
        tell=nothing,
        report=nothing,
        new_jobs=lambda _name: jobs,
    )


def heard(head: Head, read_up_to: str = "0-0") -> Heartbeat:
    """A heartbeat that names the end of the peer's copy, and no news of settings."""
    return attrs.evolve(
        HEARTBEAT,
        heads={"master": head},
        read_up_to=read_up_to,
        replication_revision=0,
        replication_enabled=True,
        pause_revision=0,
        paused=False,
    )


def test_only_one_comparison_with_the_peers_copy_waits_for_redis(
    shells: Shells, jobs: Jobs, master: Node
) -> None:
    event = master.put("users/a", 1)
    master.put("users/a", 2)
    there = Head(str(event.id), event.digest.hex())
    for _ in range(5):
        shells.peer_spoke(heard(there))
    assert len(jobs.waiting) == 1
    jobs.do()
    assert master.store.hindrance is None
    lost = Head("9000000000000-9", "ab" * 32)
    for _ in range(2):
        shells.peer_spoke(heard(lost))
        jobs.do()
        assert master.store.hindrance is not None, "a later one is looked at again"


def test_what_finds_too_much_waiting_for_redis_is_done_with_a_later_heartbeat(
    shells: Shells, jobs: Jobs, asked: Asked, master: Node
) -> None:
    lost = Head("9000000000000-9", "ab" * 32)
    spoken = heard(lost, "5-1")
    shells.peer_writes(PeerWrites(FORMAT_VERSION))
    jobs.do()
    jobs.count_max = 0
    shells.peer_spoke(spoken)
    jobs.count_max = 10
    shells.peer_spoke(spoken)
    jobs.do()
    assert asked.wanted == [EventId(5, 1)]
    assert master.store.hindrance is not None
