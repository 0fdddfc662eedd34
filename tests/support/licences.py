"""Licences for tests: documents, signed or not, and the events that install them."""

from __future__ import annotations

from eventstore import (
    LICENCES,
    Event,
    JsonValue,
    Kind,
    PrivateKey,
    sign_licence,
)
from tests.support.histories import MASTER, Writer

KEY = PrivateKey.new()
OTHER_KEY = PrivateKey.new()

DAY_NS = 24 * 3600 * 1_000_000_000
NOW_NS = 1_767_225_600_000_000_000
"""The begin of the year 2026."""


def document(licence_id: str = "L-1", **changes: JsonValue) -> dict[str, JsonValue]:
    """One without a signature; a change to None takes the field away."""
    fields: dict[str, JsonValue] = {
        "id": licence_id,
        "product": "netphone-standby",
        "holder": "Example Ltd",
        "seats": 50,
        "issued": "2025-12-01",
        **changes,
    }
    return {name: value for name, value in fields.items() if value is not None}


def signed(
    licence_id: str = "L-1", key: PrivateKey = KEY, **changes: JsonValue
) -> dict[str, JsonValue]:
    return sign_licence(document(licence_id, **changes), key)


def events_of(*documents: dict[str, JsonValue]) -> list[Event]:
    """The events of a master that installed these."""
    writer = Writer(MASTER)
    return [
        writer.write(Kind.LICENCE_INSTALLED, f"{LICENCES}{found['id']}", found)
        for found in documents
    ]
