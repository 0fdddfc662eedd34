"""One node of the explored pair, as a value: what one process knows that matters here.

There is no clock. A node's deadline is *late* once it is over. Instances have two names, the
present one and all that are gone. So the number of nodes is finite.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import TypeVar

import attrs

from node import supervision
from node.link_messages import Goodbye, SwitchMessage
from node.roles import Role, State
from node.situation import (
    Active,
    Asked,
    Evidence,
    Giving,
    HandingOver,
    Limits,
    Observation,
    Phase,
    Promised,
    Situation,
    Switch,
)
from node.supervision import Step
from node.switch_order import OwnFacts, against_handover, failed_prechecks
from node.takeover_gate import Pause, TakeoverGate

LIMITS = Limits(step_s=1.0, whole_s=5.0)
_T = TypeVar("_T")


@attrs.frozen(kw_only=True)
class Rules:
    """The production code that decides, or that with one rule broken, to see it missed."""

    step: Callable[[Situation, Observation, float], Step] = supervision.step
    gate: Callable[..., TakeoverGate] = TakeoverGate
    against_handover: Callable[..., str | None] = against_handover
    # What `core` and the link see to, and the model in their place.
    drops_overtaken_words: bool = True
    """Of two words of a node, the older one tells nothing."""
    accepts_what_holds: bool = True
    """A listener whose state has changed since its hello does not accept the dial."""
    waits_for_promises: bool = True
    """A claim that names a promise makes nobody active (S18)."""
    asks_again: bool = True
    """Who was refused before it stood still dials again before it believes it (S13)."""


@attrs.frozen(kw_only=True)
class Gate:
    """What an operator has configured to hold takeovers back."""

    hold_off_s: float = 0.0
    per_hour_max: int = 0
    ask_again_s: float | None = None
    """A witness is asked before silence makes a node active; None: there is none."""

    def holds(
        self,
        rules: Rules,
        evidence: Evidence | None,
        *,
        paused: bool,
        took_over: bool,
        witness: bool,
    ) -> bool:
        """Whether a takeover has to wait, once the witness has answered."""
        gate = rules.gate(
            hold_off_s=self.hold_off_s,
            per_hour_max=self.per_hour_max,
            ask_again_s=self.ask_again_s,
        )
        gate.remember([0.0] if took_over else [], 0.0)
        pause = PAUSE if paused else None
        if gate.held(evidence, pause, 0.0) is None:
            return False
        question = gate.take_question()
        if question is not None:
            gate.witness_answered(question, None if witness else "not reached")
        return gate.held(evidence, pause, 0.0) is not None


PAUSE = Pause(60.0, "by jane")
OPEN_GATE = Gate()


def instance(role: Role) -> str:
    """The name of the process that runs at present."""
    return f"{role}-now"


def aged(value: _T, role: Role) -> _T:
    """`value` once the present process of `role` is gone."""
    return _renamed(value, instance(role), f"{role}-gone")


def _renamed(value: _T, before: str, after: str) -> _T:
    if value == before:
        return after  # type: ignore[return-value]
    if isinstance(value, tuple):
        return tuple(_renamed(part, before, after) for part in value)  # type: ignore[return-value]
    kind = type(value)
    if attrs.has(kind):
        names = [field.name for field in attrs.fields(kind)]
        parts = {name: getattr(value, name) for name in names}
        changed = {
            name: new
            for name, part in parts.items()
            if (new := _renamed(part, before, after)) != part
        }
        return attrs.evolve(value, **changed) if changed else value  # type: ignore[misc]
    return value


@attrs.frozen
class Word:
    """A heartbeat, or the hello with which a dial is answered."""

    state: State
    instance: str
    promise: str | None
    well: bool = True
    """It can serve."""
    fresh: bool = True
    """It answers something the receiver sent after its last stall (S13)."""
    fresh_here: bool = True
    """It was sent after the sender's last stall."""

    def stale(self, by_itself: bool) -> Word:
        """The same, once its sender, or else its receiver, has stood still."""
        if by_itself:
            return attrs.evolve(self, fresh_here=False)
        return attrs.evolve(self, fresh=False)


Message = Word | SwitchMessage | Goodbye
Saying = tuple[Message, ...]


