"""What continuous looks at both nodes say about who served, and when. Pure.

A look is true at some instant between its question and its answer, no more is known. So a
node was *surely* active from the answer to the first yes to the question of the last yes in
a row of them. Two were active as long as that overlaps; nobody was active at most for as
long as neither was surely active.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from itertools import groupby, pairwise

import attrs

from node.roles import Role

Span = tuple[float, float]
"""From, until, in seconds of the clock of the looks."""


class Answer(Enum):
    """What a node says when it is asked whether it is active."""

    ACTIVE = "active"
    PASSIVE = "passive"
    SILENT = "silent"
    """It did not answer."""


@attrs.frozen
class Look:
    """One question and its answer."""

    role: Role
    asked_s: float
    answered_s: float
    answer: Answer


@attrs.frozen
class Activation:
    """A node that said that it was passive said then that it was active."""

    role: Role
    at_s: float
    """When it said so first."""


def activations(looks: Sequence[Look]) -> list[Activation]:
    """The activations that the looks at one node show."""
    answered = [look for look in looks if look.answer is not Answer.SILENT]
    return [
        Activation(look.role, look.answered_s)
        for before, look in pairwise(answered)
        if (before.answer, look.answer) == (Answer.PASSIVE, Answer.ACTIVE)
    ]


def surely_active(looks: Iterable[Look]) -> list[Span]:
    """When one node was active for sure, by the looks at it."""
    runs = (list(run) for _, run in groupby(looks, lambda look: look.answer))
    return [
        (run[0].answered_s, max(run[0].answered_s, run[-1].asked_s))
        for run in runs
        if run[0].answer is Answer.ACTIVE
    ]


def overlaps(first: Sequence[Span], second: Sequence[Span]) -> list[Span]:
    """The spans that are in both; each is sorted and has no overlaps in itself."""
    found: list[Span] = []
    i = j = 0
    while i < len(first) and j < len(second):
        began_s = max(first[i][0], second[j][0])
        ended_s = min(first[i][1], second[j][1])
        if began_s < ended_s:
            found.append((began_s, ended_s))
        if first[i][1] <= second[j][1]:
            i += 1
        else:
            j += 1
    return found


def gaps(spans: Iterable[Span], within: Span) -> list[Span]:
    """What of `within` is in none of the spans."""
    found: list[Span] = []
    covered_s = within[0]
    for began_s, ended_s in sorted(spans):
        if began_s > covered_s:
            found.append((covered_s, min(began_s, within[1])))
        covered_s = max(covered_s, ended_s)
        if covered_s >= within[1]:
            return found
    found.append((covered_s, within[1]))
    return found
