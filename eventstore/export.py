"""Exports all events of a pair to a bundle: both streams up to one moment, and the archives."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

import attrs

from eventstore import codec
from eventstore.beginnings import archived_heads
from eventstore.bundle_check import walked_chain
from eventstore.bundle_format import EXPORT, Chain, Header, Trailer
from eventstore.bundle_writer import write_bundle
from eventstore.errors import DamagedEvent
from eventstore.event import START, EventId, Origin
from eventstore.memory import Head, Stored
from eventstore.signing import PrivateKey
from eventstore.source import Source
from eventstore.streams import PAGE_EVENT_COUNT, Archive
from eventstore.verification import Walked
from eventstore.verified import ORIGINS

_Name = TypeVar("_Name", bound=str)


class KeepingSource(Source, Protocol):
    """Streams with the archives of what was replaced. `Streams` and `Bundle` are such."""

    def archives(self) -> list[Archive]:
        """All archives, by name."""

    def read_archive(self, archive: str, after: EventId, count: int) -> list[Stored]:
        """At most `count` entries of an archive behind `after`, oldest first."""


@attrs.frozen(kw_only=True)
class Export:
    """Who exports, when, and how."""

    by: str
    created_ns: int
    """Nanoseconds since 1970."""
    key: PrivateKey | None = attrs.field(repr=False)
    """Signs; None: nobody does."""
    told: Callable[[int], None] = lambda _count: None
    """Gets the number of events after each page."""


def closed_ends(
    source: Source, origins: tuple[Origin, Origin]
) -> dict[Origin, EventId]:
    """An end for each stream such that no event up to there knew one beyond.

    Whatever is appended meanwhile. It is the end of the second stream, and what the first one
    had then.

    Raises:
        StoreUnavailable, DamagedEvent: as the source.
    """
    first, second = origins
    ends = {first: _end(source, first), second: _end(source, second)}
    limit = _end(source, first)
    # What an event knew was in the same store before it. So the second stream knew nothing
    # beyond `limit`; of what came to the first one since, some may know more of the second.
    for page in _pages(source.read, first, ends[first], limit):
        for event_id, blob in page:
            event = codec.readable(first, event_id, blob)
            if event is not None and event.vector.get(second, START) > ends[second]:
                return ends
            ends[first] = event_id
    return ends


def export_events(
    source: KeepingSource,
    ends: Mapping[Origin, EventId],
    path: Path,
    export: Export,
) -> Trailer:
    """Write the events of `source` to the new file `path`, each stream up to its end.

    In constant memory. Only whole histories are exported.

    Raises:
        InvalidEntry, OSError: as `write_bundle`.
        StoreUnavailable: the source did not answer.
        DamagedEvent: a stream is not one unbroken history up to there, or has an
            entry that is no event; nothing is left.
    """
    begins = archived_heads(source, list(ends), prevailing=ORIGINS[0])
    streams = [
        Chain(
            origin=origin,
            # What was archived is in other files.
            after=begins.get(origin) or Head(START, codec.genesis(source.pair, origin)),
            until=until,
        )
        for origin, until in ends.items()
    ]
    # They are listed after the ends were taken: what the streams tell of is there.
    archives = [
        Chain(origin=archive.origin, archive=archive.name, until=archive.last)
        for archive in source.archives()
    ]
    header = Header(
        kind=EXPORT,
        pair=source.pair,
        created_ns=export.created_ns,
        by=export.by,
        chains=(*streams, *archives),
    )

    def told_pages(chain: Chain) -> Iterator[Sequence[Stored]]:
        for page in chain_pages(source, chain):
            yield page
            export.told(len(page))

    return write_bundle(path, header, told_pages, export.key)


def chain_pages(source: KeepingSource, chain: Chain) -> Iterator[Sequence[Stored]]:
    """The events of `chain`, all there are to be; those of a stream verified as by `verify`.

    Raises:
        DamagedEvent: they are not one unbroken history, or end before.
        StoreUnavailable: the source did not answer.
    """
    end = chain.start
    walked: Walked | None = None
    for page in _chain_pages(source, chain):
        if chain.after is None:
            _check_sizes(chain, page)
        else:
            walked = walked_chain(chain, walked, page)
            if walked.fault is not None:
                raise DamagedEvent(
                    f"{chain.name}, event {walked.fault.id}: {walked.fault.what}"
                )
        end = page[-1][0]
        yield page
    if end != chain.until:
        raise DamagedEvent(
            f"{chain.name} ends with {end}, before {chain.until}, which was its end a "
            "moment ago; look at the streams, and try again"
        )


def _chain_pages(source: KeepingSource, chain: Chain) -> Iterator[list[Stored]]:
    if chain.archive is None:
        return _pages(source.read, chain.origin, chain.start, chain.until)
    return _pages(source.read_archive, chain.archive, chain.start, chain.until)


def _pages(
    read: Callable[[_Name, EventId, int], list[Stored]],
    name: _Name,
    after: EventId,
    until: EventId,
) -> Iterator[list[Stored]]:
    while after < until and (page := read(name, after, PAGE_EVENT_COUNT)):
        if page[-1][0] > until:
            page = [stored for stored in page if stored[0] <= until]
        if not page:
            return
        yield page
        after = page[-1][0]


def _check_sizes(chain: Chain, page: Sequence[Stored]) -> None:
    """What is no event is kept with the archive that it is in, but not of any size."""
    for event_id, blob in page:
        if len(blob) > codec.EVENT_BYTES_MAX:
            raise DamagedEvent(
                f"entry {event_id} of {chain.name} has {len(blob)} bytes; the limit is "
                f"{codec.EVENT_BYTES_MAX}"
            )


def _end(source: Source, origin: Origin) -> EventId:
    last = source.last(origin)
    return START if last is None else last[0]
