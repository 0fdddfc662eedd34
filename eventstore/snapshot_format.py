"""What memory is at one moment <-> the parts of a snapshot. Pure.

A snapshot is a list of parts of at most `PART_BYTES_MAX` each, so that packing or unpacking
one never holds up the process for long. Each is a msgpack array `[tag, content]`:

    ["head", [rules, pair, prevailing, [[origin, id, digest], …], unknown count]]
    ["keys", [[event or nil, event or nil, covered id], …]]    any number
    ["remembered", [[origin, id, bytes], …]]                       any number
    ["end", SHA-256 of all parts before it]

An event of a key is `[id, bytes]`: the prevailing origin's newest, then the other one's, with
the bytes that the stream has. So they are decoded by `codec` like any stored event, within
its limits.

A snapshot is only a shortcut, and is taken for true only if folding would give the same. That
is so if it was made by the same rules for the same pair, and if both of its heads are in the
streams, by id and digest. A head names by the hash chain every event before it: a stream that
has it has all that was folded into the snapshot, in that order. What a recovery, a resync or
an older Redis took away is before no head that is still there; so a snapshot from before
that fits only if nothing of it left, and whatever came since is folded on top. The hash at
the end finds accidents, not a forger, who could as well write events.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import msgpack

from eventstore import codec
from eventstore.codec import FORMAT_VERSION, Unknown
from eventstore.configuration import FOLD_VERSION, Rivals
from eventstore.errors import EventStoreError
from eventstore.event import Event, EventId, Kind, Origin
from eventstore.memory import KINDS, RECENT_COUNT_MAX, Head, Image, is_remembered

LAYOUT_VERSION: Final = 1
PART_BYTES_MAX: Final = 1024 * 1024
"""A part has less; nothing longer is decoded."""
_FILL_BYTES_MAX: Final = PART_BYTES_MAX - 2 * codec.EVENT_BYTES_MAX - 1024
"""A part that has more takes no further record."""
_RULES: Final = [
    LAYOUT_VERSION,
    FOLD_VERSION,
    FORMAT_VERSION,
    RECENT_COUNT_MAX,
    sorted(KINDS),
]
"""What decides what the same events leave in memory: also which kinds are remembered."""
_SHOWN_MAX: Final = 200
"""So much of what is in it comes into the log."""

_ENTRY_KINDS = (Kind.ENTRY_PUT, Kind.ENTRY_DELETED)
_UNREADABLE = (
    # Whatever the bytes, msgpack, the codec and the checks below raise one of these.
    ValueError,
    TypeError,
    OverflowError,
    RecursionError,
    EventStoreError,
    msgpack.exceptions.UnpackException,
)

BytesOf = Callable[[Event], bytes]
"""Gives the stored bytes of an event."""


class SnapshotUnfit(Exception):
    """Why a snapshot is of no use: it is not read any further, and all is folded anew."""


def parts_of(
    image: Image, *, pair: str, prevailing: Origin, bytes_of: BytesOf
) -> Iterator[bytes]:
    """The parts of a snapshot of `image`, in order."""
    hashed = hashlib.sha256()
    for part in _parts_of(image, pair, prevailing, bytes_of):
        hashed.update(part)
        yield part
    yield _part("end", [msgpack.packb(hashed.digest())])


def _parts_of(
    image: Image, pair: str, prevailing: Origin, bytes_of: BytesOf
) -> Iterator[bytes]:
    heads = [[o, str(head.id), head.digest] for o, head in sorted(image.heads.items())]
    head = [_RULES, pair, prevailing, heads, image.unknown_count]
    yield _part("head", [msgpack.packb(head)])

    def named(event: Event | None) -> list[object] | None:
        return None if event is None else [str(event.id), bytes_of(event)]

    yield from _filled(
        "keys",
        ([named(r.prevailing), named(r.other), str(r.covered)] for r in image.rivals.values()),
    )  # fmt: skip
    yield from _filled(
        "remembered", ([e.origin, str(e.id), bytes_of(e)] for e in image.remembered)
    )


def _filled(tag: str, records: Iterable[Sequence[object]]) -> Iterator[bytes]:
    """`records` in as few parts as they fit."""
    packed, size = list[bytes](), 0
    for record in records:
        packed.append(msgpack.packb(record))
        size += len(packed[-1])
        if size > _FILL_BYTES_MAX:
            yield _part(tag, packed, many=True)
            packed, size = [], 0
    if packed:
        yield _part(tag, packed, many=True)


def _part(tag: str, packed: Sequence[bytes], *, many: bool = False) -> bytes:
    packer = msgpack.Packer()
    begin = packer.pack_array_header(2) + packer.pack(tag)
    if many:
        begin += packer.pack_array_header(len(packed))
    return b"".join([begin, *packed])


def image_of(
    parts: Iterable[bytes],
    *,
    pair: str,
    prevailing: Origin,
    check: Callable[[Mapping[Origin, Head]], None],
    irreplaceable: bool = False,
) -> Image | None:
    """What memory was when the snapshot of these parts was made; None: there are none.

    `check` gets its heads before all else is read, and raises what speaks against them.
    `irreplaceable`: what it was made of is not there to be folded again, so another version
    that folds alike may have made it, which remembered other events that concern no entry.

    Raises:
        SnapshotUnfit: it was made by other rules or for another pair, or it is damaged.
        Else what `check` and reading the parts raise.
    """
    reader: _Reader | None = None
    for part in parts:
        if reader is None:
            reader = _Reader(_content(part, "head"), pair, prevailing, irreplaceable)
            check(reader.heads)
        reader.take(part)
    return None if reader is None else reader.image()


class _Reader:
    """Takes one part after the other."""

    def __init__(
        self, head: Any, pair: str, prevailing: Origin, irreplaceable: bool
    ) -> None:
        self._irreplaceable = irreplaceable
        with _decoding():
            rules, of_pair, of_prevailing, heads, self._unknown_count = head
            if rules != _RULES and not (irreplaceable and _folds_alike(rules)):
                raise SnapshotUnfit("it was made by another version of this software")
            if (of_pair, of_prevailing) != (pair, prevailing):
                found = f"{of_pair!r}, {of_prevailing!r}"
                raise SnapshotUnfit(f"it is of pair {found[:_SHOWN_MAX]}")
            if type(self._unknown_count) is not int:
                raise ValueError("its count is no number")
            self.heads = {_origin(o): _head(i, digest) for o, i, digest in heads}
        self._prevailing = prevailing
        self._others = [o for o in self.heads if o != prevailing]
        self._rivals: dict[str, Rivals] = {}
        self._remembered: list[Event] = []
        self._hashed = hashlib.sha256()
        self._ended = False

    def take(self, part: bytes) -> None:
        tag, content = _unpacked(part)
        if self._ended:
            raise SnapshotUnfit("it goes on behind its end")
        with _decoding():
            match tag:
                case "head":
                    pass  # The first one was read already, and the hash binds the rest.
                case "keys":
                    for record in content:
                        self._add(*record)
                case "remembered":
                    for origin, text, blob in content:
                        self._add_remembered(_event(_origin(origin), text, blob))
                case "end":
                    self._ended = True
                    if content != self._hashed.digest():
                        raise SnapshotUnfit("its hash does not fit")
                case _:
                    raise ValueError("a part of it is of no known kind")
        self._hashed.update(part)

    def _add(self, prevailing: Any, other: Any, covered: Any) -> None:
        (other_origin,) = self._others
        rivals = Rivals(
            None if prevailing is None else _event(self._prevailing, *prevailing),
            None if other is None else _event(other_origin, *other),
            EventId.parse(covered),
        )
        events = [e for e in (rivals.prevailing, rivals.other) if e is not None]
        if not events:
            raise ValueError("an entry of it has no change")
        key = events[0].key
        if any(e.key != key or e.kind not in _ENTRY_KINDS for e in events):
            raise ValueError(f"event {events[0].id} is no change of its entry")
        self._rivals[key] = rivals

    def _add_remembered(self, event: Event) -> None:
        if is_remembered(event):
            self._remembered.append(event)
        elif not self._irreplaceable:
            raise ValueError(f"event {event.id} is not remembered")

    def image(self) -> Image:
        if not self._ended:
            raise SnapshotUnfit("its end is missing")
        return Image(self.heads, self._unknown_count, self._rivals, self._remembered)


def _folds_alike(rules: Any) -> bool:
    """Whether the entries are the same by these rules, and their events can be read."""
    layout, fold, version, *_ = rules
    return (layout, fold) == (
        LAYOUT_VERSION,
        FOLD_VERSION,
    ) and version <= FORMAT_VERSION


@contextmanager
def _decoding() -> Iterator[None]:
    """Turns whatever decoding raises into the one answer."""
    try:
        yield
    except _UNREADABLE as error:
        text = str(error) or type(error).__name__
        raise SnapshotUnfit(f"it is damaged: {text[:_SHOWN_MAX]}") from error


def _unpacked(part: bytes) -> tuple[Any, Any]:
    with _decoding():
        if len(part) > PART_BYTES_MAX:
            raise ValueError(
                f"a part has {len(part)} bytes; the limit is {PART_BYTES_MAX}"
            )
        tag, content = msgpack.unpackb(part, max_map_len=0, max_ext_len=0)
        return tag, content


def _content(part: bytes, tag: str) -> Any:
    found, content = _unpacked(part)
    if found != tag:
        raise SnapshotUnfit("it is damaged: its beginning is missing")
    return content


def _head(text: Any, digest: Any) -> Head:
    if type(digest) is not bytes or len(digest) != codec.DIGEST_BYTES:
        raise ValueError("a head has no digest")
    return Head(EventId.parse(text), digest)


def _origin(text: Any) -> Origin:
    if type(text) is not str or len(text) > _SHOWN_MAX:
        raise ValueError("a stream in it has no name")
    return Origin(text)


def _event(origin: Origin, text: Any, blob: Any) -> Event:
    event = codec.decode(origin, EventId.parse(text), blob)
    if isinstance(event, Unknown):
        raise SnapshotUnfit(f"event {text} in it is not understood: {event.why}")
    return event
