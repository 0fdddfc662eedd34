"""What an event says that lets both nodes forget what is in a file. Pure.

It names, for each origin, the last event that leaves. That one stays as well, as the first of
its stream: by it, each Redis and each file tells where the other goes on, and the hash chain
holds over both.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs

from eventstore.event import Event, EventId, JsonValue, Origin
from eventstore.memory import Head

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_TEXT_LENGTH_MAX: Final = 256


@attrs.frozen
class Archived:
    """What was archived, as the event says that lets both nodes forget it."""

    heads: Mapping[Origin, Head]
    """The last event that is, of each origin of which something is."""
    file: str
    """The name of the file that has it, without folder."""
    sha256: str
    """Of that file, in hexadecimal digits."""

    @property
    def cut(self) -> dict[Origin, EventId]:
        """By origin, the last event that is archived."""
        return {origin: head.id for origin, head in self.heads.items()}

    def as_value(self) -> JsonValue:
        return {
            "file": self.file,
            "sha256": self.sha256,
            "streams": {
                str(origin): {"id": str(head.id), "digest": head.digest.hex()}
                for origin, head in self.heads.items()
            },
        }


def archived_of(value: object, origins: Sequence[Origin]) -> Archived | None:
    """What such an event says; None: it does not say that."""
    try:
        return _parsed(value, origins)
    except (KeyError, TypeError, ValueError):
        return None


def _parsed(value: Any, origins: Sequence[Origin]) -> Archived:
    file, sha256 = value["file"], value["sha256"]
    if type(file) is not str or not 0 < len(file) <= _TEXT_LENGTH_MAX:
        raise ValueError("no name of a file")
    _bytes_of(sha256)
    heads = {
        origin: Head(EventId.parse(said["id"]), _bytes_of(said["digest"]))
        for origin in origins
        if (said := value["streams"].get(origin)) is not None
    }
    return Archived(heads, file, sha256)


def _bytes_of(digest: Any) -> bytes:
    if type(digest) is not str or not _DIGEST.fullmatch(digest):
        raise ValueError("no SHA-256")
    return bytes.fromhex(digest)


def newest_archived(
    events: Sequence[Event], origins: Sequence[Origin]
) -> Archived | None:
    """What the last of `events` that is sound says, each of that kind; None: there is none."""
    said = (archived_of(event.value, origins) for event in reversed(events))
    return next((found for found in said if found is not None), None)
