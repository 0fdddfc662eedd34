"""Carries out what the loop decides, each thing in the thread where it may take its time."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from eventstore import (
    FORMAT_VERSION,
    START,
    Event,
    EventId,
    EventStore,
    EventStoreError,
    JsonValue,
    Kind,
    Origin,
    Replicator,
)
from node.bookkeeping import Bookkeeping, Record
from node.both_active import BothActive
from node.clock import Clock, iso_utc
from node.config import NodeConfig
from node.core import Core, PeerWrites
from node.divergence import may_be_missing
from node.link_messages import Head, Heartbeat
from node.notifications import StateChange
from node.pair_setting import PairSetting
from node.replication_setting import ReplicationSetting, why_unreadable
from node.roles import Role, State
from node.service import Callback, Counts, Hook, NewJobs, Worker
from node.situation import (
    AwaitHead,
    ChangeState,
    FreezeWrites,
    HeadReached,
    Observation,
    Report,
    RetireService,
    ServiceRetired,
    WritesFrozen,
)
from node.takeover_gate import TAKEOVER_RULES
from node.takeover_pause import TakeoverPause
from node.witness import Witness

_log = logging.getLogger("netphone")


class Shells:
    """The `Effects` of one node; those methods return at once."""

    def __init__(
        self,
        config: NodeConfig,
        *,
        store: EventStore,
        replicator: Replicator,
        clock: Clock,
        instance: str,
        counts: Counts,
        observe: Callable[[Observation], object],
        announce: Callable[[], object],
        tell: Callable[[Callable[[Core, float], None]], object],
        report: Callable[[Report], None],
        new_jobs: NewJobs = Worker,
    ) -> None:
        self._config = config
        self._store = store
        self._replicator = replicator
        self._clock = clock
        self._instance = instance
        self._counts = counts
        self._observe = observe
        self._announce = announce
        self._tell = tell
        self._witness = Witness(
            config.witness_addresses, config.witness_command, config.witness_deadline_s
        )
        self._report = report
        self._service = new_jobs("service")
        self._callbacks: list[Callback] = []
        self.bookkeeping = Bookkeeping(store, new_jobs)
        self._acknowledged = threading.Condition()
        self._peer: Heartbeat | None = None
        self._compared_with: str | None = None
        """The peer's process whose copy of the own stream was found to be a part of it."""
        self._comparing = False
        """Whether that is queued already: behind a Redis that hangs they must not pile up."""
        self.unreadable: str | None = "which format the peer writes is not known yet"
        """Why its events are not copied although replication is on."""
        self._wanted_by_peer = START
        self.replication = PairSetting(
            Kind.REPLICATION_CHANGED,
            ReplicationSetting(),
            store=store,
            role=config.role,
            submit=self.bookkeeping.submit,
            changed=self._apply_replication,
        )
        self.takeover = PairSetting(
            Kind.TAKEOVER_CHANGED,
            TakeoverPause(),
            store=store,
            role=config.role,
            submit=self.bookkeeping.submit,
            changed=announce,
        )
        self._serving = False
        """Whether the active callbacks were the last ones to be run."""
        self._first_change = StateChange(
            0, State.PASSIVE, "started", "S1", {}, clock.wall_ns()
        )
        self.last_change = self._first_change

    def start(self) -> None:
        """Begin; the store is open."""
        self.replication.current = ReplicationSetting.from_event(
            self._store.latest(Kind.REPLICATION_CHANGED)
        )
        self.takeover.current = TakeoverPause.from_event(
            self._store.latest(Kind.TAKEOVER_CHANGED),
            now_s=self._clock.now_s(),
            wall_ns=self._clock.wall_ns(),
        )
        self._service.start()
        # A process that was killed dropped nothing: the address may still be here.
        self._service.submit(lambda: self._run_hook(self._first_change))
        self.bookkeeping.start()
        self._replicator.start()
        self._apply_replication()

    def stop(self, limit_s: float) -> None:
        """End; what waits to be stored is stored, if Redis answers."""
        if self._serving:
            # It became active while it stopped: its address must be dropped all the same.
            self._submit_callbacks(self._retirement("orderly stop of this node"))
        self._service.stop(limit_s)
        self._replicator.stop(limit_s)
        self.bookkeeping.stop(limit_s)

    # State (S16, S17).

    def on_state_change(self, function: Callable[[StateChange], object]) -> None:
        name = getattr(function, "__name__", type(function).__name__)
        self._callbacks.append(Callback(name, function))

    def change_state(self, change: ChangeState) -> None:
        before = self.last_change
        self.last_change = StateChange(
            before.number + 1,
            change.state,
            change.reason,
            change.rule,
            change.evidence,
            self._clock.wall_ns(),
        )
        found = "".join(f" {name}={value}" for name, value in change.evidence.items())
        _log.info(
            '%s -> %s role=%s reason="%s" rule=%s%s',
            before.state, change.state, self._config.role, change.reason, change.rule, found,
        )  # fmt: skip
        if change.rule == "S2" and self._knows_nothing():
            _log.error(
                "this node serves without any entry: no peer was heard and the Redis here was "
                "empty; if this is no new pair, let it reach its peer, which has the rest"
            )
        value: dict[str, JsonValue] = {
            "from": before.state.value,
            "to": change.state.value,
            "rule": change.rule,
            "evidence": dict(change.evidence),
            "decided": iso_utc(self.last_change.wall_ns),
            "instance": self._instance,
            "number": self.last_change.number,
        }
        actor = f"{self._config.role} node"
        self.bookkeeping.hand_in(
            Record(Kind.STATE_CHANGED, value, actor, change.reason)
        )

    def _knows_nothing(self) -> bool:
        snapshot = self._store.snapshot
        peers = snapshot.heads[Origin(self._config.role.other.value)]
        return snapshot.entry_count == 0 and peers.id == START

    def run_callbacks(self, state: State) -> None:
        assert state is self.last_change.state, "it was changed before"
        self._submit_callbacks(self.last_change)

    def retire_service(self, effect: RetireService) -> None:
        self._submit_callbacks(
            self._retirement(f"planned switch: {effect.switch.reason}")
        )
        self._service.submit(lambda: self._observe(ServiceRetired(effect.switch)))

    def retire_and_wait(self, limit_s: float) -> None:
        """Run the passive callbacks now: the node stops while it is active (S11)."""
        ended = threading.Event()
        self._submit_callbacks(self._retirement("orderly stop of this node"))
        self._service.submit(ended.set)
        ended.wait(limit_s)

    def _retirement(self, reason: str) -> StateChange:
        """The change that is about to be made."""
        number = self.last_change.number + 1
        wall_ns = self._clock.wall_ns()
        return StateChange(number, State.PASSIVE, reason, "S17", {}, wall_ns)

    @property
    def serving(self) -> bool:
        """Whether what the active callbacks began has not been ended by passive ones."""
        return self._serving

    def _submit_callbacks(self, change: StateChange) -> None:
        self._serving = change.state is State.ACTIVE
        if not self._service.submit(lambda: self._run_callbacks(change)):
            self._counts.dropped += 1
            _log.error("the callbacks for becoming %s were dropped", change.state)

    def _run_callbacks(self, change: StateChange) -> None:
        self._run_hook(change)
        for callback in self._callbacks:
            callback.run((change,), self._config.hook_deadline_s, self._counts)

    def _run_hook(self, change: StateChange) -> None:
        active = change.state is State.ACTIVE
        command = self._config.on_active if active else self._config.on_passive
        if command:
            variables = {
                "NETPHONE_PAIR": self._config.pair,
                "NETPHONE_ROLE": self._config.role.value,
                "NETPHONE_STATE": change.state.value,
                "NETPHONE_REASON": change.reason,
            }
            Hook(command).run(variables, self._config.hook_deadline_s, self._counts)

    def both_active(self, effect: BothActive) -> None:
        """Record that both were active; the node that gave way knows, and writes it."""
        ended_ns = self._clock.wall_ns() - int(effect.ended_ago_s * 1e9)
        began_ns = ended_ns - int(effect.lasted_s * 1e9)

        def record() -> None:
            losers = effect.losers(self._store.losses())
            _log.warning(
                "both nodes were active for %.3f s, and this one has given way; %d changes "
                "lost in it%s",
                effect.lasted_s, len(losers), "" if effect.complete else ", or more",
            )  # fmt: skip
            value = effect.as_value(
                losers,
                role=self._config.role,
                instance=self._instance,
                began=iso_utc(began_ns),
                ended=iso_utc(ended_ns),
            )
            actor = f"{self._config.role} node"
            reason = "both nodes were active"
            self.bookkeeping.hand_in(Record(Kind.BOTH_ACTIVE, value, actor, reason))

        # In a thread of its own: to find them takes its time where there are many.
        if not self.bookkeeping.submit(record):
            _log.error("both nodes were active for %.3f s", effect.lasted_s)

    def both_active_events(self) -> list[Event]:
        """Every time that both nodes were active, as far as it is remembered."""
        found = [
            event
            for role in Role
            for event in self._store.recent(Kind.BOTH_ACTIVE, Origin(role.value))
        ]
        return sorted(found, key=lambda event: event.wall_ns)

    def takeover_ages_s(self) -> list[float]:
        """How long ago earlier processes of this node took over from a lost peer."""
        now_ns = self._clock.wall_ns()
        return [
            max(0.0, (now_ns - event.wall_ns) / 1e9)
            for event in self._store.recent(Kind.STATE_CHANGED)
            if isinstance(event.value, dict)
            and event.value.get("rule") in TAKEOVER_RULES
        ]

    def ask_witness(self, question: int) -> None:
        witness = self._witness

        def ask() -> None:
            problem = witness.problem()
            self._tell(
                lambda core, now_s: core.witness_answered(question, problem, now_s)
            )

        threading.Thread(target=ask, name="witness", daemon=True).start()

    # Planned switch (S14).

    def freeze_writes(self, effect: FreezeWrites) -> None:
        own = Origin(self._config.role.value)

        def freeze() -> None:
            head = self._store.freeze("switch")[own]
            self._observe(WritesFrozen(effect.switch, str(head.id)))

        self.bookkeeping.submit(freeze)

    def thaw_writes(self) -> None:
        # Behind a freeze that may still be under way.
        if not self.bookkeeping.submit(lambda: self._store.thaw("switch")):
            _log.error(
                "changes stay frozen: too much waits for Redis; restart this node"
            )

    def await_head(self, effect: AwaitHead) -> None:
        head = EventId.parse(effect.head)
        giver = Origin(self._config.role.other.value)

        def wait() -> None:
            if self._store.await_head(giver, head, self._config.switch_step_s):
                self._observe(HeadReached(effect.switch))

        threading.Thread(target=wait, name="await head", daemon=True).start()

    def report(self, report: Report) -> None:
        if report.switch.urgent:
            _log.warning("hand-over: %s: %s", report.outcome, report.text)
        self._report(report)

    def realign_heartbeat(self, realign: Callable[[], None]) -> None:
        _log.warning("the heartbeat job was late; has the clock been set? realigned")
        self.bookkeeping.submit(realign)

    # Replication (D4), and what the peer has (D7).

    def peer_spoke(self, heartbeat: Heartbeat) -> None:
        with self._acknowledged:
            self._peer = heartbeat
            self._acknowledged.notify_all()
        self._check_own(heartbeat)
        self._read_on_request(heartbeat)
        self.replication.peer_said(
            ReplicationSetting(
                heartbeat.replication_revision, heartbeat.replication_enabled
            )
        )
        self.takeover.peer_said(TakeoverPause.said(heartbeat, self._clock.now_s()))

    def peer_writes(self, effect: PeerWrites) -> None:
        """Copy the peer's events only where this version can apply them (D4)."""
        theirs = effect.event_format
        why = None if theirs is None else why_unreadable(theirs, FORMAT_VERSION)
        if why is not None:
            _log.error("replication stands still: %s", why)
        self.unreadable = why
        self.bookkeeping.submit(self.replication.apply)

    def _check_own(self, heartbeat: Heartbeat) -> None:
        """Look up what the peer's copy of our own stream ends with, if it may be missing."""
        own = self._config.role.value
        head = heartbeat.heads.get(own)
        known = self._store.snapshot.heads[Origin(own)]
        ours = Head(str(known.id), known.digest.hex())
        met = heartbeat.instance == self._compared_with
        if self._comparing or head is None or not may_be_missing(ours, head, met=met):
            return

        def compare() -> None:
            self._comparing = False
            try:
                claimed, digest = EventId.parse(head.id), bytes.fromhex(head.digest)
                if self._store.compare_own(claimed, digest):
                    self._compared_with = heartbeat.instance
            except (EventStoreError, ValueError) as error:
                _log.warning("cannot compare with the peer's copy: %s", error)

        self._comparing = True
        if not self.bookkeeping.submit(compare):
            self._comparing = False  # With the next heartbeat.

    def _read_on_request(self, heartbeat: Heartbeat) -> None:
        """The standby wants its stream to be read before its data are replaced (D12).

        Not if this version could not apply it (D4): the standby then gives up.
        """
        asked = EventId.parse(heartbeat.read_up_to)
        wanted = asked if self.unreadable is None else START
        if wanted == self._wanted_by_peer:
            return
        if self.bookkeeping.submit(lambda: self._replicator.read_up_to(wanted)):
            self._wanted_by_peer = wanted

    def set_replication(self, enabled: bool, *, actor: str, reason: str) -> None:
        """Store the order, then follow it; the peer learns of it at once.

        Raises:
            EventStoreError: it could not be stored; all is as before.
        """
        self.replication.order(
            lambda setting: setting.changed_to(enabled), actor=actor, reason=reason
        )

    def pause_takeover(self, for_s: float, *, actor: str, reason: str) -> None:
        """Neither node takes over by itself for `for_s`; 0 ends a pause.

        Raises:
            EventStoreError: it could not be stored; all is as before.
        """
        now_s, text = self._clock.now_s(), f"by {actor}: {reason or 'no reason given'}"

        def following(setting: TakeoverPause) -> TakeoverPause:
            return (
                setting.paused_for(for_s, now_s, text) if for_s else setting.resumed()
            )

        self.takeover.order(following, actor=actor, reason=reason)

    def await_replicated(self, event_id: EventId, limit_s: float) -> bool:
        """Wait until the peer's heartbeat says that it has the own event `event_id`."""
        with self._acknowledged:
            return self._acknowledged.wait_for(
                lambda: self._peer_head() >= event_id, limit_s
            )

    def _peer_head(self) -> EventId:
        head = self._peer.heads.get(self._config.role) if self._peer else None
        return EventId.parse(head.id) if head else EventId(0, 0)

    def _apply_replication(self) -> None:
        setting, why_not = self.replication, self.unreadable
        enabled = setting.current.enabled and setting.peers.enabled
        self._replicator.set_enabled(enabled and why_not is None, problem=why_not)
        self._announce()
