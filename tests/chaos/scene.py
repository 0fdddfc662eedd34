"""The pair that is broken, with everything that is needed to break and to mend it."""

from __future__ import annotations

import contextlib
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from random import Random

import attrs

from eventstore import Origin
from node.roles import Role
from tests.chaos import redis_data
from tests.chaos.busy_service import BusyCount
from tests.chaos.journal import Takeover, Window
from tests.chaos.network import Network
from tests.chaos.verdict import Destroyed
from tests.chaos.watching import Watching
from tests.support.clock_step import ClockStep
from tests.support.processes import NodeProcess, PairProcesses

SETTLED_LIMIT_S = 60.0
HAND_OVER_PAUSE_S = 60.0
"""A node does not hand over for its own sickness twice within this time (S15)."""
OUR_DOING = (None, 0, -signal.SIGKILL)
"""Exit codes of a node that runs, was stopped or was killed."""

Say = Callable[[str], None]


class ChaosFailed(Exception):
    """The pair is in a state in which going on would prove nothing."""


@attrs.define
class Scene:
    """What faults act on. Breaking is theirs; mending is the same after each: `heal`."""

    pair: PairProcesses
    network: Network
    chance: Random
    say: Say
    directory: Path
    clocks: Mapping[Role, ClockStep]
    """Empty where the clock of a process cannot be set."""
    busy: BusyCount
    """How many threads compute in a node that is the busy service."""
    has_disks: bool
    """Whether each Redis has a small disk of its own."""
    watching: Watching
    windows: list[Window] = attrs.field(factory=list)
    destroyed: list[Destroyed] = attrs.field(factory=list)
    problems: list[str] = attrs.field(factory=list)
    _handed_over_s: dict[Role, float] = attrs.field(factory=dict)
    """When the last fault began for which a node had to hand over."""

    def problem(self, what: str) -> None:
        """Something is wrong with the pair; the run goes on, and fails."""
        self.problems.append(what)
        self.say(f"  WRONG: {what}")

    def active(self) -> NodeProcess:
        return self.pair.active()

    def passive(self) -> NodeProcess:
        return self.pair.other(self.pair.active())

    def either(self) -> NodeProcess:
        """A node by chance."""
        return self.pair.nodes[self.chance.choice(list(Role))]

    def name(self, node: NodeProcess) -> str:
        """For people: role and state."""
        state = "active" if node is self.active() else "passive"
        return f"the {state} {node.role}"

    def last(self, least_s: float, most_s: float) -> float:
        """Let it last for a time by chance, and return how long, in seconds."""
        length_s = self.chance.uniform(least_s, most_s)
        wait(length_s)
        return length_s

    def hand_over_expected(self, node: NodeProcess) -> Takeover:
        """Whether the other node has to take over, if the active `node` is sick now."""
        now_s = time.monotonic()
        last_s = self._handed_over_s.get(node.role, -math.inf)
        if now_s - last_s < HAND_OVER_PAUSE_S + SETTLED_LIMIT_S:
            return Takeover.MAY
        self._handed_over_s[node.role] = now_s
        return Takeover.MUST

    @contextlib.contextmanager
    def fault(
        self,
        kind: str,
        what: str,
        takeover: Takeover,
        *,
        taken_from: NodeProcess | None,
    ) -> Iterator[None]:
        """The time from just before a fault, over its healing, until all is settled.

        Args:
            kind: under what it is counted.
            what: what happens now, for people.
            takeover: whether a node may become active.
            taken_from: the node that is active, if the other one can take over.
        """
        for node in self.pair.nodes.values():
            # The pair may be settled before the nodes have told each other so.
            node.wait_until(lambda n: n.is_ready, "readiness")
        taker = None if taken_from is None else self.pair.other(taken_from).role
        window = Window(kind, time.monotonic(), takeover, taker)
        self.windows.append(window)
        self.say(what)
        try:
            yield
        finally:
            self.heal()
        healed_s = time.monotonic()
        self._await_settled()
        window.ended_s = time.monotonic()
        taken = [
            f"{a.role} active after {a.at_s - window.began_s:.2f} s, "
            for a in self.watching.activations_since(window.began_s)
        ]
        self.say(
            f"  {''.join(taken)}mended after {healed_s - window.began_s:.1f} s, "
            f"settled {window.ended_s - healed_s:.1f} s later"
        )

    def heal(self) -> None:
        """Undo whatever was done, without waiting for the pair."""
        self.network.heal()
        self.busy.set(0)
        for clock in self.clocks.values():
            clock.set(0.0)
        for server in self.pair.redis.values():
            redis_data.free_disk(server.directory)
            server.resume()
            server.start()
            server.set_config("maxmemory", "0")
        for node in self.pair.nodes.values():
            node.resume()
            if node.process.exit_code not in OUR_DOING:
                self.problem(f"{node} ended by itself {node.process.ending}")
            node.start()

    def destroy_redis(self, node: NodeProcess) -> None:
        """Kill a node's Redis, and note that what only it has is gone for good."""
        self.pair.redis[node.role].kill()
        copy = self.pair.redis[self.pair.other(node).role]
        origin = Origin(node.role)
        kept = redis_data.head_of(copy, origin)
        self.destroyed.append(Destroyed(origin, kept, time.monotonic()))

    def _await_settled(self) -> None:
        try:
            self.pair.wait_until_settled(SETTLED_LIMIT_S)
        except AssertionError as error:
            raise ChaosFailed(f"the pair did not settle: {error}") from None
        self.watching.catch_up()


def wait(length_s: float) -> None:
    """Let time pass; Ctrl-C ends it."""
    assert math.isfinite(length_s)
    threading.Event().wait(length_s)
