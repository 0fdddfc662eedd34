"""A node for tests of `admin`: the HTTP interface, with its entries in memory."""

from __future__ import annotations

import json
from base64 import b64encode
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, unquote

import httpx

from eventstore import EventId, Origin, Stored, codec
from tests.support.histories import ORIGINS, PAIR
from tests.support.sources import MemorySource

READ_TOKEN = "read-token"
CHANGE_TOKEN = "change-token"
WALL_NS = 1_767_225_600_000_000_000
"""When everything was done: the begin of the year 2026."""
URL = "http://node.test:7480"

Answer = httpx.Response | BaseException
Route = Callable[["FakeNode", httpx.Request], httpx.Response]


class FakeNode:
    """Give `transport` to a client. `answers` come before what the node would say."""

    def __init__(self, entries: Mapping[str, Any] | None = None) -> None:
        self.entries: dict[str, dict[str, Any]] = {}
        self.events: list[dict[str, Any]] = []
        self.requests: list[httpx.Request] = []
        self.answers: deque[Answer | None] = deque()
        """For the next requests, in order; None: what the node would say."""
        self.switch_answer: httpx.Response | None = None
        self.switch_progress: deque[dict[str, Any] | None] = deque()
        """`switch` of the next looks at `/status`; the last one stays."""
        self.cancel_answer: httpx.Response | None = None
        self.conflicts: list[dict[str, Any]] = []
        """What `GET /conflicts` tells, settled ones among them."""
        self.licences: dict[str, dict[str, Any]] = {}
        """Documents that are installed, by id."""
        self.stored: MemorySource | None = None
        """What `GET /events` and `GET /archives` tell; None: what was done here."""
        self.page_count_max = 10_000
        self.status = status_reply()
        for key, value in (entries or {}).items():
            self._record("entry-put", key, value, "setup", "")

    @property
    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self.handle)

    def values(self) -> dict[str, Any]:
        return {key: entry["value"] for key, entry in self.entries.items()}

    def sent(self, method: str, path: str) -> list[httpx.Request]:
        return [r for r in self.requests if (r.method, r.url.path) == (method, path)]

    def handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.popleft() if self.answers else None
        if isinstance(answer, BaseException):
            raise answer
        if answer is not None:
            return answer
        return self._authorised(request) or self._routed(request)

    def _authorised(self, request: httpx.Request) -> httpx.Response | None:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in (READ_TOKEN, CHANGE_TOKEN):
            return refusal(401, "not-authorised", "no such token")
        if request.method != "GET" and token != CHANGE_TOKEN:
            return refusal(403, "not-authorised", "this token may only read")
        return None

    def _routed(self, request: httpx.Request) -> httpx.Response:
        path = request.url.raw_path.decode().partition("?")[0]
        if path.startswith("/entries/"):
            return self._entry(request, unquote(path.removeprefix("/entries/")))
        if path.startswith("/licences/"):
            return self._remove_licence(unquote(path.removeprefix("/licences/")))
        if path.startswith("/conflicts/"):
            return self._restore(request, path.split("/")[2])
        route = ROUTES.get((request.method, path))
        if route is None:
            return refusal(404, "no-such-path", f"no such path: {path}")
        return route(self, request)

    def _entry(self, request: httpx.Request, key: str) -> httpx.Response:
        expected = query(request).get("expected")
        entry = self.entries.get(key)
        if request.method != "PUT" and entry is None:
            return refusal(404, "no-such-entry", f"there is no entry {key!r}")
        if expected and (entry is None or entry["id"] != expected):
            return refusal(409, "entry-changed", f"{key} is not {expected} any more")
        if request.method == "GET":
            return httpx.Response(200, json={"key": key, **self.entries[key]})
        value = json.loads(request.content) if request.method == "PUT" else None
        if "/" not in key:
            return refusal(422, "invalid-entry", f"key {key!r} is not collection/name")
        kind = "entry-put" if request.method == "PUT" else "entry-deleted"
        return httpx.Response(
            200, json={"id": self._recorded(request, kind, key, value)}
        )

    def list_entries(self, request: httpx.Request) -> httpx.Response:
        asked = query(request)
        limit = min(int(asked.get("limit", "10000")), self.page_count_max)
        keys = sorted(
            k
            for k in self.entries
            if k.startswith(asked.get("prefix", "")) and k > asked.get("after", "")
        )
        page = {key: self.entries[key] for key in keys[:limit]}
        following = keys[limit - 1] if len(keys) > limit else None
        return httpx.Response(200, json={"entries": page, "next": following})

    def store_entries(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        changes = [*body["put"], *body["delete"]]
        if len(changes) > 1000:
            return refusal(422, "invalid-entry", f"{len(changes)} changes; limit 1000")
        ids = {
            key: self._recorded(request, "entry-put", key, value)
            for key, value in body["put"].items()
        }
        return httpx.Response(200, json={"ids": ids})

    def list_conflicts(self, request: httpx.Request) -> httpx.Response:
        asked = query(request)
        found = [
            conflict
            for conflict in self.conflicts
            if (asked.get("settled") == "true" or conflict["settled_by"] is None)
            and conflict["key"].startswith(asked.get("prefix", ""))
            and asked.get("key", conflict["key"]) == conflict["key"]
        ]
        start = int(asked.get("after", "0"))
        end = start + self.page_count_max
        following = str(end) if len(found) > end else None
        page = {"conflicts": found[start:end], "next": following}
        return httpx.Response(200, json=page)

    def _restore(self, request: httpx.Request, lost: str) -> httpx.Response:
        for conflict in self.conflicts:
            if conflict["id"] == unquote(lost):
                key, value = conflict["key"], conflict["value"]
                event_id = self._recorded(request, "entry-put", key, value)
                return httpx.Response(200, json={"id": event_id})
        return refusal(404, "no-such-conflict", f"no change {unquote(lost)} has lost")

    def list_licences(self, request: httpx.Request) -> httpx.Response:
        found = [
            {
                "id": licence_id,
                "valid": True,
                "reason": None,
                "signature": "verified",
                "document": document,
            }
            for licence_id, document in self.licences.items()
        ]
        seats = sum(document["seats"] for document in self.licences.values())
        totals = {
            "valid": bool(found),
            "ends_in_days": None,
            "in_use": 1,
            "seats": seats,
        }
        reason = None if found else "no licence is installed"
        return httpx.Response(200, json={**totals, "reason": reason, "licences": found})

    def install_licence(self, request: httpx.Request) -> httpx.Response:
        document = json.loads(request.content)
        self.licences[document["id"]] = document
        return httpx.Response(200, json={"id": "5-1"})

    def _remove_licence(self, licence_id: str) -> httpx.Response:
        if self.licences.pop(licence_id, None) is None:
            return refusal(404, "no-such-licence", f"no licence {licence_id!r}")
        return httpx.Response(200, json={"id": "5-2"})

    def show_status(self, request: httpx.Request) -> httpx.Response:
        if self.switch_progress:
            self.status["switch"] = self.switch_progress[0]
            if len(self.switch_progress) > 1:
                self.switch_progress.popleft()
        return httpx.Response(200, json={**self.status, "entries": len(self.entries)})

    def start_switch(self, request: httpx.Request) -> httpx.Response:
        if self.switch_answer is not None:
            return self.switch_answer
        body = json.loads(request.content)
        outcome = "ready" if body["dry_run"] else "done"
        if body["when"] == "idle" and not body["dry_run"]:
            outcome = "waiting"
        return httpx.Response(
            200,
            json={
                "outcome": outcome,
                "id": "switch-1",
                "text": f"{outcome} as ordered",
                "active": "standby",
                "duration_s": 0.2,
            },
        )

    def stop_switch(self, request: httpx.Request) -> httpx.Response:
        if self.cancel_answer is not None:
            return self.cancel_answer
        report = {"outcome": "cancelled", "id": "switch-1", "text": "cancelled"}
        return httpx.Response(200, json={**report, "active": None, "duration_s": 1.0})

    def show_replication(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=self.status["replication"])

    def show_takeover(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=self.status["takeover"])

    def set_takeover(self, request: httpx.Request) -> httpx.Response:
        pause_s = json.loads(request.content)["pause_s"]
        reason = unquote(request.headers.get("X-Reason", ""))
        self.status["takeover"] |= {
            "paused": pause_s > 0,
            "paused_for_s": pause_s,
            "pause": f"by {request.headers['X-Actor']}: {reason}" if pause_s else None,
        }
        return self.show_takeover(request)

    def set_replication(self, request: httpx.Request) -> httpx.Response:
        self.status["replication"]["enabled"] = json.loads(request.content)["enabled"]
        return self.show_replication(request)

    def resync(self, request: httpx.Request) -> httpx.Response:
        """Says that the first event is what only the standby has."""
        body = json.loads(request.content)
        names = ("id", "kind", "key", "actor", "time")
        listed = [{name: event[name] for name in names} for event in self.events[:1]]
        outcome = "ready" if body["dry_run"] else "done"
        return httpx.Response(
            200,
            json={
                "outcome": outcome,
                "text": f"{outcome} as ordered",
                "discard": body["discard"],
                "events": len(self.events),
                "changes": len(self.events),
                "listed": listed,
                "entries": len(self.entries),
                "keys": list(self.entries),
                "replaced": {},
                "id": None,
                "duration_s": 0.1,
            },
        )

    def history(self, request: httpx.Request) -> httpx.Response:
        asked = query(request)
        start = int(asked.get("after", "0"))
        limit = int(asked.get("limit", "1000"))
        found = [
            event
            for event in self.events
            if event["key"].startswith(asked.get("prefix", ""))
            and asked.get("key", event["key"]) == event["key"]
            and asked.get("actor", event["actor"]) == event["actor"]
        ]
        page = found[start : start + limit]
        following = str(start + limit) if len(found) > start + limit else None
        return httpx.Response(200, json={"events": page, "next": following})

    def source(self) -> MemorySource:
        return self.stored or MemorySource({o: self._blobs(o) for o in ORIGINS})

    def _blobs(self, origin: Origin) -> list[Stored]:
        """The events of one stream as a node stores them."""
        found: list[Stored] = []
        previous = codec.genesis(PAIR, origin)
        for event in self.events:
            if event["origin"] != origin:
                continue
            event_id = EventId.parse(event["id"])
            blob = codec.encode(
                origin=origin,
                event_id=event_id,
                kind=event["kind"],
                key=event["key"],
                packed=codec.pack_value(event["value"]),
                actor=event["actor"],
                reason=event["reason"],
                wall_ns=WALL_NS,
                vector={
                    Origin(o): EventId.parse(i) for o, i in event["vector"].items()
                },
                previous=previous,
            )
            previous = codec.digest_of(blob)
            found.append((event_id, blob))
        return found

    def list_stored(self, request: httpx.Request) -> httpx.Response:
        asked, source = query(request), self.source()
        after, limit = EventId.parse(asked.get("after", "0-0")), int(asked["limit"])
        if "archive" in asked:
            found = source.read_archive(asked["archive"], after, limit)
        elif asked.get("newest") == "true":
            last = source.last(Origin(asked["origin"]))
            found = [] if last is None else [last]
        else:
            found = source.read(Origin(asked["origin"]), after, limit)
        events = [
            {"id": str(event_id), "stored": b64encode(blob).decode()}
            for event_id, blob in found
        ]
        return httpx.Response(200, json={"events": events, "next": None})

    def list_archives(self, request: httpx.Request) -> httpx.Response:
        found = self.source().archives()
        told = [{"name": archive.name, "last": str(archive.last)} for archive in found]
        return httpx.Response(200, json={"archives": told})

    def _recorded(self, request: httpx.Request, kind: str, key: str, value: Any) -> str:
        actor = unquote(request.headers.get("X-Actor", "change"))
        reason = unquote(request.headers.get("X-Reason", ""))
        return self._record(kind, key, value, actor, reason)

    def _record(self, kind: str, key: str, value: Any, actor: str, reason: str) -> str:
        event_id = f"1767225600000-{len(self.events) + 1}"
        self.events.append(
            {
                "id": event_id,
                "origin": "master",
                "kind": kind,
                "key": key,
                "value": value,
                "actor": actor,
                "reason": reason,
                "time": "2026-01-01T00:00:00.000000Z",
                "vector": {"master": event_id},
                "digest": "00" * 32,
                "archived": None,
            }
        )
        if kind == "entry-put":
            self.entries[key] = {"value": value, "id": event_id, "origin": "master"}
        else:
            del self.entries[key]
        return event_id


ROUTES: dict[tuple[str, str], Route] = {
    ("GET", "/status"): FakeNode.show_status,
    ("GET", "/entries"): FakeNode.list_entries,
    ("POST", "/entries"): FakeNode.store_entries,
    ("POST", "/switch"): FakeNode.start_switch,
    ("DELETE", "/switch"): FakeNode.stop_switch,
    ("GET", "/replication"): FakeNode.show_replication,
    ("POST", "/replication"): FakeNode.set_replication,
    ("POST", "/replication/resync"): FakeNode.resync,
    ("GET", "/takeover"): FakeNode.show_takeover,
    ("POST", "/takeover"): FakeNode.set_takeover,
    ("GET", "/history"): FakeNode.history,
    ("GET", "/licences"): FakeNode.list_licences,
    ("POST", "/licences"): FakeNode.install_licence,
    ("GET", "/events"): FakeNode.list_stored,
    ("GET", "/archives"): FakeNode.list_archives,
    ("GET", "/conflicts"): FakeNode.list_conflicts,
}


def query(request: httpx.Request) -> dict[str, str]:
    pairs = parse_qs(request.url.query.decode(), keep_blank_values=True)
    return {name: values[0] for name, values in pairs.items()}


def refusal(
    status: int, code: str, text: str, reasons: list[str] | None = None
) -> httpx.Response:
    body: dict[str, Any] = {"error": text, "code": code}
    if reasons is not None:
        body["reasons"] = reasons
    return httpx.Response(status, json=body)


def waiting(
    calls: int, *, outcome: str | None = None, text: str = ""
) -> dict[str, Any]:
    """`switch` of `/status` for the switch that `start_switch` began."""
    return {
        "id": "switch-1",
        "when": "idle",
        "step": "waiting",
        "waiting_for_calls": calls,
        "outcome": outcome,
        "text": text,
    }


def status_reply() -> dict[str, Any]:
    return {
        "pair": "office",
        "role": "master",
        "state": "active",
        "since": "2026-01-01T00:00:00Z",
        "reason": "peer lost",
        "vector": {"master": "1767225600000-42"},
        "digest": "ab" * 32,
        "entries": 0,
        "peer": {
            "connected": True,
            "role": "standby",
            "state": "passive",
            "heard_ago_s": 0.4,
            "hears_us": True,
            "vector": {},
            "digest": "ab" * 32,
            "version": "0.1.0",
            "problem": None,
        },
        "replication": {
            "enabled": True,
            "connected": True,
            "lag_events": 0,
            "lag_s": 0.0,
            "conflicts": 0,
            "problem": None,
            "resync": None,
            "resync_due": None,
        },
        "takeover": {
            "paused": False,
            "paused_for_s": 0.0,
            "pause": None,
            "held": None,
            "last_hour": 0,
        },
        "both_active": {"count": 0, "last": None},
        "hand_over_problem": None,
        "health": {"redis": "ok"},
        "durability": {"appendonly": True, "appendfsync": "everysec"},
        "switch": None,
        "calls": 0,
        "callbacks": {"failed": 0, "timed_out": 0, "dropped": 0},
        "ready": True,
        "not_ready": [],
        "realm": "office",
        "version": "0.1.0",
    }
