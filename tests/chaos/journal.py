"""Which activations were to be, and how long each took. Pure.

Each fault has a window: from just before it happens until the pair is settled again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from enum import Enum

import attrs

from node.roles import Role
from tests.chaos.looks import Activation, Span


class Takeover(Enum):
    """Whether a node may become active in a window."""

    MUST = "must"
    MAY = "may"
    MUST_NOT = "must not"
    ORDERED = "ordered"
    """An operator orders it: it is no automatic takeover."""


@attrs.define
class Window:
    """One fault, from just before it happens until the pair is settled again."""

    kind: str
    began_s: float
    takeover: Takeover
    taker: Role | None = None
    """Who was passive then, and takes over if anyone does; None: nobody can."""
    ended_s: float = math.inf

    def holds(self, at_s: float) -> bool:
        return self.began_s <= at_s <= self.ended_s


@attrs.frozen
class Judgement:
    """What the activations were, given the windows."""

    took_s: dict[str, list[float]]
    """For each kind of fault, from the fault until the other node said that it is active."""
    false: tuple[str, ...]
    """Activations that must not be."""
    missed: tuple[str, ...]
    """Faults in which the other node did not take over, and had to."""


def judge(windows: Sequence[Window], activations: Sequence[Activation]) -> Judgement:
    """Hold the activations against what each window allows."""
    took_s: dict[str, list[float]] = {}
    missed = []
    for window in windows:
        taken = _first(window, activations)
        if taken is not None:
            took_s.setdefault(window.kind, []).append(taken.at_s - window.began_s)
        elif window.takeover is Takeover.MUST:
            missed.append(f"{window.kind}: the {window.taker} did not take over")
    false = [
        f"the {activation.role} became active {_where(windows, activation)}"
        for activation in activations
        if not any(
            window.holds(activation.at_s) and window.takeover is not Takeover.MUST_NOT
            for window in windows
        )
    ]
    return Judgement(took_s, tuple(false), tuple(missed))


def spans_of(windows: Iterable[Window], kind: str) -> list[Span]:
    """When faults of that kind were under way."""
    return [(w.began_s, w.ended_s) for w in windows if w.kind == kind]


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` (0 to 1) of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def _first(window: Window, activations: Iterable[Activation]) -> Activation | None:
    return next(
        (
            found
            for found in sorted(activations, key=lambda found: found.at_s)
            if found.role is window.taker and window.holds(found.at_s)
        ),
        None,
    )


def _where(windows: Iterable[Window], activation: Activation) -> str:
    for window in windows:
        if window.holds(activation.at_s):
            after_s = activation.at_s - window.began_s
            return f"{after_s:.2f} s after the beginning of: {window.kind}"
    return "while no fault was under way"
