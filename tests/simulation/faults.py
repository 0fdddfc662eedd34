"""Everything that may fail, and how it is mended."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from random import Random

import attrs

from eventstore import EventStoreError
from node.roles import Role, State
from tests.simulation.pair_world import PairWorld
from tests.simulation.redis_in_memory import Content
from tests.simulation.stored_node import StoredNode

MEAN_GAP_S = 10.0
"""Between two faults."""
CLOCK_STEP_S = 2 * 3600.0
SWITCH_GAP_S = 15.0
RESENT_AFTER_S = 0.2
RESENT_COUNT_MAX = 4
SNAPSHOT_EACH_S = 1.0
"""As `appendfsync everysec`: what a machine that loses power may forget."""
SNAPSHOT_COUNT = 30


@attrs.frozen
class Fault:
    """Something that may fail."""

    name: str
    begin: Callable[[], None]
    weight: float = 1.0


class Faults:
    """Lets things fail at random moments, also several at once, until `mend`."""

    def __init__(self, world: PairWorld, rng: Random) -> None:
        self._world = world
        self._rng = rng
        self._going_on = True
        self._snapshots: dict[Role, deque[Content]] = {
            role: deque(maxlen=SNAPSHOT_COUNT) for role in Role
        }
        self._table = [
            Fault("connections reset", self._reset),
            Fault("connections crossing", self._cross),
            Fault("dialled twice", self._dial_twice),
            Fault("half-open connections", self._half_open),
            Fault("cut", self._cut),
            Fault("cut one way", self._cut_one_way),
            Fault("jam", self._jam),
            Fault("delay", self._delay),
            Fault("packets dropped", self._drop),
            Fault("pause", self._pause, 2.0),
            Fault("kill", self._kill),
            Fault("kill at a point", self._kill_at_a_point, 2.0),
            Fault("orderly stop", self._stop),
            Fault("machine down", self._machine_down),
            Fault("Redis gone", self._redis_gone),
            Fault("Redis stopped", self._redis_stopped),
            Fault("Redis slow", self._redis_slow),
            Fault("answers lost", self._answers_lost),
            Fault("commands come twice", self._commands_twice),
            Fault("wall clock step", self._step_clock),
            Fault("replication off", self._replication_off),
            Fault("Redis emptied", self._redis_emptied),
            Fault("Redis rolled back", self._redis_rolled_back, 2.0),
            Fault("rolled back, unknown to all", self._rolled_back_unknown, 2.0),
            Fault("power cut", self._power_cut),
            Fault("archived", self._archive, 3.0),
        ]

    def start(self) -> None:
        """Begin, on a network and clocks of random quality."""
        world, rng = self._world, self._rng
        world.network.unacknowledged_limit_s = rng.choice([None, 3.0])
        world.clock_rate[Role.STANDBY] = 1.0 + rng.choice([0.0, 0.0002, -0.0002, 0.01])
        for place in world.redis.values():
            place.slow_share, place.slow_max_s = 0.05, 0.1
        if rng.random() < 0.25:
            # Ids stand still then: what is written in ignorance gets the ids of the lost.
            for role in Role:
                world.wall_step_s[role] = -CLOCK_STEP_S
        world.later(rng.expovariate(1 / MEAN_GAP_S), self._next)
        world.later(rng.expovariate(1 / SWITCH_GAP_S), self._order_now_and_then)
        self._take_snapshots()

    def mend(self) -> None:
        """End every fault, and run what does not."""
        world = self._world
        self._going_on = False
        world.network.delay_s = lambda: 0.0
        world.network.heal()
        for role, place in world.redis.items():
            place.is_gone = False
            place.unanswered_share = place.slow_share = place.repeated_share = 0.0
            if place.is_stopped:
                place.go_on()
            node = world.nodes[role]
            node.points_left = None
            node.calls = 0
            if node.paused:
                node.resume(tick_first=True)
            world.launch_if_gone(node)
        world.disturbances = 0
        world.calm_since_s = world.now_s

    # When.

    def _next(self) -> None:
        if not self._going_on:
            return
        weights = [fault.weight for fault in self._table]
        fault = self._rng.choices(self._table, weights)[0]
        if self._rng.random() < 0.3:
            # A switch has many steps; so a fault meets each of them now and then.
            self._order()
            self._later(self._rng.uniform(0.0, 0.8), lambda: self._begin(fault))
        else:
            self._begin(fault)
        self._world.later(self._rng.expovariate(1 / MEAN_GAP_S), self._next)

    def _begin(self, fault: Fault) -> None:
        self._world.counts[f"fault: {fault.name}"] += 1
        self._world.note(f"fault: {fault.name}")
        fault.begin()

    def _later(self, wait_s: float, work: Callable[[], None]) -> None:
        """Do `work` unless all is mended by then."""
        self._world.later(wait_s, lambda: work() if self._going_on else None)

    def _some_s(self, least_s: float, most_s: float) -> float:
        """A duration; short ones are as likely as long ones."""
        return float(least_s * (most_s / least_s) ** self._rng.random())

    def _role(self) -> Role:
        return self._rng.choice(list(Role))

    def _running(self) -> StoredNode | None:
        node = self._world.nodes[self._role()]
        return None if node.dead or node.paused else node

    def _disturb(self, duration_s: float, end: Callable[[], None]) -> None:
        """A fault that may have two active nodes as a consequence."""
        self._world.begin_disturbance()

        def ended() -> None:
            self._world.end_disturbance()
            end()

        self._later(duration_s, ended)

    # The network.

    def _reset(self) -> None:
        self._world.network.reset()

    def _cross(self) -> None:
        self._world.network.cross(self._some_s(0.05, 3.0))

    def _dial_twice(self) -> None:
        node = self._running()
        if node is not None:
            self._world.network.dial(node)

    def _half_open(self) -> None:
        self._world.network.forget(self._role())

    def _cut(self) -> None:
        self._world.network.silence(*Role)
        self._disturb(self._some_s(0.5, 20.0), self._world.network.heal)

    def _cut_one_way(self) -> None:
        self._world.network.silence(self._role())
        self._disturb(self._some_s(0.5, 20.0), self._world.network.heal)

    def _jam(self) -> None:
        """Nothing arrives for a while, and then everything at once."""
        self._world.network.silence(*Role)
        self._disturb(self._some_s(0.2, 2.5), self._world.network.heal)

    def _delay(self) -> None:
        most_s = self._some_s(0.1, 2.0)
        self._slow_down(lambda: self._rng.random() * most_s)

    def _drop(self) -> None:
        """TCP sends again what was lost, later each time; what follows waits behind it."""
        share = self._rng.choice([0.1, 0.3, 0.5])

        def delay_s() -> float:
            lost_count = 0
            while lost_count < RESENT_COUNT_MAX and self._rng.random() < share:
                lost_count += 1
            return RESENT_AFTER_S * float(2**lost_count - 1)

        self._slow_down(delay_s)

    def _slow_down(self, delay_s: Callable[[], float]) -> None:
        network = self._world.network
        network.delay_s = delay_s

        def end() -> None:
            network.delay_s = lambda: 0.0

        self._disturb(self._some_s(2.0, 15.0), end)

    # Processes.

    def _pause(self) -> None:
        node = self._running()
        if node is None:
            return
        node.paused = True

        def end() -> None:
            if node.paused:
                node.resume(tick_first=self._rng.random() < 0.5)

        # A passive node that stood still must not judge by that (S13).
        active = node.core.state is State.ACTIVE
        later = self._disturb if active else self._later
        later(self._some_s(0.5, 30.0), end)

    def _kill(self) -> None:
        node = self._running()
        if node is not None:
            self._world.kill(node)
            self._start_again(node)

    def _kill_at_a_point(self) -> None:
        node = self._running()
        if node is None:
            return
        node.points_left = self._rng.randint(1, 80)
        self._start_again(node, least_s=4.0)

    def _stop(self) -> None:
        node = self._running()
        if node is not None:
            self._world.end(node.role)
            self._start_again(node)

    def _start_again(self, node: StoredNode, least_s: float = 0.02) -> None:
        def start() -> None:
            if node.dead:
                self._world.launch_if_gone(node)
            else:
                self._later(1.0, start)

        self._later(self._some_s(least_s, 15.0), start)

    # Redis.

    def _redis_gone(self) -> None:
        self._leave(self._role(), self._some_s(0.5, 15.0), lambda: None)

    def _leave(
        self, role: Role, duration_s: float, meanwhile: Callable[[], None]
    ) -> None:
        """Redis ends, and is started again."""
        place = self._world.redis[role]
        place.is_gone = True
        meanwhile()

        def end() -> None:
            place.is_gone = False

        self._later(duration_s, end)

    def _machine_down(self) -> None:
        node = self._running()
        if node is None:
            return
        self._world.kill(node)
        self._leave(node.role, self._some_s(1.0, 15.0), lambda: None)
        self._start_again(node)

    def _redis_stopped(self) -> None:
        place = self._world.redis[self._role()]
        place.is_stopped = True

        def end() -> None:
            if place.is_stopped:
                place.go_on()

        self._later(self._some_s(0.5, 15.0), end)

    def _redis_slow(self) -> None:
        place = self._world.redis[self._role()]
        before = place.slow_share, place.slow_max_s
        place.slow_share, place.slow_max_s = 0.5, self._some_s(0.1, 3.0)

        def end() -> None:
            place.slow_share, place.slow_max_s = before

        self._later(self._some_s(2.0, 10.0), end)

    def _commands_twice(self) -> None:
        """Whoever got no answer sends again; both arrive."""
        place = self._world.redis[self._role()]
        place.repeated_share = 0.3

        def end() -> None:
            place.repeated_share = 0.0

        self._later(self._some_s(2.0, 10.0), end)

    def _answers_lost(self) -> None:
        place = self._world.redis[self._role()]
        place.unanswered_share = self._rng.choice([0.2, 0.6])

        def end() -> None:
            place.unanswered_share = 0.0

        self._later(self._some_s(2.0, 10.0), end)

    def _take_snapshots(self) -> None:
        for role, place in self._world.redis.items():
            self._snapshots[role].append(place.memory.content())
        self._later(SNAPSHOT_EACH_S, self._take_snapshots)

    def _redis_emptied(self) -> None:
        self._lose(self._role(), {})

    def _redis_rolled_back(self) -> None:
        role = self._role()
        self._lose(role, self._rng.choice(self._snapshots[role]))

    def _lose(self, role: Role, content: Content) -> None:
        """Redis comes back from another file, with or without its node."""
        node, restarted = self._world.nodes[role], self._rng.random() < 0.5
        if restarted and not node.dead:
            self._world.kill(node)
            self._start_again(node)
        self._leave(
            role,
            self._some_s(0.05, 10.0),
            lambda: self._world.lose_data(role, content),
        )

    def _rolled_back_unknown(self) -> None:
        """A machine starts from an old file while its peer cannot tell it so.

        What is written there meanwhile forks from what was lost, the more so when the clock
        is as old as the file.
        """
        role, rng = self._role(), self._rng
        node = self._world.nodes[role]
        self._world.network.silence(*Role)
        self._disturb(self._some_s(3.0, 20.0), self._world.network.heal)
        if not node.dead:
            self._world.kill(node)
            self._later(
                self._some_s(0.02, 2.0), lambda: self._world.launch_if_gone(node)
            )
        if rng.random() < 0.5:
            self._world.wall_step_s[role] -= rng.uniform(0.0, CLOCK_STEP_S)
        self._world.lose_data(role, rng.choice([{}, *self._snapshots[role]]))

    def _power_cut(self) -> None:
        """One machine, or both: what was not on disk yet is gone."""
        for role in self._rng.choice([[Role.MASTER], [Role.STANDBY], list(Role)]):
            node = self._world.nodes[role]
            if not node.dead:
                self._world.kill(node)
            newest = self._snapshots[role][-1]
            self._leave(
                role,
                self._some_s(0.5, 10.0),
                partial(self._world.lose_data, role, newest),
            )
            self._start_again(node)

    # Clocks and operators.

    def _step_clock(self) -> None:
        step_s = self._rng.uniform(-CLOCK_STEP_S, CLOCK_STEP_S)
        self._world.wall_step_s[self._role()] = step_s

    def _replication_off(self) -> None:
        self._set_replication(False)
        self._later(self._some_s(2.0, 10.0), lambda: self._set_replication(True))

    def _set_replication(self, enabled: bool) -> None:
        node = self._running()
        if node is not None:
            set_replication(node, enabled)

    def _archive(self) -> None:
        """An operator archives up to any event, by its id's time."""
        events = self._world.events(Role.MASTER)
        if events:
            self._world.archive((self._rng.choice(events).id.ms + 1) * 1_000_000)

    def _order_now_and_then(self) -> None:
        if self._going_on:
            self._order()
            wait_s = self._rng.expovariate(1 / SWITCH_GAP_S)
            self._world.later(wait_s, self._order_now_and_then)

    def _order(self) -> None:
        """An operator orders a switch, if the master takes orders."""
        node = self._world.nodes[Role.MASTER]
        for other in self._world.nodes.values():
            other.calls = self._rng.choice([0, 0, 1])
        if not (node.dead or node.paused):
            idle_s = self._rng.choice([None, 10.0])
            refused = self._world.order(idle_s=idle_s)
            self._world.counts["switch refused" if refused else "switch ordered"] += 1
            self._world.note(f"switch ordered, idle_s={idle_s}: {refused or 'taken'}")


def set_replication(node: StoredNode, enabled: bool) -> None:
    """An operator's order at `node`; it may fail."""

    def order() -> None:
        try:
            node.shells.set_replication(enabled, actor="jane", reason="an update")
        except EventStoreError as error:
            node.world.note(f"{node.role}: replication order failed: {error}")

    node.submit(order)
