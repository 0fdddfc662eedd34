"""What was, who made it so and why, as values; from a node or from a Redis. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import attrs

from admin.fields import Fields
from admin.json_text import JsonValue
from admin.replies import Raw


@attrs.frozen(kw_only=True)
class Change:
    """Which change, to what, by whom, when and why."""

    id: str
    origin: str
    kind: str
    value: JsonValue = attrs.field(repr=False)
    actor: str
    reason: str
    time: str

    @classmethod
    def from_reply(cls, fields: Fields) -> Change:
        """Read it from any change of `/replay`, `/diff`, `/blame` or `/explain`."""
        return cls(
            id=fields.text("id"),
            origin=fields.text("origin"),
            kind=fields.text("kind"),
            value=fields.raw.get("value"),
            actor=fields.text_or_none("actor") or "",
            reason=fields.text_or_none("reason") or "",
            time=fields.text_or_none("time") or "",
        )

    @classmethod
    def from_part(cls, fields: Fields, name: str) -> Change | None:
        """Read it from the field `name`; None: it is null or absent."""
        part = fields.inner_or_none(name)
        return None if part is None else cls.from_reply(part)

    @property
    def deletes(self) -> bool:
        return self.kind == "entry-deleted"


@attrs.frozen(kw_only=True)
class Difference:
    """What became of one entry."""

    key: str
    before: Change | None
    after: Change | None
    event: Change
    """What made it so."""
    raw: Raw = attrs.field(repr=False)

    @classmethod
    def from_reply(cls, fields: Fields) -> Difference:
        """Read it from an element of `differences` of `GET /diff`."""
        return cls(
            key=fields.text("key"),
            before=Change.from_part(fields, "before"),
            after=Change.from_part(fields, "after"),
            event=Change.from_reply(fields.inner("event")),
            raw=fields.raw,
        )


@attrs.frozen(kw_only=True)
class Changed:
    """A change of an entry, and what it replaced."""

    change: Change
    before: Change | None
    overridden_by: str | None

    @classmethod
    def from_reply(cls, fields: Fields) -> Changed:
        """Read it from an element of `changes` of `GET /blame`."""
        return cls(
            change=Change.from_reply(fields),
            before=Change.from_part(fields, "before"),
            overridden_by=fields.text_or_none("overridden_by"),
        )


@attrs.frozen(kw_only=True)
class Blame:
    """How an entry came to be what it is."""

    standing: Change | None
    fields: Mapping[str, Change]
    """Of an object, the change that last set each field; without its value."""
    changes: tuple[Changed, ...]
    """Newest first."""
    more: bool
    raw: Raw = attrs.field(repr=False)

    @classmethod
    def from_reply(cls, fields: Fields) -> Blame:
        """Read it from `GET /blame`."""
        named = fields.inner("fields")
        return cls(
            standing=Change.from_part(fields, "standing"),
            fields={n: Change.from_reply(named.inner(n)) for n in named.raw},
            changes=tuple(map(Changed.from_reply, parts(fields, "changes"))),
            more=fields.flag("more"),
            raw=fields.raw,
        )


@attrs.frozen(kw_only=True)
class Rival:
    """A change that competes for an entry."""

    change: Change
    vector: Mapping[str, JsonValue]
    """What its writer knew."""

    @classmethod
    def from_reply(cls, fields: Fields) -> Rival:
        """Read it from an element of `rivals` of `GET /explain`."""
        vector = fields.inner("vector").raw
        return cls(change=Change.from_reply(fields), vector=vector)


@attrs.frozen(kw_only=True)
class Explanation:
    """Why an entry is what it is."""

    standing: Change | None
    why: str
    rivals: tuple[Rival, ...]
    is_conflict: bool
    raw: Raw = attrs.field(repr=False)

    @classmethod
    def from_reply(cls, fields: Fields) -> Explanation:
        """Read it from `GET /explain`."""
        return cls(
            standing=Change.from_part(fields, "standing"),
            why=fields.text("why"),
            rivals=tuple(map(Rival.from_reply, parts(fields, "rivals"))),
            is_conflict=fields.flag("is_conflict"),
            raw=fields.raw,
        )


def parts(fields: Fields, name: str) -> Iterator[Fields]:
    """The objects in the list `name`."""
    for part in fields.array(name):
        yield Fields(part, f"an element of {name!r}")
