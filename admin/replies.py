"""What a node answers, as values. Pure.

Fields that every version gives are required; what later versions added has a default, so
that this program can look at an older node too. `raw` is the answer as it came, for
`--json`.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from admin.fields import Fields
from admin.json_text import JsonValue
from admin.licence_replies import LicenceTotals

Raw = Mapping[str, JsonValue]


@attrs.frozen(kw_only=True)
class Peer:
    """The other node, as this one sees it."""

    connected: bool
    role: str | None
    state: str | None
    heard_ago_s: float | None
    hears_us: bool | None
    problem: str | None
    """Why the peer cannot be accepted, such as a wrong secret."""

    @classmethod
    def from_reply(cls, fields: Fields) -> Peer:
        """Read it from `peer` of `/status`."""
        return cls(
            connected=fields.flag("connected"),
            role=fields.text_or_none("role"),
            state=fields.text_or_none("state"),
            heard_ago_s=fields.seconds_or_none("heard_ago_s"),
            hears_us=fields.flag_or_none("hears_us"),
            problem=fields.text_or_none("problem"),
        )


@attrs.frozen(kw_only=True)
class Replication:
    """How far this node's copy of the peer's stream is."""

    enabled: bool
    connected: bool
    lag_events: int | None
    lag_s: float | None
    conflict_count: int
    problem: str | None
    divergence: str | None
    """How the two nodes' data differ although they must not."""
    resync: str | None
    """What a resync is doing at this moment."""
    resync_due: str | None
    """Why the standby's data are to be replaced by the master's."""
    raw: Raw = attrs.field(repr=False)

    @classmethod
    def from_reply(cls, fields: Fields) -> Replication:
        """Read it from `GET /replication`, or from `replication` of `/status`."""
        lag_is_known = fields.raw.get("lag_events") is not None
        return cls(
            enabled=fields.flag("enabled"),
            connected=fields.flag("connected"),
            lag_events=fields.count("lag_events") if lag_is_known else None,
            lag_s=fields.seconds_or_none("lag_s"),
            conflict_count=fields.count("conflicts", 0),
            problem=fields.text_or_none("problem"),
            divergence=fields.text_or_none("divergence"),
            resync=fields.text_or_none("resync"),
            resync_due=fields.text_or_none("resync_due"),
            raw=fields.raw,
        )


@attrs.frozen(kw_only=True)
class Takeover:
    """Whether nodes take over by themselves."""

    paused: bool
    paused_for_s: float | None
    pause: str | None
    """Who paused it, and why."""
    held: str | None
    """Why this node does not take over although its peer seems lost."""
    last_hour_count: int
    raw: Raw = attrs.field(repr=False)

    @classmethod
    def from_reply(cls, fields: Fields) -> Takeover:
        """Read it from `GET /takeover`, or from `takeover` of `/status`."""
        return cls(
            paused=fields.flag("paused"),
            paused_for_s=fields.seconds_or_none("paused_for_s"),
            pause=fields.text_or_none("pause"),
            held=fields.text_or_none("held"),
            last_hour_count=fields.count("last_hour", 0),
            raw=fields.raw,
        )


def _reasons(fields: Fields) -> tuple[str, ...]:
    if fields.raw.get("not_ready") is None:
        return ()
    return tuple(str(reason) for reason in fields.array("not_ready"))


@attrs.frozen(kw_only=True)
class SwitchProgress:
    """A planned switch that waits, runs or has ended lately."""

    id: str
    when: str
    step: str | None
    waiting_for_calls: int | None
    outcome: str | None
    """None while it waits or runs."""
    text: str

    @classmethod
    def from_reply(cls, fields: Fields) -> SwitchProgress:
        """Read it from `switch` of `/status`."""
        calls = fields.raw.get("waiting_for_calls")
        is_count = isinstance(calls, int) and not isinstance(calls, bool)
        return cls(
            id=fields.text("id"),
            when=fields.text("when", ""),
            step=fields.text_or_none("step"),
            waiting_for_calls=fields.count("waiting_for_calls") if is_count else None,
            outcome=fields.text_or_none("outcome"),
            text=fields.text_or_none("text") or "",
        )


