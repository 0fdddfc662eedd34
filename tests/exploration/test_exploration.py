"""All reachable states of a pair, as far as that takes seconds; `make explore` sees more.

And that each invariant can fail: with one rule broken there is a counterexample.
"""

from __future__ import annotations

from functools import cache

import pytest

from node.supervision import step
from tests.exploration import weakened
from tests.exploration.invariants import Invariant
from tests.exploration.nodes import Rules
from tests.exploration.scenarios import LARGE, SMALL, Scenario
from tests.exploration.walk import PRODUCTION, Result, explore

SCENARIOS = {scenario.name: scenario for scenario in (*SMALL, *LARGE)}
STATE_COUNT_MAX = 100_000


@cache
def walked(name: str, rules: Rules = PRODUCTION) -> Result:
    return explore(SCENARIOS[name], state_count_max=STATE_COUNT_MAX, rules=rules)


@pytest.mark.parametrize("scenario", SMALL, ids=lambda scenario: scenario.name)
def test_every_invariant_holds_in_every_reachable_state(scenario: Scenario) -> None:
    result = walked(scenario.name)
    assert result.violation is None, f"\n{result.violation}"
    assert result.complete
    assert result.transition_count > result.state_count


def test_what_is_explored_is_the_production_code() -> None:
    assert PRODUCTION.step is step
    assert Rules() == PRODUCTION


EACH_WEAKENED = pytest.mark.parametrize(
    ("name", "scenario", "violated"),
    [
        ("NO_ONE_YIELDS", "verdict", Invariant.HEALED_ONE),
        ("THE_MASTER_YIELDS", "verdict", Invariant.HEALED_MASTER),
        ("NO_THAW", "switch", Invariant.WAY_OUT),
        ("LATE_WORD_COUNTS", "switch", Invariant.WAY_OUT),
        ("SICK_INSISTS", "sick", Invariant.WAY_OUT),
        ("NO_TAKEOVER", "crash", Invariant.ALONE),
        ("PAUSE_IGNORED", "pause", Invariant.HELD),
        ("TAKEOVERS_FORGOTTEN", "hold-off", Invariant.HELD),
        ("TAKEOVERS_FORGOTTEN", "cap", Invariant.HELD),
        ("WITNESS_IGNORED", "witness", Invariant.HELD),
        ("WITNESS_IGNORED", "witness, start", Invariant.HELD),
        ("OLDER_WORD_COUNTS", "switch", Invariant.NEVER_TWO),
        ("PROMISE_OF_A_CLAIM_IGNORED", "claims, switch, crash", Invariant.NEVER_TWO),
        ("OLD_REFUSAL_COUNTS", "stall, crash", Invariant.NEVER_TWO),
        ("NO_ROLL_BACK", "switch", Invariant.NEEDLESS),
        ("HELLO_NEED_NOT_HOLD", "switch, redial", Invariant.NEEDLESS),
        ("SWITCHING_BACK", "calm", Invariant.CALM),
        ("UNCONFIRMED", "switch", Invariant.CARRIED_OUT),
        ("PROMISE_IGNORED", "switch", Invariant.CARRIED_OUT),
        ("UNHEARD_GOES_ON", "cut", Invariant.ONE_WAY),
        ("NO_SELF_DISTRUST", "stall", Invariant.WOKEN),
        ("STALE_WORDS_COUNT", "stall, crash", Invariant.WOKEN),
        ("SICK_GOES_ON", "sick", Invariant.SICK),
        ("SICK_TRIES_ON", "sick, minute", Invariant.MINUTE),
        ("UNRECORDED", "cut", Invariant.RECORDED),
    ],
)


@EACH_WEAKENED
def test_a_broken_rule_is_found(name: str, scenario: str, violated: Invariant) -> None:
    violation = walked(scenario, getattr(weakened, name)).violation
    assert violation is not None
    assert violation.invariant is violated


def test_each_invariant_is_shown_to_fail() -> None:
    shown = {case[2] for case in EACH_WEAKENED.args[1]}
    assert shown == set(Invariant)


def test_each_invariant_is_checked() -> None:
    found = [walked(scenario.name).check_counts for scenario in SMALL]
    for invariant in Invariant:
        assert any(counts[invariant] for counts in found), invariant


def test_a_counterexample_is_the_shortest_one_step_by_step() -> None:
    found = walked("stall", weakened.NO_SELF_DISTRUST).violation
    lines = str(found).splitlines()
    assert lines[:5] == [
        "violated: who stood still for long does not serve before it knows more",
        "  0 at the start: master active | standby passive",
        "  1 the master stands still, long: master active still (long) | standby passive",
        "  2 the master wakes: master active | standby passive",
        "  3 and from here, nothing fails any more: master active | standby passive",
    ]
    assert len(lines) > 5


def test_too_many_states_are_said_not_to_be_all() -> None:
    result = explore(SCENARIOS["switch"], state_count_max=100)
    assert result.violation is None
    assert not result.complete
