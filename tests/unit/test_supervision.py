"""Who is active: S1 to S6, S11, S12, S18 and S20, one rule per test."""

from __future__ import annotations

import attrs
import pytest

from node.roles import Role, State
from node.situation import (
    Active,
    ChangeState,
    Evidence,
    NotHeardByPeer,
    Passive,
    PeerClaimed,
    PeerLost,
    PeerYielded,
    RecordBothActive,
    RunCallbacks,
    Situation,
    Stalled,
    Starting,
    StartWindowClosed,
)
from node.supervision import step
from tests.support.situations import (
    ACTIVE,
    LIMITS,
    MASTER,
    NOW_S,
    PASSIVE,
    STANDBY,
    active,
    heard,
    heard_reborn,
    passive,
    starting,
)

BOTH_ROLES = pytest.mark.parametrize("role", list(Role))


@BOTH_ROLES
def test_s1_a_node_starts_passive(role: Role) -> None:
    now = Situation(role, LIMITS)
    assert now.phase == Starting()
    assert now.state is PASSIVE
    assert now.switch is None
    assert now.switch_step is None
    assert now.deadline_s is None


@BOTH_ROLES
def test_s2_when_the_start_window_closes_unheard_it_activates(role: Role) -> None:
    after, effects = step(starting(role), StartWindowClosed(), NOW_S)
    assert after == active(role)
    assert effects == (
        ChangeState(ACTIVE, "no peer heard since the start", "S2"),
        RunCallbacks(ACTIVE),
    )


@BOTH_ROLES
@pytest.mark.parametrize("evidence", list(Evidence))
def test_s2_before_a_peer_was_heard_there_is_none_to_lose(
    role: Role, evidence: Evidence
) -> None:
    now = starting(role)
    assert step(now, PeerLost(evidence, 3.0), NOW_S) == (now, ())


@BOTH_ROLES
def test_s2_a_window_that_closes_late_changes_nothing(role: Role) -> None:
    for now in (passive(role), active(role)):
        assert step(now, StartWindowClosed(), NOW_S) == (now, ())


@BOTH_ROLES
def test_s3_a_starting_node_stays_passive_beside_an_active_peer(role: Role) -> None:
    assert step(starting(role), heard(role, ACTIVE), NOW_S) == (passive(role), ())


@BOTH_ROLES
def test_s3_a_passive_node_stays_passive_beside_an_active_peer(role: Role) -> None:
    assert step(passive(role), heard(role, ACTIVE), NOW_S) == (passive(role), ())


@BOTH_ROLES
def test_s3_an_active_node_stays_active_beside_a_passive_peer(role: Role) -> None:
    for said in (heard(role, PASSIVE), heard_reborn(role, PASSIVE)):
        assert step(active(role), said, NOW_S) == (active(role), ())


@pytest.mark.parametrize("now", [starting(MASTER), passive(MASTER)])
def test_s4_of_two_passive_nodes_the_master_activates(now: Situation) -> None:
    after, effects = step(now, heard(MASTER, PASSIVE), NOW_S)
    reason = "neither node is active and this is the master"
    assert after == active(MASTER)
    assert effects == (ChangeState(ACTIVE, reason, "S4"), RunCallbacks(ACTIVE))


@pytest.mark.parametrize("now", [starting(MASTER), passive(MASTER)])
def test_s13_what_the_peer_said_before_a_stall_makes_no_master_active(
    now: Situation,
) -> None:
    stale = attrs.evolve(heard(MASTER, PASSIVE), fresh=False)
    assert step(now, stale, NOW_S) == (passive(MASTER), ())


@BOTH_ROLES
def test_s13_an_active_node_that_stood_still_for_too_long_steps_down(
    role: Role,
) -> None:
    after, effects = step(active(role), Stalled(9.00049), NOW_S)
    reason = "this node stood still and cannot know who serves"
    changed = ChangeState(PASSIVE, reason, "S13", {"still_s": 9.0})
    assert after == passive(role)
    assert effects == (changed, RunCallbacks(PASSIVE))


@BOTH_ROLES
def test_s13_that_the_peer_is_active_is_believed_however_old(role: Role) -> None:
    stale = attrs.evolve(heard(role, ACTIVE), fresh=False)
    assert step(passive(role), stale, NOW_S) == (passive(role), ())
    after, _ = step(active(role), stale, NOW_S)
    assert after == (active(role) if role is MASTER else passive(role))


