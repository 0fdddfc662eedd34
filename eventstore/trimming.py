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
from eventstore.archived import Archived
from eventstore.errors import DamagedEvent, StoreUnavailable, StreamForked
from eventstore.event import START, EventId, Origin
from eventstore.memory import Head, Memory, Stored, head_of
from eventstore.mending import read_pages
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
    _keep_first_digests(streams, streams, first)
    end = streams.snapshot_end(snapshots.BASE)
    streams.trim(first, snapshots.BASE, end)
    return True


def _anchors(streams: Streams, archived: Archived) -> dict[Origin, Stored]:
    """What the streams are to begin with; nothing: they do."""
    found, is_due = dict[Origin, Stored](), False
    for origin, head in archived.heads.items():
        first = streams.first(origin)
        if first is None or first[0] > head.id:
            return {}  # Trimmed further already, or lost and not filled again yet.
        blob = streams.at(origin, head.id)
        if blob is None or codec.digest_of(blob) != head.digest:
            raise StreamForked(
                f"event {head.id} of stream {origin!r}, up to which {archived.file} "
                "has the history, is not here: nothing is trimmed"
            )
        found[origin] = (head.id, blob)
        is_due = is_due or first[0] != head.id
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
    ours: Streams, theirs: Streams, *, own: Origin, peer: Origin
) -> dict[Origin, Stored]:
    """What the streams here must begin with to join those of the peer, which were trimmed.

    A stream is named that is empty here, and the own one where it was begun anew.

    Raises:
        StoreUnavailable, DamagedEvent: a Redis did not answer, or not with events.
        StreamForked: a stream here ended before what the peer archived; they cannot be joined.
    """
    first_there = {o: first for o in (own, peer) if (first := theirs.first(o))}
    if all(first[0].n == 1 for first in first_there.values()):
        return {}
    found: dict[Origin, Stored] = {}
    for origin, anchor in first_there.items():
        if ours.at(origin, anchor[0]) == anchor[1]:
            continue
        first = ours.first(origin)
        if first is None:
            found[origin] = anchor
        elif first[0].n > 1 and first[0] > anchor[0]:
            continue  # Trimmed further than there.
        elif origin == own and _is_begun_anew(first, anchor, theirs, own):
            found[origin] = anchor
        elif anchor[0].n > 1:
            raise StreamForked(
                f"stream {origin!r} here does not reach event {anchor[0]}, before which the "
                f"peer has archived its events; {_REMEDY}"
            )
    if found:
        _check_others(ours, first_there, found, (own, peer))
    return found


def first_digest(streams: Streams, origin: Origin) -> bytes | None:
    """Of event number 1 of a stream, which may be archived; None: it is not known.

    Raises:
        StoreUnavailable, DamagedEvent: Redis did not answer, or not with events.
    """
    first = streams.first(origin)
    if first is not None and first[0].n == 1:
        return codec.digest_of(first[1])
    return streams.first_digests().get(origin)


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
    _keep_first_digests(theirs, ours, anchors)
    try:
        heads = snapshots.heads_of(ours, snapshots.BASE, prevailing=prevailing)
    except SnapshotUnfit as error:
        raise DamagedEvent(
            f"the peer's snapshot of what it archived cannot be used: {error}; update this "
            "node to the same version, or read the history from the archive files"
        ) from error
    if heads is None or not all(_fits(heads[o], a) for o, a in anchors.items()):
        raise StoreUnavailable(
            "the peer's snapshot of what it archived is not of where its streams begin; "
            "trying again"
        )


def _keep_first_digests(
    source: Streams, target: Streams, origins: Iterable[Origin]
) -> None:
    """By its first event a stream is told from one that was begun anew."""
    found = ((origin, first_digest(source, origin)) for origin in origins)
    known = {origin: digest for origin, digest in found if digest is not None}
    if known:
        target.keep_first_digests(known)


def _fits(head: Head, anchor: Stored) -> bool:
    """Whether a stream that begins with `anchor` goes on behind `head`, or has it."""
    return head == head_of(anchor) or (head.id == START and anchor[0].n == 1)


def _is_begun_anew(first: Stored, anchor: Stored, theirs: Streams, own: Origin) -> bool:
    """Whether the own stream begins with `first` and not as the peer's copy of it did.

    And later than with what that begins now: an event that a recovery has appended anew
    got no earlier time, so none of these can be among what was archived already.
    """
    if first[0].n > 1 or (anchor[0].n > 1 and first[0].ms <= anchor[0].ms):
        return False
    known = first_digest(theirs, own)
    return known is not None and known != head_of(first).digest


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
