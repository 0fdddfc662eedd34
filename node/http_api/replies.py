"""The shapes of answers and orders, as `/openapi.json` describes them."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from node.http_api.refusals import ErrorReply
from node.takeover_pause import PAUSE_S_MAX

Id = Annotated[str, Field(description="Event id, `<ms>-<n>`.")]
OriginName = Literal["master", "standby"]


class StateReply(BaseModel):
    """Role and state of this node."""

    role: OriginName
    state: Literal["active", "passive"]


class LiveReply(BaseModel):
    """Whether the node's own loop runs."""

    live: bool


class ReadyReply(BaseModel):
    """Whether the node could take over, and every reason why not."""

    ready: bool
    reasons: list[str]


class StoredReply(BaseModel):
    """The event that a change became; it is durable."""

    id: Id


class EntryReply(BaseModel):
    """One item of configuration."""

    key: str
    value: Any
    id: Id
    origin: OriginName


class ListedEntry(BaseModel):
    """One item of configuration, under its key."""

    value: Any
    id: Id
    origin: OriginName


class EntriesReply(BaseModel):
    """A page of entries in the order of their keys."""

    entries: dict[str, ListedEntry]
    next: str | None = Field(description="`after` of the next page; null: the last.")


class BatchReply(BaseModel):
    """The event of each key."""

    ids: dict[str, Id]


class WasReply(BaseModel):
    """What an event was before recovery appended it anew."""

    id: Id
    digest: str


class EventReply(BaseModel):
    """A stored fact."""

    id: Id
    origin: OriginName
    kind: str
    key: str
    value: Any
    actor: str
    reason: str
    time: str | None = Field(description="ISO 8601, UTC, by the writer's clock.")
    vector: dict[str, Id]
    digest: str
    recovered: WasReply | None
    overridden_by: str | None = Field(
        description="The concurrent change of the master that stands in its place."
    )
    archived: str | None = Field(
        description="The archive it is in, if it was replaced."
    )


class StoredEvent(BaseModel):
    """One entry of a stream."""

    id: Id
    stored: str = Field(description="Its bytes, in base64.")


class EventsReply(BaseModel):
    """A page of a stream or an archive."""

    events: list[StoredEvent]
    next: str | None = Field(
        description="`after` of the next page, which may be empty; null: the last."
    )


class ArchiveReply(BaseModel):
    """Events of one origin that were replaced."""

    name: str
    last: Id


class ArchivesReply(BaseModel):
    """All archives, by name."""

    archives: list[ArchiveReply]


class LeavingEvent(BaseModel):
    """A change that only the standby has."""

    id: Id
    kind: str
    key: str
    actor: str
    time: str | None


class ResyncReply(BaseModel):
    """What became of a resync, or what would."""

    outcome: Literal["done", "nothing", "ready"]
    text: str
    discard: bool
    events: int = Field(description="Events that only the standby has.")
    changes: int = Field(description="Those of them that change an entry.")
    listed: list[LeavingEvent] = Field(description="The first of these changes.")
    entries: int = Field(description="Entries that are others afterwards.")
    keys: list[str] = Field(description="The first of their keys.")
    replaced: dict[OriginName, int] = Field(
        description="Events that leave each stream and are archived."
    )
    id: Id | None = Field(description="The event `resynchronised` that says so.")
    duration_s: float


class LicenceReply(BaseModel):
    """One licence that is installed."""

    id: str
    valid: bool
    reason: str | None = Field(description="Why it is not valid now.")
    signature: Literal["verified", "none", "not checked", "missing", "forged"]
    document: Any = Field(description="As it was installed.")
    event: Id
    installed: str | None = Field(description="ISO 8601, UTC, by the writer's clock.")
    actor: str


class LicencesReply(BaseModel):
    """What all licences together are worth, and each of them."""

    valid: bool
    reason: str | None = Field(description="Why nobody may log on.")
    ends_in_days: int | None = Field(
        description="Whole days until the first valid one ends; null: none ends."
    )
    seats: int
    in_use: int
    options: dict[str, int] = Field(description="Seats of each option that is valid.")
    licences: list[LicenceReply]


class HistoryReply(BaseModel):
    """A page of events, oldest first, causes before effects."""

    events: list[EventReply]
    next: str | None = Field(description="`after` of the next page; null: the last.")


class ChangeReply(BaseModel):
    """Which change, by whom, when and why."""

    id: Id
    origin: OriginName
    kind: str
    actor: str
    reason: str
    time: str | None = Field(description="ISO 8601, UTC, by the writer's clock.")


