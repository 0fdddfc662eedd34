"""A whole pair with its two Redis servers, of which everything can fail, from one seed."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from random import Random
from typing import cast

from redis import Redis

from eventstore import START, Event, EventId, EventStoreError, Origin, Streams, codec
from eventstore.archived import Archived
from eventstore.archiving import Archiving
from eventstore.memory import Head, Stored
from node.roles import Role, State
from node.situation import ChangeState
from tests.simulation.failing_redis import SimulatedRedis, stored
from tests.simulation.ledger import Identity, Ledger, identities
from tests.simulation.redis_in_memory import Content, Entries
from tests.simulation.stored_node import RESTART_S, StoredNode
from tests.simulation.world import World, config_of
from tests.support.archive_files import Files
from tests.support.histories import PAIR

ORIGINS = tuple(Origin(role.value) for role in Role)

NS = 1_000_000_000
EPOCH_NS = 1_767_225_600 * NS
CALM_AFTER_S = 8.0
"""How long the effects of a disturbance may last: two active nodes have no cause then."""


class PairWorld(World):
    """Both nodes, their stores, and a trace of what happened."""

    nodes: dict[Role, StoredNode]  # type: ignore[assignment]

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.rng = Random(seed)
        self.counts: Counter[str] = Counter()
        self.trace: list[tuple[float, str]] = []
        self.failures: list[str] = []
        """What must not happen and did, noticed on the way."""
        self.clock_rate = dict.fromkeys(Role, 1.0)
        self.wall_step_s = dict.fromkeys(Role, 0.0)
        """What the wall clock of a machine is ahead of the true time."""
        self.restarts = dict.fromkeys(Role, 0)
        """Processes that ended, in any way."""
        self.redis = {
            role: SimulatedRedis(self, self.rng, f"Redis of {role}") for role in Role
        }
        for role in Role:
            self.redis[role].on_grown = partial(self._wake, role.other)
            self.redis[role].memory.on_replaced = self._check_archived
            self.redis[role].memory.on_trimmed = partial(self._check_filed, role)
        self.disturbances = 0
        """Faults that go on at this moment."""
        self.calm_since_s = 0.0
        self.acknowledged: dict[Role, list[Identity]] = {role: [] for role in Role}
        """The changes that each node acknowledged."""
        self.ledger = Ledger()
        self.files = Files()
        """What an operator archived."""
        self.lost_data: set[Role] = set()
        """Whose Redis was emptied, or put back to another file."""
        self._both_active = False

    def note(self, text: str) -> None:
        self.trace.append((self.now_s, text))

    def fail(self, text: str) -> None:
        self.failures.append(f"at {self.now_s:.2f}: {text}")
        self.note(f"FAILURE: {text}")

    def wall_ns(self, role: Role) -> int:
        wall_s = self.now_s * self.clock_rate[role] + self.wall_step_s[role]
        return EPOCH_NS + int(wall_s * NS)

    # Disturbances: what may have two active nodes as a consequence.

    def begin_disturbance(self) -> None:
        self.disturbances += 1

    def end_disturbance(self) -> None:
        self.disturbances -= 1
        self.calm_since_s = self.now_s

    @property
    def is_calm(self) -> bool:
        """Whether nothing that happened can still have consequences."""
        return not self.disturbances and self.now_s - self.calm_since_s > CALM_AFTER_S

    # Processes.

    def launch(self, role: Role) -> None:
        """Start a process, or start it again."""
        self._instances[role] += 1
        node = StoredNode(self, config_of(role), f"{role}-{self._instances[role]}")
        self.nodes[role] = node
        self.note(f"{role}: process {node.instance} starts")
        node.begin()

    def is_running(self, role: Role) -> bool:
        node = self.nodes.get(role)
        return node is not None and not node.dead

    def kill(self, node: StoredNode) -> None:
        """`kill -9`."""
        if not node.killed:
            self.note(f"{node.role}: process {node.instance} is killed")
            self._ended(node)

    def end(self, role: Role) -> None:
        """An orderly stop."""
        node = self.nodes[role]
        self.note(f"{role}: process {node.instance} stops")
        node.end()
        self._ended(node)

    def node_failed(self, node: StoredNode, why: str) -> None:
        """A process ends by itself; it is started again."""
        if node.killed:
            return
        self.counts["process ended by itself"] += 1
        node.why_ended = why
        self.note(f"{node.role}: process {node.instance} ends: {why}")
        self._ended(node)
        self.later(RESTART_S, lambda: self.launch_if_gone(node))

    def launch_if_gone(self, node: StoredNode) -> None:
        """Start `node` again, if nobody has."""
        if node.dead and self.nodes[node.role] is node:
            self.launch(node.role)

    # The operator.

    def archive(self, before_ns: int) -> None:
        """Archive what was written before, as `admin archive` does at the master."""
        node = self.nodes[Role.MASTER]
        if not node.dead:
            node.submit(lambda: self._archive(node, before_ns))

    def _archive(self, node: StoredNode, before_ns: int) -> None:
        peer = node.core.peer
        if peer is None or not node.core.is_connected(node.now_s):
            return
        heads = {
            Origin(o): Head(EventId.parse(h.id), bytes.fromhex(h.digest))
            for o, h in peer.heads.items()
        }
        archiving = Archiving(node.store, node.streams, node.replication.source)
        try:
            found = archiving.find(before_ns, heads)
            if found == archiving.begins():
                return
            left = {o: head for o, head in found.items() if head.id != START}
            archived = Archived(left, "segment", "0" * 64)
            redis = cast(Redis, self.redis[Role.MASTER].memory)
            self.files.keep(Streams(redis, PAIR, name="Redis"), archived)
            archiving.order(archived, heads, actor="jane", reason="old")
        except EventStoreError as error:
            self.note(f"archive: {error}")
            return
        self.counts["archived"] += 1
        self.note(f"archived: {archived.cut}")

    def do_as_told(self, text: str, role: Role) -> None:
        """Empty a Redis whose node says that this is the remedy."""
        if "empty its Redis" not in text:
            return
        if role not in self.lost_data:
            self.fail(f"{role}: asks to be emptied, and had lost nothing: {text}")
        self.counts["emptied as told"] += 1
        if not self.nodes[role].dead:
            self.kill(self.nodes[role])
        self.lose_data(role, {})
        self.launch_if_gone(self.nodes[role])

    def _ended(self, node: StoredNode) -> None:
        node.dead = node.killed = True
        self.restarts[node.role] += 1
        self._look_for(set())
        self.network.reset(by=node)
        self.calm_since_s = self.now_s

    def _wake(self, role: Role) -> None:
        node = self.nodes.get(role)
        if node is not None and not node.dead:
            node.following.wake()

    # Redis.

    def lose_data(self, role: Role, content: Content) -> None:
        """The Redis of `role` holds `content` from now on, and what was there is gone."""
        place = self.redis[role]
        self.lost_data.add(role)
        before = self.identities(role)
        place.restore(content)
        if self.is_running(role):
            self.nodes[role].file_changed = True
        gone = before - self.identities(role)
        known = len(self.ledger.lost)
        self._look_for(gone)
        for_good = len(self.ledger.lost) - known
        self.note(f"{place.name} lost {len(gone)} events, {for_good} of them for good")

    def identities(self, role: Role) -> set[Identity]:
        """Every event in the Redis of `role`."""
        found: set[Identity] = set()
        return found.union(*(identities(o, self.stored(role, o)) for o in ORIGINS))

    def _look_for(self, gone: set[Identity]) -> None:
        living = [node.memory for node in self.nodes.values() if not node.killed]
        remembered: set[Identity] = set()
        self.ledger.look(
            gone,
            stored=self.identities(Role.MASTER) | self.identities(Role.STANDBY),
            remembered=remembered.union(*living),
        )

    def _check_archived(self, key: str, gone: Entries, archived: Entries) -> None:
        """D9: nothing leaves a stream of events but into an archive."""
        for entry_id, fields in gone:
            if (entry_id, fields) not in archived:
                self.fail(f"{entry_id!r} of {key} was replaced, and is in no archive")

    def _check_filed(self, role: Role, key: str, gone: Entries) -> None:
        """D7: nothing is trimmed but what an operator has in a file."""
        (origin,) = (o for o in ORIGINS if key.endswith(f":{o}"))
        kept = stored(self.redis[role], origin)
        filed = self.files.before(origin, kept[0])
        self.counts["trimmed"] += 1
        for entry_id, fields in gone:
            found = EventId.parse(entry_id.decode()), fields[b"e"]
            if found not in filed:
                self.fail(f"{entry_id!r} of {key} was trimmed, and is in no file")

    # Seeing.

    def check(self) -> None:
        """After each turn of a node: two active ones need a cause."""
        both = len(self.active) == 2
        if both and not self._both_active:
            self.note("both nodes are active")
            self.counts["both active"] += 1
            if self.is_calm:
                self.fail("two nodes are active, and nothing had happened")
        self._both_active = both

    def check_handed_over(self, node: StoredNode, change: ChangeState) -> None:
        """S14: who takes over by a planned switch has every change of the giver, alone."""
        if change.rule not in ("S14", "S15") or change.state is not State.ACTIVE:
            return
        giver = node.role.other
        if giver in self.active:
            self.fail(f"a planned switch ({change.rule}) has two active nodes")
        if change.rule == "S15":
            return  # In a hurry: what cannot be confirmed is fetched later.
        wanted = set(self.acknowledged[giver]) - self.ledger.lost
        if left_out := wanted - node.memory:
            ids = sorted(str(event_id) for _, event_id, _ in left_out)
            self.fail(f"a planned switch left out {', '.join(ids)} of {giver}")

    def check_second_writer(self, node: StoredNode) -> None:
        """No second process writes here; only what this one never knew may seem so.

        That is an old file with events that were lost before it started, and got in Redis
        while it ran. Nobody can tell that from a second process; it ends, and recovers.
        """
        own = Origin(node.role.value)
        ends = identities(own, self.stored(node.role, own)[-1:])
        if ends & node.memory or not node.file_changed:
            self.fail(f"{node.role}: {node.store.broken}")
        self.counts["a file of unknown events"] += 1

    def serving(self) -> set[Role]:
        return {role for role, node in self.nodes.items() if node.serving}

    def stored(self, role: Role, origin: Origin) -> list[Stored]:
        """A stream in the Redis of `role`, and in the files with what was before."""
        return self.files.completed(origin, stored(self.redis[role], origin))

    def events(self, role: Role) -> list[Event]:
        """The events of both streams in the Redis of `role`, those that can be read."""
        found = (
            codec.decode(origin, event_id, blob)
            for origin in ORIGINS
            for event_id, blob in self.stored(role, origin)
        )
        return [event for event in found if isinstance(event, Event)]

    def state_of(self, role: Role) -> State | None:
        return self.nodes[role].core.state if self.is_running(role) else None


class _Log(logging.Handler):
    """The product's log, as part of the trace."""

    def __init__(self, world: PairWorld) -> None:
        super().__init__()
        self._world = world

    def emit(self, record: logging.LogRecord) -> None:
        text = f"log {record.levelname}: {record.getMessage()}"
        if record.exc_info:
            self._world.fail(f"{text}: {record.exc_info[1]!r}")
        else:
            self._world.note(text)


@contextmanager
def logged(world: PairWorld) -> Iterator[None]:
    """Let the product's log go into the trace of `world`."""
    logger, handler = logging.getLogger("netphone"), _Log(world)
    before = logger.level, logger.propagate
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.level, logger.propagate = before
