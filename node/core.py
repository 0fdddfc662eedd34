"""Supervision, failure detector and link protocol behind one face. Pure.

What the shells see goes in with the time at which they saw it, and effects come out, in the
order in which they must be carried out. Simulations run this very code.

Each direction of the link is measured alone (S20): this node speaks on the connection that it
dialled and listens on the one that it accepted. A newer connection of the peer supersedes
the older one, whose frames are dropped from then on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from random import Random
from typing import assert_never

import attrs

from node.acknowledgements import Acknowledgements
from node.both_active import BothActive, GivenWay, Heads, newest
from node.config import NodeConfig
from node.divergence import Difference, divergence
from node.errors import RemoteProtocolError
from node.failure_detector import FailureDetector
from node.link_messages import Goodbye, Head, Heartbeat, Hello, SwitchMessage
from node.link_protocol import (
    Accepted,
    Connection,
    Greeted,
    Greeting,
    Identity,
    Incident,
    Received,
    Unacceptable,
)
from node.roles import Role, State
from node.situation import (
    Active,
    CannotServe,
    ChangeState,
    DeadlinePassed,
    Effect,
    Giving,
    HandingOver,
    Limits,
    NotHeardByPeer,
    Observation,
    Outcome,
    PeerClaimed,
    PeerHeard,
    PeerLost,
    PeerYielded,
    Promised,
    RecordBothActive,
    Report,
    Situation,
    Stalled,
    Starting,
    StartWindowClosed,
    Switch,
    SwitchOrdered,
    Tell,
)
from node.supervision import step
from node.switch_order import (
    OwnFacts,
    Waiting,
    against_handover,
    calls_of_giver,
    failed_prechecks,
)
from node.switch_steps import observation_of
from node.takeover_gate import FLAPPING, Held, Pause, TakeoverGate

STALL_INTERVALS = 1.5
"""A loop that turns later than this many intervals does not judge by that silence."""
_SICKNESS_LENGTH_MAX = 300
_DIAL_LIMIT_INTERVALS = 3
"""A dial whose end was not told by then is forgotten."""
_REFUSAL_NOTE_COUNT = 10
_REFUSAL_PERIOD_S = 60.0


@attrs.frozen(kw_only=True)
class Facts:
    """What this node says of itself in heartbeats; taken anew by the shell at each turn."""

    heads: Mapping[str, Head]
    digest: str
    entry_count: int
    fold_version: int
    problems: Mapping[str, str]
    ready: bool
    replicating: bool
    replication_revision: int
    replication_enabled: bool
    pause_revision: int
    paused: bool
    pause_left_ms: int
    pause_text: str
    read_up_to: str
    calls: int


@attrs.frozen
class SendBytes:
    """Write `data` to `connection`."""

    connection: int
    data: bytes


@attrs.frozen
class CloseConnection:
    """Close `connection` once what was sent is out."""

    connection: int


@attrs.frozen
class Dial:
    """Connect to the peer's link address; one attempt."""


@attrs.frozen
class PeerSpoke:
    """The peer's heartbeat, for what outside of supervision depends on it."""

    heartbeat: Heartbeat


@attrs.frozen
class PeerWrites:
    """In which format the peer writes its events; None: nobody is there to say it."""

    event_format: int | None


@attrs.frozen
class Note:
    """A line for the log."""

    text: str
    alarming: bool = False


@attrs.frozen
class AskWitness:
    """Ask whether others than the peer can be reached; the answer names `question`."""

    question: int


LinkEffect = (
    SendBytes
    | CloseConnection
    | Dial
    | PeerSpoke
    | PeerWrites
    | BothActive
    | AskWitness
    | Note
)
CoreEffect = Effect | LinkEffect


