"""Where two copies of one stream part, and what is behind that in ours. Pure."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from eventstore import codec
from eventstore.errors import DamagedEvent, StreamForked
from eventstore.event import START, Event, EventId, Origin
from eventstore.memory import Head, Stored, chained, head_of

LISTED_COUNT_MAX = 100


@attrs.frozen(kw_only=True)
class Parting:
    """What one copy of a stream, ours, has that the other one lacks."""

    origin: Origin
    common: Head
    """The last event up to which both are equal, byte for byte."""
    last: EventId
    """Where ours ends."""
    event_count: int = 0
    """Events of ours behind `common`."""
    change_count: int = 0
    """Those among them that concern an entry, or may: what is not understood."""
    listed: tuple[Event, ...] = ()
    """The first of those, as far as they are understood; at most `LISTED_COUNT_MAX`."""
    is_continuation: bool = True
    """Whether all of ours behind `common` is one unbroken history."""
    is_theirs_longer: bool = False
    """Whether the other copy goes on behind `common` as well."""

    @property
    def is_ours_ahead(self) -> bool:
        """Whether ours has events that the other copy lacks, and they are sound."""
        return self.event_count > 0 and self.is_continuation


def part(
    origin: Origin, genesis: Head, ours: Iterator[Stored], theirs: Iterator[Stored]
) -> Parting:
    """Compare two copies of the stream of `origin` from their beginning, event by event.

    Compared are the bytes: so a gap or a damage in the middle is found as well.
    """
    both: Stored | None = None
    mine, other = next(ours, None), next(theirs, None)
    while mine is not None and mine == other:
        both = mine
        mine, other = next(ours, None), next(theirs, None)
    common = genesis if both is None else head_of(both)
    parting = Parting(
        origin=origin,
        common=common,
        last=START if both is None else both[0],
        is_theirs_longer=other is not None,
    )
    if mine is None:
        return parting
    return _look_behind(parting, mine, ours)


def _look_behind(parting: Parting, first: Stored, rest: Iterator[Stored]) -> Parting:
    end, is_continuation = parting.common, True
    event_count = change_count = 0
    listed: list[Event] = []
    stored: Stored | None = first
    last = first
    while stored is not None:
        last = stored
        event_count += 1
        if is_continuation:
            is_continuation = _continues(parting.origin, end, stored)
        end = head_of(stored)
        event = codec.readable(parting.origin, *stored)
        if event is None or event.key:
            change_count += 1
            if event is not None and len(listed) < LISTED_COUNT_MAX:
                listed.append(event)
        stored = next(rest, None)
    return attrs.evolve(
        parting,
        last=last[0],
        event_count=event_count,
        change_count=change_count,
        listed=tuple(listed),
        is_continuation=is_continuation,
    )


def _continues(origin: Origin, end: Head, stored: Stored) -> bool:
    try:
        chained(origin, end, [stored])
    except (StreamForked, DamagedEvent):
        return False
    return True


@attrs.frozen(kw_only=True)
class Leaving:
    """What is here and would not be any more after a resync.

    `discard`: what this node alone has need not be taken over by the peer first.
    """

    own: Parting
    """The own stream, against the copy that the peer has of it."""
    copy: Parting
    """The copy here of the peer's stream, against the original."""
    discard: bool
    is_forgotten: bool = False
    """Whether memory knows an event of the peer that neither Redis has."""
    changed: tuple[str, ...] = ()
    """Keys of entries that would be others; at most `LISTED_COUNT_MAX`."""
    changed_count: int = 0

    @property
    def is_own_replaced(self) -> bool:
        """Whether the own stream becomes the peer's copy of it.

        What this node records of itself leaves only together with changes of entries.
        """
        return self.discard and (self.own.change_count > 0 or self.own.is_theirs_longer)

    @property
    def replaced(self) -> tuple[Parting, ...]:
        """The streams that lose something, which is archived."""
        own = (self.own,) if self.is_own_replaced else ()
        return tuple(p for p in (*own, self.copy) if p.event_count)

    @property
    def is_nothing(self) -> bool:
        """Whether this node has what the peer has already."""
        copied = self.copy.event_count == 0 and not self.copy.is_theirs_longer
        return copied and not self.own.change_count and not self.is_own_replaced

    def against(self) -> tuple[str, ...]:
        """Every reason why the data must not be replaced now."""
        found = []
        copy, own = self.copy, self.own
        if copy.is_ours_ahead or self.is_forgotten:
            count = f"{copy.event_count} events" if copy.is_ours_ahead else "events"
            found.append(
                f"this node has {count} of stream {copy.origin!r} that the peer's Redis "
                "lost: the peer gets them back from here first"
            )
        if own.is_theirs_longer and not self.discard:
            found.append(
                f"the peer holds other events of stream {own.origin!r} behind "
                f"{own.common.id} than this node: they come back first; if the log says "
                "that the copy there is wrong, put it aside there"
            )
        return tuple(found)

    def not_taken_over(self) -> tuple[str, ...]:
        """Why what this node alone has would be lost, if it would."""
        if self.discard or not self.own.change_count:
            return ()
        return (
            f"the peer lacks {self.own.change_count} changes that were made here, and "
            "leaving them out was not ordered",
        )


def leaving_with(leaving: Leaving, changed: Iterator[str]) -> Leaving:
    """`leaving` with the keys of the entries that would be others."""
    count = 0
    listed: list[str] = []
    for key in changed:
        count += 1
        if len(listed) < LISTED_COUNT_MAX:
            listed.append(key)
    return attrs.evolve(leaving, changed=tuple(listed), changed_count=count)
