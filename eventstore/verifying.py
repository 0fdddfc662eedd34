"""Verifies all that a pair has stored: both streams in one or two copies, and archives. Pure.

The walk can be left after any page and gone on with elsewhere: its whole state is a value of a
few kilobytes, however long the history is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol, runtime_checkable

import attrs

from eventstore import codec
from eventstore.comparing import (
    FIRST,
    SECOND,
    Accusation,
    Bad,
    Compared,
    Judged,
    Reads,
    judge,
    read_page,
    step,
    stored_at,
)
from eventstore.errors import DamagedEvent
from eventstore.event import START, Event, EventId, JsonValue, Origin
from eventstore.memory import Head, Stored
from eventstore.source import Source
from eventstore.verification import FAULT_TEXT_MAX, Fault, Walked, walked_on

ORIGINS: Final = (Origin("master"), Origin("standby"))
BAD_ARCHIVE_COUNT_MAX: Final = 8
"""Of more bad archives only the number is told."""
_ARCHIVE_NAME_MAX: Final = 120
STEP_BYTES_MAX: Final = 8 * 1024 * 1024


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


@attrs.frozen
class Witness:
    """Somebody outside of the streams knows that this event was there."""

    origin: Origin
    head: Head
    who: str
    """Such as `the checkpoint of 2026-01-01T00:00:00Z`."""
    copy: int | None = None
    """Against which copy this counts; None: either."""


@attrs.frozen(kw_only=True)
class VerifyReport:
    """What a verification found."""

    pair: str
    streams: Sequence[Judged]
    archive_count: int
    archived_count: int
    """Events in archives."""
    bad_archives: Mapping[str, Bad]
    bad_archive_count: int
    problem: str = ""
    """Why the other copy was not looked at although it was to be."""

    @property
    def is_whole(self) -> bool:
        """Whether nothing is wrong."""
        return all(s.is_whole for s in self.streams) and not self.bad_archive_count

    @property
    def event_count(self) -> int:
        """Events of both streams."""
        return sum(stream.event_count for stream in self.streams)


@attrs.frozen(kw_only=True)
class Verification:
    """How far a verification is; its whole state."""

    compared: tuple[Compared, Compared]
    """Of the master's stream and of the standby's."""
    archive: tuple[int, str, Walked | None] | None = (FIRST, "", None)
    """The copy, the name of the archive and how far it is; None: all were walked."""
    archive_count: int = 0
    archived_count: int = 0
    bad_archives: tuple[tuple[int, str, Fault], ...] = ()
    bad_archive_count: int = 0
    accusations: tuple[Accusation, ...] = ()
    is_over: bool = False

    @classmethod
    def start(
        cls, pair: str, copy_count: int, *, archives: bool = True
    ) -> Verification:
        """Nothing was looked at yet."""
        first, second = (
            Compared(walked=[Walked.start(pair, origin)] * copy_count)
            for origin in ORIGINS
        )
        archive = (FIRST, "", None) if archives else None
        return cls(compared=(first, second), archive=archive)

    @property
    def copy_count(self) -> int:
        """How many copies are compared."""
        return len(self.compared[FIRST].walked)

    @property
    def event_count(self) -> int:
        """Events that were walked, in the copy that is furthest."""
        streams = [max(w.event_count for w in c.walked) for c in self.compared]
        return sum(streams) + self.archived_count

    def as_value(self) -> JsonValue:
        """For JSON; `from_value` reads it."""
        archive: JsonValue = None
        if self.archive is not None:
            copy, name, walked = self.archive
            archive = [copy, name, None if walked is None else walked.as_value()]
        return {
            "streams": [compared.as_value() for compared in self.compared],
            "archive": archive,
            "archives": [
                self.archive_count,
                self.archived_count,
                self.bad_archive_count,
            ],
            "bad_archives": [
                [copy, name, fault.as_value()]
                for copy, name, fault in self.bad_archives
            ],
            "accusations": [accusation.as_value() for accusation in self.accusations],
            "over": self.is_over,
        }

    @classmethod
    def from_value(cls, value: Any) -> Verification:
        """What `as_value` gave.

        Raises:
            ValueError: `value` is something else.
        """
        try:
            return cls._from_value(value)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"no state of a verification: {error}") from None

    @classmethod
    def _from_value(cls, value: Any) -> Verification:
        first, second = (Compared.from_value(c) for c in value["streams"])
        if len(first.walked) != len(second.walked):
            raise ValueError("one copy of one stream, and two of the other")
        archive = value["archive"]
        if archive is not None:
            copy, name, walked = archive
            if (
                copy not in (FIRST, SECOND)[: len(first.walked)]
                or type(name) is not str
            ):
                raise ValueError("no such archive")
            archive = copy, name, walked and Walked.from_value(walked)
        counts = value["archives"]
        if len(counts) != 3 or any(type(c) is not int for c in counts):
            raise ValueError("a count is none")
        accusations = [Accusation.from_value(a) for a in value["accusations"]]
        if any(a.copy >= len(first.walked) for a in accusations):
            raise ValueError("a copy that was not looked at")
        return cls(
            compared=(first, second),
            archive=archive,
            archive_count=counts[0],
            archived_count=counts[1],
            bad_archive_count=counts[2],
            bad_archives=tuple(
                (int(copy), str(name), Fault.from_value(fault))
                for copy, name, fault in value["bad_archives"]
            ),
            accusations=tuple(accusations),
            is_over=bool(value["over"]),
        )

    def report(
        self, pair: str, names: Sequence[str], *, more: Sequence[Accusation] = ()
    ) -> VerifyReport:
        """What was found, with the copies by their `names`, and with further witnesses."""
        accusations = (*self.accusations, *more)
        return VerifyReport(
            pair=pair,
            streams=[
                judge(origin, compared, accusations, names)
                for origin, compared in zip(ORIGINS, self.compared, strict=True)
            ],
            archive_count=self.archive_count,
            archived_count=self.archived_count,
            bad_archives={
                name: Bad(names[copy], fault.id, fault.what)
                for copy, name, fault in self.bad_archives
            },
            bad_archive_count=self.bad_archive_count,
        )


def verify(
    source: Source,
    other: Source | None = None,
    *,
    names: Sequence[str] = ("the first copy", "the second copy"),
    originals: Mapping[Origin, int] | None = None,
    remembered: Callable[[], Sequence[Witness]] = tuple,
    archives: bool = True,
    watch: Callable[[Verification], None] = lambda _: None,
) -> VerifyReport:
    """Verify the pair in `source`, and against its `other` copy, in constant memory.

    `originals` says of a stream which copy (0 or 1) its own node writes: that one must not be
    shorter than the other. `remembered` gives what witnesses know; it is called at the end.
    `watch` is told after each page; what it raises ends the walk.

    Raises:
        StoreUnavailable, UnsuitableStore: a Redis does not answer, or not us.
    """
    sources = [source] if other is None else [source, other]
    progress = Verification.start(source.pair, len(sources), archives=archives)
    while not progress.is_over:
        progress = verify_on(
            progress, sources, originals=originals or {}, remembered=remembered
        )
        watch(progress)
    return progress.report(source.pair, names)


def verify_on(
    progress: Verification,
    sources: Sequence[Source],
    *,
    originals: Mapping[Origin, int],
    remembered: Callable[[], Sequence[Witness]],
    bytes_max: int = STEP_BYTES_MAX,
    event_count_max: int = 1,
) -> Verification:
    """`progress` some pages further: until one of the limits is reached.

    Raises:
        StoreUnavailable, UnsuitableStore: a Redis does not answer, or not us.
    """
    size, aim = 0, progress.event_count + event_count_max
    while not progress.is_over and size < bytes_max and progress.event_count < aim:
        progress, bytes_walked = _a_page_on(progress, sources, originals, remembered)
        size += bytes_walked
    return progress


def _a_page_on(
    progress: Verification,
    sources: Sequence[Source],
    originals: Mapping[Origin, int],
    remembered: Callable[[], Sequence[Witness]],
) -> tuple[Verification, int]:
    master, standby = progress.compared
    if not master.is_over:
        master, size = step(master, sources, *ORIGINS)
        return attrs.evolve(progress, compared=(master, standby)), size
    if not standby.is_over:
        standby, size = step(standby, sources, *reversed(ORIGINS))
        return attrs.evolve(progress, compared=(master, standby)), size
    if progress.archive is not None:
        return _archive_on(progress, sources)
    found = [
        *_known_and_gone(progress, sources),
        *_shorter_originals(progress, sources, originals),
        *accusations(progress, sources, remembered()),
    ]
    return attrs.evolve(progress, accusations=tuple(found), is_over=True), 0


# Witnesses.


def accusations(
    progress: Verification, sources: Sequence[Source], remembered: Sequence[Witness]
) -> list[Accusation]:
    """What `remembered` says against copies that do not have it.

    Raises:
        StoreUnavailable: a Redis did not answer.
    """
    found = []
    for witness in remembered:
        stored = [stored_at(s, witness.origin, witness.head.id) for s in sources]
        digests = [None if s is None else codec.digest_of(s[1]) for s in stored]
        found += accused_by(progress, witness, digests)
    return found


def accused_by(
    progress: Verification, witness: Witness, digests: Sequence[bytes | None]
) -> list[Accusation]:
    """What `witness` says, given the digest of the event in each copy; None: not there."""
    compared = progress.compared[ORIGINS.index(witness.origin)]
    wanted = witness.head.id
    if wanted == START:
        return []  # That a stream was empty says nothing of it now.
    there = [digest == witness.head.digest for digest in digests]
    found = []
    for copy, digest in enumerate(digests):
        if there[copy] or witness.copy not in (None, copy):
            continue
        ends_before = digest is None and compared.walked[copy].head.id.n < wanted.n
        if ends_before and (any(there) or compared.walked[copy].fault):
            continue  # It is behind, or its fault is told already.
        if digest is not None:
            what = f"{witness.who} has it with another digest: it or one before was changed"
        elif ends_before:
            what = f"the stream ends before {wanted}, which {witness.who} has"
        else:
            what = f"{witness.who} has {wanted}, and here is another one in its place"
        place = None if ends_before else wanted
        found.append(Accusation(witness.origin, copy, Fault(place, what)))
    return found


def _known_and_gone(
    progress: Verification, sources: Sequence[Source]
) -> list[Accusation]:
    """Each event that one stream's events knew of the other stream must be there."""
    found = []
    for compared, knowing, foreign in zip(
        progress.compared, ORIGINS, reversed(ORIGINS), strict=True
    ):
        there = progress.compared[ORIGINS.index(foreign)]
        for copy, walked in enumerate(compared.walked):
            if walked.named == START or there.walked[copy].fault is not None:
                continue
            if stored_at(sources[copy], foreign, walked.named) is None:
                what = (
                    f"event {walked.named_by} of stream {knowing!r} knew {walked.named}, "
                    "which is not there: removed, or made anew"
                )
                found.append(Accusation(foreign, copy, Fault(None, what)))
    return found