@attrs.frozen(kw_only=True)
class Status:
    """One node, now."""

    pair: str
    role: str
    state: str
    since: str
    reason: str
    entry_count: int
    call_count: int
    peer: Peer
    replication: Replication
    health: Mapping[str, str]
    appendonly: bool | None
    appendfsync: str | None
    switch: SwitchProgress | None
    takeover: Takeover | None
    licences: LicenceTotals | None
    both_active_count: int
    both_active_loser_count: int
    """Changes that lost the last time."""
    hand_over_problem: str | None
    """Why this active node, which cannot serve, does not hand over."""
    callback_failed_count: int
    callback_timed_out_count: int
    callback_dropped_count: int
    ready: bool | None
    not_ready: tuple[str, ...]
    """Why it is not ready."""
    realm: str | None
    version: str
    raw: Raw = attrs.field(repr=False)

    @classmethod
    def from_reply(cls, fields: Fields) -> Status:
        """Read it from `GET /status`."""
        health = fields.inner("health")
        durability = fields.inner("durability")
        callbacks = fields.inner("callbacks")
        switch = fields.inner_or_none("switch")
        takeover = fields.inner_or_none("takeover")
        licences = fields.inner_or_none("licences")
        both = fields.inner_or_none("both_active")
        return cls(
            pair=fields.text("pair"),
            role=fields.text("role"),
            state=fields.text("state"),
            since=fields.text_or_none("since") or "",
            reason=fields.text_or_none("reason") or "",
            entry_count=fields.count("entries"),
            call_count=fields.count("calls", 0),
            peer=Peer.from_reply(fields.inner("peer")),
            replication=Replication.from_reply(fields.inner("replication")),
            health={name: health.text(name) for name in health.raw},
            appendonly=durability.flag_or_none("appendonly"),
            appendfsync=durability.text_or_none("appendfsync"),
            switch=SwitchProgress.from_reply(switch) if switch else None,
            takeover=Takeover.from_reply(takeover) if takeover else None,
            licences=LicenceTotals.from_reply(licences) if licences else None,
            both_active_count=both.count("count", 0) if both else 0,
            both_active_loser_count=_loser_count(both),
            hand_over_problem=fields.text_or_none("hand_over_problem"),
            callback_failed_count=callbacks.count("failed", 0),
            callback_timed_out_count=callbacks.count("timed_out", 0),
            callback_dropped_count=callbacks.count("dropped", 0),
            ready=fields.flag_or_none("ready"),
            not_ready=_reasons(fields),
            realm=fields.text_or_none("realm"),
            version=fields.text("version"),
            raw=fields.raw,
        )


@attrs.frozen(kw_only=True)
class SwitchReport:
    """How a switch went, or that it waits."""

    outcome: str
    """`done`, `ready` (dry run), `waiting` or `cancelled`."""
    id: str | None
    text: str
    active: str | None
    raw: Raw = attrs.field(repr=False)

    @classmethod
    def from_reply(cls, fields: Fields) -> SwitchReport:
        """Read it from `POST /switch` or `DELETE /switch`."""
        return cls(
            outcome=fields.text("outcome"),
            id=fields.text_or_none("id"),
            text=fields.text_or_none("text") or "",
            active=fields.text_or_none("active"),
            raw=fields.raw,
        )


@attrs.frozen(kw_only=True)
class OwnChange:
    """A change that only the standby has."""

    id: str
    kind: str
    key: str
    actor: str
    time: str

    @classmethod
    def from_reply(cls, fields: Fields) -> OwnChange:
        """Read it from an element of `listed` of a resync."""
        return cls(
            id=fields.text("id"),
            kind=fields.text("kind"),
            key=fields.text("key"),
            actor=fields.text_or_none("actor") or "",
            time=fields.text_or_none("time") or "",
        )


@attrs.frozen(kw_only=True)
class ResyncReport:
    """What a resync did, or would do."""

    outcome: str
    """`done`, `nothing` or `ready` (dry run)."""
    text: str
    change_count: int
    """Changes that only the standby has, or had."""
    changes: tuple[OwnChange, ...]
    """The first of them."""
    entry_count: int
    """Entries that are others afterwards."""
    keys: tuple[str, ...]
    """The first of them."""
    raw: Raw = attrs.field(repr=False)

    @classmethod
    def from_reply(cls, fields: Fields) -> ResyncReport:
        """Read it from `POST /replication/resync`."""
        return cls(
            outcome=fields.text("outcome"),
            text=fields.text("text"),
            change_count=fields.count("changes"),
            changes=tuple(
                OwnChange.from_reply(
                    Fields(change, "POST /replication/resync 'listed'")
                )
                for change in fields.array("listed")
            ),
            entry_count=fields.count("entries"),
            keys=tuple(str(key) for key in fields.array("keys")),
            raw=fields.raw,
        )


