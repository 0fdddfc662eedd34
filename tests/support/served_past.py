"""The past of a node in memory that HTTP can serve."""

from __future__ import annotations

from eventstore import (
    Blame,
    Explanation,
    Replayed,
    Until,
    Watch,
    read_blame,
    read_explanation,
    replay,
)
from tests.support.histories import MASTER, STANDBY, History
from tests.support.sources import MemorySource


class FakePast:
    """Whatever is written in `past` is what was; it has nothing to do with the entries."""

    def __init__(self) -> None:
        self.past = History()
        self.fold_count = 0

    def replay(
        self,
        until: Until = None,
        *,
        key: str | None = None,
        prefix: str | None = None,
        watch: Watch | None = None,
    ) -> Replayed:
        self.fold_count += 1
        return replay(
            MemorySource.of(self.past),
            until,
            prevailing=MASTER,
            other=STANDBY,
            key=key,
            prefix=prefix,
            watch=watch,
        )

    def blame(
        self,
        key: str,
        until: Until = None,
        *,
        limit: int = 1000,
        watch: Watch | None = None,
    ) -> Blame:
        return read_blame(
            MemorySource.of(self.past),
            key,
            until,
            prevailing=MASTER,
            other=STANDBY,
            limit=limit,
            watch=watch,
        )

    def explain(
        self, key: str, until: Until = None, *, watch: Watch | None = None
    ) -> Explanation:
        return read_explanation(
            MemorySource.of(self.past),
            key,
            until,
            prevailing=MASTER,
            other=STANDBY,
            watch=watch,
        )
