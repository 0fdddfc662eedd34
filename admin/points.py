"""A point of the past, as people name it: a time, or a vector. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import attrs

from admin.errors import UsageProblem
from admin.fields import shortened
from eventstore import NoSuchPoint, Until, parse_vector

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@attrs.frozen
class Point:
    """The same point for a node and for `eventstore`."""

    text: str | None
    """As a node takes it; None: now."""
    until: Until


NOW = Point(None, None)


def parsed_point(option: str, text: str | None) -> Point:
    """The point that `text` names; None: now.

    A time without a zone is UTC, as history shows times, and counts to the end of its
    microsecond: the time that is shown of an event is the point just behind it.

    Raises:
        UsageProblem: it names none.
    """
    if text is None:
        return NOW
    if "=" in text:
        try:
            return Point(text, parse_vector(text))
        except NoSuchPoint as error:
            raise UsageProblem(f"{option}: {error}") from None
    # A date without separators has 8 digits; as milliseconds it would be in 1970.
    if text.isascii() and text.isdigit() and 8 < len(text) <= 15:
        return Point(text, int(text) * 1_000_000 + 999_999)
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise UsageProblem(
            f"{option} is {shortened(text)!r}; give a time such as 2026-01-31T10:00 (UTC), "
            "milliseconds since 1970, or a vector such as master=ID,standby=ID"
        ) from None
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=UTC)
    until_ns = (instant - _EPOCH) // timedelta(microseconds=1) * 1000 + 999
    return Point(instant.isoformat(), until_ns)
