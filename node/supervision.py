"""Who is active, and how that changes: the state machine of one node. Pure.

`step` maps a situation and one observation to the next situation and the effects that the
shells carry out, in order. Observations say what was seen or what is asked; only `_activate`
and `_deactivate` change who serves. The rules S1-S20 are those of the design; the whole table is
in `docs/supervision.md`, which is generated from this code.

A planned switch (S14) goes from the giver G to the taker T, and the master orders it:

    G: freeze -> confirm heads -> retire service -> ask promise -> step down -> activate!
    T:           heads reached                      promise                     active

Every message names the switch and both instances; what belongs to another one is dropped by
`core` before it comes here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

import attrs

from node.roles import Role, State
from node.situation import (
    ActivateTold,
    Active,
    Asked,
    AwaitHead,
    CannotServe,
    ChangeState,
    ConfirmAsked,
    DeadlinePassed,
    Effect,
    Evidence,
    FreezeWrites,
    GiveAsked,
    Giving,
    GivingStep,
    HandingOver,
    HeadConfirmed,
    HeadReached,
    NotHeardByPeer,
    Observation,
    Outcome,
    Passive,
    PeerClaimed,
    PeerHeard,
    PeerLost,
    PeerYielded,
    PromiseAsked,
    Promised,
    PromiseGiven,
    RecordBothActive,
    Report,
    RetireService,
    RunCallbacks,
    ServiceRetired,
    Situation,
    Stalled,
    Starting,
    StartWindowClosed,
    Switch,
    SwitchAborted,
    SwitchOrdered,
    SwitchStep,
    Tell,
    ThawWrites,
    WritesFrozen,
)

Step = tuple[Situation, tuple[Effect, ...]]


def step(now: Situation, observed: Observation, now_s: float) -> Step:
    """The next situation, and what is to be done, in order."""
    match now.phase:
        case Starting():
            return _step_starting(now, observed)
        case Passive():
            return _step_passive(now, observed, now_s)
        case Active():
            return _step_active(now, observed, now_s)
        case Giving() as phase:
            return _step_giving(now, phase, observed, now_s)
        case HandingOver() as phase:
            return _step_handing_over(now, phase, observed, now_s)
        case Asked() as phase:
            return _step_asked(now, phase, observed, now_s)
        case Promised() as phase:
            return _step_promised(now, phase, observed, now_s)
        case _:
            assert_never(now.phase)


def _step_starting(now: Situation, observed: Observation) -> Step:
    match observed:
        case StartWindowClosed():
            return _activate(now, "no peer heard since the start", "S2")
        case PeerHeard() | PeerClaimed():
            return _meet(attrs.evolve(now, phase=Passive()), observed)
        case PeerLost():
            return now, ()  # S2: only the start window decides before a peer was heard.
        case NotHeardByPeer() | PeerYielded() | Stalled() | DeadlinePassed():
            return now, ()  # We are not active, and wait for nothing.
        case CannotServe():
            return now, ()  # We do not serve.
        case SwitchOrdered(switch) | GiveAsked(switch):
            return now, _decline(now, switch, "this node is still starting")
        case ConfirmAsked(switch) | PromiseAsked(switch):
            return now, (_abort(switch, "the taker is still starting"),)
        case WritesFrozen() | HeadConfirmed() | ServiceRetired() | PromiseGiven():
            return now, ()  # Of a switch that is over.
        case HeadReached() | ActivateTold() | SwitchAborted():
            return now, ()  # Of a switch that is over.
        case _:
            assert_never(observed)


def _step_passive(now: Situation, observed: Observation, now_s: float) -> Step:
    match observed:
        case PeerHeard() | PeerClaimed():
            return _meet(now, observed)
        case PeerLost():
            return _take_over(now, observed)
        case StartWindowClosed() | NotHeardByPeer() | DeadlinePassed():
            return now, ()  # Late: a peer was heard, and we are not active.
        case PeerYielded() | Stalled() | CannotServe():
            return now, ()  # We do not serve.
        case SwitchOrdered(switch):
            asked = Asked(switch, now_s + now.limits.whole_s)
            told = Tell(SwitchStep.GIVE, switch)
            return attrs.evolve(now, phase=asked, awaited=switch), (told,)
        case GiveAsked(switch):
            return now, (_abort(switch, "this node is not active"),)
        case ConfirmAsked(switch) | PromiseAsked(switch) if _is_given_up(now, switch):
            return now, (_abort(switch, "the master has given this switch up"),)
        case ConfirmAsked(switch, head):
            return now, (AwaitHead(switch, head),)
        case HeadReached(switch):
            return now, (Tell(SwitchStep.CONFIRMED, switch),)
        case PromiseAsked(switch):
            return _promise(now, switch, now_s)
        case ActivateTold():
            return now, ()  # The promise has run out; S4 and S6 decide now.
        case WritesFrozen() | HeadConfirmed() | ServiceRetired() | PromiseGiven():
            return now, ()  # Of a switch that is over.
        case SwitchAborted():
            return now, ()  # We promised nothing, or it has run out.
        case _:
            assert_never(observed)


def _step_active(now: Situation, observed: Observation, now_s: float) -> Step:
    match observed:
        case PeerHeard(state=State.ACTIVE):
            if now.role is Role.MASTER:
                return now, ()  # S5: the standby yields.
            # The standby yields: its changes are kept, so nothing is lost by stopping.
            return _yield(now, "both nodes are active and this is the standby", "S5")
        case PeerHeard():
            return now, ()  # S3: it stays as it is; there is no switching back.
        case PeerClaimed() | PeerLost() | StartWindowClosed() | DeadlinePassed():
            return now, ()  # An active node goes on serving.
        case NotHeardByPeer(unheard_s):
            reason = "the standby is active and does not hear this master"
            return _yield(now, reason, "S20", {"unheard_s": round(unheard_s, 3)})
        case PeerYielded():
            # Both held the address: who has it must say so anew.
            return now, (RunCallbacks(State.ACTIVE),)
        case Stalled(still_s):
            return _deactivate(
                now,
                "this node stood still and cannot know who serves",
                "S13",
                {"still_s": round(still_s, 3)},
            )
        case CannotServe(switch):
            return _give(attrs.evolve(now, awaited=switch), switch, now_s)
        case SwitchOrdered(switch):
            return _give(attrs.evolve(now, awaited=switch), switch, now_s)
        case GiveAsked(switch):
            return _give(now, switch, now_s)
        case ConfirmAsked(switch) | PromiseAsked(switch):
            return now, (_abort(switch, "the taker is active already"),)
        case WritesFrozen() | HeadConfirmed() | ServiceRetired() | PromiseGiven():
            return now, ()  # Of a switch that was rolled back.
        case HeadReached() | ActivateTold() | SwitchAborted():
            return now, ()  # Of a switch that is over.
        case _:
            assert_never(observed)


def _step_giving(
    now: Situation, phase: Giving, observed: Observation, now_s: float
) -> Step:
    switch = phase.switch
    match observed:
        case PeerHeard(state=State.ACTIVE):
            back, effects = _roll_back(now, phase, "the taker is active already")
            after, more = _step_active(back, observed, now_s)
            return after, effects + more
        case PeerHeard(instance=instance):
            if instance != switch.taker_instance:
                return _roll_back(now, phase, "the taker was restarted")
            return now, ()
        case PeerLost(evidence):
            return _roll_back(now, phase, f"the taker is lost ({evidence})")
        case NotHeardByPeer():
            return _roll_back(now, phase, "the taker does not hear this node")
        case Stalled():
            back, effects = _roll_back(now, phase, "the giver stood still")
            after, more = _step_active(back, observed, now_s)
            return after, effects + more
        case DeadlinePassed():
            unconfirmed = phase.step in (GivingStep.FREEZING, GivingStep.CONFIRMING)
            if switch.urgent and unconfirmed:
                return _retire(now, phase, now_s)  # S15: it cannot be had.
            return _roll_back(now, phase, f"{_WAITED_FOR[phase.step]} in time")
        case SwitchAborted(aborted, why):
            if aborted.id != switch.id:
                return now, ()
            return _roll_back(now, phase, why)
        case WritesFrozen(ours, head):
            if ours.id != switch.id or phase.step is not GivingStep.FREEZING:
                return now, ()
            told = Tell(SwitchStep.CONFIRM, switch, head)
            return _next_step(now, phase, GivingStep.CONFIRMING, now_s), (told,)
        case HeadConfirmed(ours):
            if ours.id != switch.id or phase.step is not GivingStep.CONFIRMING:
                return now, ()
            return _retire(now, phase, now_s)
        case ServiceRetired(ours):
            if ours.id != switch.id or phase.step is not GivingStep.RETIRING:
                return now, ()
            told = Tell(SwitchStep.PROMISE, switch)
            return _next_step(now, phase, GivingStep.ASKING, now_s), (told,)
        case PromiseGiven(ours):
            if ours.id != switch.id or phase.step is not GivingStep.ASKING:
                return now, ()
            if now_s >= phase.until_s:
                return now, ()  # Too late: the promise may have run out by now.
            return _hand_over(now, switch, now_s)
        case SwitchOrdered(other) | GiveAsked(other):
            return now, _decline(now, other, "a switch is under way")
        case ConfirmAsked(other) | PromiseAsked(other):
            return now, (_abort(other, "the taker is active already"),)
        case PeerClaimed() | StartWindowClosed() | HeadReached() | ActivateTold():
            return now, ()  # Nothing of this concerns a giver.
        case PeerYielded() | CannotServe():
            return now, ()  # It hands over already.
        case _:
            assert_never(observed)


def _step_handing_over(
    now: Situation, phase: HandingOver, observed: Observation, now_s: float
) -> Step:
    switch = phase.switch
    over = attrs.evolve(now, phase=Passive())
    match observed:
        case PeerHeard(state=State.ACTIVE):
            return _handed_over(over)
        case PeerHeard(instance=instance, promise=promise):
            if instance == switch.taker_instance and promise == switch.id:
                return now, ()  # It may still activate: S4 has to wait.
            after, effects = _meet(over, observed)
            return after, (ThawWrites(), *effects)
        case PeerLost():
            after, effects = _take_over(over, observed)
            return after, (ThawWrites(), *effects)
        case PeerClaimed(state=state):
            if now_s < phase.until_s:
                # It may be the taker, and still activate: S4 has to wait.
                return now, ()
            if state is State.ACTIVE:
                return _handed_over(over)
            after, effects = _meet(over, observed)
            return after, (ThawWrites(), *effects)
        case SwitchOrdered(other) | GiveAsked(other):
            return now, _decline(now, other, "a switch is under way")
        case ConfirmAsked(other) | PromiseAsked(other):
            return now, (_abort(other, "a switch is under way"),)
        case SwitchAborted():
            return now, ()  # Its heartbeats will show that the promise is gone.
        case StartWindowClosed() | NotHeardByPeer() | DeadlinePassed():
            return now, ()  # We wait for the taker, or for proof that it is gone.
        case PeerYielded() | Stalled() | CannotServe():
            return now, ()  # We do not serve any more.
        case WritesFrozen() | HeadConfirmed() | ServiceRetired() | PromiseGiven():
            return now, ()  # Repeated.
        case HeadReached() | ActivateTold():
            return now, ()  # Nothing of this concerns a giver.
        case _:
            assert_never(observed)


def _step_asked(
    now: Situation, phase: Asked, observed: Observation, now_s: float
) -> Step:
    switch = phase.switch
    passive = attrs.evolve(now, phase=Passive())
    match observed:
        case PeerHeard(state=State.ACTIVE, instance=instance):
            if instance != switch.giver_instance:
                return _give_up(passive, "the standby was restarted")
            return now, ()
        case PeerHeard():
            return _meet(passive, observed)
        case PeerLost():
            return _take_over(passive, observed)
        case DeadlinePassed():
            back, effects = _give_up(passive, "the standby did not hand over in time")
            return back, (_abort(switch, "the master waited too long"), *effects)
        case SwitchAborted(aborted, why):
            if aborted.id != switch.id:
                return now, ()
            return _give_up(passive, why)
        case ConfirmAsked(ours, head):
            if ours.id != switch.id:
                return now, (_abort(ours, "another switch is under way"),)
            return now, (AwaitHead(ours, head),)
        case HeadReached(ours):
            return now, (Tell(SwitchStep.CONFIRMED, ours),)
        case PromiseAsked(ours):
            if ours.id != switch.id:
                return now, (_abort(ours, "another switch is under way"),)
            return _promise(now, ours, now_s)
        case SwitchOrdered(other) | GiveAsked(other):
            return now, _decline(now, other, "a switch is under way")
        case PeerClaimed() | StartWindowClosed() | NotHeardByPeer() | ActivateTold():
            return now, ()  # The standby still serves; we promised nothing yet.
        case PeerYielded() | Stalled() | CannotServe():
            return now, ()  # We do not serve.
        case WritesFrozen() | HeadConfirmed() | ServiceRetired() | PromiseGiven():
            return now, ()  # Nothing of this concerns a taker.
        case _:
            assert_never(observed)


def _step_promised(
    now: Situation, phase: Promised, observed: Observation, now_s: float
) -> Step:
    switch = phase.switch
    passive = attrs.evolve(now, phase=Passive())
    match observed:
        case ActivateTold(ours):
            if ours.id != switch.id:
                return now, ()
            if now_s >= phase.until_s:
                return passive, ()  # Too late: the giver may have come back by now.
            return _activate(now, *_cause(switch))
        case DeadlinePassed():
            return passive, ()  # S4 and S6 decide from here on.
        case PeerHeard(instance=instance):
            if instance != switch.giver_instance:
                return _meet(passive, observed)  # A new instance voids the switch.
            return now, ()  # Until the promise runs out we activate only when told.
        case PeerLost():
            return _take_over(passive, observed)
        case SwitchAborted(aborted, why):
            if aborted.id != switch.id:
                return now, ()
            return _give_up(passive, why)
        case ConfirmAsked(other) | PromiseAsked(other):
            if other.id == switch.id:
                return now, ()  # Repeated.
            return now, (_abort(other, "a switch is under way"),)
        case SwitchOrdered(other) | GiveAsked(other):
            return now, _decline(now, other, "a switch is under way")
        case PeerClaimed() | StartWindowClosed() | NotHeardByPeer() | HeadReached():
            return now, ()  # Nothing of this concerns a promise.
        case PeerYielded() | Stalled() | CannotServe():
            return (
                now,
                (),
            )  # We do not serve; a late word to activate is refused by time.
        case WritesFrozen() | HeadConfirmed() | ServiceRetired() | PromiseGiven():
            return now, ()  # Nothing of this concerns a taker.
        case _:
            assert_never(observed)


_WAITED_FOR = {
    GivingStep.FREEZING: "changes under way did not end",
    GivingStep.CONFIRMING: "the taker did not confirm that it has every event",
    GivingStep.RETIRING: "the callbacks for becoming passive did not end",
    GivingStep.ASKING: "the taker did not promise to activate",
}


def _meet(now: Situation, observed: PeerHeard | PeerClaimed) -> Step:
    """A passive node learns the peer's state."""
    if observed.state is State.ACTIVE:
        # S3: it keeps the service, even when we are the master.
        return _give_up(now, "the standby is active; it did not tell us to take over")
    if now.role is Role.STANDBY:
        # S4: the master will activate itself.
        text = "the taker did not activate when told; the master will, by itself (S4)"
        return attrs.evolve(now, awaited=None), _report(now, Outcome.FAILED, text)
    if isinstance(observed, PeerHeard) and not observed.fresh:
        return now, ()  # S13: since it said so, it may have taken over from us.
    return _activate(now, "neither node is active and this is the master", "S4")


