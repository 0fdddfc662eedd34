"""What the events of a node fold to, and where its streams end. Pure; not thread-safe."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence

import attrs

from eventstore import codec
from eventstore.codec import Unknown
from eventstore.configuration import Configuration, Folded, Rivals
from eventstore.errors import DamagedEvent, StreamForked
from eventstore.event import MS_MAX, START, Event, EventId, Kind, Origin

Stored = tuple[EventId, bytes]
"""One stream entry: its id and its bytes."""

RECENT_COUNT_MAX = 100
TAIL_COUNT_MAX = 10_000
TAIL_BYTES_MAX = 8 * 1024 * 1024
KINDS = frozenset(Kind)
"""Of others, which anybody may make up, none is asked for."""
_LICENCE_KINDS = frozenset({Kind.LICENCE_INSTALLED, Kind.LICENCE_REMOVED})


@attrs.frozen
class Head:
    """The end of a stream: the newest event's id and digest. `START`: still empty."""

    id: EventId
    digest: bytes


def head_of(stored: Stored) -> Head:
    """The end of a stream whose newest event is `stored`."""
    return Head(stored[0], codec.digest_of(stored[1]))


@attrs.frozen
class Snapshot:
    """What a node knows at one moment; all parts belong together."""

    heads: Mapping[Origin, Head]
    digest: str
    """Of the entries; see `Configuration.digest`."""
    entry_count: int
    conflict_count: int
    unknown_count: int
    """Events kept but not understood: of a later version, or damaged inside."""

    @property
    def vector(self) -> dict[Origin, EventId]:
        """The newest event applied of each origin that has any."""
        return {o: head.id for o, head in self.heads.items() if head.id != START}

    @property
    def event_count(self) -> int:
        """Events of both origins."""
        return sum(head.id.n for head in self.heads.values())


@attrs.frozen
class Image:
    """All that a `Memory` is at one moment but its tails; it never changes."""

    heads: Mapping[Origin, Head]
    unknown_count: int
    rivals: Mapping[str, Rivals]
    """By key, also of deleted entries."""
    remembered: Sequence[Event]
    """What is kept beside the entries, of each origin and kind the oldest first; see
    `is_remembered`.
    """

    @property
    def event_count(self) -> int:
        """Events that were folded into it."""
        return sum(head.id.n for head in self.heads.values())


class Tail:
    """The newest events of a stream, byte for byte, as many as fit.

    Redis may forget the last second, or all; what it acknowledged since is still here.
    """

    def __init__(self) -> None:
        self._kept: deque[Stored] = deque()
        self._bytes = 0

    def __iter__(self) -> Iterator[Stored]:
        return iter(self._kept)

    def extend(self, page: Sequence[Stored]) -> None:
        self._kept.extend(page)
        self._bytes += sum(len(blob) for _, blob in page)
        while len(self._kept) > TAIL_COUNT_MAX or self._bytes > TAIL_BYTES_MAX:
            _, blob = self._kept.popleft()
            self._bytes -= len(blob)


class Memory:
    """One node's view of both streams."""

    def __init__(
        self, pair: str, origins: Sequence[Origin], *, prevailing: Origin
    ) -> None:
        self.configuration = Configuration(prevailing=prevailing)
        self.heads = {
            origin: Head(START, codec.genesis(pair, origin)) for origin in origins
        }
        self.tails = {origin: Tail() for origin in origins}
        self.recent: dict[tuple[Origin, str], deque[Event]] = {}
        """Events that concern no entry, the newest of each origin and kind."""
        self.licences: dict[str, Event] = {}
        """The newest event of each licence, by key, removed ones too; those of the prevailing
        origin alone, whatever the other stream has (L1).
        """
        self._prevailing = prevailing
        self._unknown_count = 0

    def snapshot(self) -> Snapshot:
        return Snapshot(
            heads=dict(self.heads),
            digest=self.configuration.digest,
            entry_count=len(self.configuration),
            conflict_count=self.configuration.conflict_count,
            unknown_count=self._unknown_count,
        )

    def image(self) -> Image:
        """What this is now; made in a moment, of references."""
        return Image(
            heads=dict(self.heads),
            unknown_count=self._unknown_count,
            rivals=self.configuration.rivals(),
            remembered=[
                *(event for kept in self.recent.values() for event in kept),
                *self.licences.values(),
            ],
        )

    def restore(self, image: Image) -> None:
        """Become what `image` was made of; this is new, and its tails stay empty."""
        self.heads = dict(image.heads)
        self._unknown_count = image.unknown_count
        for key, rivals in image.rivals.items():
            self.configuration.restore(key, rivals)
        for event in image.remembered:
            self._remember(event)

    def chained(self, origin: Origin, page: Sequence[Stored]) -> list[Event | Unknown]:
        """The events in `page`, if each continues the one before, the first our head.

        Raises:
            StreamForked, DamagedEvent: they do not.
        """
        return chained(origin, self.heads[origin], page)

    def fold(
        self, origin: Origin, page: Sequence[Stored], events: Sequence[Event | Unknown]
    ) -> list[tuple[Event, Folded | None]]:
        """Apply `events`, which are those in `page`; what each did, in order."""
        news: list[tuple[Event, Folded | None]] = []
        fold = self.configuration.fold
        for event in events:
            if isinstance(event, Unknown):
                self._unknown_count += 1
                continue
            news.append((event, fold(event)))
            if is_remembered(event):
                self._remember(event)
        self.heads[origin] = Head(events[-1].id, events[-1].digest)
        self.tails[origin].extend(page)
        return news

    def _remember(self, event: Event) -> None:
        if not event.key:
            place = event.origin, event.kind
            kept = self.recent.setdefault(place, deque(maxlen=RECENT_COUNT_MAX))
            kept.append(event)
        elif event.origin == self._prevailing:
            self.licences[event.key] = event


def is_remembered(event: Event) -> bool:
    """Whether `event` is kept beside the entries: of a licence, or of nothing with a key."""
    return event.kind in (_LICENCE_KINDS if event.key else KINDS)


def chained(
    origin: Origin, head: Head, page: Sequence[Stored]
) -> list[Event | Unknown]:
    """The events in `page`, if each continues the one before, the first `head`.

    Raises:
        StreamForked, DamagedEvent: they do not.
    """
    events: list[Event | Unknown] = []
    last, digest = head.id, head.digest
    for event_id, blob in page:
        if event_id.ms > MS_MAX:
            # Ids never go back: one such event, and nothing could be written behind.
            raise DamagedEvent(
                f"event {event_id} of stream {origin!r} is from beyond the year 9999"
            )
        event = codec.decode(origin, event_id, blob)
        if event.previous != digest:
            raise StreamForked(
                f"event {event_id} of stream {origin!r} does not continue our history, "
                f"which ends with {last}: another event came before it"
            )
        if event_id.n != last.n + 1 or event_id.ms < last.ms:
            raise StreamForked(
                f"event {event_id} of stream {origin!r} cannot follow {last}"
            )
        last, digest = event_id, event.digest
        events.append(event)
    return events