@attrs.frozen(kw_only=True)
class Entry:
    """One entry of the configuration."""

    key: str
    value: JsonValue = attrs.field(repr=False)
    id: str
    """Id of the event that made it what it is."""
    origin: str

    @classmethod
    def from_reply(cls, fields: Fields, key: str | None = None) -> Entry:
        """Read it from `GET /entries/{key}`, or under `key` of `GET /entries`."""
        return cls(
            key=fields.text("key") if key is None else key,
            value=fields.value("value"),
            id=fields.text("id"),
            origin=fields.text("origin"),
        )


@attrs.frozen(kw_only=True)
class EntryBefore:
    """What an entry was before a change, for whoever made the change."""

    value: JsonValue = attrs.field(repr=False)
    id: str
    origin: str

    @classmethod
    def from_reply(cls, fields: Fields) -> EntryBefore:
        """Read it from `before` of a line of the history."""
        return cls(
            value=fields.value("value"),
            id=fields.text("id"),
            origin=fields.text("origin"),
        )


@attrs.frozen(kw_only=True)
class HistoryEvent:
    """A stored fact."""

    id: str
    origin: str
    kind: str
    key: str
    value: JsonValue = attrs.field(repr=False)
    actor: str
    reason: str
    time: str
    """ISO 8601, UTC, by the writer's clock, or empty. For people, never for order."""
    overridden_by: str | None
    """The concurrent change of the master that won."""
    settled_by: str | None
    """Origin and id of the change that settled it; None: open, or not known."""
    before: EntryBefore | None
    """None: there was no entry, or it is not known."""
    archive: str | None
    """Where it is kept, if it was replaced."""
    raw: Raw = attrs.field(repr=False)

    @classmethod
    def from_reply(cls, fields: Fields) -> HistoryEvent:
        """Read it from an element of `events` of `GET /history`, or a line made of one."""
        settled_by = fields.inner_or_none("settled_by")
        before = fields.inner_or_none("before")
        return cls(
            id=fields.text("id"),
            origin=fields.text("origin"),
            kind=fields.text("kind"),
            key=fields.text_or_none("key") or "",
            value=fields.raw.get("value"),
            actor=fields.text_or_none("actor") or "",
            reason=fields.text_or_none("reason") or "",
            time=fields.text_or_none("time") or "",
            overridden_by=fields.text_or_none("overridden_by"),
            settled_by=None if settled_by is None else _named(settled_by),
            before=None if before is None else EntryBefore.from_reply(before),
            archive=fields.text_or_none("archived"),
            raw=fields.raw,
        )


@attrs.frozen(kw_only=True)
class ChangeMade:
    """Which change, by whom and when."""

    id: str
    kind: str
    actor: str
    time: str

    @classmethod
    def from_reply(cls, fields: Fields) -> ChangeMade:
        """Read it from a conflict of `GET /conflicts`, or a part of one."""
        return cls(
            id=fields.text("id"),
            kind=fields.text("kind"),
            actor=fields.text_or_none("actor") or "",
            time=fields.text_or_none("time") or "",
        )


@attrs.frozen(kw_only=True)
class LostChange:
    """A change that a concurrent one overrode."""

    change: ChangeMade
    key: str
    value: JsonValue = attrs.field(repr=False)
    reason: str
    """Of whoever made it."""
    why: str
    """Why it lost."""
    winner: ChangeMade
    settled_by: ChangeMade | None
    """None: the conflict is open."""
    raw: Raw = attrs.field(repr=False)

    @classmethod
    def from_reply(cls, fields: Fields) -> LostChange:
        """Read it from an element of `conflicts` of `GET /conflicts`."""
        settled_by = fields.inner_or_none("settled_by")
        return cls(
            change=ChangeMade.from_reply(fields),
            key=fields.text("key"),
            value=fields.raw.get("value"),
            reason=fields.text_or_none("reason") or "",
            why=fields.text_or_none("why") or "",
            winner=ChangeMade.from_reply(fields.inner("winner")),
            settled_by=ChangeMade.from_reply(settled_by) if settled_by else None,
            raw=fields.raw,
        )


def _named(fields: Fields) -> str:
    return f"{fields.text('origin')} {fields.text('id')}"


def _loser_count(both: Fields | None) -> int:
    # It is an event as it was stored, maybe by another version: what it does not say is 0.
    last = both.raw.get("last") if both else None
    if not isinstance(last, dict):
        return 0
    losers, more = last.get("losers"), last.get("more_losers")
    return (len(losers) if isinstance(losers, list) else 0) + (
        max(0, more) if isinstance(more, int) else 0
    )
