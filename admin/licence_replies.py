"""What a node answers about licences, as values. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from admin.fields import Fields
from admin.json_text import JsonValue

Raw = Mapping[str, JsonValue]


@attrs.frozen(kw_only=True)
class LicenceTotals:
    """What all licences of a node together are worth now."""

    valid: bool
    reason: str | None
    """Why nobody may log on."""
    ends_in_days: int | None
    """Whole days until the first valid one ends; None: none ends."""
    seats: int
    in_use: int

    @classmethod
    def from_reply(cls, fields: Fields) -> LicenceTotals:
        """Read it from `licences` of `/status`, or from `GET /licences`."""
        ends = fields.raw.get("ends_in_days") is not None
        return cls(
            valid=fields.flag("valid"),
            reason=fields.text_or_none("reason"),
            ends_in_days=fields.count("ends_in_days") if ends else None,
            seats=fields.count("seats"),
            in_use=fields.count("in_use", 0),
        )

    @property
    def text(self) -> str:
        """In one line for people."""
        if not self.valid:
            return f"not valid: {self.reason or 'why unknown'}; {self.in_use} in use"
        text = f"valid, {self.in_use} of {self.seats} seats in use"
        if self.ends_in_days is None:
            return text
        return f"{text}, {self.ends_in_days} days until the first one ends"


@attrs.frozen(kw_only=True)
class InstalledLicence:
    """One licence that is installed."""

    id: str
    valid: bool
    reason: str | None
    """Why it is not valid now."""
    signature: str
    document: Raw

    @classmethod
    def from_reply(cls, fields: Fields) -> InstalledLicence:
        """Read it from an element of `licences` of `GET /licences`."""
        return cls(
            id=fields.text("id"),
            valid=fields.flag("valid"),
            reason=fields.text_or_none("reason"),
            signature=fields.text("signature"),
            document=fields.inner("document").raw,
        )


@attrs.frozen(kw_only=True)
class LicenceList:
    """All that are installed."""

    totals: LicenceTotals
    installed: tuple[InstalledLicence, ...]
    raw: Raw = attrs.field(repr=False)

    @classmethod
    def from_reply(cls, fields: Fields) -> LicenceList:
        """Read it from `GET /licences`."""
        found = (
            Fields(one, "GET /licences 'licences'") for one in fields.array("licences")
        )
        return cls(
            totals=LicenceTotals.from_reply(fields),
            installed=tuple(InstalledLicence.from_reply(one) for one in found),
            raw=fields.raw,
        )
