"""What continuous looks at two nodes say about who served (tests/chaos)."""

from __future__ import annotations

import pytest

from node.roles import Role
from tests.chaos.looks import (
    Activation,
    Answer,
    Look,
    activations,
    gaps,
    overlaps,
    surely_active,
)

ANSWERS = {"a": Answer.ACTIVE, "p": Answer.PASSIVE, "-": Answer.SILENT}


def looks(told: str) -> list[Look]:
    """A letter for each look, one per second, answered after half a second."""
    return [
        Look(Role.MASTER, float(n), n + 0.5, ANSWERS[letter])
        for n, letter in enumerate(told)
    ]


@pytest.mark.parametrize(
    ("told", "at_s"),
    [
        pytest.param("aaa", [], id="active from the first look on"),
        pytest.param("ppaa", [2.5], id="it was passive"),
        pytest.param("p--a", [3.5], id="it was passive before it was silent"),
        pytest.param("aa--aa", [], id="it slept and is still active"),
        pytest.param("--aa", [], id="nothing is known of before"),
        pytest.param("papa", [1.5, 3.5], id="twice"),
    ],
)
def test_who_said_passive_and_then_active_became_active(
    told: str, at_s: list[float]
) -> None:
    assert activations(looks(told)) == [Activation(Role.MASTER, at) for at in at_s]


@pytest.mark.parametrize(
    ("told", "spans"),
    [
        pytest.param("ppp", [], id="never"),
        pytest.param(
            "paaap", [(1.5, 3.0)], id="from the first answer to the last question"
        ),
        pytest.param("pap", [(1.5, 1.5)], id="one look is an instant"),
        pytest.param("aa-aa", [(0.5, 1.0), (3.5, 4.0)], id="silence ends what is sure"),
    ],
)
def test_active_for_sure_is_from_the_first_answer_to_the_last_question(
    told: str, spans: list[tuple[float, float]]
) -> None:
    assert surely_active(looks(told)) == spans


def test_overlaps_are_what_is_in_both() -> None:
    first = [(0.0, 4.0), (6.0, 9.0)]
    second = [(1.0, 2.0), (3.0, 7.0), (9.0, 10.0)]
    assert overlaps(first, second) == [(1.0, 2.0), (3.0, 4.0), (6.0, 7.0)]
    assert overlaps(second, first) == overlaps(first, second)


@pytest.mark.parametrize(
    ("spans", "left"),
    [
        pytest.param([], [(0.0, 10.0)], id="nothing"),
        pytest.param([(-1.0, 11.0)], [], id="everything"),
        pytest.param(
            [(5.0, 6.0), (1.0, 5.5)], [(0.0, 1.0), (6.0, 10.0)], id="unsorted"
        ),
        pytest.param([(1.0, 8.0), (2.0, 3.0)], [(0.0, 1.0), (8.0, 10.0)], id="nested"),
        pytest.param([(12.0, 13.0)], [(0.0, 10.0)], id="behind"),
    ],
)
def test_gaps_are_what_is_in_none(
    spans: list[tuple[float, float]], left: list[tuple[float, float]]
) -> None:
    assert gaps(spans, (0.0, 10.0)) == left
