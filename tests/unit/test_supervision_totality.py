"""What holds in every situation that can be reached, whatever is observed."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import attrs
import pytest

from node.roles import Role, State
from node.situation import (
    Active,
    CannotServe,
    ChangeState,
    DeadlinePassed,
    Effect,
    Evidence,
    FreezeWrites,
    GiveAsked,
    Giving,
    GivingStep,
    HandingOver,
    NotHeardByPeer,
    Observation,
    Passive,
    PeerLost,
    PeerYielded,
    Phase,
    Report,
    RetireService,
    RunCallbacks,
    Situation,
    Starting,
    StartWindowClosed,
    SwitchOrdered,
    ThawWrites,
)
from node.supervision import Step, step
from node.supervision_table import LATE_S, NOW_S, Seen, observations, switch_of
from tests.support.situations import starting

LATER_S = NOW_S + 60.0


def possible(now: Situation) -> Iterator[Seen]:
    """What this node may observe, of either switch, early and late."""
    for giver in Role:
        switch = now.switch if now.switch else switch_of(giver)
        for seen in observations(now.role, switch):
            if not let_through(now, seen.observation):
                continue
            for now_s in {seen.now_s, NOW_S, LATE_S, LATER_S}:
                yield attrs.evolve(seen, now_s=now_s)


def let_through(now: Situation, observed: Observation) -> bool:
    """What `core` and the pre-checks do not keep away."""
    match observed:
        case SwitchOrdered():
            return now.role is Role.MASTER and now.awaited is None
        case GiveAsked():
            return now.role is Role.STANDBY
        case NotHeardByPeer():
            return now.role is Role.MASTER and now.state is State.ACTIVE
        case _:
            return True


def reachable(role: Role) -> dict[Situation, list[tuple[Seen, Step]]]:
    """Every situation that can be reached, and every step from it."""
    found: dict[Situation, list[tuple[Seen, Step]]] = {}
    queue = deque([starting(role)])
    while queue:
        now = queue.popleft()
        if now in found:
            continue
        found[now] = [
            (seen, step(now, seen.observation, seen.now_s)) for seen in possible(now)
        ]
        queue.extend(after for _, (after, _) in found[now])
    return found


REACHABLE = {role: reachable(role) for role in Role}
BOTH_ROLES = pytest.mark.parametrize("role", list(Role))
Transition = tuple[Situation, Seen, Situation, tuple[Effect, ...]]


def transitions(role: Role) -> Iterator[Transition]:
    for now, steps in REACHABLE[role].items():
        for seen, (after, effects) in steps:
            yield now, seen, after, effects


def phases(role: Role) -> set[type[Phase]]:
    return {type(now.phase) for now in REACHABLE[role]}


def test_every_phase_is_reached() -> None:
    names = {kind.__name__ for kind in phases(Role.MASTER)}
    assert names == {kind.__name__ for kind in Phase.__args__}
    assert {kind.__name__ for kind in phases(Role.STANDBY)} == names - {"Asked"}


@BOTH_ROLES
def test_every_phase_answers_every_observation(role: Role) -> None:
    for now in REACHABLE[role]:
        for giver in Role:
            for seen in observations(role, now.switch or switch_of(giver)):
                after, _ = step(now, seen.observation, seen.now_s)
                assert after.role is role


@BOTH_ROLES
def test_a_lost_peer_leaves_no_node_passive(role: Role) -> None:
    for now in REACHABLE[role]:
        lost = PeerLost(Evidence.SILENCE, 3.0)
        if now.phase == Starting():
            after, _ = step(now, StartWindowClosed(), LATER_S)
        else:
            after, _ = step(now, lost, LATER_S)
        assert after.phase == Active()


@BOTH_ROLES
def test_every_deadline_ends_its_phase(role: Role) -> None:
    for now in REACHABLE[role]:
        if now.deadline_s is not None:
            after, _ = step(now, DeadlinePassed(), now.deadline_s)
            if after.deadline_s is not None:
                # S15: it goes on without the confirmation, once.
                assert after.switch_step == GivingStep.RETIRING
                after, _ = step(after, DeadlinePassed(), after.deadline_s)
            assert after.phase in (Active(), Passive())
            assert after.deadline_s is None


@BOTH_ROLES
def test_s16_the_state_changes_only_by_a_published_change(role: Role) -> None:
    for now, seen, after, effects in transitions(role):
        state = now.state
        for effect in effects:
            if isinstance(effect, ChangeState):
                assert effect.state is not state, (now, seen)
                assert effect.reason
                assert effect.rule
                state = effect.state
        assert state is after.state, (now, seen)


@BOTH_ROLES
def test_writes_are_frozen_exactly_while_a_node_gives(role: Role) -> None:
    for now, seen, after, effects in transitions(role):
        frozen = isinstance(now.phase, Giving | HandingOver)
        for effect in effects:
            if isinstance(effect, FreezeWrites | ThawWrites):
                assert frozen is isinstance(effect, ThawWrites), (now, seen)
                frozen = not frozen
        assert frozen is isinstance(after.phase, Giving | HandingOver), (now, seen)


def serves(phase: Phase) -> bool:
    """Whether the host was last told, by callbacks, to serve."""
    if isinstance(phase, Giving):
        return phase.step in (GivingStep.FREEZING, GivingStep.CONFIRMING)
    return isinstance(phase, Active)


@BOTH_ROLES
def test_s17_the_host_serves_exactly_when_it_should(role: Role) -> None:
    for now, seen, after, effects in transitions(role):
        serving = serves(now.phase)
        if isinstance(seen.observation, PeerYielded):
            continue  # It says anew what it said before.
        for effect in effects:
            if isinstance(effect, RunCallbacks):
                assert serving is not (effect.state is State.ACTIVE), (now, seen)
                serving = effect.state is State.ACTIVE
            elif isinstance(effect, RetireService):
                serving = False
        assert serving is serves(after.phase), (now, seen)


@BOTH_ROLES
def test_the_operator_gets_exactly_one_report(role: Role) -> None:
    for now, seen, after, effects in transitions(role):
        waiting = [] if now.awaited is None else [now.awaited]
        begun = now.phase == Active() and after.phase != now.phase
        if isinstance(seen.observation, SwitchOrdered) or (
            isinstance(seen.observation, CannotServe) and begun
        ):
            waiting.append(seen.observation.switch)
        reported = [e.switch for e in effects if isinstance(e, Report)]
        remaining = [] if after.awaited is None else [after.awaited]
        assert sorted(map(str, reported + remaining)) == sorted(map(str, waiting)), (
            now, seen,
        )  # fmt: skip


@BOTH_ROLES
def test_an_outcome_is_awaited_only_while_it_is_open(role: Role) -> None:
    for now in REACHABLE[role]:
        if now.awaited is not None:
            assert role is Role.MASTER or now.awaited.urgent
            assert now.switch in (now.awaited, None)
            assert now.phase not in (Starting(), Active())
        elif role is Role.MASTER and now.switch is not None:
            assert now.switch.urgent, "nobody waits for it"


@BOTH_ROLES
def test_only_a_promise_or_a_rule_makes_a_node_active(role: Role) -> None:
    for now, seen, after, effects in transitions(role):
        if after.state is State.ACTIVE and now.state is State.PASSIVE:
            (rule,) = [e.rule for e in effects if isinstance(e, ChangeState)]
            assert rule in {"S2", "S4", "S6", "S11", "S12", "S14", "S15"}, (now, seen)
            if rule == "S4":
                assert role is Role.MASTER
