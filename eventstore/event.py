"""What is stored: events, their ids, and the limits of what they may carry. Pure.

An event is an immutable fact: one entry of a Redis stream, made by one origin. Its id
is the Redis entry id `<ms>-<n>`: `n` counts the events of the origin from 1 without
gaps, so a missing event shows; `ms` never decreases, so events sort roughly by time.
Nothing is ever decided by `ms` (design D6).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple, NewType

import attrs
import msgpack

from eventstore.errors import InvalidEntry

Origin = NewType("Origin", str)
"""The role in whose stream an event is: `master` or `standby` for this product."""

JsonValue = None | bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"]

LICENCES = "licences/"
"""Begin of the key of an event of a licence; its id follows. No entry is put there."""

KEY_BYTES_MAX = 256
VALUE_BYTES_MAX = 64 * 1024
"""Limit of a packed value, in bytes."""
VALUE_DEPTH_MAX = 32
ACTOR_BYTES_MAX = 256
REASON_BYTES_MAX = 1024

MS_MAX = 253_402_300_799_999
"""The end of the year 9999, in milliseconds since 1970; no event is later."""

_U64_MAX = 2**64 - 1
_INT_MIN, _INT_MAX = -(2**63), _U64_MAX
_ID = re.compile(r"(0|[1-9][0-9]{0,19})-(0|[1-9][0-9]{0,19})")


class EventId(NamedTuple):
    """`<ms>-<n>`; ordered as Redis orders stream entries. Each part fits 64 bits."""

    ms: int
    """Milliseconds since 1970, by the writer's wall clock but never decreasing."""
    n: int
    """Position in the origin's history, from 1."""

    @classmethod
    def parse(cls, text: str) -> EventId:
        """The id that `str()` gave.

        Raises:
            ValueError: `text` is not `<ms>-<n>` of two unsigned 64-bit integers.
        """
        found = _ID.fullmatch(text)
        if found is None:
            raise ValueError(
                f"{text[:50]!r} is not an event id such as 1767225600000-42"
            )
        ms, n = map(int, found.groups())
        if ms > _U64_MAX or n > _U64_MAX:
            raise ValueError(f"{text!r} is over the 64 bits of an event id")
        return cls(ms, n)

    def __str__(self) -> str:
        return f"{self.ms}-{self.n}"


START = EventId(0, 0)
"""Before the first event of a stream."""


class Kind(StrEnum):
    """Stored names of what happened. They are for ever: never rename one."""

    ENTRY_PUT = "entry-put"
    ENTRY_DELETED = "entry-deleted"
    STATE_CHANGED = "state-changed"
    STREAM_OPENED = "stream-opened"
    REPLICATION_CHANGED = "replication-changed"
    TAKEOVER_CHANGED = "takeover-changed"
    BOTH_ACTIVE = "both-active"
    LICENCES_LAPSED = "licences-lapsed"
    LICENCES_RESTORED = "licences-restored"
    STREAM_RECOVERED = "stream-recovered"
    RESYNCHRONISED = "resynchronised"
    HISTORY_ARCHIVED = "history-archived"
    LICENCE_INSTALLED = "licence-installed"
    LICENCE_REMOVED = "licence-removed"


@attrs.frozen
class Recovered:
    """What an event was before recovery appended it anew (D9)."""

    id: EventId
    digest: bytes


@attrs.frozen
class Event:
    """A stored fact. Equal events have equal bytes."""

    origin: Origin
    id: EventId
    kind: str
    """A `Kind`, or a name from a later version, kept as it is."""
    key: str
    """`collection/name` of an entry, `licences/ID` of a licence; else empty."""
    packed: bytes
    """The value, as msgpack in canonical form."""
    actor: str
    reason: str
    wall_ns: int
    """Wall clock of the writer, in nanoseconds since 1970. For people, never for order.
    """
    vector: Mapping[Origin, EventId]
    """Newest event of each origin that the writer had applied; the own component is
    `id`.
    """
    previous: bytes
    """SHA-256 of the predecessor in the same stream."""
    digest: bytes
    """SHA-256 of this event's stored bytes, id and origin among them."""
    recovered: Recovered | None = None
    """Set where recovery made this event anew behind what its writer had lost: what it was.
    The foreign part of its vector is still what the writer knew.
    """

    @property
    def value(self) -> JsonValue:
        """The value, made anew at each access, so nobody shares it."""
        return unpack_value(self.packed)

    def covers(self, origin: Origin, event_id: EventId) -> bool:
        """Whether the writer had applied `event_id` of `origin`: it happened before."""
        return self.vector.get(origin, START) >= event_id


