"""What looks at two nodes, one after the other, prove about who served."""

from __future__ import annotations

import pytest

from node.roles import Role
from tests.support.looking import Look, both_active, longest_without_s


def looks(told: str) -> list[Look]:
    """A letter for each look, 0.1 s apart: M, S active; m, s not."""
    roles = {"m": Role.MASTER, "s": Role.STANDBY}
    return [
        Look(roles[letter.lower()], n / 10, n / 10 + 0.05, letter.isupper())
        for n, letter in enumerate(told)
    ]


@pytest.mark.parametrize(
    ("told", "proved"),
    [
        pytest.param("MsMsmSmS", False, id="a switch"),
        pytest.param("MsMSmS", False, id="a switch between two looks"),
        pytest.param("MsMSMs", True, id="the standby too for a moment"),
        pytest.param("mSMSmS", True, id="the master too for a moment"),
    ],
)
def test_two_are_active_only_if_one_was_before_and_after_the_other(
    told: str, proved: bool
) -> None:
    assert bool(both_active(looks(told))) is proved


@pytest.mark.parametrize(
    ("told", "without_s"),
    [
        pytest.param("MsMsMs", 0.0, id="no switch"),
        pytest.param("MsMSmS", 0.0, id="a switch between two looks"),
        pytest.param("MsmS", 0.35, id="from the last question to the next answer"),
        pytest.param("MsmsmsM", 0.65, id="the same node again"),
    ],
)
def test_nobody_is_known_to_serve_from_the_last_yes_to_the_next(
    told: str, without_s: float
) -> None:
    assert longest_without_s(looks(told)) == pytest.approx(without_s)
