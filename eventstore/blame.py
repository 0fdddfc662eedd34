"""Every change that was an entry's value: who made it from what to what.

What a change replaced is what stood when it was made, where it was made: what its writer
knew, not what another node had at that time. So two concurrent changes may both have
replaced the same one, and one of them lost to the other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping

import attrs

from eventstore.codec import pack_value
from eventstore.configuration import Configuration, Loss
from eventstore.event import START, Event, EventId, Kind, Origin
from eventstore.history import merge_causally
from eventstore.losses import losses

_OF_ENTRIES = (Kind.ENTRY_PUT, Kind.ENTRY_DELETED)


@attrs.frozen
class Changed:
    """One event that was the entry's value, or its absence."""

    event: Event
    before: Event | None
    """What stood until then, where it was made; None: the entry was new."""
    loss: Loss | None = None
    """Set if it lost to a concurrent change."""


@attrs.frozen
class Blame:
    """How an entry came to be what it is."""

    key: str
    standing: Event | None
    """What stands, a delete too; None: the key never occurs."""
    changes: tuple[Changed, ...]
    """Newest first."""
    change_count: int
    """Of all there are, also those over the limit."""
    fields: Mapping[str, Event]
    """For an object: the event that last gave each field of the present value its value."""


@attrs.frozen
class _Line:
    """A change, and who is answerable for each field behind it."""

    change: Changed
    fields: Mapping[str, tuple[bytes, Event]]


class _Writers:
    """What each of the two writers had made of one key, in causal order."""

    def __init__(self, prevailing: Origin, origins: tuple[Origin, Origin]) -> None:
        self._known = {o: Configuration(prevailing=prevailing) for o in origins}
        self._lines: dict[Origin, deque[_Line]] = {o: deque() for o in origins}
        """Of each origin, from the newest that the other one knew."""

    def hear(self, origin: Origin, other: Origin, upto: EventId) -> None:
        """The writer of `origin` knows the events of `other` up to `upto` by now."""
        lines = self._lines[other]
        while lines and lines[0].change.event.id <= upto:
            self._known[origin].fold(lines[0].change.event)
            if len(lines) == 1 or lines[1].change.event.id > upto:
                return  # The newest that is known may still stand.
            lines.popleft()

    def admit(self, event: Event) -> Changed:
        """What `event` changed. Where it is made, each change stands at first."""
        known = self._known[event.origin]
        before = self.line(known.standing(event.key))
        known.fold(event)
        change = Changed(event, None if before is None else before.change.event)
        self._lines[event.origin].append(_Line(change, _fields(event, before)))
        return change

    def line(self, event: Event | None) -> _Line | None:
        """The line of an event that still stands somewhere."""
        if event is None:
            return None
        lines = self._lines[event.origin]
        ends = lines[-1], lines[0]  # The newest of all, and the newest the other knew.
        return next(line for line in ends if line.change.event is event)


def blame(
    events: Iterable[Event], key: str, *, prevailing: Origin, other: Origin, limit: int
) -> Blame:
    """Every change in `events` that was the value of `key`, the newest `limit` of them.

    `events` is the whole history, also of other keys, which tell what their writers knew, in
    the order in which the other origin knew it (see `history.second_as_it_knew`). Holds what
    it returns, and what one writer does not know yet.
    """
    writers = _Writers(prevailing, (prevailing, other))
    peers = {prevailing: other, other: prevailing}
    kept: dict[Origin, deque[Changed]] = {o: deque(maxlen=limit) for o in peers}
    present = Configuration(prevailing=prevailing)
    count = 0

    def told() -> Iterator[Event]:
        nonlocal count
        for event in events:
            peer = peers[event.origin]
            writers.hear(event.origin, peer, event.vector.get(peer, START))
            if event.key == key and event.kind in _OF_ENTRIES:
                count += 1
                present.fold(event)
                kept[event.origin].append(writers.admit(event))
                yield event

    lost = deque(losses(told(), prevailing=prevailing), maxlen=limit)
    by_loser = {loss.loser.id: loss for loss in lost}
    standing = present.standing(key)
    line = writers.line(standing)
    return Blame(
        key=key,
        standing=standing,
        changes=tuple(
            attrs.evolve(c, loss=by_loser.get(c.event.id))
            if c.event.origin == other
            else c
            for c in _newest_first(kept[prevailing], kept[other], limit)
        ),
        change_count=count,
        fields={name: e for name, (_, e) in line.fields.items()} if line else {},
    )


def _newest_first(
    first: Iterable[Changed], second: Iterable[Changed], limit: int
) -> list[Changed]:
    changes = {
        (c.event.origin, c.event.id): c for kept in (first, second) for c in kept
    }
    merged = merge_causally((c.event for c in first), (c.event for c in second))
    ordered = [changes[event.origin, event.id] for event in merged]
    return ordered[::-1][:limit]


def _fields(event: Event, before: _Line | None) -> dict[str, tuple[bytes, Event]]:
    """Each field of the value of `event`, packed, and the event that last set it."""
    value = event.value if event.kind == Kind.ENTRY_PUT else None
    if not isinstance(value, dict):
        return {}
    kept = {} if before is None else before.fields
    found = {}
    for name, part in value.items():
        packed = pack_value(part)
        same = name in kept and kept[name][0] == packed
        found[name] = kept[name] if same else (packed, event)
    return found
