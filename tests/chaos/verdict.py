"""What of the attempts must be in a history, and what must not. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum

import attrs

from eventstore import Event, EventId, Origin


class Outcome(Enum):
    """What the node said to a change."""

    ACKNOWLEDGED = "acknowledged"
    REFUSED = "refused"
    """It is not stored, and the node said so."""
    UNKNOWN = "unknown"
    """No answer, or one that leaves it open: both is right."""


@attrs.frozen
class Attempt:
    """One integer that was to be added."""

    number: int
    origin: Origin
    key: str
    began_s: float
    outcome: Outcome
    id: EventId | None
    said: str = ""


@attrs.frozen
class Destroyed:
    """A Redis lost events for good: behind `kept`, the peer had no copy of them."""

    origin: Origin
    kept: EventId
    at_s: float

    def covers(self, attempt: Attempt) -> bool:
        """Whether the attempt's event went with it, whoever acknowledged it."""
        return (
            attempt.origin == self.origin
            and attempt.began_s < self.at_s
            and (attempt.id is None or attempt.id > self.kept)
        )


@attrs.frozen
class Counts:
    """What became of all attempts."""

    acknowledged: int
    destroyed: int
    """Of these, gone with the only Redis that had them."""
    refused: int
    unknown: int
    lost: tuple[str, ...]
    unexpected: tuple[str, ...]


def original_of(event: Event) -> tuple[Origin, EventId]:
    """Under which origin and id the event was acknowledged.

    An event that recovery appended anew names its original.
    """
    was = event.recovered
    return event.origin, event.id if was is None else was.id


def count(
    attempts: Sequence[Attempt],
    histories: Mapping[str, Sequence[Event]],
    destroyed: Sequence[Destroyed] = (),
) -> Counts:
    """Hold the attempts against what each node tells of its history."""
    acknowledged = [a for a in attempts if a.outcome is Outcome.ACKNOWLEDGED]
    gone = [a for a in acknowledged if any(d.covers(a) for d in destroyed)]
    gone_numbers = {a.number for a in gone}
    lost: list[str] = []
    unexpected: list[str] = []
    for node, history in histories.items():
        there = _by_number(history)
        lost += [
            f"{a.number} ({a.key}, {a.origin} {a.id}) is not on the {node}"
            for a in acknowledged
            if a.number not in gone_numbers
            and (a.origin, a.id)
            not in [original_of(e) for e in there.get(a.number, ())]
        ]
        unexpected += _unexpected(node, there, attempts)
    return Counts(
        acknowledged=len(acknowledged),
        destroyed=len(gone),
        refused=sum(a.outcome is Outcome.REFUSED for a in attempts),
        unknown=sum(a.outcome is Outcome.UNKNOWN for a in attempts),
        lost=tuple(lost),
        unexpected=tuple(unexpected),
    )


def _by_number(history: Iterable[Event]) -> dict[int, list[Event]]:
    there: dict[int, list[Event]] = {}
    for event in history:
        if event.kind in ("entry-put", "entry-deleted"):
            there.setdefault(int(event.actor), []).append(event)
    return there


def _unexpected(
    node: str, there: dict[int, list[Event]], attempts: Sequence[Attempt]
) -> list[str]:
    known = {a.number: a for a in attempts}
    found = []
    for number, events in there.items():
        attempt = known.get(number)
        if attempt is None:
            found.append(f"{number} is on the {node}, and nobody added it")
        elif attempt.outcome is Outcome.REFUSED:
            found.append(f"{number} is on the {node}, but was refused: {attempt.said}")
        elif any(_is_other(event, attempt, number) for event in events):
            found.append(f"{number} is another change on the {node}: {events}")
        if len({(event.origin, event.id) for event in events}) > 1:
            ids = [str(event.id) for event in events]
            found.append(f"{number} is on the {node} more than once: {ids}")
    return found


def _is_other(event: Event, attempt: Attempt, number: int) -> bool:
    is_put = event.kind == "entry-put"
    return event.key != attempt.key or (is_put and event.value != number)
