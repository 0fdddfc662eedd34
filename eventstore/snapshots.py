"""Snapshots of memory in Redis, so that a start need not fold the whole history.

What one is, and when it is believed: `snapshot_format`. It is written part by part under a
temporary key and put in its place in one step; a node that is killed anywhere leaves the old
one or the new one. Losing one costs time and nothing else. A snapshot has a name, and says
nothing of the Redis it is in: `copy` takes one to another Redis of the pair.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Final

from eventstore import codec
from eventstore.errors import (
    DamagedEvent,
    StoreRefused,
    StoreUnavailable,
    StreamForked,
)
from eventstore.event import START, Event, EventId, Origin
from eventstore.memory import (
    TAIL_BYTES_MAX,
    TAIL_COUNT_MAX,
    Head,
    Image,
    Memory,
    Stored,
    chained,
)
from eventstore.mending import read_back
from eventstore.snapshot_format import SnapshotUnfit, image_of, parts_of
from eventstore.streams import Streams

_log = logging.getLogger("netphone.snapshots")

NEWEST: Final = "newest"
"""The name of the snapshot that a node starts with."""
BASE: Final = "base"
"""The one of all that was archived: what stands before the events that are kept."""

GoOn = Callable[[], bool]


def write(
    streams: Streams, name: str, image: Image, *, prevailing: Origin, go_on: GoOn
) -> None:
    """Let the snapshot `name` be one of `image`.

    `go_on` is asked before each part.

    Raises:
        StoreUnavailable: Redis did not answer, or is full, or `go_on` said no; the one before
            is still there, unless the text says that this is not known.
    """

    def bytes_of(event: Event) -> bytes:
        return _bytes_of(streams, event)

    parts = parts_of(image, pair=streams.pair, prevailing=prevailing, bytes_of=bytes_of)
    numbered = (
        (EventId(image.event_count, n), part) for n, part in enumerate(parts, start=1)
    )
    _put(streams, name, numbered, go_on)


def copy(source: Streams, target: Streams, name: str, *, go_on: GoOn) -> None:
    """Let `target` have the snapshot `name` that `source` has, byte for byte.

    Whether it fits is looked at by whoever loads it.

    Raises: as `write`; also if `source` has none.
    """
    _put(target, name, _read(source, name), go_on)


def load(
    streams: Streams, name: str, *, origins: Sequence[Origin], prevailing: Origin
) -> Memory | None:
    """Memory as it was when the snapshot `name` was made, its tails read back.

    None: there is none, or it does not fit, which is logged; then all is to be folded.

    Raises:
        StoreUnavailable: Redis did not answer.
    """

    def check(heads: Mapping[Origin, Head]) -> None:
        if set(heads) != set(origins):
            raise SnapshotUnfit(f"it is of streams {str(sorted(heads))[:200]}")
        for origin, head in heads.items():
            _check_head(streams, origin, head)

    memory = Memory(streams.pair, origins, prevailing=prevailing)
    parts = (part for _, part in _read(streams, name))
    try:
        image = image_of(
            parts,
            pair=streams.pair,
            prevailing=prevailing,
            check=check,
            irreplaceable=name == BASE,
        )
        if image is None:
            return None
        memory.restore(image)
        for origin, head in image.heads.items():
            memory.tails[origin].extend(_tail(streams, origin, head))
    except (SnapshotUnfit, StreamForked, DamagedEvent, StoreRefused) as error:
        # Where Redis refuses more than the snapshot, the folding finds that too.
        _log.warning("snapshot %r is not used, all events are folded: %s", name, error)
        return None
    _log.info("snapshot %r spares the folding of %d events", name, image.event_count)
    return memory


def heads_of(
    streams: Streams, name: str, *, prevailing: Origin
) -> Mapping[Origin, Head] | None:
    """The heads of the snapshot `name`, if it is whole; None: there is none.

    Raises:
        SnapshotUnfit: it is damaged, or was made by other rules.
        StoreUnavailable, DamagedEvent: it could not be read.
    """
    parts = (part for _, part in _read(streams, name))
    pair = streams.pair
    image = image_of(
        parts,
        pair=pair,
        prevailing=prevailing,
        check=lambda _: None,
        irreplaceable=name == BASE,
    )
    return None if image is None else image.heads


def _put(streams: Streams, name: str, parts: Iterable[Stored], go_on: GoOn) -> None:
    try:
        streams.clear_snapshot(name)
        last, made = streams.snapshot_end(name), START
        for part in _while(go_on, parts):
            streams.make_snapshot(name, made, [part])
            made = part[0]
        streams.put_snapshot(name, last=last, made=made)
    except StoreUnavailable:
        with suppress(StoreUnavailable):
            streams.clear_snapshot(name)  # Where memory is short it must not stay.
        raise


def _while(go_on: GoOn, parts: Iterable[Stored]) -> Iterator[Stored]:
    for part in parts:
        if not go_on():
            raise StoreUnavailable("writing the snapshot was interrupted")
        yield part


def _read(streams: Streams, name: str) -> Iterator[Stored]:
    after = START
    while found := streams.snapshot_parts(name, after, 1):
        yield found[0]
        after = found[0][0]


def _bytes_of(streams: Streams, event: Event) -> bytes:
    """The bytes of `event` as its stream has them."""
    blob = codec.encode_event(event)
    if codec.digest_of(blob) == event.digest:
        return blob
    # Another program wrote it, or an older version.
    found = streams.at(event.origin, event.id)
    if found is None or codec.digest_of(found) != event.digest:
        raise StoreUnavailable(
            f"event {event.id} of stream {event.origin!r} is not in Redis any more"
        )
    return found


def _check_head(streams: Streams, origin: Origin, head: Head) -> None:
    if head.id == START:
        first = streams.first(origin)
        begins = first is None or first[0].n == 1
        known = begins and head.digest == codec.genesis(streams.pair, origin)
    else:
        blob = streams.at(origin, head.id)
        known = blob is not None and codec.digest_of(blob) == head.digest
    if not known:
        raise SnapshotUnfit(
            f"event {head.id} of stream {origin!r} is not there any more"
        )


def _tail(streams: Streams, origin: Origin, head: Head) -> list[Stored]:
    """The newest events up to `head`, at least as many as memory keeps.

    Raises:
        StreamForked, DamagedEvent: they are not one unbroken history.
    """
    behind = EventId(head.id.ms, head.id.n + 1)
    found = list(_newest(read_back(streams, origin, behind)))[::-1]
    if found:
        first = codec.decode(origin, *found[0])
        before = EventId(0, first.id.n - 1)
        chained(origin, Head(before, first.previous), found)
    return found


def _newest(stored: Iterable[Stored]) -> Iterator[Stored]:
    size = 0
    for count, one in enumerate(stored, start=1):
        yield one
        size += len(one[1])
        if count >= TAIL_COUNT_MAX or size > TAIL_BYTES_MAX:
            return
