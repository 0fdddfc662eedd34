"""One process with a store: production shells, streams and replication, in one thread.

What the product does in threads of its own is done here as jobs on the agenda: those that
use Redis one after the other, and while one waits for Redis everything else goes on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from eventstore import (
    FOLD_VERSION,
    Change,
    Event,
    EventId,
    EventStore,
    EventStoreError,
    JsonValue,
    Kind,
    Origin,
    Replication,
    SecondWriter,
)
from eventstore.memory import Memory, Tail
from node.both_active import BothActive
from node.config import NodeConfig
from node.core import CoreEffect, Facts, Note, PeerSpoke, PeerWrites
from node.link_messages import Head
from node.notifications import StateChange
from node.roles import Role, State
from node.service import Counts
from node.shells import Shells
from node.situation import (
    AwaitHead,
    ChangeState,
    FreezeWrites,
    HeadReached,
    Report,
    RetireService,
    RunCallbacks,
    ThawWrites,
)
from node.snapshotting import Snapshotting
from node.trimming import Trimming
from tests.simulation.failing_redis import (
    GatedStreams,
    KilledHere,
    SimulatedRedis,
)
from tests.simulation.following import Following
from tests.simulation.ledger import Identity, all_identities_of, identities
from tests.simulation.network import LATENCY_S
from tests.simulation.world import Node
from tests.support.histories import MASTER, ORIGINS, PAIR
from tests.support.memories import everything_in

if TYPE_CHECKING:
    from tests.simulation.pair_world import PairWorld

REDIS_TIMEOUT_S = 2.0
PROBE_TIMEOUT_S = 1.0
READER_TIMEOUT_S = 2.5
CALLBACKS_TAKE_S = (1 / 64, 1 / 16, 1 / 16, 0.5)
SNAPSHOT_EVENT_COUNT = 5
"""New events that are worth a snapshot: few, so that there are many."""
RESTART_S = 2.0
"""When whoever runs a node starts it again after it has ended by itself."""


class MachineClock:
    """The clocks of the machine that a node runs on."""

    def __init__(self, node: StoredNode) -> None:
        self._node = node

    def now_s(self) -> float:
        return self._node.now_s

    def wall_ns(self) -> int:
        return self._node.world.wall_ns(self._node.role)


class JobsInTurn:
    """`node.service.Jobs` on the agenda: one after the other, each when the last ended."""

    def __init__(self, node: StoredNode, wait_s: Callable[[], float]) -> None:
        self._node = node
        self._wait_s = wait_s
        self._jobs: deque[Callable[[], object]] = deque()
        self._busy = False

    def start(self) -> None:
        """Nothing to start: the agenda runs."""

    def submit(self, job: Callable[[], object]) -> bool:
        self._jobs.append(job)
        self._node.world.later(self._wait_s(), self.go_on)
        return True

    def stop(self, limit_s: float) -> None:
        self._work_off()

    def go_on(self) -> None:
        self._node.when_running(self._work_off)

    def _work_off(self) -> None:
        if self._busy:
            return
        self._busy = True
        try:
            while self._jobs and not self._node.paused and not self._node.killed:
                self._jobs.popleft()()
        except KilledHere:
            self._jobs.clear()
        finally:
            self._busy = False


class _Shells(Shells):
    """Waits for a head on the agenda, and runs callbacks without threads."""

    def __init__(self, node: StoredNode, *, replicator: Following) -> None:
        self._node = node
        super().__init__(
            node.config,
            store=node.store,
            replicator=replicator,
            clock=MachineClock(node),
            instance=node.instance,
            counts=node.counts,
            observe=node.observe_later,
            announce=lambda: node.do(lambda: node.core.announce(node.now_s)),
            tell=lambda work: node.do(lambda: work(node.core, node.now_s)),
            report=node.world.reports.append,
            new_jobs=node.new_jobs,
        )

    def await_head(self, effect: AwaitHead) -> None:
        node = self._node
        giver = Origin(self._config.role.other.value)
        ends_s = node.now_s + self._config.switch_step_s

        def look() -> None:
            if node.store.await_head(giver, EventId.parse(effect.head), 0.0):
                node.observe_later(HeadReached(effect.switch))
            elif node.now_s < ends_s:
                node.world.later(2 * LATENCY_S, lambda: node.when_running(look))

        look()

    def _run_callbacks(self, change: StateChange) -> None:
        self._node.told(change)


class StoredNode(Node):
    """One process over its Redis. `begin` it once."""

    def __init__(self, world: PairWorld, config: NodeConfig, instance: str) -> None:
        self.world = world
        self.clock_rate = world.clock_rate[config.role]
        super().__init__(world, config, instance)
        self.killed = False
        self.why_ended: str | None = None
        """Why it ended by itself, if it did."""
        self.points_left: int | None = None
        """Effects and ends of Redis calls until it is killed; None: it is not."""
        self.counts = Counts()
        self.service_states: list[State] = []
        """What its callbacks were told."""
        self._held: set[Identity] = set()
        self.file_changed = False
        """Whether Redis came back with another file while this process ran."""
        self._problem: str | None = None
        self._probing = self._checking = False
        self._ready = False
        self._jobs = JobsInTurn(self, lambda: 0.0)
        self._service = JobsInTurn(self, lambda: world.rng.choice(CALLBACKS_TAKE_S))
        own, peer = Origin(self.role.value), Origin(self.role.other.value)
        redis = world.redis
        self.streams = GatedStreams(redis[self.role], self, REDIS_TIMEOUT_S)
        self._probe = GatedStreams(redis[self.role], self, PROBE_TIMEOUT_S)
        self.store = EventStore(
            self.streams,
            own=own,
            peer=peer,
            prevailing=Origin(Role.MASTER.value),
            wall_ns=MachineClock(self).wall_ns,
            on_folded=lambda event, _: self._held.update(all_identities_of(event)),
            applied_within_s=0.0,
        )
        self.replication = Replication(
            self.store,
            GatedStreams(redis[self.role.other], self, READER_TIMEOUT_S),
            own=own,
            peer=peer,
            now_s=lambda: self.now_s,
        )
        self.following = Following(self, self.replication)
        self.shells = _Shells(self, replicator=self.following)
        self.snapshotting = Snapshotting(
            self.store,
            self.new_jobs,
            count_min=SNAPSHOT_EVENT_COUNT,
            count_min_at_end=SNAPSHOT_EVENT_COUNT,
        )
        self.trimming = Trimming(self.store, self.new_jobs)

    def new_jobs(self, name: str) -> JobsInTurn:
        return self._service if name == "service" else self._jobs

    # Life.

    def begin(self) -> None:
        """As `NetPhoneNode.start`; who cannot start ends, and is started again."""
        self.submit(self._begin)

    def _begin(self) -> None:
        try:
            self.store.open()
            self._check_opened()
            self.world.network.listening[self.role] = self
            self._get_lost_events_back()
            self._open_stream()
        except EventStoreError as error:
            self.world.node_failed(self, f"cannot start: {error}")
            return
        self.shells.start()
        self.core.remember_takeovers(self.shells.takeover_ages_s(), self.now_s)
        self._ready = True
        self.tick()
        self._check_redis()

    def _check_opened(self) -> None:
        """A start with a snapshot leaves what one without it would."""
        if self.store.unsaved_count == self.store.snapshot.event_count:
            return
        self.world.counts["starts with a snapshot"] += 1
        memory = self.store._known
        fold = Memory(PAIR, ORIGINS, prevailing=MASTER)
        for origin, head in memory.heads.items():
            stored = self.world.stored(self.role, origin)
            known = [one for one in stored if one[0].n <= head.id.n]
            if known:
                fold.fold(origin, known, fold.chained(origin, known))
            first = next(iter(memory.tails[origin]), (head.id, b""))[0]
            fold.tails[origin] = Tail()
            fold.tails[origin].extend([one for one in known if one[0] >= first])
        # Redis may have come back with another file while it was read.
        if fold.heads == memory.heads and (
            everything_in(fold) != everything_in(memory)
        ):
            self.world.fail(f"{self.role}: a snapshot left something else than a fold")

    def _get_lost_events_back(self) -> None:
        try:
            self.replication.recover()
        except EventStoreError as error:
            self.world.note(f"{self.role}: losses are not known yet: {error}")

    def _open_stream(self) -> None:
        snapshot = self.store.snapshot
        value: dict[str, JsonValue] = {
            "instance": self.instance,
            "version": "1",
            "knew": {origin: str(head.id) for origin, head in snapshot.heads.items()},
        }
        actor = f"{self.role} node"
        self.store.record(Kind.STREAM_OPENED, value, actor=actor, reason="started")

    def end(self) -> None:
        """As `NetPhoneNode.stop`."""
        try:
            if self.shells.serving:
                self.shells.retire_and_wait(0.0)
                self._service.stop(0.0)
            self.core.stop()
            self.carry_out()
            self.dead = True
            self.shells.stop(0.0)
            self.snapshotting.stop(0.0)
            self.trimming.stop(0.0)
        except KilledHere:
            pass
        self.dead = self.killed = True

    def resume(self, *, tick_first: bool) -> None:
        super().resume(tick_first=tick_first)
        self._jobs.go_on()
        self._service.go_on()

    @property
    def memory(self) -> set[Identity]:
        """Events that this process holds or ever held, whatever becomes of Redis."""
        for origin, tail in self.store._known.tails.items():
            # What a start found archived is in the snapshot that memory began with.
            known = self.world.files.completed(origin, list(tail))
            self._held |= identities(origin, known)
        return self._held

    # As a caller of Redis.

    def before_call(self) -> None:
        self._point()

    def after_call(self) -> None:
        self._point()

    def is_cut_from(self, place: SimulatedRedis) -> bool:
        return place is not self.world.redis[self.role] and self.world.network.is_cut

    def _point(self) -> None:
        if self.points_left is not None:
            self.points_left -= 1
            if self.points_left <= 0:
                self.points_left = None
                self.world.kill(self)
        if self.killed:
            raise KilledHere

    # Jobs with Redis.

    def submit(self, job: Callable[[], object]) -> None:
        """Do `job`, which may use Redis, behind those before it."""
        self._jobs.submit(job)

    def append(
        self, changes: list[Change], reason: str, expected: EventId | None
    ) -> list[Event]:
        """As `NetPhoneNode.put` and the others; frozen, it raises at once."""
        return self.store.append(
            changes, actor="jane", reason=reason, expected=expected, frozen_limit_s=0.0
        )

    def _check_redis(self) -> None:
        if self.dead:
            return
        self.when_running(self._probe_once)
        self.world.later(self.config.heartbeat_interval_s, self._check_redis)

    def _probe_once(self) -> None:
        if self._probing:
            return
        self._probing = True
        try:
            self._probe.probe()
        except EventStoreError as error:
            self._problem = str(error)
        except KilledHere:
            return
        else:
            self._problem = None
            self._check_store_later()
        finally:
            self._probing = False

    def _check_store_later(self) -> None:
        """The product checks beside other work on Redis, and leaves out what that holds."""
        if not self._checking:
            self._checking = True
            self.submit(self._check_store)

    def _check_store(self) -> None:
        self._checking = False
        try:
            self.store.check()
        except EventStoreError as error:
            self._problem = str(error)
        if isinstance(self.store.broken, SecondWriter):
            self.world.check_second_writer(self)
            self.world.node_failed(self, str(self.store.broken))
        self.shells.bookkeeping.retry()
        self.snapshotting.look()
        self.trimming.look()

    # The loop.

    def _do(self, work: Callable[[], None]) -> None:
        with suppress(KilledHere):
            super()._do(work)

    def observe_later(self, seen: object) -> None:
        self._observe_later(seen)  # type: ignore[arg-type]

    def _carry_out(self, effect: CoreEffect) -> None:
        self._point()
        match effect:
            case Note(text):
                self.world.note(f"{self.role}: {text}")
            case PeerSpoke(heartbeat):
                self.shells.peer_spoke(heartbeat)
            case PeerWrites():
                self.shells.peer_writes(effect)
            case BothActive():
                self.shells.both_active(effect)
            case ChangeState():
                super()._carry_out(effect)
                self.world.check_handed_over(self, effect)
                self.shells.change_state(effect)
            case RunCallbacks(state):
                self.shells.run_callbacks(state)
            case RetireService():
                self.shells.retire_service(effect)
            case FreezeWrites():
                self.shells.freeze_writes(effect)
            case ThawWrites():
                self.shells.thaw_writes()
            case AwaitHead():
                self.shells.await_head(effect)
            case Report():
                self.shells.report(effect)
            case _:
                super()._carry_out(effect)

    def told(self, change: StateChange) -> None:
        """As a callback of the host's."""
        self.serving = change.state is State.ACTIVE
        self.service_states.append(change.state)

    def _is_ready(self) -> bool:
        store = self.store
        hindered = store.broken is not None or store.hindrance is not None
        return self._ready and self._problem is None and not hindered

    def _facts(self) -> Facts:
        snapshot, setting = self.store.snapshot, self.shells.replication.current
        pause = self.shells.takeover.current
        problems = {} if self._problem is None else {"redis": self._problem}
        return Facts(
            heads={
                o: Head(str(h.id), h.digest.hex()) for o, h in snapshot.heads.items()
            },
            digest=snapshot.digest,
            entry_count=snapshot.entry_count,
            fold_version=FOLD_VERSION,
            problems=problems,
            ready=self._is_ready(),
            replicating=self.following.progress.connected,
            replication_revision=setting.revision,
            replication_enabled=setting.enabled,
            pause_revision=pause.revision,
            paused=pause.paused,
            pause_left_ms=int(1000 * pause.left_s(self.now_s)),
            pause_text=pause.text,
            read_up_to="0-0",
            calls=self.calls,
        )
