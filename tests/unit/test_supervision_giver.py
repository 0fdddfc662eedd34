"""S14 at the giver: each step, each deadline, each way out."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import pytest

from node.roles import Role, State
from node.situation import (
    ActivateTold,
    CannotServe,
    ChangeState,
    ConfirmAsked,
    DeadlinePassed,
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
    PeerClaimed,
    PeerLost,
    PromiseAsked,
    PromiseGiven,
    RecordBothActive,
    Report,
    RetireService,
    RunCallbacks,
    ServiceRetired,
    Stalled,
    StartWindowClosed,
    Switch,
    SwitchAborted,
    SwitchOrdered,
    SwitchStep,
    Tell,
    ThawWrites,
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
    TO_STANDBY,
    active,
    giving,
    handing_over,
    heard,
    heard_reborn,
    kinds,
    other,
    outcomes,
    passive,
    situation,
    starting,
    state_changes,
    told,
)

BOTH_ROLES = pytest.mark.parametrize("role", list(Role))
EACH_STEP = pytest.mark.parametrize("name", list(GivingStep))
RETIRED = {GivingStep.RETIRING, GivingStep.ASKING}

LEADS_ON: dict[GivingStep, Callable[[Switch], Observation]] = {
    GivingStep.FREEZING: lambda switch: WritesFrozen(switch, "7-3"),
    GivingStep.CONFIRMING: HeadConfirmed,
    GivingStep.RETIRING: ServiceRetired,
    GivingStep.ASKING: PromiseGiven,
}


def done(name: GivingStep, switch: Switch) -> Observation:
    """What ends step `name`."""
    return LEADS_ON[name](switch)


# The way there.


def test_s8_ordered_at_the_active_master_it_freezes_and_the_operator_waits() -> None:
    after, effects = step(active(MASTER), SwitchOrdered(TO_STANDBY), NOW_S)
    phase = Giving(TO_STANDBY, GivingStep.FREEZING, NOW_S + 1.0, NOW_S + 5.0)
    assert after.phase == phase
    assert after.awaited == TO_STANDBY
    assert effects == (FreezeWrites(TO_STANDBY),)


def test_s8_asked_by_the_master_the_active_standby_freezes() -> None:
    switch = switch_of(STANDBY)
    after, effects = step(active(STANDBY), GiveAsked(switch), NOW_S)
    assert after == giving(STANDBY, GivingStep.FREEZING)
    assert effects == (FreezeWrites(switch),)


@BOTH_ROLES
@EACH_STEP
def test_a_giver_is_active_until_it_hands_over(role: Role, name: GivingStep) -> None:
    now = giving(role, name)
    assert now.state is ACTIVE
    assert now.switch == switch_of(role)
    assert now.switch_step == name.value
    assert now.deadline_s == NOW_S + 1.0


@BOTH_ROLES
@pytest.mark.parametrize(
    ("name", "following", "limit_s"),
    [
        (GivingStep.FREEZING, GivingStep.CONFIRMING, 1.0),
        (GivingStep.CONFIRMING, GivingStep.RETIRING, 4.5),  # Only the whole: S17.
        (GivingStep.RETIRING, GivingStep.ASKING, 1.0),
    ],
)
def test_each_step_leads_to_the_next_with_its_own_deadline(
    role: Role, name: GivingStep, following: GivingStep, limit_s: float
) -> None:
    switch, at_s = switch_of(role), NOW_S + 0.5
    after, effects = step(giving(role, name), done(name, switch), at_s)
    assert after.phase == Giving(switch, following, at_s + limit_s, NOW_S + 5.0)
    assert (
        effects
        == {
            GivingStep.CONFIRMING: (Tell(SwitchStep.CONFIRM, switch, "7-3"),),
            GivingStep.RETIRING: (RetireService(switch),),
            GivingStep.ASKING: (Tell(SwitchStep.PROMISE, switch),),
        }[following]
    )


@pytest.mark.parametrize("name", [GivingStep.FREEZING, GivingStep.RETIRING])
def test_no_step_outlasts_the_whole(name: GivingStep) -> None:
    now = giving(MASTER, name, ends_s=NOW_S + 1.2)
    after, _ = step(now, done(name, TO_STANDBY), NOW_S + 0.9)
    assert after.deadline_s == NOW_S + 1.2


@BOTH_ROLES
def test_s17_with_the_promise_it_says_passive_and_then_tells_the_taker(
    role: Role,
) -> None:
    switch = switch_of(role)
    now = giving(role, GivingStep.ASKING)
    after, effects = step(now, PromiseGiven(switch), NOW_S + 0.5)
    assert after.phase == HandingOver(switch, NOW_S + 1.5)
    assert after.state is PASSIVE
    assert after.awaited == now.awaited
    # Its callbacks have ended before, so none is run here.
    assert effects == (
        ChangeState(PASSIVE, "planned switch: why", "S14"),
        Tell(SwitchStep.ACTIVATE, switch),
    )


@BOTH_ROLES
def test_a_promise_that_comes_too_late_may_have_run_out(role: Role) -> None:
    now = giving(role, GivingStep.ASKING)
    assert step(now, PromiseGiven(switch_of(role)), NOW_S + 1.0) == (now, ())


@BOTH_ROLES
@EACH_STEP
def test_only_what_it_waits_for_leads_on(role: Role, name: GivingStep) -> None:
    now = giving(role, name)
    for kind in GivingStep:
        early_or_late = kind is not name
        switch = switch_of(role) if early_or_late else other(switch_of(role))
        assert step(now, done(kind, switch), NOW_S) == (now, ())


# The ways back.


@BOTH_ROLES
@EACH_STEP
@pytest.mark.parametrize(
    "ending",
    [
        "deadline",
        "aborted",
        "goodbye",
        "refused",
        "silence",
        "taker restarted",
        "not heard",
    ],
)
def test_before_it_stepped_down_every_failure_leaves_all_as_before(
    role: Role, name: GivingStep, ending: str
) -> None:
    switch = switch_of(role)
    endings: dict[str, Observation] = {
        "deadline": DeadlinePassed(),
        "aborted": SwitchAborted(switch, "why not"),
        "goodbye": PeerLost(Evidence.GOODBYE, 0.1),
        "refused": PeerLost(Evidence.REFUSED, 1.0),
        "silence": PeerLost(Evidence.SILENCE, 3.0),
        "taker restarted": heard_reborn(role, PASSIVE),
        "not heard": NotHeardByPeer(6.0),
    }
    after, effects = step(giving(role, name), endings[ending], NOW_S)
    assert after == active(role)
    again = [RunCallbacks] if name in RETIRED else []
    report = [Report] if role is MASTER else []
    assert kinds(effects) == [*again, ThawWrites, Tell, *report]
    assert all(e.state is ACTIVE for e in effects if isinstance(e, RunCallbacks))
    assert told(effects) == [SwitchStep.ABORT]
    assert outcomes(effects) == [Outcome.ROLLED_BACK] * len(report)


@EACH_STEP
def test_a_deadline_says_what_was_waited_for(name: GivingStep) -> None:
    _, effects = step(giving(MASTER, name), DeadlinePassed(), NOW_S + 1.0)
    report = effects[-1]
    assert isinstance(report, Report)
    assert report.switch == TO_STANDBY
    assert (
        report.text
        == {
            GivingStep.FREEZING: "changes under way did not end in time",
            GivingStep.CONFIRMING: "the taker did not confirm that it has every event in time",
            GivingStep.RETIRING: "the callbacks for becoming passive did not end in time",
            GivingStep.ASKING: "the taker did not promise to activate in time",
        }[name]
    )


@pytest.mark.parametrize(
    ("observed", "text"),
    [
        (PeerLost(Evidence.REFUSED, 1.0), "the taker is lost (refused)"),
        (heard_reborn(MASTER, PASSIVE), "the taker was restarted"),
        (heard(MASTER, ACTIVE), "the taker is active already"),
        (NotHeardByPeer(6.0), "the taker does not hear this node"),
        (SwitchAborted(TO_STANDBY, "no room"), "no room"),
    ],
)
def test_a_roll_back_tells_both_sides_why(observed: Observation, text: str) -> None:
    _, effects = step(giving(MASTER, GivingStep.FREEZING), observed, NOW_S)
    assert effects == (
        ThawWrites(),
        Tell(SwitchStep.ABORT, TO_STANDBY, text),
        Report(TO_STANDBY, Outcome.ROLLED_BACK, text),
    )


@EACH_STEP
def test_s5_a_giving_master_beside_an_active_standby_stays(name: GivingStep) -> None:
    after, effects = step(giving(MASTER, name), heard(MASTER, ACTIVE), NOW_S)
    assert after == active(MASTER)
    assert state_changes(effects) == []
    assert ThawWrites() in effects


@EACH_STEP
def test_s5_a_giving_standby_beside_an_active_master_yields(name: GivingStep) -> None:
    after, effects = step(giving(STANDBY, name), heard(STANDBY, ACTIVE), NOW_S)
    assert after == passive(STANDBY)
    assert state_changes(effects) == [(PASSIVE, "S5")]
    assert kinds(effects)[-5:] == [
        ThawWrites, Tell, ChangeState, RunCallbacks, RecordBothActive,
    ]  # fmt: skip


@BOTH_ROLES
@EACH_STEP
def test_a_giver_goes_on_beside_its_passive_taker(role: Role, name: GivingStep) -> None:
    now = giving(role, name)
    for promise in (None, switch_of(role).id):
        said = heard(role, PASSIVE, promise=promise)
        assert step(now, said, NOW_S) == (now, ())


@BOTH_ROLES
@EACH_STEP
def test_what_is_not_of_its_switch_does_not_move_a_giver(
    role: Role, name: GivingStep
) -> None:
    now, switch = giving(role, name), switch_of(role)
    strange: list[Observation] = [
        SwitchAborted(other(switch), "why"),
        PeerClaimed(ACTIVE, "wrong secret"),
        PeerClaimed(PASSIVE, "wrong secret"),
        StartWindowClosed(),
        HeadReached(switch),
        ActivateTold(switch),
    ]
    for observed in strange:
        assert step(now, observed, NOW_S) == (now, ())


@BOTH_ROLES
@EACH_STEP
def test_a_giver_that_is_asked_to_take_says_that_it_is_active(
    role: Role, name: GivingStep
) -> None:
    now, switch = giving(role, name), other(switch_of(role))
    told_off = Tell(SwitchStep.ABORT, switch, "the taker is active already")
    for observed in (ConfirmAsked(switch, "1-1"), PromiseAsked(switch)):
        assert step(now, observed, NOW_S) == (now, (told_off,))


# Having stepped down.


@BOTH_ROLES
def test_while_handing_over_it_is_passive_and_has_no_deadline(role: Role) -> None:
    now = handing_over(role)
    assert now.state is PASSIVE
    assert now.switch == switch_of(role)
    assert now.switch_step == "handing over"
    assert now.deadline_s is None  # Silence decides, once the promise has run out.


@BOTH_ROLES
def test_when_the_taker_is_active_it_thaws_and_reports(role: Role) -> None:
    after, effects = step(handing_over(role), heard(role, ACTIVE), NOW_S)
    assert after == passive(role)
    report = Report(TO_STANDBY, Outcome.DONE, "the standby is active")
    assert effects == ((ThawWrites(), report) if role is MASTER else (ThawWrites(),))


@BOTH_ROLES
def test_no_s4_while_the_takers_heartbeats_show_the_promise(role: Role) -> None:
    now = handing_over(role)
    said = heard(role, PASSIVE, promise=switch_of(role).id)
    assert step(now, said, NOW_S + 9.0) == (now, ())


@pytest.mark.parametrize(
    "said",
    [
        heard(MASTER, PASSIVE),
        heard(MASTER, PASSIVE, promise="another"),
        heard_reborn(MASTER, PASSIVE),
        attrs.evolve(heard_reborn(MASTER, PASSIVE), promise=TO_STANDBY.id),
    ],
)
def test_s4_without_the_promise_the_master_is_active_again(
    said: Observation,
) -> None:
    after, effects = step(handing_over(MASTER), said, NOW_S)
    assert after == active(MASTER)
    assert kinds(effects) == [ThawWrites, ChangeState, RunCallbacks, Report]
    assert state_changes(effects) == [(ACTIVE, "S4")]
    reason = "neither node is active and this is the master"
    text = f"the master is active: {reason} (S4)"
    assert effects[-1] == Report(TO_STANDBY, Outcome.FAILED, text)


def test_s4_without_the_promise_the_standby_leaves_it_to_the_master() -> None:
    after, effects = step(handing_over(STANDBY), heard(STANDBY, PASSIVE), NOW_S)
    assert after == passive(STANDBY)
    assert effects == (ThawWrites(),)


@BOTH_ROLES
@pytest.mark.parametrize(
    ("evidence", "rule"),
    [(Evidence.GOODBYE, "S11"), (Evidence.REFUSED, "S12"), (Evidence.SILENCE, "S6")],
)
def test_when_the_taker_is_lost_the_giver_is_active_again(
    role: Role, evidence: Evidence, rule: str
) -> None:
    after, effects = step(handing_over(role), PeerLost(evidence, 4.0), NOW_S)
    assert after == active(role)
    assert effects[0] == ThawWrites()
    assert state_changes(effects) == [(ACTIVE, rule)]
    assert outcomes(effects) == ([Outcome.FAILED] if role is MASTER else [])


@BOTH_ROLES
@pytest.mark.parametrize("state", list(State))
def test_s18_while_the_promise_holds_a_claim_counts_for_nothing(
    role: Role, state: State
) -> None:
    now = handing_over(role)
    claim = PeerClaimed(state, "wrong secret")
    assert step(now, claim, NOW_S + 0.99) == (now, ())


@BOTH_ROLES
def test_s18_a_claim_to_be_active_ends_the_handing_over(role: Role) -> None:
    claim = PeerClaimed(ACTIVE, "wrong secret")
    after, effects = step(handing_over(role), claim, NOW_S + 1.0)
    assert after == passive(role)
    assert effects[0] == ThawWrites()
    assert outcomes(effects) == ([Outcome.DONE] if role is MASTER else [])


@BOTH_ROLES
def test_s18_a_claim_to_be_passive_ends_it_by_s4(role: Role) -> None:
    claim = PeerClaimed(PASSIVE, "wrong secret")
    after, effects = step(handing_over(role), claim, NOW_S + 1.0)
    assert after == (active(role) if role is MASTER else passive(role))
    assert effects[0] == ThawWrites()
    assert outcomes(effects) == ([Outcome.FAILED] if role is MASTER else [])


@BOTH_ROLES
def test_nothing_else_ends_the_handing_over(role: Role) -> None:
    now, switch = handing_over(role), switch_of(role)
    late: list[Observation] = [
        SwitchAborted(switch, "why"),
        StartWindowClosed(),
        NotHeardByPeer(6.0),
        DeadlinePassed(),
        *(done(name, switch) for name in GivingStep),
        HeadReached(switch),
        ActivateTold(switch),
    ]
    for observed in late:
        assert step(now, observed, NOW_S + 9.0) == (now, ())


@BOTH_ROLES
def test_while_handing_over_it_takes_no_other_switch(role: Role) -> None:
    now, switch = handing_over(role), other(switch_of(role.other))
    abort = Tell(SwitchStep.ABORT, switch, "a switch is under way")
    for observed in (ConfirmAsked(switch, "1-1"), PromiseAsked(switch)):
        assert step(now, observed, NOW_S) == (now, (abort,))


def test_steps_of_a_switch_that_is_over_change_nothing() -> None:
    over: list[Observation] = [
        *(done(name, TO_STANDBY) for name in GivingStep),
        SwitchAborted(TO_STANDBY, "why"),
        DeadlinePassed(),
    ]
    for role in Role:
        for observed in over:
            for now in (active(role), passive(role)):
                assert step(now, observed, NOW_S) == (now, ())


# Handing over because it cannot serve (S15).


def urgent(role: Role) -> Switch:
    return attrs.evolve(switch_of(role), urgent=True)


@BOTH_ROLES
def test_s15_an_active_node_that_cannot_serve_begins_to_give(role: Role) -> None:
    after, effects = step(active(role), CannotServe(urgent(role)), NOW_S)
    assert isinstance(after.phase, Giving)
    assert after.awaited == urgent(role)
    assert effects == (FreezeWrites(urgent(role)),)


@BOTH_ROLES
def test_s15_it_goes_on_without_the_confirmation_where_it_cannot_be_had(
    role: Role,
) -> None:
    now, _ = step(active(role), CannotServe(urgent(role)), NOW_S)
    for seen in (None, WritesFrozen(urgent(role), "1-1")):
        waiting = now if seen is None else step(now, seen, NOW_S)[0]
        assert waiting.deadline_s is not None
        after, effects = step(waiting, DeadlinePassed(), waiting.deadline_s)
        assert after.switch_step == GivingStep.RETIRING
        assert effects == (RetireService(urgent(role)),)


@BOTH_ROLES
def test_s15_it_never_steps_down_without_the_promise(role: Role) -> None:
    now, _ = step(active(role), CannotServe(urgent(role)), NOW_S)
    for seen in (
        WritesFrozen(urgent(role), "1-1"),
        HeadConfirmed(urgent(role)),
        ServiceRetired(urgent(role)),
    ):
        now, _ = step(now, seen, NOW_S)
    assert now.deadline_s is not None
    after, effects = step(now, DeadlinePassed(), now.deadline_s)
    assert after == active(role)
    assert state_changes(effects) == []


@BOTH_ROLES
def test_s15_the_change_of_state_names_the_rule_and_the_sickness(role: Role) -> None:
    phase = Giving(urgent(role), GivingStep.ASKING, NOW_S + 1.0, NOW_S + 5.0)
    now = situation(role, phase)
    _, effects = step(now, PromiseGiven(urgent(role)), NOW_S)
    assert effects[0] == ChangeState(PASSIVE, "hand-over: why", "S15")


@BOTH_ROLES
def test_s15_a_node_that_is_passive_has_nothing_to_hand_over(role: Role) -> None:
    for now in (starting(role), passive(role)):
        assert step(now, CannotServe(urgent(role)), NOW_S) == (now, ())


@BOTH_ROLES
@EACH_STEP
def test_s13_a_giver_that_stood_still_for_too_long_rolls_back_and_steps_down(
    role: Role, name: GivingStep
) -> None:
    after, effects = step(giving(role, name), Stalled(9.0), NOW_S)
    assert after == passive(role)
    assert state_changes(effects) == [(PASSIVE, "S13")]
    assert ThawWrites() in effects


def test_s15_a_standby_whose_taker_did_not_activate_leaves_it_to_the_master() -> None:
    switch = urgent(STANDBY)
    now = situation(STANDBY, HandingOver(switch, NOW_S + 1.0), awaited=switch)
    after, effects = step(now, heard(STANDBY, PASSIVE), NOW_S)
    assert after == passive(STANDBY)
    assert [e.outcome for e in effects if isinstance(e, Report)] == [Outcome.FAILED]
