"""A point of the past, as people name it: a time, or a vector. Pure."""

from __future__ import annotations

import attrs

from admin.errors import UsageProblem
from admin.fields import shortened
from eventstore import NoSuchPoint, Until, parse_point


@attrs.frozen
class Point:
    """The same point for a node and for `eventstore`."""

    text: str | None
    """As a node takes it; None: now."""
    until: Until


NOW = Point(None, None)


def parsed_point(option: str, text: str | None) -> Point:
    """The point that `text` names; None: now.

    Raises:
        UsageProblem: it names none.
    """
    if text is None:
        return NOW
    try:
        return Point(text, parse_point(text))
    except NoSuchPoint as error:
        raise UsageProblem(f"{option}: {error}") from None
    except ValueError:
        raise UsageProblem(
            f"{option} is {shortened(text)!r}; give a time such as 2026-01-31T10:00 (UTC), "
            "milliseconds since 1970, or a vector such as master=ID,standby=ID"
        ) from None
