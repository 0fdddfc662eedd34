"""S14 at the taker, and at the master that asks the standby to hand over (S8)."""

from __future__ import annotations

import pytest

from node.roles import Role, State
from node.situation import (
    ActivateTold,
    Asked,
    AwaitHead,
    ChangeState,
    ConfirmAsked,
    DeadlinePassed,
    Evidence,
    GiveAsked,
    GivingStep,
    HeadConfirmed,
    HeadReached,
    NotHeardByPeer,
    Observation,
    Outcome,
    PeerClaimed,
    PeerLost,
    PromiseAsked,
    Promised,
    PromiseGiven,
    Report,
    RunCallbacks,
    ServiceRetired,
    Situation,
    StartWindowClosed,
    SwitchAborted,
    SwitchOrdered,
    SwitchStep,
    Tell,
    WritesFrozen,
)
from node.supervision import step
from node.supervision_table import switch_of
from tests.support.situations import (
    ACTIVE,
    MASTER,
    NOW_S,
    PASSIVE,
    STANDBY,
    TO_MASTER,
    TO_STANDBY,
    active,
    asked,
    giving,
    handing_over,
    heard,
    heard_reborn,
    other,
    outcomes,
    passive,
    promised,
    starting,
    state_changes,
)

BOTH_ROLES = pytest.mark.parametrize("role", list(Role))
LOST = pytest.mark.parametrize(
    ("evidence", "rule"),
    [(Evidence.GOODBYE, "S11"), (Evidence.REFUSED, "S12"), (Evidence.SILENCE, "S6")],
)


def of_a_giver(switch_role: Role) -> list[Observation]:
    """What only a giver waits for."""
    switch = switch_of(switch_role)
    return [
        WritesFrozen(switch, "1-1"),
        HeadConfirmed(switch),
        ServiceRetired(switch),
        PromiseGiven(switch),
    ]


# The head and the promise.


@pytest.mark.parametrize(
    ("now", "switch"), [(passive(STANDBY), TO_STANDBY), (asked(), TO_MASTER)]
)
def test_asked_for_its_head_the_taker_waits_for_it_and_confirms(
    now: Situation, switch: object
) -> None:
    assert now.phase is not None
    mine = switch_of(now.role.other)
    waits = (AwaitHead(mine, "7-3"),)
    assert step(now, ConfirmAsked(mine, "7-3"), NOW_S) == (now, waits)
    confirms = (Tell(SwitchStep.CONFIRMED, mine),)
    assert step(now, HeadReached(mine), NOW_S) == (now, confirms)


@pytest.mark.parametrize("now", [passive(STANDBY), asked()])
def test_the_promise_runs_out_one_step_after_it_was_given(now: Situation) -> None:
    switch = switch_of(now.role.other)
    after, effects = step(now, PromiseAsked(switch), NOW_S + 0.25)
    assert after.phase == Promised(switch, NOW_S + 1.25)
    assert after.awaited == now.awaited
    assert after.deadline_s == NOW_S + 1.25
    assert after.switch == switch
    assert after.switch_step == "promised"
    assert effects == (Tell(SwitchStep.PROMISED, switch),)


def test_a_passive_master_promises_nothing_that_it_did_not_order() -> None:
    now = passive(MASTER)
    text = "the master has given this switch up"
    abort = Tell(SwitchStep.ABORT, TO_MASTER, text)
    assert step(now, PromiseAsked(TO_MASTER), NOW_S) == (now, (abort,))


@BOTH_ROLES
def test_told_to_activate_in_time_the_taker_does(role: Role) -> None:
    switch = switch_of(role.other)
    after, effects = step(promised(role), ActivateTold(switch), NOW_S + 0.99)
    assert after == active(role)
    changed = ChangeState(ACTIVE, "planned switch: why", "S14")
    assert effects[:2] == (changed, RunCallbacks(ACTIVE))
    assert outcomes(effects) == ([Outcome.DONE] if role is MASTER else [])


@BOTH_ROLES
def test_told_to_activate_too_late_the_taker_does_not(role: Role) -> None:
    now, switch = promised(role), switch_of(role.other)
    after, effects = step(now, ActivateTold(switch), NOW_S + 1.0)
    assert after == passive(role, awaited=now.awaited)
    assert effects == ()


@BOTH_ROLES
def test_a_promise_that_ran_out_leaves_a_passive_node(role: Role) -> None:
    now = promised(role)
    after, effects = step(now, DeadlinePassed(), NOW_S + 1.0)
    assert after == passive(role, awaited=now.awaited)
    assert effects == ()


@BOTH_ROLES
def test_without_a_promise_nobody_activates_when_told(role: Role) -> None:
    told = ActivateTold(switch_of(role.other))
    for now in (starting(role), passive(role), active(role)):
        assert step(now, told, NOW_S) == (now, ())
    assert step(asked(), ActivateTold(TO_MASTER), NOW_S) == (asked(), ())


