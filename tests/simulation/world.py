"""Two production cores on a virtual clock and a network in memory.

Instants are multiples of 1/64 s, so sums are exact and a test may ask for `==`. Stores are
only told here; `stored_node` has real ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from random import Random

from node.config import NodeConfig
from node.core import CloseConnection, Core, CoreEffect, Dial, Facts, SendBytes
from node.link_messages import Head
from node.link_protocol import Identity
from node.roles import Role, State
from node.situation import (
    AwaitHead,
    ChangeState,
    FreezeWrites,
    HeadReached,
    Observation,
    Report,
    RetireService,
    RunCallbacks,
    ServiceRetired,
    ThawWrites,
    WritesFrozen,
)
from tests.simulation.network import LATENCY_S, Agenda, Network

MASTER, STANDBY = Role.MASTER, Role.STANDBY
WORK_S = 1 / 16
"""How long a freeze, a replication or the callbacks take."""


def config_of(role: Role, **changes: object) -> NodeConfig:
    """A node's configuration; nobody ever listens on its addresses."""
    links = {MASTER: "127.0.0.1:7400", STANDBY: "127.0.0.1:7401"}
    stores = {MASTER: "redis://127.0.0.1/0", STANDBY: "redis://127.0.0.1/1"}
    fields: dict[str, object] = {
        "pair": "office",
        "role": role,
        "listen": links[role],
        "peer": links[role.other],
        "secret": "a secret of the pair",
        "redis_url": stores[role],
        "peer_redis_url": stores[role.other],
    }
    return NodeConfig(**(fields | changes))  # type: ignore[arg-type]


class Node:
    """One process: a core, and what its shells have done."""

    clock_rate = 1.0
    """How fast its monotonic clock runs."""

    def __init__(self, world: World, config: NodeConfig, instance: str) -> None:
        self.config = config
        self.role = config.role
        self.instance = instance
        self.frozen = self.serving = self.paused = self.dead = False
        self.calls = 0
        self.problems: dict[str, str] = {}
        self.redis_hangs = False
        """Whether a freeze waits for Redis, for ever."""
        self._world = world
        self._interval_s = config.heartbeat_interval_s
        self._unread: list[Callable[[], None]] = []
        self._due_s: float | None = None
        """The deadline for which a turn is on the agenda."""
        known = (config.secret, config.next_secret)
        self.core = Core(
            config,
            identity=Identity(
                pair=config.pair,
                role=config.role,
                instance=instance,
                version="1",
                event_format=1,
                secrets=tuple(secret for secret in known if secret),
            ),
            facts=self._facts,
            rng=Random(instance),
            now_s=self.now_s,
        )

    @property
    def now_s(self) -> float:
        """Its monotonic clock."""
        return self._world.now_s * self.clock_rate

    def tick(self) -> None:
        if self.dead:
            return
        if not self.paused:
            self.do(lambda: self.core.tick(self.now_s))
        self._world.later(self._interval_s / self.clock_rate, self.tick)

    def resume(self, *, tick_first: bool) -> None:
        self.paused = False
        unread, self._unread = self._unread, []
        if tick_first:
            self.do(lambda: self.core.tick(self.now_s))
        for work in unread:
            self.when_running(work)

    def when_running(self, work: Callable[[], None]) -> None:
        """Do `work` now, or when the process runs again, or never."""
        if self.dead:
            return
        if self.paused:
            self._unread.append(work)
        else:
            work()

    def do(self, work: Callable[[], None]) -> None:
        """Let something reach the loop, now or when it runs again."""
        self.when_running(lambda: self._do(work))

    def _do(self, work: Callable[[], None]) -> None:
        work()
        self.carry_out()
        due_s = self.core.deadline_s
        if due_s is not None and due_s != self._due_s:
            self._due_s = due_s
            wait_s = max(LATENCY_S, (due_s - self.now_s) / self.clock_rate)
            self._world.later(wait_s, lambda: self._turn(due_s))

    def carry_out(self) -> None:
        for effect in self.core.take_effects():
            self._world.on_effect(self, effect, partial(self._carry_out, effect))
        self._world.check()

    # What the network brings.

    def opened(self, number: int, *, dialled: bool) -> None:
        self.do(
            lambda: self.core.connection_opened(
                number, dialled=dialled, now_s=self.now_s
            )
        )

    def received(self, number: int, data: bytes) -> None:
        self.do(lambda: self.core.data_received(number, data, self.now_s))

    def closed(self, number: int) -> None:
        self.do(lambda: self.core.connection_closed(number, self.now_s))

    def dial_failed(self, *, refused: bool) -> None:
        self.do(lambda: self.core.dial_failed(self.now_s, refused=refused))

    def _turn(self, due_s: float) -> None:
        if self._due_s == due_s:
            self._due_s = None
        if self.core.deadline_s == due_s and not self.paused:
            self.do(lambda: self.core.turn(self.now_s))

    def _carry_out(self, effect: CoreEffect) -> None:
        match effect:
            case SendBytes(connection, data):
                self._world.network.send(self, connection, data)
            case CloseConnection(connection):
                self._world.network.close(self, connection)
            case Dial():
                self._world.network.dial(self)
            case ChangeState(state, _, rule):
                change = self._world.now_s, self.role, state, rule
                self._world.changes.append(change)
            case RunCallbacks(state):
                self.serving = state is State.ACTIVE
            case Report():
                self._world.reports.append(effect)
            case _:
                self._tell_shells(effect)

    def _tell_shells(self, effect: CoreEffect) -> None:
        match effect:
            case FreezeWrites(switch):
                self.frozen = True
                if not self.redis_hangs:
                    self._observe_later(WritesFrozen(switch, "5-1"))
            case ThawWrites():
                self.frozen = False
            case RetireService(switch):
                self.serving = False
                self._observe_later(ServiceRetired(switch))
            case AwaitHead(switch):
                self._observe_later(HeadReached(switch))
            case _:
                pass  # Notes, and what replication would do.

    def _observe_later(self, seen: Observation) -> None:
        def observe() -> None:
            self.core.observe(seen, self.now_s)

        self._world.later(WORK_S, lambda: self.do(observe))

    def _facts(self) -> Facts:
        return Facts(
            heads={"master": Head("5-1", "ab"), "standby": Head("0-0", "cd")},
            digest="ef",
            entry_count=1,
            fold_version=1,
            problems=self.problems,
            ready=not self.problems,
            replicating=True,
            replication_revision=0,
            replication_enabled=True,
            pause_revision=0,
            paused=False,
            pause_left_ms=0,
            pause_text="",
            calls=self.calls,
        )


