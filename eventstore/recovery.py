"""How a stream that lost events, and was written to in ignorance, is made whole. Pure.

    common ── lost ── lost ── lost            what the peer still holds: the tail
       └───── branch ── branch                what was written without knowing it

The tail is taken as it is. Behind it comes each event of the branch that is not in it: with
its own bytes where it continues the chain, else made anew, with a new id but with the
foreign part of its vector, which says what its writer knew of the peer, and with what it
was, so that doing this twice is noticed (design D9).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import attrs

from eventstore import codec
from eventstore.codec import Unknown
from eventstore.event import Event, EventId, Origin, Recovered
from eventstore.memory import Head, Stored


@attrs.frozen
class Rejoined:
    """What is to be appended behind the tail."""

    batch: Sequence[Stored]
    verbatim_count: int
    """The first ones of `batch`, which keep their bytes and ids."""
    unreadable: Sequence[EventId]
    """Events of a later format: they stay in the archive only."""


def known_digests(events: Iterable[Event | Unknown]) -> set[bytes]:
    """The digests of `events`, and of what they were before a recovery."""
    found = set()
    for event in events:
        found.add(event.digest)
        if isinstance(event, Event) and event.recovered is not None:
            found.add(event.recovered.digest)
    return found


def rejoin(
    origin: Origin,
    head: Head,
    branch: Sequence[tuple[Event | Unknown, bytes]],
    *,
    known: set[bytes],
    ms_min: int,
) -> Rejoined:
    """The events of `branch` that are not `known`, each once, to be appended behind `head`.

    `branch` may have an event both as it was and as an earlier recovery made it anew.
    `ms_min`: no new id is earlier; above all that is known of either origin, archives
    included, and the wall clock if that is later.
    """
    batch: list[Stored] = []
    verbatim_count = 0
    unreadable: list[EventId] = []
    known = set(known)
    for event, blob in branch:
        if event.digest in known or _was(event) in known:
            continue
        known |= known_digests([event])
        anew = len(batch) > verbatim_count
        if not anew and event.previous == head.digest and _follows(event.id, head.id):
            batch.append((event.id, blob))
            verbatim_count += 1
        elif isinstance(event, Unknown):
            unreadable.append(event.id)
            continue
        else:
            batch.append(_made_anew(origin, head, event, ms_min))
        head = Head(batch[-1][0], codec.digest_of(batch[-1][1]))
    return Rejoined(batch, verbatim_count, unreadable)


def _was(event: Event | Unknown) -> bytes | None:
    if isinstance(event, Event) and event.recovered is not None:
        return event.recovered.digest
    return None


def _follows(event_id: EventId, head: EventId) -> bool:
    return event_id.n == head.n + 1 and event_id.ms >= head.ms


def _made_anew(origin: Origin, head: Head, event: Event, ms_min: int) -> Stored:
    event_id = EventId(max(ms_min, head.id.ms), head.id.n + 1)
    vector: Mapping[Origin, EventId] = {**event.vector, origin: event_id}
    anew = attrs.evolve(
        event,
        id=event_id,
        vector=vector,
        previous=head.digest,
        # Of an event that was made anew already, what it was first.
        recovered=event.recovered or Recovered(event.id, event.digest),
    )
    return event_id, codec.encode_event(anew)