@BOTH_ROLES
@pytest.mark.parametrize("state", list(State))
def test_s4_is_suppressed_while_the_promise_holds(role: Role, state: State) -> None:
    now = promised(role)
    assert step(now, heard(role, state), NOW_S + 0.5) == (now, ())


@BOTH_ROLES
@LOST
def test_when_the_giver_is_lost_the_taker_takes_over(
    role: Role, evidence: Evidence, rule: str
) -> None:
    after, effects = step(promised(role), PeerLost(evidence, 3.0), NOW_S)
    assert after == active(role)
    assert state_changes(effects) == [(ACTIVE, rule)]
    assert outcomes(effects) == ([Outcome.FAILED] if role is MASTER else [])


@BOTH_ROLES
def test_a_new_instance_of_the_giver_voids_the_promise(role: Role) -> None:
    now = promised(role)
    after, effects = step(now, heard_reborn(role, ACTIVE), NOW_S)
    assert after == passive(role)
    assert outcomes(effects) == ([Outcome.ROLLED_BACK] if role is MASTER else [])
    after, effects = step(now, heard_reborn(role, PASSIVE), NOW_S)
    assert after == (active(role) if role is MASTER else passive(role))
    assert outcomes(effects) == ([Outcome.FAILED] if role is MASTER else [])


@BOTH_ROLES
def test_an_abort_ends_the_promise(role: Role) -> None:
    switch = switch_of(role.other)
    after, effects = step(promised(role), SwitchAborted(switch, "no more"), NOW_S)
    assert after == passive(role)
    report = Report(switch, Outcome.ROLLED_BACK, "no more")
    assert effects == ((report,) if role is MASTER else ())


@BOTH_ROLES
def test_what_is_not_of_its_switch_does_not_move_a_promise(role: Role) -> None:
    now, switch = promised(role), switch_of(role.other)
    strange: list[Observation] = [
        ActivateTold(other(switch)),
        SwitchAborted(other(switch), "why"),
        ConfirmAsked(switch, "1-1"),
        PromiseAsked(switch),
        HeadReached(switch),
        PeerClaimed(PASSIVE, "wrong secret"),
        StartWindowClosed(),
        NotHeardByPeer(6.0),
        *of_a_giver(role.other),
    ]
    for observed in strange:
        assert step(now, observed, NOW_S) == (now, ())


@BOTH_ROLES
def test_who_has_promised_takes_no_other_switch(role: Role) -> None:
    now, switch = promised(role), other(switch_of(role.other))
    abort = Tell(SwitchStep.ABORT, switch, "a switch is under way")
    for observed in (ConfirmAsked(switch, "1-1"), PromiseAsked(switch)):
        assert step(now, observed, NOW_S) == (now, (abort,))


# The master asks.


def test_s8_ordered_at_the_passive_master_it_asks_the_standby_to_give() -> None:
    after, effects = step(passive(MASTER), SwitchOrdered(TO_MASTER), NOW_S)
    assert after.phase == Asked(TO_MASTER, NOW_S + 5.0)
    assert after.awaited == TO_MASTER
    assert after.state is PASSIVE
    assert after.switch_step == "asked"
    assert after.deadline_s == NOW_S + 5.0
    assert effects == (Tell(SwitchStep.GIVE, TO_MASTER),)


def test_the_master_waits_while_the_standby_serves() -> None:
    now = asked()
    assert step(now, heard(MASTER, ACTIVE), NOW_S) == (now, ())


def test_the_master_does_not_wait_for_ever() -> None:
    after, effects = step(asked(), DeadlinePassed(), NOW_S + 5.0)
    assert after == passive(MASTER)
    text = "the standby did not hand over in time"
    assert effects == (
        Tell(SwitchStep.ABORT, TO_MASTER, "the master waited too long"),
        Report(TO_MASTER, Outcome.ROLLED_BACK, text),
    )


def test_when_the_standby_gives_up_the_operator_is_told_why() -> None:
    after, effects = step(asked(), SwitchAborted(TO_MASTER, "hooks failed"), NOW_S)
    assert after == passive(MASTER)
    assert effects == (Report(TO_MASTER, Outcome.ROLLED_BACK, "hooks failed"),)


def test_a_new_instance_of_the_asked_standby_voids_the_switch() -> None:
    after, effects = step(asked(), heard_reborn(MASTER, ACTIVE), NOW_S)
    assert after == passive(MASTER)
    text = "the standby was restarted"
    assert effects == (Report(TO_MASTER, Outcome.ROLLED_BACK, text),)


