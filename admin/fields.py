"""Reading fields of a node's reply, with errors that name the field. Pure."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import NoReturn

from admin.errors import ReplyUnclear
from admin.json_text import JsonValue, written_json

_SHOWN_CHARACTER_COUNT_MAX = 60


def shortened(text: str, limit: int = _SHOWN_CHARACTER_COUNT_MAX) -> str:
    """`text`, cut after `limit` characters with a mark that something is missing."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


class Fields:
    """One JSON object of a reply. Each reader raises `ReplyUnclear` for a wrong type."""

    def __init__(self, value: JsonValue, where: str) -> None:
        """Read `value`; `where` names it in errors, such as `GET /status`.

        Raises:
            ReplyUnclear: `value` is not an object.
        """
        if not isinstance(value, dict):
            raise ReplyUnclear(
                f"{where} answered {shortened(written_json(value))}, not an object; "
                "is the URL that of a node?"
            )
        self.raw: Mapping[str, JsonValue] = value
        self._where = where

    def text(self, name: str, default: str | None = None) -> str:
        """A string; `default` if the field is absent."""
        value = self.raw.get(name, default)
        return value if isinstance(value, str) else self._fail(name, "a string")

    def text_or_none(self, name: str) -> str | None:
        """A string, or None if the field is null or absent."""
        return None if self.raw.get(name) is None else self.text(name)

    def bytes(self, name: str) -> bytes:
        """Bytes in base64."""
        text = self.text(name)
        try:
            return base64.b64decode(text, validate=True)
        except ValueError:
            return self._fail(name, "base64")

    def flag(self, name: str, default: bool | None = None) -> bool:
        """True or false."""
        value = self.raw.get(name, default)
        return value if isinstance(value, bool) else self._fail(name, "true or false")

    def flag_or_none(self, name: str) -> bool | None:
        """True or false, or None if the field is null or absent."""
        return None if self.raw.get(name) is None else self.flag(name)

    def count(self, name: str, default: int | None = None) -> int:
        """A whole number, not below 0."""
        value = self.raw.get(name, default)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
        return self._fail(name, "a count")

    def seconds_or_none(self, name: str) -> float | None:
        """A number, or None if the field is null or absent."""
        value = self.raw.get(name)
        if value is None:
            return None
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
        return self._fail(name, "a number of seconds")

    def inner(self, name: str) -> Fields:
        """An object; an absent one reads as empty."""
        return Fields(self.raw.get(name, {}), f"{self._where} {name!r}")

    def inner_or_none(self, name: str) -> Fields | None:
        """An object, or None if the field is null or absent."""
        return None if self.raw.get(name) is None else self.inner(name)

    def array(self, name: str) -> list[JsonValue]:
        """A list."""
        value = self.raw.get(name)
        return value if isinstance(value, list) else self._fail(name, "a list")

    def value(self, name: str) -> JsonValue:
        """Any JSON, but it must be there."""
        return self.raw[name] if name in self.raw else self._fail(name, "a value")

    def _fail(self, name: str, expected: str) -> NoReturn:
        shown = (
            shortened(written_json(self.raw[name])) if name in self.raw else "absent"
        )
        raise ReplyUnclear(
            f"{self._where}: {name!r} is {shown}, not {expected}; is the URL that of a "
            "node, and of a version like this one?"
        )
