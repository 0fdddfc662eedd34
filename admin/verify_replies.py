"""What a node answers to `verify`, as values. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from admin.errors import ReplyUnclear
from admin.fields import Fields
from admin.json_text import JsonValue
from eventstore import EventId, Head, Origin, Verification


@attrs.frozen(kw_only=True)
class VerifyPage:
    """How far a verification is."""

    pair: str
    copies: Sequence[str]
    now: Verification
    event_count: int
    total_count: int
    problem: str
    next: str | None

    @classmethod
    def from_reply(cls, fields: Fields) -> VerifyPage:
        """Read it from `GET /verify`."""
        try:
            now = Verification.from_value(fields.raw.get("state"))
        except ValueError as error:
            raise ReplyUnclear(f"GET /verify: {error}") from None
        copies = _texts(fields.array("copies"))
        following = fields.text_or_none("next")
        if len(copies) != now.copy_count or now.is_over != (following is None):
            raise ReplyUnclear("GET /verify: its parts do not fit each other")
        return cls(
            pair=fields.text("pair"),
            copies=copies,
            now=now,
            event_count=fields.count("events"),
            total_count=fields.count("total"),
            problem=fields.text("problem", ""),
            next=following,
        )


@attrs.frozen(kw_only=True)
class StoredHeads:
    """Where the streams end, and the digests of the events that were asked for."""

    pair: str
    copies: Sequence[str]
    heads: Mapping[Origin, Head]
    digests: Sequence[Sequence[bytes | None]]

    @classmethod
    def from_reply(cls, fields: Fields, asked_count: int) -> StoredHeads:
        """Read it from `GET /verify/heads`, which was asked for so many events."""
        where = "GET /verify/heads"
        copies = _texts(fields.array("copies"))
        heads = fields.inner("heads")
        try:
            found = cls(
                pair=fields.text("pair"),
                copies=copies,
                heads={
                    Origin(o): _head(heads.inner(o)) for o in ("master", "standby")
                    if o in heads.raw
                },
                digests=[
                    [_digest(d) for d in Fields(at, where).array("digests")]
                    for at in fields.array("at")
                ],
            )  # fmt: skip
        except ValueError:
            raise ReplyUnclear(f"{where}: an id or a digest is none") from None
        counts = [len(copies)] * asked_count
        if [len(digests) for digests in found.digests] != counts:
            raise ReplyUnclear(f"{where}: it tells not of what was asked for")
        return found


def _head(fields: Fields) -> Head:
    return Head(EventId.parse(fields.text("id")), bytes.fromhex(fields.text("digest")))


def _digest(value: JsonValue) -> bytes | None:
    if value is None:
        return None
    return bytes.fromhex(str(value))


def _texts(values: Sequence[JsonValue]) -> list[str]:
    return [str(value) for value in values]
