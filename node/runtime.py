"""One inbox, one loop: everything that is decided in a node is decided here.

The loop takes what the shells posted, asks `core`, and hands its effects to the threads that
carry them out. It never waits for Redis, a callback, a hook or HTTP.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from typing import Protocol, assert_never

import attrs

from node.both_active import BothActive
from node.clock import Clock
from node.config import NodeConfig
from node.core import (
    AskWitness,
    CloseConnection,
    Core,
    CoreEffect,
    Dial,
    Note,
    PeerSpoke,
    PeerWrites,
    SendBytes,
)
from node.heartbeat import HeartbeatJob
from node.link import Closed, Data, DialFailed, Link, LinkEvent, Opened
from node.link_messages import Heartbeat
from node.roles import State
from node.situation import (
    AwaitHead,
    ChangeState,
    FreezeWrites,
    Observation,
    RecordBothActive,
    Report,
    RetireService,
    RunCallbacks,
    Tell,
    ThawWrites,
)

_log = logging.getLogger("netphone")

INBOX_COUNT_MAX = 10_000
LATE_TICK_INTERVALS = 1.2
"""A tick this late is made by the loop itself, and the scheduler is realigned."""
LIVE_INTERVALS = 3
"""A loop that has not turned for this many intervals is not live."""


@attrs.frozen
class Tick:
    """The heartbeat job ran."""


@attrs.frozen
class Announce:
    """What heartbeats carry has changed: send one now."""


@attrs.frozen
class Observed:
    """A shell has done what an effect asked for."""

    observation: Observation


@attrs.frozen
class Ask:
    """Something that must be asked or told in the loop's thread, with its answer."""

    work: Callable[[Core, float], None]


@attrs.frozen
class Stop:
    """Say goodbye and end the loop."""


Item = Tick | Announce | Observed | Ask | Stop | LinkEvent


@attrs.frozen(kw_only=True)
class View:
    """What the outside may know of the loop; replaced as a whole, never changed."""

    state: State
    connected: bool = False
    hears_us: bool = False
    heard_s: float | None = None
    contact_s: float | None = None
    """See `Core`."""
    peer: Heartbeat | None = None
    problem: str | None = None
    divergence: str | None = None
    unserved: str | None = None
    held: str | None = None
    """Why this node does not take over although it would."""
    takeover_count: int = 0
    switch_step: str | None = None
    waiting_for_calls: int = 0


class Effects(Protocol):
    """Who carries out what the loop decides; each method returns at once."""

    def change_state(self, change: ChangeState) -> None: ...
    def run_callbacks(self, state: State) -> None: ...
    def retire_service(self, effect: RetireService) -> None: ...
    def freeze_writes(self, effect: FreezeWrites) -> None: ...
    def thaw_writes(self) -> None: ...
    def await_head(self, effect: AwaitHead) -> None: ...
    def report(self, report: Report) -> None: ...
    def peer_spoke(self, heartbeat: Heartbeat) -> None: ...
    def peer_writes(self, effect: PeerWrites) -> None: ...
    def both_active(self, effect: BothActive) -> None: ...
    def ask_witness(self, question: int) -> None: ...
    def realign_heartbeat(self, realign: Callable[[], None]) -> None: ...


