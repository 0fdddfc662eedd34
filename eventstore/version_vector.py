"""Who has seen how much of whose stream. Pure.

A vector maps each origin to the id of its newest event that was applied; an origin
that is missing is at `START`. Two vectors are equal, one is before the other, or they
are concurrent (Parker et al. 1983). Ids of one origin are totally ordered, so its id
stands for all that came before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from eventstore.event import START, EventId, Origin

Vector = Mapping[Origin, EventId]


class Order(Enum):
    """How the first of two vectors relates to the second."""

    EQUAL = "equal"
    BEFORE = "before"
    AFTER = "after"
    CONCURRENT = "concurrent"


def compare(first: Vector, second: Vector) -> Order:
    """How `first` relates to `second`."""
    origins = first.keys() | second.keys()
    behind = any(first.get(o, START) < second.get(o, START) for o in origins)
    ahead = any(first.get(o, START) > second.get(o, START) for o in origins)
    if behind and ahead:
        return Order.CONCURRENT
    if behind:
        return Order.BEFORE
    return Order.AFTER if ahead else Order.EQUAL


def merge(first: Vector, second: Vector) -> Vector:
    """The least vector that has seen all that either has."""
    origins = first.keys() | second.keys()
    return {o: max(first.get(o, START), second.get(o, START)) for o in origins}
