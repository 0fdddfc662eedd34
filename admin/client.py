"""The HTTP client of a node: the only module that knows its URLs.

Every call either returns a typed reply or raises an `AdminError` whose exit code says what
an operator can do. Nothing is retried: whether to ask again is the caller's decision.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import quote

import attrs

from admin.errors import ReplyUnclear
from admin.fields import Fields, shortened
from admin.http_exchange import Exchange, ReplyTooLarge
from admin.json_text import JsonValue
from admin.licence_replies import LicenceList
from admin.replies import (
    Entry,
    HistoryEvent,
    LostChange,
    Replication,
    ResyncReport,
    Status,
    SwitchReport,
    Takeover,
)
from admin.verify_replies import StoredHeads, VerifyPage

_PAGE_COUNT = 1000
_PAGE_COUNT_LARGE_VALUES = 100
"""Fits `REPLY_BYTES_MAX` even if every value is as large and as escaped as can be."""
_SWITCH_ANSWER_WITHIN_S = 60.0
"""A switch is answered when it is over, hooks included; giving up early helps nobody."""

_RESYNC_ANSWER_WITHIN_S = 6 * 3600.0
"""It reads all events of both nodes, several times."""

_WALK_ANSWER_WITHIN_S = 1800.0
"""It reads the whole history before it answers."""


@attrs.frozen
class Batch:
    """Changes that are stored together or not at all."""

    put: Mapping[str, JsonValue] = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class HistoryFilter:
    """Which events of the history; None: any."""

    key: str | None = None
    prefix: str | None = None
    since: str | None = None
    until: str | None = None
    actor: str | None = None
    origin: str | None = None
    kind: tuple[str, ...] | None = None
    archived: str | None = None
    """`true`: the events that were replaced, instead."""


@attrs.frozen
class NodeClient:
    """One node, reached over HTTP."""

    _exchange: Exchange

    def status(self) -> Status:
        """How the node and its view of the peer are now."""
        return Status.from_reply(self._ask("GET", "/status"))

    def get(self, key: str) -> Entry:
        """The entry `key`; `Refused` if there is none."""
        return Entry.from_reply(self._ask("GET", _entry_path(key)))

    def put(
        self, key: str, value: JsonValue, *, expected: str | None, reason: str
    ) -> str:
        """Store `value` under `key` and return the id of the event.

        With `expected`, only if the entry is still that version; `Refused` otherwise.
        """
        fields = self._ask(
            "PUT",
            _entry_path(key),
            query={"expected": expected},
            body=(value,),
            reason=reason,
        )
        return fields.text("id")

    def delete(self, key: str, *, expected: str | None, reason: str) -> str:
        """Delete the entry `key` and return the id of the event."""
        query = {"expected": expected}
        fields = self._ask("DELETE", _entry_path(key), query=query, reason=reason)
        return fields.text("id")

    def entries(self, prefix: str = "") -> Iterator[Entry]:
        """Every entry whose key starts with `prefix`, in the order of keys, page by page."""
        for fields in self._pages("/entries", {"prefix": prefix}):
            page = fields.inner("entries")
            for key in page.raw:
                yield Entry.from_reply(page.inner(key), key)

    def store(self, batch: Batch, *, reason: str) -> None:
        """Store all of `batch`, or nothing of it."""
        body: JsonValue = {"put": dict(batch.put), "delete": []}
        fields = self._ask("POST", "/entries", body=(body,), reason=reason)
        if fields.inner("ids").raw.keys() != batch.put.keys():
            raise ReplyUnclear("POST /entries: the ids are not those of the keys sent")

    def switch(
        self, *, when: str, dry_run: bool, reason: str, wait_s: float
    ) -> SwitchReport:
        """Order a planned switch: `when` is `now` or `idle`.

        Returns when it is over, or at once with `waiting` for `idle`.
        """
        body: JsonValue = {
            "when": when,
            "dry_run": dry_run,
            "reason": reason,
            "wait_s": wait_s,
        }
        fields = self._ask(
            "POST",
            "/switch",
            body=(body,),
            reason=reason,
            answer_within_s=_SWITCH_ANSWER_WITHIN_S,
        )
        return SwitchReport.from_reply(fields)

    def cancel_switch(self) -> SwitchReport:
        """Cancel the switch that waits for calls to end; `Refused` if none waits."""
        return SwitchReport.from_reply(self._ask("DELETE", "/switch"))

    def replication(self) -> Replication:
        """How replication is now."""
        return Replication.from_reply(self._ask("GET", "/replication"))

    def set_replication(self, enabled: bool, *, reason: str) -> Replication:
        """Switch replication on or off for the pair."""
        body: JsonValue = {"enabled": enabled}
        fields = self._ask("POST", "/replication", body=(body,), reason=reason)
        return Replication.from_reply(fields)

    def resync(self, *, discard: bool, dry_run: bool, reason: str) -> ResyncReport:
        """Replace the standby's data by the master's; returns when it is over."""
        body: JsonValue = {"discard": discard, "dry_run": dry_run}
        fields = self._ask(
            "POST",
            "/replication/resync",
            body=(body,),
            reason=reason,
            answer_within_s=_RESYNC_ANSWER_WITHIN_S,
        )
        return ResyncReport.from_reply(fields)

    def archivable(self, before: str) -> Fields:
        """Up to where events from before a time may leave; only the master tells."""
        return self._ask(
            "GET",
            "/archive",
            query={"before": before},
            answer_within_s=_WALK_ANSWER_WITHIN_S,
        )

    def archive(self, body: JsonValue, *, reason: str) -> str:
        """Let both nodes forget what is in a file; the id of the event that says so."""
        return self._ask("POST", "/archive", body=(body,), reason=reason).text("id")

    def takeover(self) -> Takeover:
        """Whether nodes take over by themselves now."""
        return Takeover.from_reply(self._ask("GET", "/takeover"))

    def pause_takeover(self, for_s: float, *, reason: str) -> Takeover:
        """Let neither node take over by itself for `for_s` seconds; 0 resumes."""
        body: JsonValue = {"pause_s": for_s}
        fields = self._ask("POST", "/takeover", body=(body,), reason=reason)
        return Takeover.from_reply(fields)

    def history(self, wanted: HistoryFilter) -> Iterator[HistoryEvent]:
        """Events in causal order, oldest first, page by page as they are consumed."""
        for fields in self._pages("/history", attrs.asdict(wanted)):
            for event in fields.array("events"):
                yield HistoryEvent.from_reply(Fields(event, "GET /history 'events'"))

    def conflicts(
        self, *, settled: bool, key: str | None, prefix: str | None
    ) -> Iterator[LostChange]:
        """Changes that lost, by their ids, page by page; with `settled` all that ever did."""
        query = {"key": key, "prefix": prefix, "settled": "true" if settled else None}
        for fields in self._pages("/conflicts", query):
            for found in fields.array("conflicts"):
                where = "GET /conflicts 'conflicts'"
                yield LostChange.from_reply(Fields(found, where))

    def stored_events(
        self, of: Mapping[str, str], *, after: str | None, limit: int
    ) -> list[tuple[str, bytes]]:
        """Ids and bytes of at most `limit` stored events behind `after`.

        `of`: `{"origin": ORIGIN}`, with `newest` only its last one; or `{"archive": NAME}`.
        One request: there may be more although they are fewer.
        """
        query = {**of, "after": after, "limit": str(limit)}
        found = self._ask("GET", "/events", query=query).array("events")
        events = [Fields(event, "GET /events 'events'") for event in found]
        return [(event.text("id"), event.bytes("stored")) for event in events]

    def archives(self) -> list[tuple[str, str]]:
        """Each archive of replaced events: its name, and its newest event."""
        found = self._ask("GET", "/archives").array("archives")
        archives = [Fields(archive, "GET /archives 'archives'") for archive in found]
        return [(archive.text("name"), archive.text("last")) for archive in archives]

    def restore(self, lost: str, *, reason: str) -> str:
        """Make the change `lost` again and return the id of the new event.

        `Refused` if it has not lost, or its entry was changed since.
        """
        path = f"/conflicts/{quote(lost, safe='')}/restore"
        return self._ask("POST", path, reason=reason).text("id")

    def licences(self) -> LicenceList:
        """The licences that are installed, and what they are worth now."""
        return LicenceList.from_reply(self._ask("GET", "/licences"))

    def install_licence(self, document: Mapping[str, JsonValue], *, reason: str) -> str:
        """Install a licence at the master and return the id of the event."""
        body: JsonValue = dict(document)
        fields = self._ask("POST", "/licences", body=(body,), reason=reason)
        return fields.text("id")

    def remove_licence(self, licence_id: str, *, reason: str) -> str:
        """Remove a licence at the master and return the id of the event."""
        path = "/licences" + _path_part(licence_id)
        return self._ask("DELETE", path, reason=reason).text("id")

    def verify(self, *, archives: bool) -> Iterator[VerifyPage]:
        """Verify what both nodes have stored, page by page; the last page has the outcome."""
        after: str | None = None
        while True:
            query = {"after": after, "archives": "true" if archives else "false"}
            page = VerifyPage.from_reply(self._ask("GET", "/verify", query=query))
            yield page
            if page.next is None:
                return
            if page.next == after:
                raise ReplyUnclear("GET /verify: a page leads to itself")
            after = page.next

    def stored_heads(
        self, at: Sequence[tuple[str, str]] = (), *, compare: bool = True
    ) -> StoredHeads:
        """Where the streams end; the digests, in each copy, of events by origin and id."""
        query = {
            "at": ",".join(f"{origin}={event_id}" for origin, event_id in at) or None
        }
        query["compare"] = "true" if compare else "false"
        reply = self._ask("GET", "/verify/heads", query=query)
        return StoredHeads.from_reply(reply, len(at))

    def replay(self, query: Mapping[str, str | None]) -> Iterator[Fields]:
        """Pages of the entries as they were: `until`, `key`, `prefix`."""
        return self._pages("/replay", query, answer_within_s=_WALK_ANSWER_WITHIN_S)

    def diff(self, query: Mapping[str, str | None]) -> Iterator[Fields]:
        """Pages of what differs between two points: `from`, `to`, `key`, `prefix`."""
        return self._pages("/diff", query, answer_within_s=_WALK_ANSWER_WITHIN_S)

    def blame(self, query: Mapping[str, str | None]) -> Fields:
        """The changes of an entry: `key`, `until`, `limit`."""
        return self._ask(
            "GET", "/blame", query=query, answer_within_s=_WALK_ANSWER_WITHIN_S
        )

    def explain(self, query: Mapping[str, str | None]) -> Fields:
        """Why an entry is what it is: `key`, `until`."""
        return self._ask(
            "GET", "/explain", query=query, answer_within_s=_WALK_ANSWER_WITHIN_S
        )

    def _pages(
        self,
        path: str,
        query: Mapping[str, str | Sequence[str] | None],
        *,
        answer_within_s: float = 0.0,
    ) -> Iterator[Fields]:
        after: str | None = None
        limit = _PAGE_COUNT
        while True:
            paged = {**query, "after": after, "limit": str(limit)}
            try:
                fields = self._ask(
                    "GET", path, query=paged, answer_within_s=answer_within_s
                )
            except ReplyTooLarge:
                if limit == _PAGE_COUNT_LARGE_VALUES:
                    raise
                limit = _PAGE_COUNT_LARGE_VALUES
                continue
            yield fields
            before, after = after, fields.text_or_none("next")
            if after is None:
                return
            if after == before:  # It would be asked for again for ever.
                raise ReplyUnclear(
                    f"GET {path}: the page after {shortened(after)!r} leads to itself"
                )

    def _ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | Sequence[str] | None] | None = None,
        body: tuple[JsonValue] | None = None,
        reason: str = "",
        answer_within_s: float = 0.0,
    ) -> Fields:
        reply = self._exchange.ask(
            method,
            path,
            query={k: v for k, v in (query or {}).items() if v is not None},
            body=body,
            reason=reason,
            answer_within_s=answer_within_s,
        )
        return Fields(reply, f"{method} {path}")


def _entry_path(key: str) -> str:
    return "/entries" + "".join(_path_part(part) for part in key.split("/"))


def _path_part(part: str) -> str:
    # Dots alone would be taken for "this folder" and "the folder above" on the way.
    quoted = part.replace(".", "%2E") if part in (".", "..") else quote(part, safe="")
    return "/" + quoted
