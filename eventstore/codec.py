"""Event <-> stored bytes. Pure.

The stored form is one msgpack array. Its first two elements have their place in every
version, so that a node can carry on a chain whose events it does not understand:

    [format version, digest of the predecessor, … the rest belongs to the version]

Version 1: `[1, previous, origin, id, kind, key, packed value, actor, reason, wall_ns,
{origin: id}]`, and behind it, only where recovery made the event anew, `[id, digest]` of what it
was. Id and origin are inside the bytes, so the hash chain binds them. The
value is packed on its own, in canonical form: it is stored, hashed and copied as the
same bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

import attrs
import msgpack

from eventstore.errors import DamagedEvent, InvalidEntry
from eventstore.event import (
    ACTOR_BYTES_MAX,
    KEY_BYTES_MAX,
    MS_MAX,
    REASON_BYTES_MAX,
    VALUE_BYTES_MAX,
    VALUE_DEPTH_MAX,
    Event,
    EventId,
    Kind,
    Origin,
    Recovered,
    canonical,
    check_key,
    unpack_value,
)

FORMAT_VERSION: Final = 1
"""What this version writes; it reads that and all older ones.

It is raised for another layout, and for a new kind that changes entries: a node that would
keep such an event without applying it must stand still instead (design D4).
"""
EVENT_BYTES_MAX: Final = VALUE_BYTES_MAX + 4096
"""Limit of a stored event; nothing longer is decoded."""
DIGEST_BYTES: Final = 32
_ORIGIN_COUNT_MAX = 16
_KIND_LENGTH_MAX = 64

NOTHING: Final = msgpack.packb(None)
"""The packed value of an event that carries none."""


@attrs.frozen
class Unknown:
    """A stored event that this version cannot read: kept, copied, not folded."""

    origin: Origin
    id: EventId
    previous: bytes
    digest: bytes
    why: str


def genesis(pair: str, origin: Origin) -> bytes:
    """The predecessor digest of a stream's first event: names the pair and the origin."""
    return hashlib.sha256(f"netphone:{pair}:events:{origin}".encode()).digest()


def digest_of(blob: bytes) -> bytes:
    """The link of the hash chain: SHA-256 of the bytes as they are stored."""
    return hashlib.sha256(blob).digest()


def pack_value(value: object) -> bytes:
    """`value` in canonical bytes.

    Raises:
        InvalidEntry: a part of it cannot be stored, or it is over its limit.
    """
    packed: bytes = msgpack.packb(canonical(value))
    if len(packed) > VALUE_BYTES_MAX:
        raise InvalidEntry(
            f"value has {len(packed)} bytes packed; the limit is {VALUE_BYTES_MAX}"
        )
    return packed


def encode(
    *,
    origin: Origin,
    event_id: EventId,
    kind: str,
    key: str,
    packed: bytes,
    actor: str,
    reason: str,
    wall_ns: int,
    vector: Mapping[Origin, EventId],
    previous: bytes,
    recovered: Recovered | None = None,
) -> bytes:
    """The stored bytes of an event."""
    fields: list[object] = [
        FORMAT_VERSION,
        previous,
        origin,
        str(event_id),
        kind,
        key,
        packed,
        actor,
        reason,
        wall_ns,
        {o: str(vector[o]) for o in sorted(vector)},
    ]
    if recovered is not None:
        fields.append([str(recovered.id), recovered.digest])
    blob: bytes = msgpack.packb(fields)
    return blob


def encode_event(event: Event) -> bytes:
    """The stored bytes of `event`, as this version writes them; its `digest` says nothing.

    Of an event that was read they are the same ones if a node of this version wrote it.
    """
    return encode(
        origin=event.origin,
        event_id=event.id,
        kind=event.kind,
        key=event.key,
        packed=event.packed,
        actor=event.actor,
        reason=event.reason,
        wall_ns=event.wall_ns,
        vector=event.vector,
        previous=event.previous,
        recovered=event.recovered,
    )


def decode(origin: Origin, event_id: EventId, blob: bytes) -> Event | Unknown:
    """The event in `blob`, found in the stream of `origin` under `event_id`.

    Raises:
        DamagedEvent: not even the two elements that every version has are there.
    """
    fields = _unpack_envelope(event_id, blob)
    digest = digest_of(blob)
    version = fields[0] if type(fields[0]) is int else None
    decode_version = _DECODERS.get(version)
    if decode_version is not None:
        try:
            return decode_version(origin, event_id, fields, digest)
        except _UNREADABLE as error:
            why = f"damaged: {_text(error)}"
    else:
        why = f"format version {version}"
    return Unknown(origin, event_id, fields[1], digest, why)


def readable(origin: Origin, event_id: EventId, blob: bytes) -> Event | None:
    """The event in `blob`; None: this version does not understand it, or it is none."""
    try:
        event = decode(origin, event_id, blob)
    except DamagedEvent:
        return None
    return event if isinstance(event, Event) else None


def written_ns(event_id: EventId, blob: bytes) -> int | None:
    """Wall clock of the writer of the event in `blob`, which is not checked any further.

    None: this version does not find it there. Many times as fast as `decode`.

    Raises:
        DamagedEvent: as `decode`.
    """
    fields = _unpack_envelope(event_id, blob)
    is_known = type(fields[0]) is int and fields[0] in _DECODERS
    found = (
        fields[_WALL_NS_PLACE] if is_known and len(fields) > _WALL_NS_PLACE else None
    )
    return found if type(found) is int else None


_WALL_NS_PLACE = 9
"""In version 1."""
_KEYED = frozenset(
    {
        Kind.ENTRY_PUT,
        Kind.ENTRY_DELETED,
        Kind.LICENCE_INSTALLED,
        Kind.LICENCE_REMOVED,
    }
)

