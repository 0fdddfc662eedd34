"""Where a walk through the history gets its events from: a Redis, files, or both. Pure."""

from __future__ import annotations

from typing import Protocol

from eventstore.event import EventId, Origin
from eventstore.memory import Stored


class Source(Protocol):
    """The streams of one pair, to be read. `Streams` is one; all raise what it raises."""

    @property
    def pair(self) -> str:
        """Whose events these are."""

    def read(self, origin: Origin, after: EventId, count: int) -> list[Stored]:
        """At most `count` entries behind `after`, oldest first."""

    def last(self, origin: Origin) -> Stored | None:
        """The newest entry; None: there is none."""