class ConflictReply(ChangeReply):
    """A change that lost against a concurrent one, and what it wanted."""

    key: str
    value: Any = Field(description="What the entry was to hold; null: a delete.")
    why: str
    winner: ChangeReply
    settled_by: ChangeReply | None = Field(description="null: the conflict is open.")


class ConflictsReply(BaseModel):
    """A page of changes that lost, by their ids."""

    conflicts: list[ConflictReply]
    next: str | None = Field(description="`after` of the next page; null: the last.")


class SwitchReply(BaseModel):
    """What became of a switch."""

    outcome: Literal["done", "ready", "waiting", "cancelled"]
    id: str
    text: str
    active: OriginName | None
    duration_s: float


class Order(BaseModel):
    """Base of the bodies of orders: unknown names and other types are refused."""

    model_config = ConfigDict(extra="forbid", strict=True)


class SwitchOrder(Order):
    """An order to switch; an empty body means now."""

    when: Literal["now", "idle"] = Field("now", description="Idle: no call is active.")
    dry_run: bool = Field(False, description="Only run the pre-checks.")
    reason: str = Field("", description="For the history; else `X-Reason`.")
    wait_s: float = Field(
        3600.0, gt=0, le=7 * 24 * 3600, description="How long to wait for idle."
    )


class ReplicationOrder(Order):
    """An order to switch replication of the pair on or off."""

    enabled: bool


class ResyncOrder(Order):
    """An order to replace the standby's data by the master's."""

    discard: bool = Field(
        False, description="What only the standby has leaves, instead of being kept."
    )
    dry_run: bool = Field(False, description="Only show what would leave.")


class ArchivePlace(BaseModel):
    """An event of a stream."""

    id: Id
    digest: str = Field(description="SHA-256, hexadecimal.")


class ArchivableReply(BaseModel):
    """Which events may leave: those behind `after`, up to `until`."""

    after: dict[OriginName, ArchivePlace]
    until: dict[OriginName, ArchivePlace]


class ArchiveOrder(Order):
    """An order to forget what is in a file."""

    before: str = Field(description="The time that was asked for.")
    file: str = Field(description="The name of the file, for the history.")
    sha256: str = Field(description="Of the file, hexadecimal.")
    streams: dict[str, dict[str, str]] = Field(
        description='Up to where: `{ORIGIN: {"id", "digest"}}`.'
    )


class TakeoverOrder(Order):
    """An order to pause automatic takeover on both nodes, or to resume it."""

    pause_s: float = Field(
        ge=0,
        le=PAUSE_S_MAX,
        description="For how long neither node takes over by itself; 0: resume.",
    )


class BatchOrder(Order):
    """Changes that are stored all or none."""

    put: dict[str, Any] = Field(default_factory=dict)
    delete: list[str] = Field(default_factory=list)


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The documented refusals of a route, on top of those that every route has."""
    shape = {"application/json": {"schema": {"$ref": _ERROR_SHAPE}}}
    replies: dict[int | str, dict[str, Any]] = {
        status: {"content": shape, "description": _WHEN[status]}
        for status in sorted({401, 422, 500, *statuses})
    }
    # The others refer to this one: a model for each status makes a slow start.
    replies[401] = {"model": ErrorReply, "description": _WHEN[401]}
    return replies


_ERROR_SHAPE = "#/components/schemas/ErrorReply"
_WHEN = {
    401: "`not-authorised`: no token, or an unknown one",
    403: "`not-authorised`: the read token, for a change",
    404: "`no-such-entry`, `no-such-conflict`, `no-such-licence` or `no-such-point`",
    409: "`entry-changed`, `not-master` or `refused`",
    413: "`too-large`: the body is over its limit (4 MiB for a batch)",
    422: "`invalid-request`, `invalid-entry`, `invalid-licence` or `invalid-json`",
    500: "`internal-error`: see the node's log",
    503: "`store-unavailable`, `writes-frozen`, `busy` or `stopping`",
    504: "`not-replicated`, `rolled-back` or `switch-failed`",
}


def body(model: type[BaseModel], *, required: bool = True) -> dict[str, Any]:
    """How a body that a route reads by itself is documented."""
    schema = model.model_json_schema()
    content = {"application/json": {"schema": schema}}
    return {"requestBody": {"required": required, "content": content}}


ANY_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "The value itself.",
        "content": {"application/json": {"schema": {}}},
    }
}