_UNREADABLE = (
    # Whatever the bytes, msgpack and the checks below raise one of these.
    ValueError,
    TypeError,
    OverflowError,
    UnicodeDecodeError,
    RecursionError,
    InvalidEntry,
    msgpack.exceptions.UnpackException,
)


def _text(error: Exception) -> str:
    return str(error) or type(error).__name__  # Some of msgpack's say nothing.


def _unpack_envelope(event_id: EventId, blob: bytes) -> list[Any]:
    if len(blob) > EVENT_BYTES_MAX:
        raise DamagedEvent(
            f"event {event_id} has {len(blob)} bytes; the limit is {EVENT_BYTES_MAX}"
        )
    try:
        fields = msgpack.unpackb(blob)
    except _UNREADABLE as error:
        raise DamagedEvent(f"event {event_id} is not msgpack: {_text(error)}") from None
    if (
        type(fields) is not list
        or len(fields) < 2
        or type(fields[1]) is not bytes
        or len(fields[1]) != DIGEST_BYTES
    ):
        raise DamagedEvent(f"event {event_id} is not an event of any version")
    return fields


def _decode_version_1(
    origin: Origin, event_id: EventId, fields: list[Any], digest: bytes
) -> Event:
    recovered = _decode_recovered(fields.pop()) if len(fields) == 12 else None
    (_, previous, own, stored_id, kind, key, packed, actor, reason, wall_ns, stored) = (
        fields
    )
    if own != origin or stored_id != str(event_id):
        raise ValueError(f"it says it is {stored_id!r} of {own!r}"[:100])
    if not (
        type(kind) is type(key) is type(actor) is type(reason) is str
        and len(kind) <= _KIND_LENGTH_MAX
        and len(key) <= KEY_BYTES_MAX
        and len(actor) <= ACTOR_BYTES_MAX
        and len(reason) <= REASON_BYTES_MAX
    ):
        raise ValueError("a text is none, or over its limit")
    if kind in _KEYED:
        check_key(key)  # What could not be changed here must not become an entry.
    if type(packed) is not bytes or len(packed) > VALUE_BYTES_MAX:
        raise ValueError("its value is none, or over its limit")
    _check_value(packed)
    if type(wall_ns) is not int or type(stored) is not dict:
        raise ValueError("its time or vector is none")
    if len(stored) > _ORIGIN_COUNT_MAX:
        raise ValueError(f"its vector has {len(stored)} origins")
    vector = {}
    for name, text in stored.items():
        if type(name) is not str:
            raise ValueError("its vector has an origin that is no text")
        seen = event_id if text == stored_id else _parsed(text)
        if seen.ms > MS_MAX:
            # Nothing could ever be behind it: it would override the peer's changes for ever.
            raise ValueError("its vector has an id from beyond the year 9999")
        vector[Origin(name)] = seen
    if vector.get(origin) != event_id:
        raise ValueError("its vector does not hold its own id")
    return Event(
        origin, event_id, kind, key, packed, actor, reason, wall_ns, vector,
        previous, digest, recovered,
    )  # fmt: skip


def _decode_recovered(stored: Any) -> Recovered:
    if type(stored) is not list or len(stored) != 2:
        raise ValueError("what it was is no pair")
    text, digest = stored
    if type(text) is not str or type(digest) is not bytes:
        raise ValueError("what it was is no id and digest")
    if len(digest) != DIGEST_BYTES:
        raise ValueError("the digest of what it was has another length")
    return Recovered(EventId.parse(text), digest)


_parsed = lru_cache(maxsize=64)(EventId.parse)
"""What a writer knew of the other stream is the same in many events, one after the other."""


def _check_value(packed: bytes) -> None:
    if is_surely_canonical(packed):
        return
    if msgpack.packb(canonical(unpack_value(packed))) != packed:
        raise ValueError("its value is not in canonical form")


def is_surely_canonical(packed: bytes) -> bool:
    """Whether `packed` is what `pack_value` gives; False: that needs a closer look.

    Takes no value that the closer look would refuse, and most that it would take, several
    times as fast: of what has no floats, no bytes and not many parts nested, only the order
    of names and the form of each part are to be looked at.
    """
    telling = packed.translate(None, _SCALAR_BYTES)
    if (
        len(packed) > VALUE_BYTES_MAX
        or len(telling) > VALUE_DEPTH_MAX  # So nothing is nested deeper.
        or telling.translate(None, _BRACKETS)
    ):
        return False
    try:
        value = msgpack.unpackb(packed, object_hook=_in_order)
    except Exception:  # noqa: BLE001  the closer look tells which of the many
        return False
    packed_again: bytes = msgpack.packb(value)
    return packed_again == packed


def _in_order(part: dict[str, object]) -> dict[str, object]:
    if [*part] != sorted(part):
        raise ValueError("its names are not sorted")
    return part


_BRACKETS: Final = bytes(range(0x80, 0xA0))
"""Each object or list of fewer than 16 parts begins with one of these."""
_CLOSER_LOOK: Final = bytes(
    [0xC1, *range(0xC4, 0xCC), *range(0xD4, 0xD9), *range(0xDA, 0xE0)]
)
"""One of these is in all that has bytes, a float, an extension, a text of 256 bytes or more
(a name must be shorter), or 16 parts or more in one list or object.
"""
_SCALAR_BYTES: Final = bytes({*range(256)} - {*_BRACKETS} - {*_CLOSER_LOOK})


_DECODERS: Mapping[int | None, Callable[[Origin, EventId, list[Any], bytes], Event]] = {
    1: _decode_version_1
}
"""By format version; none is ever taken out."""
