"""Verifies archives: each is the end of a stream that was replaced, a chain in itself. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol, runtime_checkable

import attrs

from eventstore import codec
from eventstore.comparing import Reads, read_page, stored_at
from eventstore.errors import DamagedEvent
from eventstore.event import START, Event, EventId, Origin
from eventstore.memory import Head, Stored
from eventstore.source import Source
from eventstore.verification import FAULT_TEXT_MAX, Fault, Walked, walked_on
from eventstore.verified import ORIGINS, Verification

BAD_ARCHIVE_COUNT_MAX: Final = 8
"""Of more bad archives only the number is told."""
_ARCHIVE_NAME_MAX: Final = 120
_LISTED_BYTES: Final = 100
"""What reading the list counts for each archive in it: it is read anew for each page."""


class Archived(Protocol):
    """One archive, as `Streams.archives` lists it."""

    @property
    def name(self) -> str: ...
    @property
    def last(self) -> EventId: ...
    @property
    def origin(self) -> Origin: ...


@runtime_checkable
class HasArchives(Protocol):
    """A source that also keeps what was replaced. `Streams` is one."""

    def archives(self) -> Sequence[Archived]: ...
    def read_archive(
        self, archive: str, after: EventId, count: int
    ) -> list[Stored]: ...


def archive_on(
    progress: Verification, sources: Sequence[Source]
) -> tuple[Verification, int]:
    """`progress` a page further in its archive, or at the next one, and how many bytes."""
    assert progress.archive is not None
    copy, name, walked = progress.archive
    source = sources[copy]
    try:
        kept = _archives(source)
    except DamagedEvent as error:
        bad = copy, "the list of archives", Fault(None, str(error)[:FAULT_TEXT_MAX])
        is_last = copy + 1 == len(sources)
        now = attrs.evolve(progress, archive=None if is_last else (copy + 1, "", None))
        return _with_bad_archive(now, bad), 0
    listed_bytes = _LISTED_BYTES * len(kept)
    if walked is None:
        following = [a for a in kept if a.name > name]
        if not following:
            is_last = copy + 1 == len(sources)
            place = None if is_last else (copy + 1, "", None)
            return attrs.evolve(progress, archive=place), 0
        name = following[0].name
        progress = attrs.evolve(progress, archive=(copy, name, None))
    archive = next((a for a in kept if a.name == name), None)
    if archive is None or archive.origin not in ORIGINS:
        gone = Fault(None, "it is no archive of this pair")
        return _archive_done(progress, gone), listed_bytes
    assert isinstance(source, HasArchives)
    reader = _ArchiveSource(source, name)
    if walked is None:
        first, _ = read_page(reader, archive.origin, Head(START, b""), 1)
        walked = walked_to(archive.origin, first[0]) if first else _NOWHERE
        progress = attrs.evolve(progress, archive=(copy, name, walked))
    page, fault = read_page(reader, archive.origin, walked.head)
    foreign = ORIGINS[1 - ORIGINS.index(archive.origin)]
    if page:
        before = walked.event_count
        walked = walked_on(walked, archive.origin, foreign, page)
        count = progress.archived_count + walked.event_count - before
        progress = attrs.evolve(
            progress, archive=(copy, name, walked), archived_count=count
        )
        fault = walked.fault
    if fault is None and page:
        return progress, listed_bytes + sum([len(blob) for _, blob in page])
    fault = fault or _end_fault(archive, walked, reader, sources[copy])
    return _archive_done(progress, fault), listed_bytes


def _archive_done(progress: Verification, fault: Fault | None) -> Verification:
    assert progress.archive is not None
    copy, name, _ = progress.archive
    count = progress.archive_count + 1
    progress = attrs.evolve(progress, archive=(copy, name, None), archive_count=count)
    return (
        progress if fault is None else _with_bad_archive(progress, (copy, name, fault))
    )


def _with_bad_archive(
    progress: Verification, bad: tuple[int, str, Fault]
) -> Verification:
    kept = progress.bad_archives
    if len(kept) < BAD_ARCHIVE_COUNT_MAX:
        kept = (*kept, bad)
    bad_count = progress.bad_archive_count + 1
    return attrs.evolve(progress, bad_archives=kept, bad_archive_count=bad_count)


def _archives(source: Source) -> list[Archived]:
    """Those with a name such as a node gives: the state of a walk must stay small."""
    if not isinstance(source, HasArchives):
        return []
    return [a for a in source.archives() if len(a.name) <= _ARCHIVE_NAME_MAX]


@attrs.frozen
class _ArchiveSource:
    """One archive, read like a stream."""

    source: HasArchives
    name: str

    def read(self, _origin: Origin, after: EventId, count: int) -> list[Stored]:
        return self.source.read_archive(self.name, after, count)


_NOWHERE: Final = Walked(head=Head(START, b""))


def walked_to(origin: Origin, first: Stored) -> Walked:
    """Up to before the `first` event of an archive, which alone says what that was."""
    event_id, blob = first
    try:
        previous = codec.decode(origin, event_id, blob).previous
    except DamagedEvent:
        previous = b""  # It will be told.
    before = EventId(event_id.ms, max(0, event_id.n - 1))
    return Walked(head=Head(before, previous))


def _end_fault(
    archive: Archived, walked: Walked, reader: Reads, source: Reads
) -> Fault | None:
    """What the name of an archive, and the event that tells of it, say of it."""
    end = walked.head
    if end.id != archive.last:
        return Fault(
            None, f"it ends with {end.id}, and was made to end with {archive.last}"
        )
    page, _ = read_page(reader, archive.origin, Head(START, b""), 1)
    if not page:
        return Fault(None, "it holds nothing")
    first = page[0][0]
    _, _, rest = archive.name.partition("-")
    if not rest.startswith("resync-"):
        if rest != f"{first}-{end.digest.hex()[:12]}":
            what = f"it holds {first} to {end.id}, and its name says something else"
            return Fault(first, what)
        return None
    told = _told_count(archive, rest.removeprefix("resync-"), source)
    if told is not None and told != walked.event_count:
        what = f"it has {walked.event_count} events, and {told} were put into it"
        return Fault(None, what)
    return None


def _told_count(archive: Archived, text: str, source: Reads) -> int | None:
    """How many events the event `resynchronised` with the id `text` says it archived."""
    try:
        event_id = EventId.parse(text)
    except ValueError:
        return None
    standby = ORIGINS[1]
    stored = stored_at(source, standby, event_id)
    event = stored and codec.readable(standby, *stored)
    value: Any = event.value if isinstance(event, Event) else None
    try:
        count = value["replaced"][archive.origin]["events"]
    except (KeyError, TypeError):
        return None
    return count if type(count) is int else None
