"""The shapes of `/replay`, `/diff`, `/blame` and `/explain` in `/openapi.json`."""

from typing import Any

from pydantic import BaseModel, Field

from node.http_api.replies import ChangeReply, Id, OriginName

Cut = Field(description="The point as a vector: the last event of each origin.")


class ValueReply(ChangeReply):
    """A change, and what it made of the entry."""

    value: Any = Field(description="null: a delete, or the value null.")


class SeenReply(ValueReply):
    """The same, with what its writer knew."""

    vector: dict[str, Id]


class ReplayReply(BaseModel):
    """A page of entries as they were, in the order of their keys."""

    at: dict[OriginName, Id] = Cut
    entries: dict[str, ValueReply]
    next: str | None = Field(description="`after` of the next page; null: the last.")


class DifferenceReply(BaseModel):
    """One entry at two points."""

    key: str
    before: ValueReply | None = Field(description="null: there was none.")
    after: ValueReply | None
    event: ValueReply = Field(description="What made it so, a delete too.")


class DiffReply(BaseModel):
    """A page of differences, in the order of their keys."""

    from_: dict[OriginName, Id] = Field(alias="from")
    to: dict[OriginName, Id] = Cut
    differences: list[DifferenceReply]
    next: str | None = Field(description="`after` of the next page; null: the last.")


class PlaceReply(BaseModel):
    """Which event of which stream."""

    origin: OriginName
    id: Id


class BlamedReply(SeenReply):
    """A change of an entry."""

    before: ValueReply | None = Field(
        description="What it replaced, where it was made; null: nothing."
    )
    overridden_by: str | None = Field(
        description="The concurrent change of the master that it lost to."
    )
    settled_by: PlaceReply | None = Field(
        description="The next change that knew of that; null: none, or it did not lose."
    )


class BlameReply(BaseModel):
    """How an entry came to be what it is."""

    key: str
    standing: ValueReply | None = Field(description="null: the key never occurs.")
    fields: dict[str, ChangeReply] = Field(
        description="For an object: the change that last set each field."
    )
    change_count: int
    changes: list[BlamedReply] = Field(description="Newest first.")
    more: bool = Field(
        description="Whether there are older ones: ask with `until` a vector of these."
    )


class ExplanationReply(BaseModel):
    """Which changes compete for an entry, and why which one stands."""

    key: str
    standing: ValueReply | None = Field(description="null: the key never occurs.")
    why: str
    rivals: list[SeenReply] = Field(description="The newest change of each origin.")
    covered: str | None = Field(
        description="The highest id of the master that a change of the standby had seen."
    )
    covered_by: str | None = Field(description="The change of the standby that had.")
    loser: ChangeReply | None
    is_conflict: bool = Field(
        description="Whether the one that stands was made without knowing the other."
    )