def test_s4_when_the_asked_standby_is_passive_the_master_activates() -> None:
    for said in (heard(MASTER, PASSIVE), heard_reborn(MASTER, PASSIVE)):
        after, effects = step(asked(), said, NOW_S)
        assert after == active(MASTER)
        assert state_changes(effects) == [(ACTIVE, "S4")]
        assert outcomes(effects) == [Outcome.FAILED]


@LOST
def test_when_the_asked_standby_is_lost_the_master_takes_over(
    evidence: Evidence, rule: str
) -> None:
    after, effects = step(asked(), PeerLost(evidence, 3.0), NOW_S)
    assert after == active(MASTER)
    assert state_changes(effects) == [(ACTIVE, rule)]
    assert outcomes(effects) == [Outcome.FAILED]


def test_what_is_not_of_its_switch_does_not_move_who_asked() -> None:
    now = asked()
    strange: list[Observation] = [
        SwitchAborted(other(TO_MASTER), "why"),
        PeerClaimed(ACTIVE, "wrong secret"),
        PeerClaimed(PASSIVE, "wrong secret"),
        StartWindowClosed(),
        NotHeardByPeer(6.0),
        ActivateTold(TO_MASTER),
        *of_a_giver(STANDBY),
    ]
    for observed in strange:
        assert step(now, observed, NOW_S) == (now, ())


def test_who_asked_takes_no_other_switch() -> None:
    switch = other(TO_MASTER)
    abort = Tell(SwitchStep.ABORT, switch, "another switch is under way")
    for observed in (ConfirmAsked(switch, "1-1"), PromiseAsked(switch)):
        assert step(asked(), observed, NOW_S) == (asked(), (abort,))


# The outcome of a promise that ran out.


def test_the_standby_active_again_means_rolled_back() -> None:
    now = passive(MASTER, awaited=TO_MASTER)
    after, effects = step(now, heard(MASTER, ACTIVE), NOW_S)
    assert after == passive(MASTER)
    text = "the standby is active; it did not tell us to take over"
    assert effects == (Report(TO_MASTER, Outcome.ROLLED_BACK, text),)


def test_the_standby_passive_means_failed_and_the_master_active() -> None:
    now = passive(MASTER, awaited=TO_MASTER)
    after, effects = step(now, heard(MASTER, PASSIVE), NOW_S)
    assert after == active(MASTER)
    assert state_changes(effects) == [(ACTIVE, "S4")]
    assert outcomes(effects) == [Outcome.FAILED]


@LOST
def test_the_standby_lost_means_failed_and_the_master_active(
    evidence: Evidence, rule: str
) -> None:
    now = passive(MASTER, awaited=TO_MASTER)
    after, effects = step(now, PeerLost(evidence, 3.0), NOW_S)
    assert after == active(MASTER)
    assert state_changes(effects) == [(ACTIVE, rule)]
    assert outcomes(effects) == [Outcome.FAILED]


# Declining.


UNDER_WAY = [
    *(giving(role, name) for name in GivingStep for role in Role),
    *(handing_over(role) for role in Role),
    *(promised(role) for role in Role),
    asked(),
]


@pytest.mark.parametrize("now", [*UNDER_WAY, *map(starting, Role)])
def test_a_second_order_is_declined_and_the_first_goes_on(now: Situation) -> None:
    second = other(TO_MASTER)
    starts = now == starting(now.role)
    text = "this node is still starting" if starts else "a switch is under way"
    report = Report(second, Outcome.ROLLED_BACK, text)
    abort = Tell(SwitchStep.ABORT, second, text)
    for observed in (SwitchOrdered(second), GiveAsked(second)):
        answer = report if now.role is MASTER else abort
        assert step(now, observed, NOW_S) == (now, (answer,))


def test_a_passive_standby_cannot_give() -> None:
    now = passive(STANDBY)
    abort = Tell(SwitchStep.ABORT, TO_MASTER, "this node is not active")
    assert step(now, GiveAsked(TO_MASTER), NOW_S) == (now, (abort,))


@BOTH_ROLES
def test_a_starting_node_takes_no_switch(role: Role) -> None:
    now, switch = starting(role), switch_of(role.other)
    abort = Tell(SwitchStep.ABORT, switch, "the taker is still starting")
    for observed in (ConfirmAsked(switch, "1-1"), PromiseAsked(switch)):
        assert step(now, observed, NOW_S) == (now, (abort,))


@BOTH_ROLES
def test_an_active_node_takes_no_switch(role: Role) -> None:
    now, switch = active(role), switch_of(role.other)
    abort = Tell(SwitchStep.ABORT, switch, "the taker is active already")
    for observed in (ConfirmAsked(switch, "1-1"), PromiseAsked(switch)):
        assert step(now, observed, NOW_S) == (now, (abort,))
