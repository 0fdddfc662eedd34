"""Two copies of a stream against each other, and which one is bad. Pure.

Both are walked side by side; what is the same in both is verified once. From the first event
that differs on, each is walked alone, to its own fault or end. The copy whose own chain breaks
is bad. Where both are whole in themselves, somebody made one of them anew, or changed only its
last event: then only a witness can tell, who knows the digest of an event there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import attrs

from eventstore.errors import DamagedEvent
from eventstore.event import EventId, JsonValue, Origin
from eventstore.memory import Head, Stored
from eventstore.source import Source
from eventstore.verification import FAULT_TEXT_MAX, Fault, Walked, walked_on

PAGE_EVENT_COUNT = 500
FIRST, SECOND = 0, 1
"""The two copies."""


@attrs.frozen
class Accusation:
    """What a witness says against one copy of a stream."""

    origin: Origin
    copy: int
    fault: Fault

    def as_value(self) -> JsonValue:
        """For JSON; `from_value` reads it."""
        return [str(self.origin), self.copy, self.fault.as_value()]

    @classmethod
    def from_value(cls, value: Any) -> Accusation:
        """What `as_value` gave.

        Raises:
            ValueError, TypeError: `value` is something else.
        """
        origin, copy, fault = value
        if type(origin) is not str or type(copy) is not int:
            raise ValueError("no such copy")
        return cls(Origin(origin), copy, Fault.from_value(fault))


@attrs.frozen(kw_only=True)
class Compared:
    """One stream, walked in one copy or in both, up to a place in each."""

    walked: Sequence[Walked]
    """Of each copy that there is."""
    parted: EventId | None = None
    """The first event that is not the same in both."""
    is_alone: bool = False
    """From here on each copy is walked by itself."""
    ended: tuple[bool, bool] = (False, False)

    @property
    def is_over(self) -> bool:
        """Whether each copy was walked to its end or to its fault."""
        return all(
            self.ended[copy] or walked.fault is not None
            for copy, walked in enumerate(self.walked)
        )

    def as_value(self) -> JsonValue:
        """For JSON; `from_value` reads it."""
        walked: list[JsonValue] = [w.as_value() for w in self.walked]
        parted = self.parted and str(self.parted)
        return [walked, parted, self.is_alone, list(self.ended)]

    @classmethod
    def from_value(cls, value: Any) -> Compared:
        """What `as_value` gave.

        Raises:
            ValueError, TypeError: `value` is something else.
        """
        walked, parted, is_alone, (first, second) = value
        if len(walked) not in (1, 2):
            raise ValueError("neither one copy nor two")
        return cls(
            walked=[Walked.from_value(w) for w in walked],
            parted=None if parted is None else EventId.parse(parted),
            is_alone=bool(is_alone),
            ended=(bool(first), bool(second)),
        )


def step(
    now: Compared, sources: Sequence[Source], origin: Origin, foreign: Origin
) -> tuple[Compared, int]:
    """`now` a page further, and how many bytes that were.

    Raises: as `Source.read`, but not `DamagedEvent`, which is a fault of the copy.
    """
    if now.is_alone or len(sources) == 1:
        return _alone(now, sources, origin, foreign)
    pages, faults = [], []
    for source, walked in zip(sources, now.walked, strict=True):
        page, fault = read_page(source, origin, walked.head)
        pages.append(page)
        faults.append(fault)
    if any(faults):
        walks = zip(now.walked, faults, strict=True)
        kept = [attrs.evolve(w, fault=f) if f else w for w, f in walks]
        return attrs.evolve(now, walked=kept, is_alone=True), 0
    first, second = pages
    same_count = _same_count(first, second)
    both = walked_on(now.walked[FIRST], origin, foreign, first[:same_count])
    now = attrs.evolve(now, walked=[both, both])
    if both.fault is None:
        if same_count < min(len(first), len(second)):
            differ = min(first[same_count][0], second[same_count][0])
            now = attrs.evolve(now, parted=differ, is_alone=True)
        elif not same_count:  # One of them ends here, or both.
            now = attrs.evolve(now, is_alone=True)
    return now, _bytes(first)


def _alone(
    now: Compared, sources: Sequence[Source], origin: Origin, foreign: Origin
) -> tuple[Compared, int]:
    copies = range(len(now.walked))
    copy = next(c for c in copies if not now.ended[c] and now.walked[c].fault is None)
    walked = now.walked[copy]
    page, fault = read_page(sources[copy], origin, walked.head)
    if fault is not None:
        walked = attrs.evolve(walked, fault=fault)
    elif page:
        walked = walked_on(walked, origin, foreign, page)
    else:
        first, second = now.ended
        ended = (True, second) if copy == FIRST else (first, True)
        now = attrs.evolve(now, ended=ended)
    kept = list(now.walked)
    kept[copy] = walked
    return attrs.evolve(now, walked=kept), _bytes(page)


class Reads(Protocol):
    """What can be walked: a `Source`, or one archive."""

    def read(self, origin: Origin, after: EventId, count: int, /) -> list[Stored]:
        """As `Source.read`."""


def read_page(
    source: Reads, origin: Origin, head: Head, count: int = PAGE_EVENT_COUNT
) -> tuple[list[Stored], Fault | None]:
    """Some entries behind `head`, or what is wrong with the next one."""
    while True:
        try:
            return source.read(origin, head.id, count), None
        except DamagedEvent as error:
            if count == 1:
                what = f"behind {head.id}: {error}"
                return [], Fault(None, what[:FAULT_TEXT_MAX])
            count //= 2


def stored_at(source: Reads, origin: Origin, event_id: EventId) -> Stored | None:
    """The entry with this id."""
    if event_id.n == 0:
        return None
    before = Head(EventId(event_id.ms, event_id.n - 1), b"")
    page, _ = read_page(source, origin, before, 1)
    return page[0] if page and page[0][0] == event_id else None


def _same_count(first: Sequence[Stored], second: Sequence[Stored]) -> int:
    if first == second:
        return len(first)
    pairs = enumerate(zip(first, second, strict=False))
    shorter = min(len(first), len(second))
    return next((n for n, (one, other) in pairs if one != other), shorter)


def _bytes(page: Sequence[Stored]) -> int:
    return sum([len(blob) for _, blob in page])


@attrs.frozen
class Bad:
    """A copy of a stream that is not what was written."""

    copy: str
    """The name of the copy; of both, if they have the same fault."""
    id: EventId | None
    """The first bad event; None: it is missing, or has no id."""
    what: str


@attrs.frozen(kw_only=True)
class Judged:
    """One stream, as verified."""

    origin: Origin
    event_count: int
    """Of the copy with more of them."""
    later_count: int
    """Events of a later format among them: their place was verified, their inside not."""
    heads: Mapping[str, Head]
    """The last good event of each copy, by its name."""
    bad: Sequence[Bad] = ()
    parted: EventId | None = None
    """The first event that is not the same in both copies."""
    verdict: str = ""
    """Which copy is bad, or why that cannot be told; empty: nothing is wrong."""
    lag: str = ""
    """How far one copy is behind the other. That alone is nothing bad."""

    @property
    def is_whole(self) -> bool:
        """Whether nothing is wrong."""
        return not self.verdict


def judge(
    origin: Origin,
    compared: Compared,
    accusations: Sequence[Accusation],
    names: Sequence[str],
) -> Judged:
    """What is wrong with the stream of `origin`, and with which copy."""
    walked = compared.walked
    faults: list[list[Fault]] = [[w.fault] if w.fault else [] for w in walked]
    for accusation in accusations:
        if accusation.origin == origin:
            faults[accusation.copy].append(accusation.fault)
    firsts = [_first(found) for found in faults]
    most = max(walked, key=lambda w: w.event_count)
    return Judged(
        origin=origin,
        event_count=most.event_count,
        later_count=most.later_count,
        heads={name: w.head for name, w in zip(names, walked, strict=False)},
        bad=_bad(firsts, compared.parted, names),
        parted=compared.parted,
        verdict=_verdict(firsts, compared.parted, names),
        lag="" if compared.parted or any(firsts) else _lag(walked, names),
    )


def _first(faults: Sequence[Fault]) -> Fault | None:
    return min(faults, key=lambda f: f.id or EventId(2**64, 0), default=None)


def _bad(
    firsts: Sequence[Fault | None], parted: EventId | None, names: Sequence[str]
) -> list[Bad]:
    same = firsts[FIRST]
    if same is not None and len(firsts) == 2 and same == firsts[SECOND]:
        return [Bad(" and ".join(names), same.id, same.what)]
    bad = []
    both = all(firsts)
    for fault, name in zip(firsts, names, strict=False):
        if fault is None:
            continue
        if parted is not None and _shows(fault, parted, is_near=both):
            there = "an event" if fault.id is None else str(fault.id)
            what = f"it is not what the other copy has; found by {there}: {fault.what}"
            bad.append(Bad(name, parted, what))
        else:
            bad.append(Bad(name, fault.id, fault.what))
    return bad


def _shows(fault: Fault, parted: EventId, *, is_near: bool) -> bool:
    """Whether `fault` is that of the event `parted`: a changed one shows in the next one.

    Where both copies are bad, one that breaks later may be right at `parted`.
    """
    if fault.id is None:
        return True
    return parted < fault.id and not (is_near and fault.id.n > parted.n + 1)


def _verdict(
    firsts: Sequence[Fault | None], parted: EventId | None, names: Sequence[str]
) -> str:
    guilty = [n for f, n in zip(firsts, names, strict=False) if f is not None]
    if not guilty:
        if parted is None:
            return ""
        return (
            f"the two copies differ from {parted} on and each is one unbroken history: one "
            "of the two was re-made; a checkpoint or a running node tells which"
        )
    if len(firsts) == 1:
        return (
            f"the copy in {guilty[0]} is bad; what the other one is was not looked at"
        )
    if len(guilty) == 2:
        return "both copies are bad"
    good = next(n for n in names if n not in guilty)
    return f"the copy in {guilty[0]} is bad; the one in {good} is whole"


def _lag(walked: Sequence[Walked], names: Sequence[str]) -> str:
    if len(walked) < 2 or walked[FIRST].event_count == walked[SECOND].event_count:
        return ""
    shorter, longer = sorted((FIRST, SECOND), key=lambda c: walked[c].event_count)
    count = walked[longer].event_count - walked[shorter].event_count
    events = "1 event" if count == 1 else f"{count} events"
    return f"the copy in {names[shorter]} is {events} behind"