def _shorter_originals(
    progress: Verification, sources: Sequence[Source], originals: Mapping[Origin, int]
) -> list[Accusation]:
    """A copy may be behind its original, but not the other way round."""
    found = []
    for origin, original in originals.items():
        compared = progress.compared[ORIGINS.index(origin)]
        if len(compared.walked) < 2 or compared.parted is not None:
            continue
        own, copy = compared.walked[original], compared.walked[1 - original]
        if own.fault is not None or own.event_count >= copy.event_count:
            continue
        # Again, for it may have grown meanwhile.
        if stored_at(sources[original], origin, copy.head.id) is None:
            what = (
                f"the stream ends with {own.head.id}, and the copy of it goes on to "
                f"{copy.head.id}: events were lost or removed from its end"
            )
            found.append(Accusation(origin, original, Fault(None, what)))
    return found


# Archives: each is the end of a stream that was replaced.


def _archive_on(
    progress: Verification, sources: Sequence[Source]
) -> tuple[Verification, int]:
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
    if walked is None:
        following = [a for a in kept if a.name > name]
        if not following:
            is_last = copy + 1 == len(sources)
            place = None if is_last else (copy + 1, "", None)
            return attrs.evolve(progress, archive=place), 0
        name = following[0].name
    archive = next((a for a in kept if a.name == name), None)
    if archive is None or archive.origin not in ORIGINS:
        return _archive_done(progress, Fault(None, "it is no archive of this pair")), 0
    assert isinstance(source, HasArchives)
    reader = _ArchiveSource(source, name)
    if walked is None:
        walked = _behind_first(reader, archive.origin)
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
        return progress, sum([len(blob) for _, blob in page])
    fault = fault or _end_fault(archive, walked, reader, sources[copy])
    return _archive_done(progress, fault), 0


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


def _behind_first(reader: Reads, origin: Origin) -> Walked:
    """What came before an archive is in no place that is known: its first event says what."""
    page, _ = read_page(reader, origin, Head(START, b""), 1)
    if not page:
        return Walked(head=Head(START, b""))
    (event_id, blob) = page[0]
    event = codec.readable(origin, event_id, blob)
    before = EventId(event_id.ms, max(0, event_id.n - 1))
    return Walked(head=Head(before, b"" if event is None else event.previous))


def _end_fault(
    archive: Archived, walked: Walked, reader: Reads, source: Reads
) -> Fault | None:
    """What the name of an archive, and the event that tells of it, say of it."""
    end = walked.head
    if end.id != archive.last:
        return Fault(
            None, f"it ends with {end.id}, and was made to end with {archive.last}"
        )
    first = read_page(reader, archive.origin, Head(START, b""), 1)[0][0][0]
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