class World(Agenda):
    """Both nodes, the network between them, and everything that happened."""

    def __init__(self) -> None:
        super().__init__()
        self.network = Network(self)
        self.nodes: dict[Role, Node] = {}
        self.changes: list[tuple[float, Role, State, str]] = []
        self.reports: list[Report] = []
        self.on_effect: Callable[[Node, CoreEffect, Callable[[], None]], None] = (
            lambda _node, _effect, carry_out: carry_out()
        )
        """Is told of each effect, and lets it be carried out."""
        self.both_active_s: list[float] = []
        self.began_s = 0.0
        """When `settled` handed the pair over to the test."""
        self._instances = dict.fromkeys(Role, 0)
        self._order_count = 0

    def start(
        self, role: Role, *, prepares_s: float = 0.0, **configured: object
    ) -> None:
        """Start a process, or start it again: then as a new instance."""
        self._instances[role] += 1
        instance = f"{role}-{self._instances[role]}"
        node = Node(self, config_of(role, **configured), instance)
        self.nodes[role] = self.network.listening[role] = node
        if prepares_s:
            self.later(prepares_s, node.tick)
        else:
            node.tick()

    def crash(self, role: Role) -> None:
        """`kill -9`: its connections end, and nobody listens any more."""
        self.nodes[role].dead = True
        self.network.reset(by=self.nodes[role])

    def stop(self, role: Role) -> None:
        """An orderly stop."""
        node = self.nodes[role]
        node.core.stop()
        node.carry_out()
        node.dead = True

    def pause(self, role: Role) -> None:
        """`kill -STOP`."""
        self.nodes[role].paused = True

    def resume(self, role: Role, *, tick_first: bool = False) -> None:
        """`kill -CONT`; the tick that is due comes before or behind what is unread."""
        self.nodes[role].resume(tick_first=tick_first)

    def order(
        self, *, idle_s: float | None = None, at: Role = MASTER
    ) -> tuple[str, ...]:
        """An operator orders a switch; returns the reasons against it."""
        reasons: list[str] = []
        self._order_count += 1

        def order() -> None:
            core = self.nodes[at].core
            reasons[:] = core.order_switch(
                switch_id=f"switch-{self._order_count}",
                actor="jane",
                reason="maintenance",
                now_s=self.nodes[at].now_s,
                idle_s=idle_s,
            )

        self.nodes[at].do(order)
        return tuple(reasons)

    @property
    def active(self) -> set[Role]:
        """Who is active among the living."""
        living = [node for node in self.nodes.values() if not node.dead]
        return {node.role for node in living if node.core.state is State.ACTIVE}

    def check(self) -> None:
        if len(self.active) == 2:
            self.both_active_s.append(self.now_s)

    def state_changes(self, since_s: float = 0.0) -> Iterator[tuple[Role, State, str]]:
        """Role, state and rule of each change."""
        return ((r, s, rule) for at_s, r, s, rule in self.changes if at_s >= since_s)


def settled(active: Role) -> World:
    """A pair that runs, with `active` active."""
    world = World()
    world.start(active)
    if active is STANDBY:
        world.run(5.0)
    world.start(active.other)
    world.run(7.25)
    assert world.active == {active}
    world.began_s = world.now_s
    return world