class Core:
    """One node's decisions. After each call, `take_effects` gives what is to be done."""

    def __init__(
        self,
        config: NodeConfig,
        *,
        identity: Identity,
        facts: Callable[[], Facts],
        rng: Random,
        now_s: float,
    ) -> None:
        self._config = config
        self._identity = identity
        self._facts = facts
        self._rng = rng
        self._limits = Limits(config.switch_step_s, config.switch_timeout_s)
        self.situation = Situation(config.role, self._limits)
        self.detector = FailureDetector(
            config.heartbeat_interval_s, config.peer_lost_after_s, counted_from_s=now_s
        )
        self.contact_s: float | None = None
        """When the peer was there for sure, last: what it answered was sent then. None: never.

        A claim is no such proof (S18), nor are words that something on the way held back.
        """
        self._gate = TakeoverGate(
            hold_off_s=config.takeover_hold_off_s,
            per_hour_max=config.takeovers_per_hour_max,
            ask_again_s=config.witness_ask_again_s,
        )
        self.held: Held | None = None
        """Why this node does not activate although its peer seems lost."""
        self.waiting: Waiting | None = None
        self.problem: str | None = None
        """Why the node behind the peer's address cannot be accepted (S18)."""
        self.peer_writes: PeerWrites | None = None
        """None: not known yet."""
        self.divergence: str | None = None
        """How the two nodes' data differ although they must not (D8)."""
        self._suspected: Difference | None = None
        """What the last heartbeat showed of it."""
        self.unserved: str | None = None
        """Why this active node, which cannot serve, does not hand over (S15)."""
        self._sick_from_s: float | None = None
        self._urgent_s: float | None = None
        """When a switch for sickness was begun here last."""
        self._state_from_s = now_s
        self._yield_count = 0
        self.given_way: GivenWay | None = None
        """How this node gave way to an active peer, until that is told of."""
        self._alone_heads: Heads = {}
        """All that was known when, as this node knew, not both were active yet."""
        self._peer_state_from_s = now_s
        self._peer_yield_count = 0
        self._fresh_from_s = now_s
        """Connections opened since then ask the peer anew (S13)."""
        self._fresh_from_sequence = 0
        """Heartbeats from this one on were sent after the last stall."""
        self._heard_fresh = True
        """Whether the peer has answered anything since the last stall."""
        self._peer_sequence = 0
        """Of the newest word of the peer's present instance, heartbeat or hello."""
        self.peer: Heartbeat | None = None
        """The last heartbeat of the peer's present instance."""
        self.peer_instance: str | None = None
        self._turned_s: float | None = None
        """None: nothing has turned yet."""
        self._effects: list[CoreEffect] = []
        self._connections: dict[int, Connection] = {}
        self._opened_s: dict[int, float] = {}
        self._incoming: int | None = None
        self._outgoing: int | None = None
        self._dialling = False
        self._dialled_s = now_s - config.heartbeat_interval_s
        self._redial_s: float | None = None
        self._sequence = 0
        self._spoke_s = now_s
        """When a heartbeat was last due and, if there was a connection, sent."""
        self._acknowledgements = Acknowledgements(
            config.heartbeat_interval_s, unproved_after_s=2 * config.peer_lost_after_s
        )
        self._told: tuple[State, str | None] | None = None
        self._refusals_from_s = now_s
        self._refusal_count = 0

    # What the shells ask for.

    def take_effects(self) -> list[CoreEffect]:
        """What is to be done now, in order."""
        effects, self._effects = self._effects, []
        return effects

    @property
    def state(self) -> State:
        return self.situation.state

    def is_connected(self, now_s: float) -> bool:
        """Whether both directions stand and the peer was heard within the limit."""
        return (
            self._incoming is not None
            and self._outgoing is not None
            and self.detector.verdict(now_s) is None
        )

    def is_heard_by_peer(self, now_s: float) -> bool:
        """Whether the peer has lately acknowledged what we sent."""
        unheard_s = self._acknowledgements.unheard_s(now_s)
        return unheard_s < self._config.peer_lost_after_s

    @property
    def deadline_s(self) -> float | None:
        """When the next turn is due at the latest, ticks apart."""
        moments = [self.situation.deadline_s, self._redial_s, self._doubtful_s]
        if self.held is not None:
            moments.append(self.held.until_s)
        elif isinstance(self.situation.phase, Starting):
            moments.append(self._window_ends_s)
        elif self.state is State.PASSIVE:
            moments.append(self.detector.due_s)
        return min((m for m in moments if m is not None), default=None)

    @property
    def _window_ends_s(self) -> float:
        # Like silence, it counts anew after a stall: what came meanwhile is still unread.
        return self.detector.counted_from_s + self._config.start_window_s

    # What the shells saw.

    def tick(self, now_s: float) -> None:
        """One heartbeat interval has passed; also the first call after the start."""
        self._wake(now_s)
        for number in list(self._connections):
            self._close_if_mute(number, now_s)
        if self._outgoing is None:
            self._dial(now_s)
        self._check_sickness(now_s)
        self._send_heartbeat(now_s)
        self._settle(now_s)

    def announce(self, now_s: float) -> None:
        """What heartbeats carry has changed: say it now."""
        self._wake(now_s)
        self._send_heartbeat(now_s)
        self._settle(now_s)

    def turn(self, now_s: float) -> None:
        """A deadline may be over; nothing else happened."""
        self._wake(now_s)
        self._settle(now_s)

    def observe(self, observation: Observation, now_s: float) -> None:
        """A shell has done what an effect asked for."""
        self._wake(now_s)
        self._step(observation, now_s)
        self._settle(now_s)

    def connection_opened(self, number: int, *, dialled: bool, now_s: float) -> None:
        """A TCP connection stands."""
        self._wake(now_s)
        connection = Connection(
            self._identity, dialled=dialled, greeting=self._greeting, rng=self._rng
        )
        self._connections[number] = connection
        self._opened_s[number] = now_s
        self._flush(number)
        self._settle(now_s)

    def data_received(self, number: int, data: bytes, now_s: float) -> None:
        """Bytes came in."""
        self._wake(now_s)
        connection = self._connections.get(number)
        if connection is None:
            return  # Superseded or closed: what it still says is not believed.
        try:
            for incident in connection.receive(data):
                self._handle(number, connection, incident, now_s)
            self._flush(number)
        except Unacceptable as error:
            self._flush(number)
            self._reject(connection, str(error), self._opened_s[number], now_s)
            self._drop(number, now_s)
        except RemoteProtocolError as error:
            self._note_refusal(f"a link connection was dropped: {error}", now_s)
            self._drop(number, now_s)
        self._settle(now_s)

    def connection_closed(self, number: int, now_s: float) -> None:
        """The other side, or the network, ended a connection."""
        self._wake(now_s)
        self._forget(number, now_s)
        self._settle(now_s)

    def dial_failed(self, now_s: float, *, refused: bool) -> None:
        """The dial came to nothing; `refused`: its host said that nobody listens there."""
        self._wake(now_s)
        self._dialling = False
        self.problem = None
        if refused and self._dialled_s < self._fresh_from_s:
            self._redial_soon()  # S13: since it was refused, the peer may be back.
        elif refused:
            self.detector.refused()
        self._settle(now_s)

    # What the operator orders.

    def order_switch(
        self,
        *,
        switch_id: str,
        actor: str,
        reason: str,
        now_s: float,
        idle_s: float | None,
    ) -> tuple[str, ...]:
        """Begin a planned switch, or wait up to `idle_s` until no call is active (S9).

        Returns every failed pre-check; empty: it has begun, and a `Report` will come.
        """
        self._wake(now_s)
        reasons = self.prechecks(now_s)
        if reasons:
            return reasons
        switch = self._name_switch(switch_id, actor, reason)
        if idle_s is None:
            self._step(SwitchOrdered(switch), now_s)
        else:
            self.waiting = Waiting(switch, now_s + idle_s)
        self._settle(now_s)
        return ()

    def prechecks(self, now_s: float) -> tuple[str, ...]:
        """Every reason against a switch now."""
        facts = self._facts()
        own = OwnFacts(
            ready=facts.ready,
            problems=facts.problems,
            replicating=facts.replicating,
            replication_enabled=facts.replication_enabled,
            calls=facts.calls,
            link_open=self.is_connected(now_s),
            heard_by_peer=self.is_heard_by_peer(now_s),
            event_format=self._identity.event_format,
            peer_format=self.peer_writes.event_format if self.peer_writes else None,
        )
        found = failed_prechecks(self.situation, own, self.peer)
        if self.waiting is not None:
            found += ("a switch waits for calls to end; cancel it first",)
        return found

    @property
    def incoming(self) -> int | None:
        """The connection on which the peer speaks."""
        return self._incoming

    def cancel_waiting(self, why: str) -> bool:
        """Give up a switch that still waits; False when none does."""
        if self.waiting is None:
            return False
        self._effects.append(Report(self.waiting.switch, Outcome.CANCELLED, why))
        self.waiting = None
        return True

    def witness_answered(
        self, question: int, problem: str | None, now_s: float
    ) -> None:
        """What the witness was asked is answered: None, or why it is not reached."""
        self._wake(now_s)
        self._gate.witness_answered(question, problem)
        self._settle(now_s)

    def remember_takeovers(self, ages_s: Iterable[float], now_s: float) -> None:
        """Takeovers of earlier processes of this node, made so long ago."""
        self._gate.remember(ages_s, now_s)

    def takeover_count(self, now_s: float) -> int:
        """Takeovers by itself within the last hour."""
        return self._gate.takeover_count(now_s)

    def waiting_for_calls(self) -> int:
        """Calls that a waiting switch waits for."""
        if self.waiting is None or self.peer is None:
            return 0
        return calls_of_giver(self.waiting.switch, self._facts().calls, self.peer)

    def stop(self) -> None:
        """Say goodbye and end every connection (S11). Nothing is decided afterwards."""
        if self.state is State.ACTIVE:
            self._effects.append(
                ChangeState(State.PASSIVE, "orderly stop of this node", "S11")
            )
        self._end_given_way()
        if self._outgoing is not None:
            self._connections[self._outgoing].send(Goodbye())
            self._flush(self._outgoing)
        for number in list(self._connections):
            self._effects.append(CloseConnection(number))

    # Deciding.

    def _wake(self, now_s: float) -> None:
        if self._turned_s is None:
            self.detector.count_anew(now_s)  # Making ready to start may take its time.
            self._turned_s = now_s
        late_s = now_s - self._turned_s
        self._turned_s = now_s
        if late_s > STALL_INTERVALS * self._config.heartbeat_interval_s:
            self._distrust(late_s, now_s)

    def _distrust(self, late_s: float, now_s: float) -> None:
        """S13: what this node believed before it stood still is not to be believed."""
        self.detector.count_anew(now_s)
        self._acknowledgements.count_anew(now_s)  # S20 judges by silence as well.
        self._fresh_from_s = now_s
        self._fresh_from_sequence = self._sequence + 1
        self._heard_fresh = False
        self._effects.append(
            Note(f"this node stood still for {late_s:.1f} s; silence counts anew")
        )
        # The peer counts from our last word, which is older than the stall.
        unsaid_s = now_s - self._spoke_s
        if unsaid_s >= self._config.peer_lost_after_s:
            self._step(Stalled(unsaid_s), now_s)

    def _settle(self, now_s: float) -> None:
        """Whatever follows from the time alone, and telling the peer what changed."""
        if self._redial_s is not None and now_s >= self._redial_s:
            self._redial_s = None
            if self._outgoing is None:
                self._dial(now_s)
        if self._doubtful_s is not None and now_s >= self._doubtful_s:
            self._dial(now_s)  # The old one is kept until the new one stands.
        self._judge(now_s)
        deadline_s = self.situation.deadline_s
        if deadline_s is not None and now_s >= deadline_s:
            self._step(DeadlinePassed(), now_s)
        self._check_unheard(now_s)
        self._check_waiting(now_s)
        self._tell_both_active(now_s)
        if self._told != self._public():
            self._send_heartbeat(now_s)

    def _judge(self, now_s: float) -> None:
        """Whether nobody is to be expected any more, and whether that may be acted on."""
        found = self._nobody_there(now_s)
        if found is None:
            self.held = None
            return
        self._learn_format(None)
        if isinstance(self.situation.phase, Giving | HandingOver | Promised):
            # Of a planned switch one of the two must come out.
            self._step(found, now_s)
            return
        evidence = found.evidence if isinstance(found, PeerLost) else None
        held = self._gate.held(evidence, self._pause(), now_s)
        question = self._gate.take_question()
        if question is not None:
            self._effects.append(AskWitness(question))
        if held is not None:
            if self.held is None or held.why != self.held.why:
                text = f"no sign of the peer ({evidence or 'at the start'}), but {held.why}"
                self._effects.append(Note(text, alarming=True))
            self.held = held
            return
        self.held = None
        if evidence in FLAPPING:
            self._gate.took_over(now_s)
        self._step(found, now_s)

    def _nobody_there(self, now_s: float) -> PeerLost | StartWindowClosed | None:
        if isinstance(self.situation.phase, Active):
            return None  # It serves in any case.
        if isinstance(self.situation.phase, Starting):
            return StartWindowClosed() if now_s >= self._window_ends_s else None
        return self.detector.verdict(now_s)

    def _pause(self) -> Pause | None:
        facts = self._facts()
        if not (facts.paused and facts.pause_left_ms):
            return None
        return Pause(facts.pause_left_ms / 1000, facts.pause_text)

    def _step(self, observation: Observation, now_s: float) -> None:
        before = self.state
        self.situation, effects = step(self.situation, observation, now_s)
        for effect in effects:
            if isinstance(effect, Tell):
                self._tell(effect)
            elif isinstance(effect, RecordBothActive):
                self._end_given_way()
                self._yield_count += 1
                self.given_way = GivenWay(
                    from_s=self._state_from_s,
                    yielded_s=now_s,
                    next_sequence=self._sequence + 1,
                    before=self._alone_heads,
                    ours=self._facts().heads,
                )
            else:
                self._effects.append(effect)
        if isinstance(self.situation.phase, HandingOver):
            # Silence counts from the moment the taker's promise has run out (S14).
            self.detector.count_anew(self.situation.phase.until_s)
        if self.state is not before:
            self._state_from_s = now_s
            if self.state is State.ACTIVE:
                theirs = self.peer.heads if self.peer else {}
                self._alone_heads = newest(self._facts().heads, theirs)
            self.cancel_waiting(f"this node became {self.state}")
            self._send_heartbeat(now_s)

    def _check_unheard(self, now_s: float) -> None:
        """S20: while we hear the active standby, do we learn that it hears us?"""
        ours = self.situation.role is Role.MASTER and self.state is State.ACTIVE
        theirs = self.peer is not None and self.peer.state is State.ACTIVE
        if not (ours and theirs) or self.detector.verdict(now_s) is not None:
            return
        unheard_s = self._acknowledgements.unheard_s(now_s)
        if unheard_s >= 2 * self._config.peer_lost_after_s:
            self._step(NotHeardByPeer(unheard_s), now_s)

    def _check_sickness(self, now_s: float) -> None:
        """S15: an active node that cannot serve hands over to a peer that can."""
        problems = self._facts().problems
        if self.state is State.PASSIVE or not problems:
            self._sick_from_s = self.unserved = None
            return
        if self._sick_from_s is None:
            self._sick_from_s = now_s
        # As patient as with a silent peer: a Redis that is restarted is soon back.
        patient = now_s - self._sick_from_s < self._config.peer_lost_after_s
        if patient or not isinstance(self.situation.phase, Active):
            return
        sickness = "; ".join(f"{name}: {text}" for name, text in problems.items())
        against = self._against_handover(now_s)
        if against is None:
            self.unserved, self._urgent_s = None, now_s
            switch = self._name_switch(
                self._rng.randbytes(4).hex(),
                f"{self._config.role} node",
                f"it cannot serve: {sickness[:_SICKNESS_LENGTH_MAX]}",
            )
            self._step(CannotServe(attrs.evolve(switch, urgent=True)), now_s)
        elif against != self.unserved:
            self.unserved = against
            text = f"this node cannot serve ({sickness}) and goes on: {against}"
            self._effects.append(Note(text, alarming=True))

    def _against_handover(self, now_s: float) -> str | None:
        return against_handover(
            self.peer,
            link_open=self.is_connected(now_s),
            heard_by_peer=self.is_heard_by_peer(now_s),
            pause=self._pause(),
            tried_s=None if self._urgent_s is None else now_s - self._urgent_s,
        )

    def _tell_both_active(self, now_s: float) -> None:
        """That both were active is told with the peer's part in it, once that is here."""
        found, peer = self.given_way, self.peer
        if found is None:
            return
        if peer is not None and peer.state is State.ACTIVE:
            found = found.told(peer, self._peer_state_from_s)
            self.given_way = found
        peer_lost = self.detector.verdict(now_s) is not None
        if found.is_due(self._facts().heads, now_s, peer_lost=peer_lost):
            self._end_given_way()

    def _end_given_way(self) -> None:
        if self.given_way is not None:
            assert self._turned_s is not None, "it has heard the peer"
            found = self.given_way.summary(self._facts().heads, self._turned_s)
            self._effects.append(found)
            self.given_way = None

    def _check_waiting(self, now_s: float) -> None:
        waiting = self.waiting
        if waiting is None:
            return
        instances = {waiting.switch.giver_instance, waiting.switch.taker_instance}
        if self.peer_instance not in instances:
            self.cancel_waiting("the standby was restarted")
        elif now_s >= waiting.until_s:
            self.cancel_waiting(f"{self.waiting_for_calls()} calls did not end in time")
        elif self.waiting_for_calls() == 0:
            self.waiting = None
            reasons = self.prechecks(now_s)
            if reasons:
                text = "; ".join(reasons)
                report = Report(waiting.switch, Outcome.CANCELLED, text)
                self._effects.append(report)
            else:
                self._step(SwitchOrdered(waiting.switch), now_s)

    def _name_switch(self, switch_id: str, actor: str, reason: str) -> Switch:
        assert self.peer_instance is not None, "the pre-checks have passed"
        both = (self._identity.instance, self.peer_instance)
        giver, taker = both if self.state is State.ACTIVE else reversed(both)
        role = (
            self._config.role if self.state is State.ACTIVE else self._config.role.other
        )
        return Switch(switch_id, giver, taker, role, actor, reason)

    # Hearing the peer.

    def _handle(
        self, number: int, connection: Connection, incident: Incident, now_s: float
    ) -> None:
        match incident:
            case Greeted():
                self._flush(number)  # Our hello answers, whatever comes next.
            case Accepted(hello):
                self._flush(number)
                self._accept(number, connection, hello, now_s)
            case Received(message):
                self._receive(message, now_s)
            case _:
                assert_never(incident)

    def _receive(
        self, message: Heartbeat | Goodbye | SwitchMessage, now_s: float
    ) -> None:
        match message:
            case Heartbeat():
                self._hear(message, now_s)
            case Goodbye():
                self._effects.append(Note("the peer says goodbye"))
                if self._heard_fresh:
                    self.detector.goodbye()
                else:
                    # S13: it may be back since; the dial that follows finds out.
                    self.detector.connection_ended()
            case SwitchMessage():
                self._mark_heard(now_s)
                self._hear_switch(message, now_s)
            case _:
                assert_never(message)

    def _accept(
        self, number: int, connection: Connection, hello: Hello, now_s: float
    ) -> None:
        self.problem = None
        self._learn_format(hello.event_format)
        if hello.instance != self.peer_instance:
            self._meet_instance(number, hello.instance, now_s)
        if connection.dialled:
            self._speak_on(number, now_s)
        else:
            self._supersede(self._incoming, number)
            self._incoming = number
            if self._outgoing is None:
                self._dial(now_s)  # So that each side hears the other at once.
        self._mark_heard(now_s)
        if connection.dialled:
            # Its answer to our hello. An incoming hello is as old as its dial, and a
            # heartbeat follows it at once.
            fresh = self._opened_s[number] >= self._fresh_from_s
            self._heard_fresh |= fresh
            if self._is_news(hello.sequence):
                heard = PeerHeard(hello.state, hello.instance, hello.promise, fresh)
                self._step(heard, now_s)
            self._send_heartbeat(now_s)

    def _learn_format(self, event_format: int | None) -> None:
        if event_format is None and self.peer_writes is not None:
            return  # What it said of its events stays true when it is gone.
        said = PeerWrites(event_format)
        if said != self.peer_writes:
            self.peer_writes = said
            self._effects.append(said)

    def _speak_on(self, number: int, now_s: float) -> None:
        if self._outgoing is not None:
            unheard_s = self._acknowledgements.unheard_s(now_s)
            text = f"the peer did not answer for {unheard_s:.1f} s; a new connection stands"
            self._effects.append(Note(text))
        self._supersede(self._outgoing, number)
        self._outgoing, self._dialling = number, False
        self._acknowledgements.connected(now_s)

    def _meet_instance(self, number: int, instance: str, now_s: float) -> None:
        """The peer's process is another one: nothing of the old one counts."""
        self.peer_instance, self.peer = instance, None
        self._peer_yield_count = self._peer_sequence = 0
        self._acknowledgements.peer_began(now_s)
        for old in (self._incoming, self._outgoing):
            self._supersede(old, number)
        self._incoming = self._outgoing = None

    def _supersede(self, old: int | None, new: int) -> None:
        if old is not None and old != new and old in self._connections:
            del self._connections[old], self._opened_s[old]
            self._effects.append(CloseConnection(old))

    def _hear(self, heartbeat: Heartbeat, now_s: float) -> None:
        if heartbeat.instance != self.peer_instance:
            raise RemoteProtocolError(
                "a heartbeat names another instance than its hello"
            )
        self._mark_heard(now_s)
        if not self._is_news(heartbeat.sequence):
            return  # A hello that was said after it was faster, on another connection.
        self.peer = heartbeat
        answered = heartbeat.heard_sequence
        answered_s = self._acknowledgements.acknowledged(answered, now_s)
        if answered_s is not None:
            self.contact_s = answered_s
        self._peer_state_from_s = now_s - heartbeat.state_age_ms / 1000
        self._effects.append(PeerSpoke(heartbeat))
        self._compare(heartbeat)
        fresh = heartbeat.heard_sequence >= self._fresh_from_sequence
        self._heard_fresh |= fresh
        if heartbeat.state is State.PASSIVE:
            # What it had then, not what is here now: its words may have come late.
            self._alone_heads = newest(self._alone_heads, heartbeat.heads)
        state, instance = heartbeat.state, heartbeat.instance
        self._step(PeerHeard(state, instance, heartbeat.promise, fresh), now_s)
        if heartbeat.yield_count > self._peer_yield_count:
            self._peer_yield_count = heartbeat.yield_count
            self._step(PeerYielded(), now_s)

    def _is_news(self, sequence: int) -> bool:
        """Whether nothing newer was heard of the peer's state."""
        if sequence < self._peer_sequence:
            return False
        self._peer_sequence = sequence
        return True

    def _mark_heard(self, now_s: float) -> None:
        if self.detector.verdict(now_s) is not None:
            self._acknowledgements.peer_returned(now_s)
        self._gate.peer_heard()
        self.detector.heard(now_s)

    def _compare(self, heartbeat: Heartbeat) -> None:
        """D8: the same streams, and of the same streams the same entries.

        Believed when found twice running: the peer may have copied an event that is stored
        here, but not yet applied.
        """
        facts, before = self._facts(), self._suspected
        found = divergence(facts, heartbeat, own=self._config.role.value)
        if found is None and before is not None and before.may_last(facts, heartbeat):
            return
        believed = found.text if found is not None and before is not None else None
        if believed is not None and self.divergence is None:
            self._effects.append(Note(believed, alarming=True))
        elif believed is None and self.divergence is not None:
            self._effects.append(Note(f"no longer seen: {self.divergence}"))
        self.divergence = believed
        self._suspected = found

    def _hear_switch(self, message: SwitchMessage, now_s: float) -> None:
        observed = observation_of(
            message,
            role=self._config.role,
            instance=self._identity.instance,
            peer_instance=self.peer_instance,
        )
        if observed is None:
            text = (
                f"step {message.step} of switch {message.switch.id} does not concern us"
            )
            self._effects.append(Note(text))
            return
        self._step(observed, now_s)

    def _reject(
        self, connection: Connection, problem: str, opened_s: float, now_s: float
    ) -> None:
        """The other side cannot be our peer. Only the configured address may claim (S18)."""
        if not connection.dialled:
            self._note_refusal(f"a link connection was refused: {problem}", now_s)
            return
        if problem != self.problem:
            self.problem = problem
            text = f"the peer is not accepted: {problem}"
            self._note_refusal(text, now_s, alarming=True)
        claim = connection.peer
        if claim is not None:
            self._learn_format(claim.event_format)
        if claim is None or self.state is State.ACTIVE or self._incoming is not None:
            return
        if claim.instance == self._identity.instance:
            return  # We dialled ourselves.
        if opened_s < self._fresh_from_s:
            return  # S13: said before we stood still.
        self.detector.heard(now_s)
        self.detector.connection_ended()
        if claim.promise is not None:
            return  # S14: it may still activate; the next dial asks again.
        # Two nodes of one role cannot agree by S4: both stay as they are, and say so.
        same_role = claim.role is self._config.role
        state = State.ACTIVE if same_role else claim.state
        self._step(PeerClaimed(state, problem), now_s)

    def _note_refusal(self, text: str, now_s: float, *, alarming: bool = False) -> None:
        """A line for the log, but a stranger who goes on dialling must not fill it."""
        if now_s - self._refusals_from_s >= _REFUSAL_PERIOD_S:
            self._refusals_from_s, self._refusal_count = now_s, 0
        self._refusal_count += 1
        if self._refusal_count < _REFUSAL_NOTE_COUNT:
            self._effects.append(Note(text, alarming))
        elif self._refusal_count == _REFUSAL_NOTE_COUNT:
            self._effects.append(Note(f"{text}; more in this minute are not logged"))

    # Speaking to the peer.

    def _public(self) -> tuple[State, str | None]:
        phase = self.situation.phase
        promise = phase.switch.id if isinstance(phase, Promised) else None
        return self.state, promise

    def _greeting(self) -> Greeting:
        return Greeting(*self._public(), self._sequence)

    def _send_heartbeat(self, now_s: float) -> None:
        self._told, self._spoke_s = self._public(), now_s
        self._sequence += 1  # Also when nobody hears it: a hello after it is newer.
        if self._outgoing is None:
            return
        facts = self._facts()
        self._acknowledgements.sent(self._sequence, now_s)
        state, promise = self._told
        heartbeat = Heartbeat(
            instance=self._identity.instance,
            sequence=self._sequence,
            heard_sequence=self.peer.sequence if self.peer else 0,
            role=self._config.role,
            state=state,
            promise=promise,
            state_age_ms=int(1000 * (now_s - self._state_from_s)),
            yield_count=self._yield_count,
            version=self._identity.version,
            **{f.name: getattr(facts, f.name) for f in attrs.fields(Facts)},
        )
        self._connections[self._outgoing].send(heartbeat)
        self._flush(self._outgoing)

    def _tell(self, told: Tell) -> None:
        if self._outgoing is None:
            self._effects.append(
                Note(f"step {told.step} of switch {told.switch.id} could not be sent")
            )
            return
        message = SwitchMessage(told.step, told.switch, told.text)
        self._connections[self._outgoing].send(message)
        self._flush(self._outgoing)

    # Connections.

    def _flush(self, number: int) -> None:
        data = self._connections[number].take_outbox()
        if data:
            self._effects.append(SendBytes(number, data))

    @property
    def _doubtful_s(self) -> float | None:
        """When a connection is to be dialled beside the one on which this node speaks."""
        doubtful_s = self._acknowledgements.doubtful_s
        if self._outgoing is None or doubtful_s is None:
            return None
        wait_s = self._config.heartbeat_interval_s
        if self._dialling:
            wait_s *= _DIAL_LIMIT_INTERVALS
        return max(doubtful_s, self._dialled_s + wait_s)

    def _dial(self, now_s: float) -> None:
        self._redial_s = None
        overdue_s = _DIAL_LIMIT_INTERVALS * self._config.heartbeat_interval_s
        if self._dialling and now_s < self._dialled_s + overdue_s:
            return
        self._dialling = True
        self._dialled_s = now_s
        self._effects.append(Dial())

    def _close_if_mute(self, number: int, now_s: float) -> None:
        connection = self._connections[number]
        limit_s = 2 * self._config.heartbeat_interval_s
        if not connection.is_open and now_s - self._opened_s[number] > limit_s:
            self._drop(number, now_s)

    def _drop(self, number: int, now_s: float) -> None:
        self._effects.append(CloseConnection(number))
        self._forget(number, now_s)

    def _forget(self, number: int, now_s: float) -> None:
        connection = self._connections.pop(number, None)
        if connection is None:
            return
        del self._opened_s[number]
        if connection.dialled and not connection.is_open:
            self._dialling = False  # The next tick dials again, or sooner:
            if self.problem is None and self._heard_lately(now_s):
                # A process that is being killed may still take a dial, and drop it.
                self._redial_soon()
        if number == self._incoming:
            self._incoming = None
            self.detector.connection_ended()
        if number == self._outgoing:
            self._outgoing = None
            self._redial_soon()

    def _redial_soon(self) -> None:
        """Dial at once, to learn whether the process is gone.

        But a connection that never lasts must not become a busy loop.
        """
        self._redial_s = self._dialled_s + 0.1 * self._config.heartbeat_interval_s

    def _heard_lately(self, now_s: float) -> bool:
        heard_s = self.detector.heard_s
        return (
            heard_s is not None and now_s - heard_s < self._config.heartbeat_interval_s
        )
