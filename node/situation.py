"""The words of supervision: situation, observations, effects. Pure.

Three words, never mixed with a fourth: *observations* enter the state machine, *effects*
leave it, and stored *events* are another matter (`eventstore`).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import attrs

from node.roles import Role, State


@attrs.frozen
class Limits:
    """Deadlines of a planned switch, in seconds."""

    step_s: float
    """One step; also how long the taker's promise holds."""
    whole_s: float
    """From the freeze until the taker has promised, hooks included."""


@attrs.frozen
class Switch:
    """One planned switch, named by `id`; a new instance of either node voids it."""

    id: str
    giver_instance: str
    taker_instance: str
    giver: Role
    actor: str
    reason: str
    urgent: bool = False
    """Begun by a giver that cannot serve; goes on without the confirmation (S15)."""


# Phases: what a node is about. Outside, they read as active or passive.


@attrs.frozen
class Starting:
    """Passive, and nothing heard of the peer yet (S1)."""


@attrs.frozen
class Passive:
    """The peer serves, or is about to."""


@attrs.frozen
class Active:
    """This node serves."""


class GivingStep(StrEnum):
    """What the giver waits for, in this order."""

    FREEZING = "freezing"
    CONFIRMING = "confirming"
    RETIRING = "retiring"
    ASKING = "asking"


@attrs.frozen
class Giving:
    """Active, preparing to hand over."""

    switch: Switch
    step: GivingStep
    until_s: float
    """Deadline of this step."""
    ends_s: float
    """Deadline of the whole."""


@attrs.frozen
class HandingOver:
    """The giver has stepped down and told the taker to activate; passive."""

    switch: Switch
    until_s: float
    """The taker's promise has run out by then; silence counts from there."""


@attrs.frozen
class Asked:
    """The master, passive, has asked the standby to hand over to it."""

    switch: Switch
    until_s: float


@attrs.frozen
class Promised:
    """The taker, passive, will activate when told, until its promise runs out."""

    switch: Switch
    until_s: float


Phase = Starting | Passive | Active | Giving | HandingOver | Asked | Promised


@attrs.frozen
class Situation:
    """All that the machine knows."""

    role: Role
    limits: Limits
    phase: Phase = Starting()
    awaited: Switch | None = None
    """The switch whose outcome is still to be reported: to the operator, at the master that
    ordered it, or to the log, at the giver that began an urgent one.
    """

    @property
    def state(self) -> State:
        """What the outside sees."""
        serving = isinstance(self.phase, Active | Giving)
        return State.ACTIVE if serving else State.PASSIVE

    @property
    def switch(self) -> Switch | None:
        """The switch that is under way here."""
        if isinstance(self.phase, Giving | HandingOver | Asked | Promised):
            return self.phase.switch
        return None

    @property
    def switch_step(self) -> str | None:
        """Where that switch is, in a word for people."""
        match self.phase:
            case Giving(step=step):
                return step.value
            case HandingOver():
                return "handing over"
            case Asked():
                return "asked"
            case Promised():
                return "promised"
            case _:
                return None

    @property
    def deadline_s(self) -> float | None:
        """When `DeadlinePassed` is due, if ever."""
        if isinstance(self.phase, Giving | Asked | Promised):
            return self.phase.until_s
        return None


# Observations.


class Evidence(StrEnum):
    """How the peer's loss was found out (S12)."""

    GOODBYE = "goodbye"
    REFUSED = "refused"
    SILENCE = "silence"


@attrs.frozen
class PeerHeard:
    """The peer's own word: a heartbeat, or its answer to our hello."""

    state: State
    instance: str
    promise: str | None = None
    """Id of the switch for which it has promised to activate."""
    fresh: bool = True
    """Whether it was said after a word of ours that we sent after our last stall (S13)."""


@attrs.frozen
class PeerClaimed:
    """The peer's address answers, but cannot be accepted (S18)."""

    state: State
    problem: str


@attrs.frozen
class PeerLost:
    """Nothing more is to be expected of the peer (S6, S11, S12)."""

    evidence: Evidence
    silent_s: float


@attrs.frozen
class StartWindowClosed:
    """No peer was heard since the start (S2)."""


@attrs.frozen
class NotHeardByPeer:
    """The active peer has not heard us for two `peer_lost_after_s` (S20)."""

    unheard_s: float


@attrs.frozen
class PeerYielded:
    """The peer was active as well, and has given way to this node (S5, S20)."""


