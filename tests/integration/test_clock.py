"""A wall clock that is set under a running pair changes nothing that matters (S13, D6)."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from itertools import pairwise

import attrs
import pytest

from eventstore import EventId
from node.pair.client import PairClient
from node.roles import Role
from tests.support.clock_step import ClockStep, require_clock_step
from tests.support.processes import NodeProcess, PairProcesses
from tests.support.redis_servers import require_redis
from tests.support.waiting import wait_until

pytestmark = pytest.mark.redis

HOUR_S = 3600.0
LOOK_INTERVAL_S = 0.02
SILENCE_LIMIT_S = 2.2 + 0.2
"""Two intervals of one second, of which the second may be 20 % late; and a look."""
REGULAR_COUNT = 3
REGULAR_TOLERANCE_S = 0.12
"""Less than the 0.2 s by which the loop's own deadline is later than the job."""
REGULAR_LIMIT_S = 15.0
LATE = "the heartbeat job was late"


@attrs.frozen
class SteppedPair:
    """A pair of nodes with a wall clock each, with all times as they are by default."""

    processes: PairProcesses
    clocks: dict[Role, ClockStep]
    shifts_s: dict[Role, float] = attrs.field(factory=lambda: dict.fromkeys(Role, 0.0))

    def step(self, role: Role, by_s: float) -> None:
        """Set the clock of one node forward, or back."""
        self.shifts_s[role] += by_s
        self.clocks[role].set(self.shifts_s[role])

    def put(self) -> list[EventId]:
        """The event of a write to each node; both nodes know them on return."""
        ids = [
            EventId.parse(node.put(f"users/{node.role}", {"at": time.monotonic()}))
            for node in self.processes.nodes.values()
        ]
        self.processes.wait_until_equal()
        return ids

    def changes(self) -> list[object]:
        """When each node changed its state last."""
        return [node.status()["since"] for node in self.processes.nodes.values()]

    def late_count(self) -> int:
        """How often a node said that its heartbeat job was late."""
        return sum(node.log().count(LATE) for node in self.processes.nodes.values())


@pytest.fixture(scope="module")
def stepped_pair_of_module(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[SteppedPair]:
    require_redis()
    require_clock_step()
    clocks = {
        role: ClockStep(tmp_path_factory.mktemp(f"clock-{role}")) for role in Role
    }
    directory = tmp_path_factory.mktemp("stepped-pair")
    environments = {role: clock.environment for role, clock in clocks.items()}
    with PairProcesses(
        directory, supervision={}, environments=environments
    ) as processes:
        processes.start()
        yield SteppedPair(processes, clocks)


@pytest.fixture
def stepped_pair(stepped_pair_of_module: SteppedPair) -> SteppedPair:
    """Settled, as the test before left the clocks."""
    stepped_pair_of_module.processes.restore()
    return stepped_pair_of_module


class Listening:
    """Notes, while its block runs, how long ago a node says that it heard its peer."""

    def __init__(self, node: NodeProcess, token: str) -> None:
        self._client = PairClient(node.url, token, "listening")
        self._node = node
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.heard_s: list[float] = []
        """When it heard the peer, by the clock of the test; once for each heartbeat."""
        self.longest_s = 0.0
        """The longest silence that was seen."""

    def __enter__(self) -> Listening:
        self._thread.start()
        return self

    def __exit__(self, *details: object) -> None:
        self._ending.set()
        self._thread.join()
        self._client.close()

    def is_regular(self) -> bool:
        """Whether the last heartbeats came one second after the other."""
        gaps_s = [later - sooner for sooner, later in pairwise(self.heard_s)]
        last = gaps_s[-REGULAR_COUNT:]
        return len(last) == REGULAR_COUNT and all(
            abs(gap_s - 1.0) <= REGULAR_TOLERANCE_S for gap_s in last
        )

    def _run(self) -> None:
        while not self._ending.wait(LOOK_INTERVAL_S):
            peer = self._client.status().get("peer")
            if peer is None:
                continue
            ago_s = peer["heard_ago_s"]
            self.longest_s = max(self.longest_s, ago_s)
            heard_s = time.monotonic() - ago_s
            # The same heartbeat, seen again, is at the same instant but for the answer's way.
            if not self.heard_s or heard_s - self.heard_s[-1] > 0.3:
                self.heard_s.append(heard_s)


@pytest.mark.parametrize("by_s", [HOUR_S, -HOUR_S], ids=["forward", "back"])
@pytest.mark.parametrize(
    "roles",
    [[Role.MASTER], [Role.STANDBY], list(Role)],
    ids=["master", "standby", "both"],
)
def test_a_stepped_clock_causes_no_takeover_no_silence_and_no_older_ids(
    stepped_pair: SteppedPair, roles: list[Role], by_s: float
) -> None:
    pair = stepped_pair
    active = pair.processes.active()
    changes, late_count = pair.changes(), pair.late_count()
    before = pair.put()
    token = pair.processes.read_token
    with (
        Listening(pair.processes.master, token) as master,
        Listening(pair.processes.standby, token) as standby,
    ):
        wait_until(lambda: master.heard_s and standby.heard_s, 5.0, "heartbeats")
        for role in roles:
            pair.step(role, by_s)
        after = pair.put()
        for listening in (master, standby):
            listening.heard_s.clear()
        wait_until(
            lambda: master.is_regular() and standby.is_regular(),
            REGULAR_LIMIT_S,
            "a heartbeat each second both ways",
        )
        longest_s = max(master.longest_s, standby.longest_s)
    print(f"clock {by_s:+.0f} s at {roles}: longest silence {longest_s:.3f} s")
    assert longest_s <= SILENCE_LIMIT_S
    assert pair.changes() == changes, "a state changed"
    assert pair.processes.active() is active
    for sooner, later in zip(before, after, strict=True):
        assert later > sooner
        assert later.ms >= sooner.ms
    ahead_s = max(event_id.ms for event_id in after) / 1000 - time.time()
    assert ahead_s > HOUR_S / 2 or by_s < 0, "the clock was not stepped at all"
    # Set back, each job falls silent once, and the loop helps it up.
    assert pair.late_count() - late_count <= len(roles), "the job was late again"