def _is_given_up(now: Situation, switch: Switch) -> bool:
    """Whether `switch` cannot be under way any more: the master orders all but urgent ones."""
    return now.role is Role.MASTER and not switch.urgent


def _take_over(now: Situation, lost: PeerLost) -> Step:
    reason, rule = {
        Evidence.GOODBYE: ("the peer said goodbye", "S11"),
        Evidence.REFUSED: ("the peer's process is gone", "S12"),
        Evidence.SILENCE: ("peer lost", "S6"),
    }[lost.evidence]
    found = {"evidence": lost.evidence.value, "silent_s": round(lost.silent_s, 3)}
    return _activate(now, reason, rule, found)


def _activate(
    now: Situation,
    reason: str,
    rule: str,
    evidence: Mapping[str, str | float] | None = None,
) -> Step:
    changed = ChangeState(State.ACTIVE, reason, rule, evidence or {})
    outcome = Outcome.DONE if rule in ("S14", "S15") else Outcome.FAILED
    text = f"the {now.role} is active: {reason} ({rule})"
    return (
        attrs.evolve(now, phase=Active(), awaited=None),
        (changed, RunCallbacks(State.ACTIVE), *_report(now, outcome, text)),
    )


def _deactivate(
    now: Situation,
    reason: str,
    rule: str,
    evidence: Mapping[str, str | float] | None = None,
) -> Step:
    changed = ChangeState(State.PASSIVE, reason, rule, evidence or {})
    return attrs.evolve(now, phase=Passive()), (changed, RunCallbacks(State.PASSIVE))


