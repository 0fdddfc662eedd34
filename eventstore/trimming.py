"""Where the streams in a Redis begin, and how they come to begin later.

A stream of which something was archived begins with the last event that was: its **anchor**,
which has a number above 1. What stands before it is in the snapshot `base`, which was made
by folding up to exactly there. So no stream says anything else of itself than by its events;
a Redis put back to before a trimming is whole, and trims again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from eventstore import codec, snapshots
from eventstore.errors import DamagedEvent, StoreUnavailable, StreamForked
from eventstore.event import EventId, Kind, Origin
from eventstore.memory import Memory, Stored, head_of
from eventstore.mending import read_back, read_pages
from eventstore.retention import Archived, archived_of
from eventstore.snapshot_format import SnapshotUnfit
from eventstore.streams import Streams

_log = logging.getLogger("netphone.trimming")

_REMEDY: Final = (
    "stop this node, empty its Redis and start it: it is filled again from the peer (what "
    "was changed here alone must be exported first)"
)


def beginning(
    streams: Streams, origins: Sequence[Origin], *, prevailing: Origin
) -> Memory:
    """Memory before the first event that `streams` keeps and that is to be folded.

    Raises:
        StoreUnavailable: Redis did not answer.
        DamagedEvent: what was archived is in no snapshot here that fits.
    """
    if not any(anchor_of(streams, origin) for origin in origins):
        return Memory(streams.pair, origins, prevailing=prevailing)
    known = snapshots.load(
        streams, snapshots.BASE, origins=origins, prevailing=prevailing
    )
    if known is None:
        raise DamagedEvent(
            "older events were archived, and the snapshot of what they left does not fit "
            f"the streams here; {_REMEDY}"
        )
    return known


def anchor_of(streams: Streams, origin: Origin) -> Stored | None:
    """The first event of the stream, if those before it were archived; else None.

    Raises: as `Streams.first`.
    """
    first = streams.first(origin)
    return first if first is not None and first[0].n > 1 else None


def is_archived(streams: Streams, origin: Origin, event_id: EventId) -> bool:
    """Whether an event with that id would be before the first one that is kept.

    Raises: as `Streams.first`.
    """
    anchor = anchor_of(streams, origin)
    return anchor is not None and event_id < anchor[0]


# Trimming.


def trim(
    streams: Streams,
    archived: Archived,
    origins: Sequence[Origin],
    *,
    prevailing: Origin,
    go_on: Callable[[], bool],
) -> bool:
    """Let the streams begin with what was archived last; False: they do, or begin later.

    Doing it again, or after it was cut off anywhere, changes nothing more. `go_on` is asked
    between pages and parts.

    Raises:
        StoreUnavailable: Redis did not answer, or `go_on` said no; nothing was trimmed, or all.
        StreamForked: what was archived is not here: nothing is trimmed.
        DamagedEvent: a stream is not one unbroken history.
    """
    first = _anchors(streams, archived)
    if not first:
        return False
    memory = beginning(streams, origins, prevailing=prevailing)
    for origin in origins:
        until = archived.cut.get(origin, memory.heads[origin].id)
        _fold_up_to(streams, memory, origin, until, go_on)
    snapshots.write(
        streams, snapshots.BASE, memory.image(), prevailing=prevailing, go_on=go_on
    )
    end = streams.snapshot_end(snapshots.BASE)
    streams.trim(first, snapshots.BASE, end)
    return True


def _anchors(streams: Streams, archived: Archived) -> dict[Origin, Stored]:
    """What the streams are to begin with; nothing: they do."""
    found, is_due = dict[Origin, Stored](), False
    for origin, place in archived.places.items():
        first = streams.first(origin)
        if first is None or first[0] > place.head.id:
            return {}  # Trimmed further already, or lost and not filled again yet.
        blob = streams.at(origin, place.head.id)
        if blob is None or codec.digest_of(blob) != place.head.digest:
            raise StreamForked(
                f"event {place.head.id} of stream {origin!r}, up to which {archived.file} "
                "has the history, is not here: nothing is trimmed"
            )
        found[origin] = (place.head.id, blob)
        is_due = is_due or first[0] != place.head.id
    return found if is_due else {}


def _fold_up_to(
    streams: Streams,
    memory: Memory,
    origin: Origin,
    until: EventId,
    go_on: Callable[[], bool],
) -> None:
    for page in read_pages(streams, origin, memory.heads[origin].id):
        if not go_on():
            raise StoreUnavailable("trimming was interrupted; it begins anew")
        kept = [stored for stored in page if stored[0] <= until]
        if kept:
            memory.fold(origin, kept, memory.chained(origin, kept))
        if len(kept) < len(page):
            return


# Beginning where the peer's streams do.


def missing_anchors(
    ours: Streams, theirs: Streams, *, own: Origin, peer: Origin, prevailing: Origin
) -> dict[Origin, Stored]:
    """What the streams here must begin with to join those of the peer, which were trimmed.

    A stream is named that is empty here, and the own one where it was begun anew.

    Raises:
        StoreUnavailable, DamagedEvent: a Redis did not answer, or not with events.
        StreamForked: a stream here ended before what the peer archived; they cannot be joined.
    """
    anchors = {
        origin: anchor
        for origin in (own, peer)
        if (anchor := anchor_of(theirs, origin)) is not None
    }
    missing = {o: a for o, a in anchors.items() if ours.at(o, a[0]) != a[1]}
    found: dict[Origin, Stored] = {}
    for origin, anchor in missing.items():
        first = ours.first(origin)
        if first is not None and first[0].n > 1 and first[0] > anchor[0]:
            continue  # Trimmed further than there.
        is_anew = False
        if first is not None and origin == own and first[0].n == 1:
            known = first_digest(theirs, (own, peer), own, prevailing=prevailing)
            is_anew = known is not None and head_of(first).digest != known
        if first is not None and not is_anew:
            raise StreamForked(
                f"stream {origin!r} here does not reach event {anchor[0]}, before which the "
                f"peer has archived its events; {_REMEDY}"
            )
        found[origin] = anchor
    if found:
        _check_others(ours, anchors, found, (own, peer))
    return found


def first_digest(
    streams: Streams, origins: Sequence[Origin], origin: Origin, *, prevailing: Origin
) -> bytes | None:
    """Of event number 1 of a stream that was trimmed, as the order to archive says it.

    Raises:
        StoreUnavailable, DamagedEvent: Redis did not answer, or not with events.
    """
    anchor = anchor_of(streams, origin)
    if anchor is None:
        return None
    for event_id, blob in read_back(streams, prevailing):
        event = codec.readable(prevailing, event_id, blob)
        if event is None or event.kind != Kind.HISTORY_ARCHIVED:
            continue
        archived = archived_of(event.value, origins)
        place = archived.places.get(origin) if archived else None
        if place is not None and place.head == head_of(anchor):
            return place.first
    return None


def take_base(
    ours: Streams,
    theirs: Streams,
    anchors: Mapping[Origin, Stored],
    *,
    prevailing: Origin,
    go_on: Callable[[], bool],
) -> None:
    """Have the snapshot of what stands before `anchors` here, before they are.

    Raises:
        StoreUnavailable: a Redis did not answer, or what is there changes just now.
        DamagedEvent: the snapshot there does not fit.
    """
    snapshots.copy(theirs, ours, snapshots.BASE, go_on=go_on)
    try:
        heads = snapshots.heads_of(ours, snapshots.BASE, prevailing=prevailing)
    except SnapshotUnfit as error:
        raise DamagedEvent(
            f"the peer's snapshot of what it archived cannot be used: {error}; update this "
            "node to the same version, or read the history from the archive files"
        ) from error
    wanted = {origin: head_of(anchor) for origin, anchor in anchors.items()}
    if heads is None or any(heads.get(o) != head for o, head in wanted.items()):
        raise StoreUnavailable(
            "the peer's snapshot of what it archived is not of where its streams begin; "
            "trying again"
        )


def _check_others(
    ours: Streams,
    anchors: Mapping[Origin, Stored],
    found: Mapping[Origin, Stored],
    origins: Iterable[Origin],
) -> None:
    """The snapshot that is taken over is that of every stream here."""
    for origin in origins:
        anchor = None if origin in found else anchor_of(ours, origin)
        if anchor is not None and anchor != anchors.get(origin):
            raise StreamForked(
                f"stream {origin!r} begins here behind other archived events than at the "
                f"peer, and another stream is empty; {_REMEDY}"
            )
