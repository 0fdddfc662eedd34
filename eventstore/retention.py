"""What may leave the streams for a file, and the event that orders it. Pure.

A **cut** names, for each origin, the last event that leaves. That one stays as well, as the
first of its stream: by it, each Redis and each file tells where the other goes on, and the
hash chain holds over both.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import attrs

from eventstore import codec
from eventstore.event import START, Event, EventId, JsonValue, Origin
from eventstore.memory import Head, Stored

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


Read = Callable[[Origin, EventId], Sequence[Stored]]
"""The next events of a stream behind the one named, oldest first; none: it ends there."""


def find_cut(
    read: Read,
    after: Mapping[Origin, EventId],
    limits: Mapping[Origin, EventId],
    *,
    before_ns: int,
) -> dict[Origin, EventId]:
    """By origin, the last event that may be archived; `after` where there is none.

    Up to it, every event was written before `before_ns` (nanoseconds since 1970, by its
    writer's clock), is not beyond `limits`, and knew of the other stream only what is
    archived with it. What is not understood may have known anything, and stays.

    Raises: what `read` raises.
    """
    cut = dict(after)
    waiting = {o: _old(o, read, cut[o], limits[o], before_ns) for o in after}
    following = {origin: next(events, None) for origin, events in waiting.items()}
    while True:
        ready = [
            (origin, event)
            for origin, event in following.items()
            if event is not None
            and all(cut[o] >= event.vector.get(o, START) for o in cut if o != origin)
        ]
        if not ready:
            return cut
        for origin, event in ready:
            cut[origin] = event.id
            following[origin] = next(waiting[origin], None)


def _old(
    origin: Origin, read: Read, after: EventId, limit: EventId, before_ns: int
) -> Iterator[Event]:
    while page := read(origin, after):
        for event_id, blob in page:
            event = codec.readable(origin, event_id, blob)
            if event_id > limit or event is None or event.wall_ns >= before_ns:
                return
            yield event
        after = page[-1][0]
