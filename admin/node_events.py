"""The stored events of a pair, asked of a node, as an export reads them."""

from __future__ import annotations

import attrs

from admin.client import NodeClient
from admin.errors import ReplyUnclear
from admin.offline import ORIGINS
from eventstore import START, Archive, EventId, Origin, Stored


@attrs.frozen
class NodeEvents:
    """Reads through `client`; as `KeepingSource`, but every error is an `AdminError`."""

    client: NodeClient
    pair: str

    def read(self, origin: Origin, after: EventId, count: int) -> list[Stored]:
        """At most `count` entries of a stream behind `after`, oldest first."""
        return self._page({"origin": str(origin)}, after, count)

    def archives(self) -> list[Archive]:
        """All archives, by name."""
        found = self.client.archives()
        return [Archive(name, _id(last, "GET /archives")) for name, last in found]

    def read_archive(self, archive: str, after: EventId, count: int) -> list[Stored]:
        """At most `count` entries of an archive behind `after`, oldest first."""
        return self._page({"archive": archive}, after, count)

    def _page(self, of: dict[str, str], after: EventId, count: int) -> list[Stored]:
        found = self.client.stored(of, after=str(after), limit=count)
        page = [(_id(event_id, "GET /events"), blob) for event_id, blob in found]
        last = after
        for event_id, _ in page:
            if event_id <= last:  # It would be asked for again for ever.
                raise ReplyUnclear(
                    f"GET /events: event {event_id} is told behind {last}; is the URL "
                    "that of a node?"
                )
            last = event_id
        return page


def node_events(
    client: NodeClient,
) -> tuple[NodeEvents, dict[Origin, EventId]]:
    """The events of the pair, and the ends of both streams at one moment of the node.

    Raises:
        AdminError: the node cannot be asked.
    """
    pair, vector = client.applied()
    where = "GET /status 'vector'"
    ends = {o: _id(vector[o], where) if o in vector else START for o in ORIGINS}
    return NodeEvents(client, pair), ends


def _id(text: str, where: str) -> EventId:
    try:
        return EventId.parse(text)
    except ValueError as error:
        raise ReplyUnclear(f"{where}: {error}") from None