class Sleep(IntEnum):
    """Whether the node's loop turns."""

    AWAKE = 0
    SHORT = 1
    """It stands still, but not for as long as its peer would wait."""
    LONG = 2


@attrs.frozen
class _PeerFacts:
    state: State
    ready: bool
    problems: Mapping[str, str] = attrs.Factory(dict)
    replicating: bool = True
    replication_enabled: bool = True
    calls: int = 0


@attrs.frozen
class Node:
    """All that one process knows that matters here."""

    situation: Situation
    late: bool = False
    """The phase's deadline is over; for `HandingOver`, the taker's promise has run out."""
    sleep: Sleep = Sleep.AWAKE
    peer: str | None = None
    """The instance of the peer that it has met."""
    peers_state: State | None = None
    """As that instance's last heartbeat said."""
    peer_well: bool = True
    """As that said."""
    goodbye: bool = False
    """The peer has said goodbye, and nothing since."""
    doubts: bool = False
    """It stood still since its start, so only fresh words count as such."""
    heard_fresh: bool = True
    """It has heard a fresh word since it stood still last."""
    peers_fresh: bool = True
    """The peer's last heartbeat was sent after the peer's last stall."""
    works: tuple[Observation, ...] = ()
    """What its shells are about, and will observe at any time, or never."""
    frozen: bool = False
    serving: bool = False
    """Whether the active callbacks were the last ones to be run."""
    paused: bool = False
    sick: bool = False
    """It cannot serve."""
    tried: bool = False
    """It began to hand over for sickness within the last minute."""

    @property
    def role(self) -> Role:
        return self.situation.role

    @property
    def phase(self) -> Phase:
        return self.situation.phase

    @property
    def active(self) -> bool:
        return self.situation.state is State.ACTIVE

    @property
    def promise(self) -> str | None:
        return self.phase.switch.id if isinstance(self.phase, Promised) else None

    def word(self) -> Word:
        """What its next heartbeat says."""
        return Word(
            self.situation.state,
            instance(self.role),
            self.promise,
            well=not self.sick,
            fresh=self.peers_fresh,
        )

    # Why an operator's order, or its own sickness, begins no switch here.

    def against_order(self, *, link_open: bool) -> bool:
        own = OwnFacts(
            ready=not self.sick,
            problems={},
            replicating=True,
            replication_enabled=True,
            calls=0,
            link_open=link_open and not self.goodbye,
            heard_by_peer=True,
            event_format=1,
            peer_format=1,
        )
        return bool(failed_prechecks(self.situation, own, self._peer_facts()))

    def against_urgent(self, rules: Rules, *, link_open: bool) -> bool:
        if not self.sick or not isinstance(self.phase, Active):
            return True
        against = rules.against_handover(
            self._peer_facts(),
            link_open=link_open and not self.goodbye,
            heard_by_peer=True,
            pause=PAUSE if self.paused else None,
            tried_s=0.0 if self.tried else None,
        )
        return against is not None

    def _peer_facts(self) -> _PeerFacts | None:
        state = self.peers_state
        return None if state is None else _PeerFacts(state, self.peer_well)

    def switch(self, number: int, *, urgent: bool) -> Switch:
        """The switch that is ordered here, or begun for sickness."""
        assert self.peer is not None, "the pre-checks have passed"
        giver, taker = instance(self.role), self.peer
        role = self.role
        if not self.active:
            giver, taker, role = taker, giver, role.other
        name = f"{'urgent' if urgent else 'switch'}-{number}"
        return Switch(name, giver, taker, role, "jane", "why", urgent)


def started(role: Role, phase: Phase | None = None) -> Node:
    """A process that has just begun, or in `phase` after it has met its peer."""
    if phase is None:
        return Node(Situation(role, LIMITS))
    active = isinstance(phase, Active)
    return Node(
        Situation(role, LIMITS, phase),
        peer=instance(role.other),
        peers_state=State.PASSIVE if active else State.ACTIVE,
        serving=active,
    )


def has_deadline(phase: Phase) -> bool:
    """Whether time alone changes what this phase does."""
    return isinstance(phase, Giving | HandingOver | Asked | Promised)