def unpack_value(packed: bytes) -> JsonValue:
    """The value behind `packed`."""
    value: JsonValue = msgpack.unpackb(packed)
    return value


@attrs.frozen
class Put:
    """An order: let the entry `key` hold `value`."""

    key: str
    value: JsonValue


@attrs.frozen
class Delete:
    """An order: let there be no entry `key`."""

    key: str


Change = Put | Delete


def check_key(key: object) -> str:
    """`key`, if it may name an entry: `collection/name`, at most 256 bytes of UTF-8.

    Raises:
        InvalidEntry: it may not; the message says why.
    """
    text = check_text("key", key, KEY_BYTES_MAX)
    collection, slash, name = text.partition("/")
    if not (collection and slash and name):
        raise InvalidEntry(f"key {text!r} is not of the form collection/name")
    if not text.isprintable():
        unprintable = next(c for c in text if not c.isprintable())
        raise InvalidEntry(f"key {text!r} has the control character {unprintable!r}")
    return text


def check_text(name: str, text: object, bytes_max: int) -> str:
    """`text`, if it is a string of at most `bytes_max` bytes of UTF-8.

    Raises:
        InvalidEntry: it is not; the message starts with `name`.
    """
    if type(text) is not str:
        raise InvalidEntry(f"{name} is {_type_name(text)}, not a string")
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise InvalidEntry(
            f"{name} has half of a surrogate pair, which UTF-8 cannot carry"
        ) from None
    if size > bytes_max:
        raise InvalidEntry(
            f"{name} {text[:40]!r}… has {size} bytes; the limit is {bytes_max}"
        )
    return text


def canonical(value: object) -> JsonValue:
    """A copy of `value` with sorted keys, so that equal values give equal bytes.

    Exact JSON types only: a subclass, a tuple or bytes would come back as something
    else. Stops as soon as the value must be over its limit, however large it is.

    Raises:
        InvalidEntry: a part cannot be stored; the message gives its path.
    """
    return _Canonical().copy(value, "value", 0)


class _Canonical:
    """One walk through a value, with what is left of its size."""

    def __init__(self) -> None:
        self._left_bytes = VALUE_BYTES_MAX

    def copy(self, value: object, path: str, depth: int) -> JsonValue:
        if depth > VALUE_DEPTH_MAX:
            raise InvalidEntry(f"{path[:80]} is nested deeper than {VALUE_DEPTH_MAX}")
        self._spend(1)  # Nothing takes less, packed.
        if value is None or type(value) is bool:
            return value
        if type(value) is str:
            text = check_text(path, value, VALUE_BYTES_MAX)
            self._spend(len(text))
            return text
        if type(value) is int:
            if not _INT_MIN <= value <= _INT_MAX:
                raise InvalidEntry(f"{path} is an integer beyond 64 bits")
            return value
        if type(value) is float:
            if not math.isfinite(value):
                raise InvalidEntry(f"{path} is {value}, which JSON cannot carry")
            return value
        if type(value) is list:
            return [
                self.copy(part, f"{path}[{i}]", depth + 1)
                for i, part in enumerate(value)
            ]
        if type(value) is dict:
            return self._copy_object(value, path, depth)
        raise InvalidEntry(
            f"{path} is {_type_name(value)}; a value is made of null, true, false, "
            "numbers, strings, lists and objects"
        )

    def _copy_object(
        self, value: dict[object, object], path: str, depth: int
    ) -> dict[str, JsonValue]:
        names = []
        for name in value:
            names.append(check_text(f"a name in {path}", name, KEY_BYTES_MAX))
            self._spend(len(names[-1]))
        return {
            name: self.copy(value[name], f"{path}.{name}", depth + 1)
            for name in sorted(names)
        }

    def _spend(self, count: int) -> None:
        self._left_bytes -= count
        if self._left_bytes < 0:
            raise InvalidEntry(
                f"value has more than {VALUE_BYTES_MAX} bytes packed, the limit"
            )


def _type_name(value: object) -> str:
    name = type(value).__name__
    return f"an {name}" if name.startswith(tuple("aeiou")) else f"a {name}"