class Runtime:
    """The loop of one node, with its link and its heartbeat."""

    def __init__(
        self, config: NodeConfig, core: Core, effects: Effects, clock: Clock
    ) -> None:
        self._interval_s = config.heartbeat_interval_s
        self._distrusted_after_s = config.peer_lost_after_s
        self._core = core
        self._effects = effects
        self._clock = clock
        self._inbox: queue.Queue[Item] = queue.Queue(INBOX_COUNT_MAX)
        self.link = Link(
            listen=config.listen,
            peer=config.peer,
            dial_limit_s=config.heartbeat_interval_s,
            unacknowledged_limit_s=config.peer_lost_after_s,
            post=self.post,
        )
        self._heartbeat = HeartbeatJob(self._interval_s, lambda: self.post(Tick()))
        self._thread = threading.Thread(target=self._run, name="decisions", daemon=True)
        self._ticked_s = self._turned_s = clock.now_s()
        self.view = View(state=core.state)

    def start(self) -> None:
        """Answer, dial, beat. The link listens already."""
        self._ticked_s = self._turned_s = self._clock.now_s()
        self.link.start()
        self._thread.start()
        self._heartbeat.start()

    def post(self, item: Item) -> bool:
        """Put `item` in the inbox; False when that is full. Never waits."""
        try:
            self._inbox.put_nowait(item)
        except queue.Full:
            _log.error(
                "the inbox is full (%d); dropped %s", INBOX_COUNT_MAX, type(item)
            )
            return False
        return True

    def is_live(self) -> bool:
        """Whether the loop turns; not whether somebody else's thread does."""
        stale_s = self._clock.now_s() - self._turned_s
        return self._thread.is_alive() and stale_s < LIVE_INTERVALS * self._interval_s

    @property
    def state(self) -> State:
        """What may be said of the state at this moment.

        Passive while no heartbeat was made for longer than the peer waits: on waking an
        active node steps down (S13), but whoever asks first must not be told otherwise.
        """
        still_s = self._clock.now_s() - self._ticked_s
        stalled = still_s > self._distrusted_after_s
        return State.PASSIVE if stalled else self.view.state

    def stop(self, limit_s: float) -> None:
        """Say goodbye to the peer, then end loop, heartbeat and link."""
        self._heartbeat.stop()
        self.post(Stop())
        self._thread.join(limit_s)
        self.link.stop(limit_s)

    def _run(self) -> None:
        while True:
            item = self._next_item()
            try:
                if isinstance(item, Stop):
                    self._core.stop()
                    self._carry_out()
                    return
                self._turn(item)
            except Exception:  # noqa: BLE001 a node must outlive any bug
                _log.exception("a turn of the loop failed")

    def _next_item(self) -> Item | None:
        """What was posted, or None when a deadline is due first."""
        now_s = self._clock.now_s()
        due_s = self._ticked_s + LATE_TICK_INTERVALS * self._interval_s
        if self._core.deadline_s is not None:
            due_s = min(due_s, self._core.deadline_s)
        try:
            return self._inbox.get(timeout=max(0.0, due_s - now_s))
        except queue.Empty:
            return None

    def _turn(self, item: Item | None) -> None:
        now_s = self._turned_s = self._clock.now_s()
        if item is None:
            self._core.turn(now_s)
        else:
            self._handle(item, now_s)
        if now_s - self._ticked_s >= LATE_TICK_INTERVALS * self._interval_s:
            self._tick(now_s)
            self._effects.realign_heartbeat(self._heartbeat.realign)
        self._carry_out()
        self._publish(now_s)

    def _handle(self, item: Item, now_s: float) -> None:
        core = self._core
        match item:
            case Tick():
                self._tick(now_s)
            case Announce():
                core.announce(now_s)
            case Observed(observation):
                core.observe(observation, now_s)
            case Ask(work):
                work(core, now_s)
            case Opened(connection, dialled):
                core.connection_opened(connection, dialled=dialled, now_s=now_s)
            case Data(connection, data):
                core.data_received(connection, data, now_s)
            case Closed(connection):
                core.connection_closed(connection, now_s)
            case DialFailed(refused):
                core.dial_failed(now_s, refused=refused)
            case Stop():
                raise AssertionError("the loop ends before it handles this")
            case _:
                assert_never(item)

    def _tick(self, now_s: float) -> None:
        self._ticked_s = now_s
        self._core.tick(now_s)

    def _carry_out(self) -> None:
        for effect in self._core.take_effects():
            try:
                self._carry_out_one(effect)
            except Exception:  # noqa: BLE001 the other effects must not be lost with it
                _log.exception("an effect failed: %s", type(effect).__name__)

    def _carry_out_one(self, effect: CoreEffect) -> None:
        match effect:
            case SendBytes(connection, data):
                self.link.send(connection, data)
            case CloseConnection(connection):
                self.link.close(connection)
            case Dial():
                self.link.dial()
            case Note(text, alarming):
                _log.log(logging.ERROR if alarming else logging.INFO, "%s", text)
            case PeerSpoke(heartbeat):
                self._effects.peer_spoke(heartbeat)
            case PeerWrites():
                self._effects.peer_writes(effect)
            case BothActive():
                self._effects.both_active(effect)
            case AskWitness(question):
                self._effects.ask_witness(question)
            case ChangeState():
                self.view = attrs.evolve(self.view, state=effect.state)
                self._effects.change_state(effect)
            case RunCallbacks(state):
                self._effects.run_callbacks(state)
            case RetireService():
                self._effects.retire_service(effect)
            case FreezeWrites():
                self._effects.freeze_writes(effect)
            case ThawWrites():
                self._effects.thaw_writes()
            case AwaitHead():
                self._effects.await_head(effect)
            case Report():
                self._effects.report(effect)
            case Tell() | RecordBothActive():
                raise AssertionError("core has dealt with it")
            case _:
                assert_never(effect)

    def _publish(self, now_s: float) -> None:
        core = self._core
        self.link.keep(core.incoming)
        waiting = "waiting" if core.waiting is not None else None
        self.view = View(
            state=core.state,
            connected=core.is_connected(now_s),
            hears_us=core.is_heard_by_peer(now_s),
            heard_s=core.detector.heard_s,
            contact_s=core.contact_s,
            peer=core.peer,
            problem=core.problem,
            divergence=core.divergence,
            unserved=core.unserved,
            held=core.held.why if core.held else None,
            takeover_count=core.takeover_count(now_s),
            switch_step=core.situation.switch_step or waiting,
            waiting_for_calls=core.waiting_for_calls(),
        )
