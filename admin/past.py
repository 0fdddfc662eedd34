"""Reads what was: through a node, or straight from a Redis when no node is up."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol

import attrs

from admin.client import NodeClient
from admin.errors import Refused
from admin.fields import Fields
from admin.json_text import JsonValue
from admin.offline import MASTER, STANDBY, event_count
from admin.past_replies import Blame, Change, Difference, Explanation, parts
from admin.points import Point
from eventstore import (
    Memory,
    NoSuchPoint,
    Replayed,
    Source,
    Watch,
    diff,
    format_vector,
    read_blame,
    read_explanation,
    replay,
    told_changed,
    told_difference,
    told_event,
    told_explanation,
    told_standing,
)

Progress = Callable[[int | None], AbstractContextManager[Watch]]
"""Shows how far a walk is, of how many events; None: nobody knows."""

_SOURCE = "Redis"


@attrs.frozen
class Found:
    """What was found at a point."""

    at: str
    """The point as a vector; empty: before any event."""
    entries: Iterator[tuple[str, Change]]
    """In the order of keys."""


class Past(Protocol):
    """Either way to what was. A walk is over when a method returns."""

    def replay(self, point: Point, *, key: str | None, prefix: str | None) -> Found:
        """The entries as they were."""

    def diff(
        self, first: Point, second: Point, *, key: str | None, prefix: str | None
    ) -> Iterator[Difference]:
        """What became of entries between two points, in the order of keys."""

    def blame(self, key: str, point: Point, *, limit: int) -> Blame:
        """The newest `limit` changes of an entry."""

    def explain(self, key: str, point: Point) -> Explanation:
        """Why an entry is what it is."""


@attrs.frozen
class PastOfNode:
    """Asks a node, which does the work."""

    _client: NodeClient
    _progress: Progress

    def replay(self, point: Point, *, key: str | None, prefix: str | None) -> Found:
        query = {"until": point.text, "key": key, "prefix": prefix}
        first, pages = self._begun(self._client.replay(query))

        def entries() -> Iterator[tuple[str, Change]]:
            for fields in pages:
                page = fields.inner("entries")
                for name in page.raw:
                    yield name, Change.from_reply(page.inner(name))

        at = first.inner("at")
        text = ",".join(f"{origin}={at.text(origin)}" for origin in sorted(at.raw))
        return Found(text, entries())

    def diff(
        self, first: Point, second: Point, *, key: str | None, prefix: str | None
    ) -> Iterator[Difference]:
        query = {"from": first.text, "to": second.text, "key": key, "prefix": prefix}
        _, pages = self._begun(self._client.diff(query))
        for fields in pages:
            yield from map(Difference.from_reply, parts(fields, "differences"))

    def blame(self, key: str, point: Point, *, limit: int) -> Blame:
        query = {"key": key, "until": point.text, "limit": str(limit)}
        with self._progress(None):
            return Blame.from_reply(self._client.blame(query))

    def explain(self, key: str, point: Point) -> Explanation:
        with self._progress(None):
            fields = self._client.explain({"key": key, "until": point.text})
        return Explanation.from_reply(fields)

    def _begun(self, pages: Iterator[Fields]) -> tuple[Fields, Iterator[Fields]]:
        """The first page, before which the node walks, and all of them."""
        with self._progress(None):
            first = next(pages)
        return first, itertools.chain([first], pages)


@attrs.frozen
class PastOfStreams:
    """Folds the events itself."""

    _streams: Source
    _progress: Progress
    _base: Callable[[], Memory] | None = None
    """What archived events left that are in no file here."""

    def replay(self, point: Point, *, key: str | None, prefix: str | None) -> Found:
        found = self._replayed(point, key, prefix)
        entries = (
            (entry.key, Change.from_reply(Fields(told_event(entry.event), _SOURCE)))
            for entry in found.configuration.entries()
        )
        return Found(format_vector(found.cut), entries)

    def diff(
        self, first: Point, second: Point, *, key: str | None, prefix: str | None
    ) -> Iterator[Difference]:
        before, after = (self._replayed(p, key, prefix) for p in (first, second))
        for difference in diff(before, after):
            yield Difference.from_reply(Fields(told_difference(difference), _SOURCE))

    def blame(self, key: str, point: Point, *, limit: int) -> Blame:
        with self._walk(point) as watch:
            found = read_blame(
                self._streams,
                key,
                point.until,
                prevailing=MASTER,
                other=STANDBY,
                limit=limit,
                watch=watch,
            )
        changes: list[JsonValue] = [told_changed(changed) for changed in found.changes]
        more = len(found.changes) < found.change_count
        told = {**told_standing(found), "changes": changes, "more": more}
        return Blame.from_reply(Fields(told, _SOURCE))

    def explain(self, key: str, point: Point) -> Explanation:
        with self._walk(point) as watch:
            found = read_explanation(
                self._streams,
                key,
                point.until,
                prevailing=MASTER,
                other=STANDBY,
                watch=watch,
            )
        return Explanation.from_reply(Fields(told_explanation(found), _SOURCE))

    def _replayed(self, point: Point, key: str | None, prefix: str | None) -> Replayed:
        with self._walk(point) as watch:
            return replay(
                self._streams,
                point.until,
                prevailing=MASTER,
                other=STANDBY,
                key=key,
                prefix=prefix,
                watch=watch,
                base=self._base,
            )

    @contextlib.contextmanager
    def _walk(self, point: Point) -> Iterator[Watch]:
        # For a time, all events are looked at once more, before.
        times = 2 if isinstance(point.until, int) else 1
        try:
            with self._progress(times * event_count(self._streams)) as watch:
                yield watch
        except NoSuchPoint as error:
            raise Refused(str(error), code="no-such-point") from None