@attrs.frozen
class Stalled:
    """This node stood still, and has said nothing for `peer_lost_after_s` (S13)."""

    still_s: float
    """Since its last heartbeat."""


@attrs.frozen
class CannotServe:
    """This node is sick and its peer is well: time to hand over (S15)."""

    switch: Switch


@attrs.frozen
class DeadlinePassed:
    """The phase's deadline is over."""


@attrs.frozen
class SwitchOrdered:
    """At the master: an operator orders a switch, and the pre-checks passed."""

    switch: Switch


@attrs.frozen
class GiveAsked:
    """At the standby: the master asks it to hand over."""

    switch: Switch


@attrs.frozen
class WritesFrozen:
    """At the giver: no change is under way any more; its own stream ends with `head`."""

    switch: Switch
    head: str


@attrs.frozen
class HeadConfirmed:
    """At the giver: the taker has every event."""

    switch: Switch


@attrs.frozen
class ServiceRetired:
    """At the giver: its passive callbacks have ended or timed out (S17)."""

    switch: Switch


@attrs.frozen
class PromiseGiven:
    """At the giver: the taker has promised."""

    switch: Switch


@attrs.frozen
class ConfirmAsked:
    """At the taker: the giver asks whether its events up to `head` are here."""

    switch: Switch
    head: str


@attrs.frozen
class HeadReached:
    """At the taker: they are."""

    switch: Switch


@attrs.frozen
class PromiseAsked:
    """At the taker: the giver asks for the promise."""

    switch: Switch


@attrs.frozen
class ActivateTold:
    """At the taker: the giver has stepped down."""

    switch: Switch


@attrs.frozen
class SwitchAborted:
    """The other side gives the switch up."""

    switch: Switch
    why: str


Observation = (
    PeerHeard
    | PeerClaimed
    | PeerLost
    | StartWindowClosed
    | NotHeardByPeer
    | PeerYielded
    | Stalled
    | CannotServe
    | DeadlinePassed
    | SwitchOrdered
    | GiveAsked
    | WritesFrozen
    | HeadConfirmed
    | ServiceRetired
    | PromiseGiven
    | ConfirmAsked
    | HeadReached
    | PromiseAsked
    | ActivateTold
    | SwitchAborted
)


# Effects, in the order in which they must happen.


@attrs.frozen
class ChangeState:
    """Publish the new state, log it, record it as an event (S16)."""

    state: State
    reason: str
    rule: str
    evidence: Mapping[str, str | float] = attrs.Factory(dict)


@attrs.frozen
class RunCallbacks:
    """Run what was registered for a change to `state` (S17)."""

    state: State


@attrs.frozen
class RecordBothActive:
    """Both nodes were active, and this one gives way: a fact to be recorded."""


@attrs.frozen
class RetireService:
    """Run the passive callbacks while still active outside; then `ServiceRetired`."""

    switch: Switch


@attrs.frozen
class FreezeWrites:
    """Hold back changes; then `WritesFrozen`."""

    switch: Switch


@attrs.frozen
class ThawWrites:
    """Let changes through again."""


@attrs.frozen
class AwaitHead:
    """Wait, at most one step, until the giver's events are here; then `HeadReached`."""

    switch: Switch
    head: str


class SwitchStep(StrEnum):
    """What one node tells the other in a planned switch. Names are stored in frames."""

    GIVE = "give"
    CONFIRM = "confirm"
    CONFIRMED = "confirmed"
    PROMISE = "promise"
    PROMISED = "promised"
    ACTIVATE = "activate"
    ABORT = "abort"


@attrs.frozen
class Tell:
    """Send the peer one step of a switch."""

    step: SwitchStep
    switch: Switch
    text: str = ""
    """The head to confirm, or why the switch is given up."""


class Outcome(StrEnum):
    """How a switch ended, for the operator."""

    DONE = "done"
    ROLLED_BACK = "rolled-back"
    """Before the giver stepped down: all is as before."""
    FAILED = "switch-failed"
    """After it; the text says which node is active, and why."""
    CANCELLED = "cancelled"
    """While it waited for calls to end; nothing had begun."""


@attrs.frozen
class Report:
    """Tell the operator how the switch ended."""

    switch: Switch
    outcome: Outcome
    text: str


Effect = (
    ChangeState
    | RunCallbacks
    | RecordBothActive
    | RetireService
    | FreezeWrites
    | ThawWrites
    | AwaitHead
    | Tell
    | Report
)
