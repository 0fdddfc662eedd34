"""Why an entry is what it is: which events compete for it, and what the rule says. Pure.

The rule is in `configuration`; here it is only told, with the ids that it goes by.
"""

from __future__ import annotations

import attrs

from eventstore.configuration import Configuration
from eventstore.event import START, Event, EventId, Kind, Origin


@attrs.frozen
class Explanation:
    """What competes for one key."""

    key: str
    prevailing: Event | None
    """The newest change by the origin that prevails."""
    other: Event | None
    """The newest change by the other one."""
    covered: EventId
    """The highest id of the prevailing origin that any change by the other had seen."""
    covered_by: Event | None
    """The change that had seen it."""
    standing: Event | None
    """Of the two the one that stands, a delete too."""
    loser: Event | None
    """Of the two the one that does not."""
    is_conflict: bool
    """Whether `standing` was made without knowing `loser`."""
    why: str
    """The reason, in one sentence."""


class Contest:
    """Takes the events of a history in any order, and keeps what competes for one key."""

    def __init__(self, key: str, *, prevailing: Origin) -> None:
        self._key, self._prevailing = key, prevailing
        self._configuration = Configuration(prevailing=prevailing)
        self._newest: dict[bool, Event] = {}
        """By whether it is of the prevailing origin."""
        self._covered_by: Event | None = None

    def admit(self, event: Event) -> None:
        """Take `event` into account, if it concerns the key."""
        if event.key != self._key or event.kind not in (
            Kind.ENTRY_PUT,
            Kind.ENTRY_DELETED,
        ):
            return
        self._configuration.fold(event)
        prevails = event.origin == self._prevailing
        if prevails not in self._newest or self._newest[prevails].id < event.id:
            self._newest[prevails] = event
        if not prevails and (
            self._covered_by is None
            or self._seen_by(event) > self._seen_by(self._covered_by)
        ):
            self._covered_by = event

    def explained(self) -> Explanation:
        """What stands, and why."""
        ours, theirs = self._newest.get(True), self._newest.get(False)
        standing = self._configuration.standing(self._key)
        loser = next(
            (e for e in (ours, theirs) if e is not None and e is not standing), None
        )
        by = self._covered_by
        return Explanation(
            key=self._key,
            prevailing=ours,
            other=theirs,
            covered=START if by is None else self._seen_by(by),
            covered_by=by,
            standing=standing,
            loser=loser,
            is_conflict=self._configuration.loss(self._key) is not None,
            why=self._why(ours, theirs, standing),
        )

    def _seen_by(self, event: Event) -> EventId:
        return event.vector.get(self._prevailing, START)

    def _why(
        self, ours: Event | None, theirs: Event | None, standing: Event | None
    ) -> str:
        by = self._covered_by
        if standing is None:
            return f"no event ever changed {self._key!r}"
        if ours is None or theirs is None or by is None:
            return f"only the {standing.origin} changed it: its newest change stands"
        seen = f"{ours.origin}={self._seen_by(by)}"
        if standing is theirs:
            earlier = "" if by is theirs else f", and {theirs.id} came after it"
            return (
                f"the {theirs.origin}'s change {by.id} had seen the {ours.origin}'s newest, "
                f"{ours.id} (its vector has {seen}){earlier}: the {theirs.origin}'s newest "
                "change stands"
            )
        known = ours.vector.get(theirs.origin, START)
        if known >= theirs.id:
            return (
                f"the {ours.origin}'s newest change {ours.id} had seen the "
                f"{theirs.origin}'s newest, {theirs.id} (its vector has "
                f"{theirs.origin}={known}), and no change of the {theirs.origin} had seen "
                f"{ours.id}: the {ours.origin}'s stands"
            )
        return (
            f"the {theirs.origin}'s changes had seen the {ours.origin} only up to {seen}, "
            f"before its newest change {ours.id}, and that had seen the {theirs.origin} "
            f"only up to {known}, before {theirs.id}: they are concurrent, and the "
            f"{ours.origin}'s stands"
        )