def _yield(
    now: Situation,
    reason: str,
    rule: str,
    evidence: Mapping[str, str | float] | None = None,
) -> Step:
    """Of two active nodes this one gives way."""
    after, effects = _deactivate(now, reason, rule, evidence)
    return after, (*effects, RecordBothActive())


def _give(now: Situation, switch: Switch, now_s: float) -> Step:
    limits = now.limits
    ends_s = now_s + limits.whole_s
    phase = Giving(switch, GivingStep.FREEZING, now_s + limits.step_s, ends_s)
    return attrs.evolve(now, phase=phase), (FreezeWrites(switch),)


def _next_step(
    now: Situation, phase: Giving, following: GivingStep, now_s: float
) -> Situation:
    # Hooks have deadlines of their own; for them only the whole counts.
    own_s = (
        phase.ends_s if following is GivingStep.RETIRING else now_s + now.limits.step_s
    )
    until_s = min(own_s, phase.ends_s)
    return attrs.evolve(now, phase=attrs.evolve(phase, step=following, until_s=until_s))


def _retire(now: Situation, phase: Giving, now_s: float) -> Step:
    after = _next_step(now, phase, GivingStep.RETIRING, now_s)
    return after, (RetireService(phase.switch),)


def _hand_over(now: Situation, switch: Switch, now_s: float) -> Step:
    changed = ChangeState(State.PASSIVE, *_cause(switch))
    handing = HandingOver(switch, now_s + now.limits.step_s)
    # Its callbacks have run already, while it retired (S17).
    told = Tell(SwitchStep.ACTIVATE, switch)
    return attrs.evolve(now, phase=handing), (changed, told)


