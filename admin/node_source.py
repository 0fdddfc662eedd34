"""The streams of a pair read through a node: what walks read from, as from a Redis."""

from __future__ import annotations

import binascii
from base64 import b64decode
from itertools import pairwise

from admin.client import NodeClient
from admin.errors import ReplyUnclear
from admin.fields import shortened
from eventstore import START, EventId, Origin

_PAGE_COUNT_MAX = 1000
"""The node gives no more at a time."""


class NodeSource:
    """A `Source`. The node passes on what is stored; decoding and folding are done here.

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

    def read(
        self, origin: Origin, after: EventId, count: int
    ) -> list[tuple[EventId, bytes]]:
        """At most `count` entries behind `after`, oldest first; none: there are no more."""
        start = None if after == START else str(after)
        page = self._stored(origin, start, min(count, _PAGE_COUNT_MAX))
        ids = [after, *(event_id for event_id, _ in page)]
        if any(next_id <= event_id for event_id, next_id in pairwise(ids)):
            raise ReplyUnclear("GET /history/stored: the ids do not increase")
        return page

    def last(self, origin: Origin) -> tuple[EventId, bytes] | None:
        """The newest entry; None: there is none."""
        found = self._stored(origin, None, 1, newest=True)
        return found[0] if found else None

    def _stored(
        self, origin: Origin, after: str | None, count: int, *, newest: bool = False
    ) -> list[tuple[EventId, bytes]]:
        try:
            found = self._client.stored_events(origin, after, count, newest=newest)
            return [_event(*texts) for texts in found]
        except ReplyUnclear as error:
            if error.code != "no-such-path":
                raise
            raise ReplyUnclear(
                "the node is of an older version, which does not give stored events: "
                "update it, or read from its Redis with --redis URL",
                code=error.code,
            ) from error


def _event(event_id: str, event: str) -> tuple[EventId, bytes]:
    try:
        return EventId.parse(event_id), b64decode(event, validate=True)
    except (ValueError, binascii.Error) as error:
        raise ReplyUnclear(
            f"GET /history/stored: event {shortened(event_id)!r} is none: {error}"
        ) from None
