"""What may hold back an automatic takeover, and for how long."""

from __future__ import annotations

import pytest

from node.situation import Evidence
from node.takeover_gate import HOUR_S, Held, Pause, TakeoverGate

NOW_S = 10_000.0
EVERY = pytest.mark.parametrize("evidence", list(Evidence))
FAILURES = pytest.mark.parametrize("evidence", [Evidence.SILENCE, Evidence.REFUSED])


def gate(
    *, hold_off_s: float = 0.0, per_hour_max: int = 0, ask_again_s: float | None = None
) -> TakeoverGate:
    return TakeoverGate(
        hold_off_s=hold_off_s, per_hour_max=per_hour_max, ask_again_s=ask_again_s
    )


@EVERY
def test_by_default_nothing_holds_a_takeover_back(evidence: Evidence) -> None:
    found = gate()
    for number in range(200):
        assert found.held(evidence, None, NOW_S + number) is None
        found.took_over(NOW_S + number)
    assert found.held(None, None, NOW_S) is None
    assert found.take_question() is None


@EVERY
def test_a_pause_holds_every_takeover_until_it_runs_out(evidence: Evidence) -> None:
    held = gate().held(evidence, Pause(90.0, "by jane: new switch"), NOW_S)
    text = "automatic takeover is paused: by jane: new switch"
    assert held == Held(text, NOW_S + 90.0)


def test_a_pause_is_about_takeovers_and_not_about_a_start_alone() -> None:
    assert gate().held(None, Pause(90.0, "by jane"), NOW_S) is None


@FAILURES
def test_a_hold_off_counts_from_the_last_takeover(evidence: Evidence) -> None:
    found = gate(hold_off_s=600.0)
    assert found.held(evidence, None, NOW_S) is None
    found.took_over(NOW_S)
    held = found.held(evidence, None, NOW_S + 599.0)
    assert held is not None
    assert held.until_s == NOW_S + 600.0
    assert "600 s ago (takeover_hold_off_s)" in held.why
    assert found.held(evidence, None, NOW_S + 600.0) is None


@FAILURES
def test_the_hourly_cap_lets_the_next_one_happen_when_the_first_is_an_hour_old(
    evidence: Evidence,
) -> None:
    found = gate(per_hour_max=2)
    for at_s in (NOW_S, NOW_S + 60.0):
        assert found.held(evidence, None, at_s) is None
        found.took_over(at_s)
    held = found.held(evidence, None, NOW_S + 120.0)
    assert held is not None
    assert held.until_s == NOW_S + HOUR_S
    assert "2 times within an hour, the limit (takeovers_per_hour_max)" in held.why
    assert found.takeover_count(NOW_S + 120.0) == 2
    assert found.held(evidence, None, NOW_S + HOUR_S) is None
    assert found.takeover_count(NOW_S + HOUR_S) == 1


def test_after_a_goodbye_nothing_failed_so_neither_cap_nor_hold_off_holds() -> None:
    found = gate(hold_off_s=600.0, per_hour_max=1)
    found.took_over(NOW_S)
    assert found.held(Evidence.GOODBYE, None, NOW_S) is None


def test_takeovers_of_earlier_processes_count() -> None:
    found = gate(per_hour_max=2)
    found.remember([10.0, 5000.0, 20.0], NOW_S)
    assert found.takeover_count(NOW_S) == 2
    held = found.held(Evidence.SILENCE, None, NOW_S)
    assert held is not None
    assert held.until_s == NOW_S - 20.0 + HOUR_S


@pytest.mark.parametrize("evidence", [None, Evidence.SILENCE])
def test_silence_waits_for_the_witness_and_goes_when_that_is_reached(
    evidence: Evidence | None,
) -> None:
    found = gate(ask_again_s=2.0)
    held = found.held(evidence, None, NOW_S)
    assert held == Held("the witness: no answer yet", NOW_S + 2.0)
    question = found.take_question()
    assert question is not None
    assert found.take_question() is None, "it is put once"
    found.witness_answered(question, None)
    assert found.held(evidence, None, NOW_S + 0.5) is None


def test_a_witness_that_is_not_reached_is_a_veto_and_is_asked_again() -> None:
    found = gate(ask_again_s=2.0)
    found.held(Evidence.SILENCE, None, NOW_S)
    question = found.take_question()
    assert question is not None
    found.witness_answered(question, "not reached: 10.0.0.254:80: timed out")
    held = found.held(Evidence.SILENCE, None, NOW_S + 1.0)
    assert held == Held(
        "the witness: not reached: 10.0.0.254:80: timed out", NOW_S + 2.0
    )
    assert found.take_question() is None
    assert found.held(Evidence.SILENCE, None, NOW_S + 2.0) is not None
    assert found.take_question() == question + 1


def test_what_the_witness_said_of_an_earlier_silence_does_not_count() -> None:
    found = gate(ask_again_s=2.0)
    found.held(Evidence.SILENCE, None, NOW_S)
    question = found.take_question()
    assert question is not None
    found.witness_answered(question, None)
    found.peer_heard()
    assert found.held(Evidence.SILENCE, None, NOW_S + 1.0) is not None
    found.witness_answered(question, None)  # Late, of the earlier one.
    assert found.held(Evidence.SILENCE, None, NOW_S + 1.0) is not None


@pytest.mark.parametrize("evidence", [Evidence.REFUSED, Evidence.GOODBYE])
def test_proof_that_the_peer_is_gone_needs_no_witness(evidence: Evidence) -> None:
    assert gate(ask_again_s=2.0).held(evidence, None, NOW_S) is None
