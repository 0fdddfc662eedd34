"""Who has seen how much of whose stream. Pure.

A vector maps each origin to the id of its newest event that was applied; an origin
that is missing is at `START`. Two vectors are equal, one is before the other, or they
are concurrent (Parker et al. 1983). Ids of one origin are totally ordered, so its id
stands for all that came before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from eventstore.errors import NoSuchPoint
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


def parse_vector(text: str) -> dict[Origin, EventId]:
    """The vector that `ORIGIN=ID,ORIGIN=ID` spells.

    Raises:
        NoSuchPoint: it spells none, or names an origin twice.
    """
    found: dict[Origin, EventId] = {}
    for part in text.split(","):
        name, _, event_id = part.partition("=")
        try:
            place = EventId.parse(event_id)
        except ValueError as error:
            raise NoSuchPoint(
                f"{text[:100]!r} is no vector such as "
                f"master=1767225600000-42,standby=1767225600500-7: {error}"
            ) from None
        if Origin(name) in found:
            raise NoSuchPoint(f"{text[:100]!r} names {name[:20]!r} twice")
        found[Origin(name)] = place
    return found


def format_vector(vector: Vector) -> str:
    """What `parse_vector` reads back."""
    return ",".join(f"{origin}={vector[origin]}" for origin in sorted(vector))