def _cause(switch: Switch) -> tuple[str, str]:
    """The reason and the rule of a change of state by `switch`."""
    if switch.urgent:
        return f"hand-over: {switch.reason}", "S15"
    return f"planned switch: {switch.reason}", "S14"


def _handed_over(over: Situation) -> Step:
    text = f"the {over.role.other} is active"
    reports = _report(over, Outcome.DONE, text)
    return attrs.evolve(over, awaited=None), (ThawWrites(), *reports)


def _roll_back(now: Situation, phase: Giving, why: str) -> Step:
    """Before the giver stepped down: all as before."""
    retired = phase.step in (GivingStep.RETIRING, GivingStep.ASKING)
    again = (RunCallbacks(State.ACTIVE),) if retired else ()
    reports = _report(now, Outcome.ROLLED_BACK, why)
    back = attrs.evolve(now, phase=Active(), awaited=None)
    return back, (*again, ThawWrites(), _abort(phase.switch, why), *reports)


def _promise(now: Situation, switch: Switch, now_s: float) -> Step:
    phase = Promised(switch, now_s + now.limits.step_s)
    told = Tell(SwitchStep.PROMISED, switch)
    if now.awaited in (None, switch):
        return attrs.evolve(now, phase=phase), (told,)
    reports = _report(now, Outcome.FAILED, "the other node hands over meanwhile")
    return attrs.evolve(now, phase=phase, awaited=None), (told, *reports)


def _give_up(now: Situation, why: str) -> Step:
    """The taker stays passive; the giver stays, or is again, active."""
    reports = _report(now, Outcome.ROLLED_BACK, why)
    return attrs.evolve(now, awaited=None), reports


def _abort(switch: Switch, why: str) -> Tell:
    return Tell(SwitchStep.ABORT, switch, why)


def _decline(now: Situation, switch: Switch, why: str) -> tuple[Effect, ...]:
    """Refuse to begin `switch`: to our operator, or to the master that asks."""
    if now.role is Role.MASTER:
        return (Report(switch, Outcome.ROLLED_BACK, why),)
    return (_abort(switch, why),)


def _report(now: Situation, outcome: Outcome, text: str) -> tuple[Report, ...]:
    return (Report(now.awaited, outcome, text),) if now.awaited else ()
