"""The streams of a pair read through a node: what walks read from, as from a Redis."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise

from admin.client import NodeClient
from admin.errors import ReplyUnclear
from eventstore import START, Archive, EventId, Origin, Stored

_PAGE_COUNT_MAX = 5000
"""The node gives no more at a time."""


class NodeSource:
    """A `KeepingSource`. The node passes on what is stored; all else is done here.

    Every method raises an `AdminError` where the node gives none, or no events.
    """

    def __init__(self, client: NodeClient) -> None:
        self._client = client
        self._pair: str | None = None

    @property
    def pair(self) -> str:
        """Whose events these are, as the node says."""
        if self._pair is None:
            self._pair = self._client.status().pair
        return self._pair

    def read(self, origin: Origin, after: EventId, count: int) -> list[Stored]:
        """At most `count` entries behind `after`, oldest first; none: there are no more."""
        return self._page({"origin": origin}, after, count)

    def last(self, origin: Origin) -> Stored | None:
        """The newest entry; None: there is none."""
        found = self._page({"origin": origin, "newest": "true"}, START, 1)
        return found[0] if found else None

    def archives(self) -> list[Archive]:
        """All archives, by name."""
        with _told_if_older():
            found = self._client.archives()
        return [Archive(name, _id(last, "GET /archives")) for name, last in found]

    def read_archive(self, archive: str, after: EventId, count: int) -> list[Stored]:
        """At most `count` entries of an archive behind `after`, oldest first."""
        return self._page({"archive": archive}, after, count)

    def _page(self, of: Mapping[str, str], after: EventId, count: int) -> list[Stored]:
        start = None if after == START else str(after)
        limit = min(count, _PAGE_COUNT_MAX)
        with _told_if_older():
            found = self._client.stored_events(of, after=start, limit=limit)
        page = [(_id(event_id, "GET /events"), blob) for event_id, blob in found]
        for last, event_id in pairwise([after, *(i for i, _ in page)]):
            if event_id <= last:  # It would be asked for again for ever.
                raise ReplyUnclear(
                    f"GET /events: event {event_id} is told behind {last}; is the URL "
                    "that of a node?"
                )
        return page


@contextmanager
def _told_if_older() -> Iterator[None]:
    try:
        yield
    except ReplyUnclear as error:
        if error.code != "no-such-path":
            raise
        raise ReplyUnclear(
            "the node is of an older version, which does not give stored events: "
            "update it, or read from its Redis with --redis URL",
            code=error.code,
        ) from error


def _id(text: str, where: str) -> EventId:
    try:
        return EventId.parse(text)
    except ValueError as error:
        raise ReplyUnclear(f"{where}: {error}") from None
