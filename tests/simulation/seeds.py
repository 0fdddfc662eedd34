"""One seed: a pair that fails in every way for a minute, is mended, and must be well."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Iterator
from functools import partial
from random import Random

import attrs

from eventstore import Kind, Put
from node.roles import Role
from tests.simulation.checks import check_histories, differences
from tests.simulation.faults import Faults, set_replication
from tests.simulation.pair_world import ORIGINS, PairWorld, logged
from tests.simulation.stored_node import StoredNode
from tests.simulation.workload import Outcome, Workload

FAULTS_S = 60.0
REST_WITHIN_S = 40.0
"""Within this the pair must have come to rest after everything was mended."""
QUIET_S = 3.0
LOOK_EACH_S = 0.5


def _told(node: StoredNode) -> str:
    """What a node says is wrong."""
    progress = node.following.progress
    return node.why_ended or node.store.hindrance or progress.problem or ""


@attrs.frozen
class Result:
    """What came of one seed; can be sent to another process."""

    seed: int
    problems: tuple[str, ...]
    trace: tuple[tuple[float, str], ...]
    counts: Counter[str]
    simulated_s: float


def run_seed(seed: int) -> Result:
    """Simulate it; the same seed gives the same trace."""
    world = PairWorld(seed)
    run = _Run(world)
    with logged(world):
        try:
            problems = tuple(run.problems())
        except Exception as error:  # noqa: BLE001 whatever it is, it is a finding
            text = "".join(traceback.format_exception(error, limit=-8))
            problems = (f"at {world.now_s:.2f}: {text}",)
    return Result(seed, problems, tuple(world.trace), run.counted(), world.now_s)


class _Run:
    """The phases of a seed."""

    def __init__(self, world: PairWorld) -> None:
        self._world = world
        seeds = world.rng
        self._workload = Workload(world, Random(seeds.random()))
        self._faults = Faults(world, Random(seeds.random()))

    def problems(self) -> Iterator[str]:
        """What was found; nothing: all is well."""
        self._let_fail()
        yield from self._world.failures
        if self._world.failures:
            return
        self._mend()
        yield from self._come_to_rest()

    def counted(self) -> Counter[str]:
        world, counts = self._world, self._world.counts
        for _, role, state, rule in world.changes:
            counts[f"{role} became {state} by {rule}"] += 1
        for report in world.reports:
            counts[f"switch {report.outcome}"] += 1
        for write in self._workload.writes:
            counts[f"write {write.outcome}"] += 1
        for node in world.nodes.values():
            counts["conflicts"] += node.store.snapshot.conflict_count
        counts["events"] = sum(
            len(world.stored(Role.MASTER, origin)) for origin in ORIGINS
        )
        for event in world.events(Role.MASTER):
            if event.kind == Kind.STREAM_RECOVERED and isinstance(event.value, dict):
                counts["recoveries"] += 1
                for name in ("taken", "kept", "anew"):
                    counts[f"events {name} by recovery"] += int(str(event.value[name]))
        counts["events lost by Redis"] = world.ledger.lost_count
        counts["events lost for good"] = len(world.ledger.lost)
        return counts

    def _let_fail(self) -> None:
        world = self._world
        for role in Role:
            world.later(world.rng.uniform(0.0, 3.0), partial(world.launch, role))
        world.run(3.0)
        self._workload.start()
        self._faults.start()
        world.run(FAULTS_S)

    def _mend(self) -> None:
        self._world.note("everything is mended")
        self._workload.stop()
        self._faults.mend()
        self._world.later(5.0, self._replicate_again)
        self._world.later(3.0, self._do_as_told)

    def _do_as_told(self) -> None:
        """An operator looks at each node, and follows what it says."""
        for role, node in self._world.nodes.items():
            self._world.do_as_told(_told(node), role)
        self._world.later(3.0, self._do_as_told)

    def _replicate_again(self) -> None:
        """An operator switches replication on, until it is on both nodes."""
        nodes = self._world.nodes.values()
        if not all(node.shells.replication.current.enabled for node in nodes):
            set_replication(self._world.nodes[Role.MASTER], True)
            self._world.later(3.0, self._replicate_again)

    def _come_to_rest(self) -> Iterator[str]:
        yield from self._rest("after everything was mended", REST_WITHIN_S)
        writes = [
            self._workload.write(role, [Put(f"at-the-end/{role}", "written")])
            for role in Role
        ]
        yield from self._rest("after a last write", 5.0)
        for write in writes:
            if write.outcome is not Outcome.ACKNOWLEDGED:
                yield f"the {write.role} does not take changes: {write.outcome}"
        yield from self._become_quiet()
        yield from self._world.failures
        yield from check_histories(self._world, self._workload)

    def _rest(self, when: str, limit_s: float) -> Iterator[str]:
        world = self._world
        ends_s = world.now_s + limit_s
        world.run(LOOK_EACH_S)
        while found := list(differences(world)):
            if world.now_s >= ends_s:
                yield from (f"{limit_s:g} s {when}: {text}" for text in found)
                return
            world.run(LOOK_EACH_S)

    def _become_quiet(self) -> Iterator[str]:
        """Who gave way to the other tells of it once it has all that the other wrote."""
        ends_s = self._world.now_s + REST_WITHIN_S
        while (found := list(self._be_quiet())) and self._world.now_s < ends_s:
            pass
        yield from found

    def _be_quiet(self) -> Iterator[str]:
        """Nothing goes on but heartbeats: one per second and node."""
        world, network = self._world, self._world.network
        heads = [n.store.snapshot.vector for n in world.nodes.values()]
        dials, sent = network.dial_count, network.sent_count
        changes = len(world.changes)
        world.run(QUIET_S)
        if network.dial_count != dials:
            yield "they still dial each other"
        if network.sent_count - sent > 2 * (QUIET_S + 1):
            yield f"{network.sent_count - sent} frames in {QUIET_S:g} s of rest"
        if heads != [n.store.snapshot.vector for n in world.nodes.values()]:
            yield "something is still being written"
        if len(world.changes) != changes:
            yield "states still change"
