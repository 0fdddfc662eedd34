"""Streams in memory, to be read like those of a Redis."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from pathlib import Path

from eventstore import (
    Archive,
    Bundle,
    EventId,
    Export,
    Origin,
    PrivateKey,
    Stored,
    closed_ends,
    export_events,
)
from tests.support.histories import ORIGINS, PAIR, History

CREATED_NS = 1_767_225_600_000_000_000


class MemorySource:
    """Both streams, and archives by name; counts what is read of the streams."""

    def __init__(
        self,
        streams: Mapping[Origin, list[Stored]],
        archives: Mapping[str, list[Stored]] | None = None,
        pair: str = PAIR,
    ) -> None:
        self.streams = dict(streams)
        self.kept = dict(archives or {})
        self.pair = pair
        self.read_count = 0

    @classmethod
    def of(cls, history: History) -> MemorySource:
        """What both writers have written, and whatever they will write."""
        return cls({origin: history.of(origin).blobs for origin in ORIGINS})

    def read(self, origin: Origin, after: EventId, count: int) -> list[Stored]:
        page = _behind(self.streams.get(origin, []), after, count)
        self.read_count += len(page)
        return page

    def last(self, origin: Origin) -> Stored | None:
        stored = self.streams.get(origin)
        return stored[-1] if stored else None

    def archives(self) -> list[Archive]:
        return [Archive(name, self.kept[name][-1][0]) for name in sorted(self.kept)]

    def read_archive(self, archive: str, after: EventId, count: int) -> list[Stored]:
        return _behind(self.kept[archive], after, count)


def _behind(stored: list[Stored], after: EventId, count: int) -> list[Stored]:
    start = bisect_right(stored, after, key=lambda one: one[0])
    return stored[start : start + count]


def exported(source: MemorySource, path: Path, key: PrivateKey | None = None) -> Bundle:
    """All of `source` in a new bundle, opened."""
    export = Export(by="jane", created_ns=CREATED_NS, key=key)
    export_events(source, closed_ends(source, ORIGINS), path, export)
    return Bundle(path)


def small_history() -> History:
    """A dozen events of both, which know each other."""
    history = History()
    for n in range(4):
        history.master.put(f"users/{n}", {"extension": str(100 + n)}, ms=1000 + n)
        history.standby.hear(history.master)
        history.standby.put("users/0", n, ms=2000 + n)
        if n % 2:
            history.master.hear(history.standby)
    history.master.delete("users/0", ms=3000)
    return history