@BOTH_ROLES
def test_the_survivor_of_two_active_nodes_says_anew_that_it_serves(role: Role) -> None:
    now = active(role)
    assert step(now, PeerYielded(), NOW_S) == (now, (RunCallbacks(ACTIVE),))
    assert step(passive(role), PeerYielded(), NOW_S) == (passive(role), ())


@pytest.mark.parametrize("now", [starting(STANDBY), passive(STANDBY)])
def test_s4_of_two_passive_nodes_the_standby_stays(now: Situation) -> None:
    assert step(now, heard(STANDBY, PASSIVE), NOW_S) == (passive(STANDBY), ())


def test_s5_of_two_active_nodes_the_master_stays() -> None:
    now = active(MASTER)
    assert step(now, heard(MASTER, ACTIVE), NOW_S) == (now, ())


def test_s5_of_two_active_nodes_the_standby_yields() -> None:
    after, effects = step(active(STANDBY), heard(STANDBY, ACTIVE), NOW_S)
    reason = "both nodes are active and this is the standby"
    assert after == passive(STANDBY)
    changed = ChangeState(PASSIVE, reason, "S5")
    assert effects == (changed, RunCallbacks(PASSIVE), RecordBothActive())


@BOTH_ROLES
@pytest.mark.parametrize(
    ("evidence", "reason", "rule"),
    [
        (Evidence.GOODBYE, "the peer said goodbye", "S11"),
        (Evidence.REFUSED, "the peer's process is gone", "S12"),
        (Evidence.SILENCE, "peer lost", "S6"),
    ],
)
def test_a_passive_node_that_loses_its_peer_activates_and_says_why(
    role: Role, evidence: Evidence, reason: str, rule: str
) -> None:
    after, effects = step(passive(role), PeerLost(evidence, 3.00049), NOW_S)
    found = {"evidence": evidence.value, "silent_s": 3.0}
    assert after == active(role)
    assert effects == (ChangeState(ACTIVE, reason, rule, found), RunCallbacks(ACTIVE))


@BOTH_ROLES
@pytest.mark.parametrize("evidence", list(Evidence))
def test_s6_an_active_node_that_loses_its_peer_goes_on(
    role: Role, evidence: Evidence
) -> None:
    now = active(role)
    assert step(now, PeerLost(evidence, 3.0), NOW_S) == (now, ())


@pytest.mark.parametrize("state", list(State))
@BOTH_ROLES
def test_s18_an_active_node_ignores_a_claim(role: Role, state: State) -> None:
    claim = PeerClaimed(state, "wrong secret")
    assert step(active(role), claim, NOW_S) == (active(role), ())


@BOTH_ROLES
def test_s18_beside_a_claim_to_be_active_it_stays_passive(role: Role) -> None:
    claim = PeerClaimed(ACTIVE, "wrong secret")
    for now in (starting(role), passive(role)):
        assert step(now, claim, NOW_S) == (passive(role), ())


def test_s18_beside_a_claim_to_be_passive_the_master_activates() -> None:
    claim = PeerClaimed(PASSIVE, "wrong secret")
    for now in (starting(MASTER), passive(MASTER)):
        after, _ = step(now, claim, NOW_S)
        assert after.phase == Active()


def test_s18_beside_a_claim_to_be_passive_the_standby_stays() -> None:
    claim = PeerClaimed(PASSIVE, "wrong secret")
    for now in (starting(STANDBY), passive(STANDBY)):
        assert step(now, claim, NOW_S) == (passive(STANDBY), ())


def test_s20_an_active_master_that_is_not_heard_yields() -> None:
    after, effects = step(active(MASTER), NotHeardByPeer(6.00049), NOW_S)
    reason = "the standby is active and does not hear this master"
    assert after.phase == Passive()
    assert effects == (
        ChangeState(PASSIVE, reason, "S20", {"unheard_s": 6.0}),
        RunCallbacks(PASSIVE),
        RecordBothActive(),
    )


@BOTH_ROLES
def test_s20_a_node_that_is_not_active_has_nothing_to_yield(role: Role) -> None:
    for now in (starting(role), passive(role)):
        assert step(now, NotHeardByPeer(6.0), NOW_S) == (now, ())
