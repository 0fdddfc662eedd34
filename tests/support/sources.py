"""Where a walk reads events from, without Redis."""

from __future__ import annotations

from eventstore import EventId, Origin
from eventstore.memory import Stored
from tests.support.histories import PAIR, History


class HistorySource:
    """The streams of a history in memory; counts what is read of them."""

    def __init__(self, history: History) -> None:
        self._history = history
        self.read_count = 0

    @property
    def pair(self) -> str:
        return PAIR

    def read(self, origin: Origin, after: EventId, count: int) -> list[Stored]:
        blobs = self._history.of(origin).blobs
        page = [stored for stored in blobs if stored[0] > after][:count]
        self.read_count += len(page)
        return page

    def last(self, origin: Origin) -> Stored | None:
        blobs = self._history.of(origin).blobs
        return blobs[-1] if blobs else None
