"""Which activations are false, which are missing, and how long they took (tests/chaos)."""

from __future__ import annotations

import pytest

from node.roles import Role
from tests.chaos.journal import Judgement, Takeover, Window, judge, percentile
from tests.chaos.looks import Activation

M, S = Role.MASTER, Role.STANDBY


def judged(window: Window, *activations: Activation) -> Judgement:
    return judge([Window("start", 0.0, Takeover.MAY, None, 5.0), window], activations)


def fault(takeover: Takeover) -> Window:
    return Window("cut", 10.0, takeover, S, 20.0)


def test_a_takeover_is_measured_from_the_fault_to_the_first_answer_of_the_taker() -> (
    None
):
    found = judged(
        fault(Takeover.MUST),
        Activation(M, 19.0),
        Activation(S, 13.5),
        Activation(S, 18.0),
    )
    assert found == Judgement({"cut": [3.5]}, (), ())


@pytest.mark.parametrize(
    ("takeover", "at_s", "false"),
    [
        (Takeover.MUST, 15.0, False),
        (Takeover.MAY, 15.0, False),
        (Takeover.ORDERED, 15.0, False),
        (Takeover.MUST_NOT, 15.0, True),
        (Takeover.MAY, 9.0, True),
        (Takeover.MAY, 21.0, True),
    ],
)
def test_false_is_an_activation_in_quiet_or_in_a_fault_that_must_not_cause_one(
    takeover: Takeover, at_s: float, false: bool
) -> None:
    found = judged(fault(takeover), Activation(S, at_s))
    assert bool(found.false) is false


def test_a_takeover_that_had_to_be_and_was_not_is_missed() -> None:
    assert judged(fault(Takeover.MUST), Activation(M, 15.0)).missed
    assert not judged(fault(Takeover.MAY)).missed


@pytest.mark.parametrize(
    ("share", "value"), [(0.5, 2.0), (0.75, 3.0), (0.95, 4.0), (1.0, 4.0), (0.0, 1.0)]
)
def test_a_percentile_is_a_value_that_was_measured(share: float, value: float) -> None:
    assert percentile([4.0, 1.0, 3.0, 2.0], share) == value
