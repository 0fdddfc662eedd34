"""Situations and switches for tests of the state machine."""

from __future__ import annotations

import attrs

from node.roles import Role, State
from node.situation import (
    Active,
    Asked,
    ChangeState,
    Effect,
    Giving,
    GivingStep,
    HandingOver,
    Limits,
    Outcome,
    Passive,
    PeerHeard,
    Phase,
    Promised,
    Report,
    RunCallbacks,
    Situation,
    Starting,
    Switch,
    SwitchStep,
    Tell,
)
from node.supervision_table import switch_of

LIMITS = Limits(step_s=1.0, whole_s=5.0)
NOW_S = 100.0
MASTER, STANDBY = Role.MASTER, Role.STANDBY
ACTIVE, PASSIVE = State.ACTIVE, State.PASSIVE

TO_STANDBY = switch_of(MASTER)
"""The master gives, the standby takes."""
TO_MASTER = switch_of(STANDBY)


def situation(role: Role, phase: Phase, *, awaited: Switch | None = None) -> Situation:
    return Situation(role, LIMITS, phase, awaited)


def starting(role: Role) -> Situation:
    return situation(role, Starting())


def passive(role: Role, *, awaited: Switch | None = None) -> Situation:
    return situation(role, Passive(), awaited=awaited)


def active(role: Role) -> Situation:
    return situation(role, Active())


def giving(role: Role, name: GivingStep, *, ends_s: float = NOW_S + 5.0) -> Situation:
    """A giver of `role` in step `name`; at the master the operator waits."""
    switch = switch_of(role)
    phase = Giving(switch, name, NOW_S + 1.0, ends_s)
    return situation(role, phase, awaited=switch if role is MASTER else None)


def handing_over(role: Role) -> Situation:
    switch = switch_of(role)
    phase = HandingOver(switch, NOW_S + 1.0)
    return situation(role, phase, awaited=switch if role is MASTER else None)


def asked() -> Situation:
    return situation(MASTER, Asked(TO_MASTER, NOW_S + 5.0), awaited=TO_MASTER)


def promised(role: Role) -> Situation:
    switch = switch_of(role.other)
    phase = Promised(switch, NOW_S + 1.0)
    return situation(role, phase, awaited=switch if role is MASTER else None)


def heard(role: Role, state: State, *, promise: str | None = None) -> PeerHeard:
    """A node of `role` hears the peer's first instance."""
    return PeerHeard(state, f"{role.other}-1", promise)


def heard_reborn(role: Role, state: State) -> PeerHeard:
    """It hears another instance of the peer."""
    return PeerHeard(state, f"{role.other}-2")


def other(switch: Switch) -> Switch:
    """A switch between the same instances, with another name."""
    return attrs.evolve(switch, id="another")


def state_changes(effects: tuple[Effect, ...]) -> list[tuple[State, str]]:
    """The changes of state, each with its rule."""
    return [(e.state, e.rule) for e in effects if isinstance(e, ChangeState)]


def callbacks(effects: tuple[Effect, ...]) -> list[State]:
    return [e.state for e in effects if isinstance(e, RunCallbacks)]


def told(effects: tuple[Effect, ...]) -> list[SwitchStep]:
    return [e.step for e in effects if isinstance(e, Tell)]


def outcomes(effects: tuple[Effect, ...]) -> list[Outcome]:
    return [e.outcome for e in effects if isinstance(e, Report)]


def kinds(effects: tuple[Effect, ...]) -> list[type[Effect]]:
    return [type(effect) for effect in effects]
