"""What a node tells over HTTP of its events and entries, in the words of `eventstore`."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from eventstore import Event, EventId, JsonValue, Origin
from eventstore.codec import pack_value
from eventstore.event import Recovered
from tests.support.processes import NodeProcess

ANSWER_LIMIT_S = 10.0
PAGE_COUNT = 10_000
_UNKNOWN = bytes(32)
_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def events_told(node: NodeProcess) -> list[Event]:
    """All events of both origins, as the node's `/history` gives them, in its order.

    `previous` is not told and is zeros.
    """
    found: list[Event] = []
    query: dict[str, str | int] = {"limit": PAGE_COUNT}
    while True:
        page = node.client.ask("GET", "/history", query=query, limit_s=ANSWER_LIMIT_S)
        found += [_event(told) for told in page["events"]]
        if page["next"] is None:
            return found
        query["after"] = page["next"]


def ids_told(node: NodeProcess) -> set[tuple[Origin, EventId]]:
    """Origin and id of every event in the node's history."""
    return {(event.origin, event.id) for event in events_told(node)}


def entries_told(node: NodeProcess) -> dict[str, tuple[JsonValue, EventId, Origin]]:
    """Value, id and origin of every entry of the node."""
    found: dict[str, tuple[JsonValue, EventId, Origin]] = {}
    query: dict[str, str | int] = {}
    while True:
        page = node.client.ask("GET", "/entries", query=query, limit_s=ANSWER_LIMIT_S)
        found |= {
            key: (entry["value"], EventId.parse(entry["id"]), Origin(entry["origin"]))
            for key, entry in page["entries"].items()
        }
        if page["next"] is None:
            return found
        query["after"] = page["next"]


def _event(told: dict[str, Any]) -> Event:
    was = told["recovered"]
    since_epoch = datetime.fromisoformat(told["time"]) - _EPOCH
    return Event(
        origin=Origin(told["origin"]),
        id=EventId.parse(told["id"]),
        kind=told["kind"],
        key=told["key"],
        packed=pack_value(told["value"]),
        actor=told["actor"],
        reason=told["reason"],
        wall_ns=since_epoch // timedelta(microseconds=1) * 1000,
        vector={Origin(o): EventId.parse(i) for o, i in told["vector"].items()},
        previous=_UNKNOWN,
        digest=bytes.fromhex(told["digest"]),
        recovered=None
        if was is None
        else Recovered(EventId.parse(was["id"]), bytes.fromhex(was["digest"])),
    )
