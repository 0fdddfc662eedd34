"""Where the streams in a source begin: with their first event, or behind what was archived. Pure.

A stream of which events were archived begins with the last of them, its anchor. An event in the
history says so, `history-archived`: without it, the events before were removed by somebody.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from eventstore import codec
from eventstore.archived import Archived, archived_of
from eventstore.comparing import Reads
from eventstore.event import START, Kind, Origin
from eventstore.memory import Head, Stored, head_of

_PAGE_COUNT = 500


def anchor_in(source: Reads, origin: Origin) -> Stored | None:
    """The first event of the stream, if those before it are not in `source`.

    Raises:
        StoreUnavailable, DamagedEvent: as the source.
    """
    found = source.read(origin, START, 1)
    return found[0] if found and found[0][0].n > 1 else None


def missing_text(source: Reads, origins: Sequence[Origin]) -> str | None:
    """What is not in `source` because it was archived; None: nothing.

    Raises:
        StoreUnavailable, DamagedEvent: as the source.
    """
    anchors = {o: a for o in origins if (a := anchor_in(source, o)) is not None}
    if not anchors:
        return None
    named = ", ".join(f"{o} up to {a[0]}" for o, a in anchors.items())
    return (
        f"earlier events are in archive files ({named}); name them with --archive FILE"
    )


def archived_heads(
    source: Reads, origins: Sequence[Origin], *, prevailing: Origin
) -> dict[Origin, Head | None]:
    """Of each stream that begins there with a later event than its first: which one.

    None: no event in `source` says that those before it were archived.

    Raises:
        StoreUnavailable, DamagedEvent: as the source.
    """
    anchors = {
        origin: head_of(anchor)
        for origin in origins
        if (anchor := anchor_in(source, origin)) is not None
    }
    found: dict[Origin, Head | None] = dict.fromkeys(anchors)
    for archived in _orders(source, prevailing, origins) if anchors else ():
        found |= {o: h for o, h in archived.heads.items() if anchors.get(o) == h}
        if None not in found.values():
            break
    return found


def _orders(
    source: Reads, prevailing: Origin, origins: Sequence[Origin]
) -> Iterator[Archived]:
    after = START
    while page := source.read(prevailing, after, _PAGE_COUNT):
        for event_id, blob in page:
            event = codec.readable(prevailing, event_id, blob)
            if event is not None and event.kind == Kind.HISTORY_ARCHIVED:
                archived = archived_of(event.value, origins)
                if archived is not None:
                    yield archived
        if page[-1][0] <= after:
            return  # No stream: the ids in one only grow.
        after = page[-1][0]
