"""The history as lines: each event, what its entry was before it, and whether it lost.

What an entry was *before* a change is what it was for the writer of that change: by the
conflict rule, over the events before it in its stream and all that their writer had heard of
by then. Vectors say what that was, so every copy of the two streams gives the same, and a
change in a cut shows what its author saw, not what he could not know.

A walk reads each stream twice, once for what is told and once, up to as far behind, for what
the other writer had heard; and once more, when the first change that may have lost is told,
to find all that did.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping

import attrs

from eventstore.configuration import Configuration, Entry, Loss
from eventstore.event import START, Event, EventId, Kind, Origin
from eventstore.history import Filter, read_history, read_losses, stream_events
from eventstore.source import Source

_CHANGES = frozenset({Kind.ENTRY_PUT, Kind.ENTRY_DELETED})


@attrs.frozen
class Overridden:
    """What overrode a change that lost."""

    by: EventId
    """The newest event of the prevailing origin that was made without knowing of it."""
    settled_by: tuple[Origin, EventId] | None
    """The next change of the entry that knew of it; None: the conflict is open."""


@attrs.frozen
class HistoryLine:
    """An event as an audit tells it."""

    event: Event
    before: Entry | None
    """The entry as the writer of the event had it. None: there was none, or the event
    changes none.
    """
    overridden: Overridden | None
    """None: the event has not lost against a concurrent one."""


def read_overridden(
    source: Source,
    *,
    prevailing: Origin,
    other: Origin,
    key: str | None = None,
    prefix: str | None = None,
) -> dict[EventId, Overridden]:
    """Every change of `other` that ever lost, of one key or prefix if given.

    Walks the whole history; holds the newest events of each wanted entry meanwhile.

    Raises:
        StoreUnavailable, DamagedEvent.
    """
    found = read_losses(
        source, prevailing=prevailing, other=other, key=key, prefix=prefix
    )
    return {loss.loser.id: _overridden(loss) for loss in found}


def read_history_lines(
    source: Source,
    wanted: Filter,
    *,
    prevailing: Origin,
    other: Origin,
    overridden: Callable[[], Mapping[EventId, Overridden]] | None = None,
) -> Iterator[HistoryLine]:
    """The events that `wanted` accepts, causes before effects, as lines.

    Always walks from the beginning, because what stood before an event may be as old. Holds
    the newest events of each entry of the wanted key or prefix, deleted ones among them, and
    the ids of those that lost; nothing else grows with the history. `overridden` gives those
    ids (default: `read_overridden`); it is called once, and only if a change of `other` is told.

    Raises:
        StoreUnavailable, DamagedEvent: while iterating.
    """

    def found() -> Mapping[EventId, Overridden]:
        return read_overridden(
            source,
            prevailing=prevailing,
            other=other,
            key=wanted.key,
            prefix=wanted.prefix,
        )

    losers = functools.cache(overridden or found)
    of_wanted_keys = Filter(key=wanted.key, prefix=wanted.prefix)
    knowledge = {
        own: _Knowledge(
            Configuration(prevailing=prevailing),
            of_wanted_keys,
            peer,
            stream_events(source, peer, START),
        )
        for own, peer in ((prevailing, other), (other, prevailing))
    }
    for event in read_history(source, (prevailing, other), Filter()):
        before = knowledge[event.origin].before(event)
        if not wanted.accepts(event):
            continue
        may_have_lost = event.origin == other and event.kind in _CHANGES
        lost = losers().get(event.id) if may_have_lost else None
        yield HistoryLine(event, before, lost)


def _overridden(loss: Loss) -> Overridden:
    settled_by = loss.settled_by
    named = None if settled_by is None else (settled_by.origin, settled_by.id)
    return Overridden(loss.winner.id, named)


class _Knowledge:
    """The entries as one writer had them, from event to event of its own stream."""

    def __init__(
        self,
        configuration: Configuration,
        wanted: Filter,
        peer: Origin,
        heard: Iterator[Event],
    ) -> None:
        self._configuration = configuration
        self._wanted = wanted
        self._peer = peer
        self._heard = heard
        self._next = next(heard, None)

    def before(self, event: Event) -> Entry | None:
        """What the entry of `event`, the next one of the stream, was."""
        upto = event.vector.get(self._peer, START)
        while self._next is not None and self._next.id <= upto:
            self._fold(self._next)
            self._next = next(self._heard, None)
        is_change = event.kind in _CHANGES
        before = self._configuration.get(event.key) if is_change else None
        self._fold(event)
        return before

    def _fold(self, event: Event) -> None:
        if self._wanted.accepts(event):
            self._configuration.fold(event)
