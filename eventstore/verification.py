"""Whether a stream is one unbroken history: found out page by page, in constant memory. Pure.

Each event must continue the one before (its digest, number and time), be what its place says
it is, hold a canonical value, and know no less of the other stream than the one before. Only
these may know less: an event that recovery made anew, and one that tells that the memory of
its writer was made anew. What a later version wrote is counted; its place is checked.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Final

import attrs
from msgpack import unpackb

from eventstore import codec
from eventstore.errors import DamagedEvent
from eventstore.event import (
    KEY_BYTES_MAX,
    MS_MAX,
    START,
    Event,
    EventId,
    JsonValue,
    Kind,
    Origin,
)
from eventstore.memory import Head, Stored

FAULT_TEXT_MAX: Final = 300
_MEMORY_IS_NEW: Final = frozenset(
    {Kind.STREAM_OPENED, Kind.STREAM_RECOVERED, Kind.RESYNCHRONISED}
)
"""What a node says first when it has read its streams anew."""
_CHANGES: Final = frozenset({Kind.ENTRY_PUT, Kind.ENTRY_DELETED})


@attrs.frozen
class Fault:
    """The first event of a stream that is wrong, and what is wrong with it."""

    id: EventId | None
    """None: the stream ends too early, or holds what is no event."""
    what: str

    def as_value(self) -> list[JsonValue]:
        """For JSON; `from_value` reads it."""
        return [None if self.id is None else str(self.id), self.what]

    @classmethod
    def from_value(cls, value: Any) -> Fault:
        """What `as_value` gave.

        Raises:
            ValueError, TypeError: `value` is something else.
        """
        event_id, what = value
        parsed = None if event_id is None else EventId.parse(event_id)
        return cls(parsed, str(what)[:FAULT_TEXT_MAX])


@attrs.frozen(kw_only=True)
class Walked:
    """A stream verified up to a place. Of the events before, nothing else is needed."""

    head: Head
    """The last event that was good."""
    event_count: int = 0
    later_count: int = 0
    """Events of a later format among them."""
    knew: EventId = START
    """What the last one had applied of the other stream."""
    named: EventId = START
    """The newest event of the other stream that any of them had applied."""
    named_by: EventId = START
    fault: Fault | None = None
    """Set: the walk ended here."""

    @classmethod
    def start(cls, pair: str, origin: Origin) -> Walked:
        """Before the first event of a stream."""
        return cls(head=Head(START, codec.genesis(pair, origin)))

    def as_value(self) -> JsonValue:
        """For JSON; `from_value` reads it."""
        ids = [str(i) for i in (self.head.id, self.knew, self.named, self.named_by)]
        fault = None if self.fault is None else self.fault.as_value()
        counts: list[JsonValue] = [self.event_count, self.later_count]
        return [*ids, self.head.digest.hex(), *counts, fault]

    @classmethod
    def from_value(cls, value: Any) -> Walked:
        """What `as_value` gave.

        Raises:
            ValueError, TypeError: `value` is something else.
        """
        head, knew, named, named_by, digest, count, later, fault = value
        return cls(
            head=Head(EventId.parse(head), bytes.fromhex(digest)),
            event_count=check_count(count),
            later_count=check_count(later),
            knew=EventId.parse(knew),
            named=EventId.parse(named),
            named_by=EventId.parse(named_by),
            fault=None if fault is None else Fault.from_value(fault),
        )


def check_count(found: Any) -> int:
    """`found`, if it is a number of events.

    Raises:
        ValueError: it is none.
    """
    if type(found) is not int or not 0 <= found < 2**64:
        raise ValueError("a count is none")
    return found


def walked_on(
    walked: Walked, origin: Origin, foreign: Origin, page: Sequence[Stored]
) -> Walked:
    """`walked` with the events in `page` of the stream of `origin`, or up to its fault."""
    walk = _Walk(walked, origin, foreign)
    fault = walk.run(page)
    return walk.end() if fault is None else attrs.evolve(walk.end(), fault=fault)


class _Walk:
    """The loop over one page: one object, so that an event costs no more than it must."""

    def __init__(self, walked: Walked, origin: Origin, foreign: Origin) -> None:
        self._walked = walked
        self._origin = origin
        self._foreign = foreign
        self._ms, self._n = walked.head.id
        self._digest = walked.head.digest
        self._count = 0
        self._later_count = 0
        self._knew = walked.knew
        self._knew_text = str(walked.knew)
        self._named, self._named_by = walked.named, walked.named_by

    def end(self) -> Walked:
        return attrs.evolve(
            self._walked,
            head=Head(EventId(self._ms, self._n), self._digest),
            event_count=self._walked.event_count + self._count,
            later_count=self._walked.later_count + self._later_count,
            knew=self._knew,
            named=self._named,
            named_by=self._named_by,
        )

    def run(self, page: Sequence[Stored]) -> Fault | None:
        """Go on by a page; the fault that ended it, if one did.

        One loop with all that most events need in local names: what it takes for good,
        `take` would take too (tests/properties/test_quick_verification.py). All else is
        left to that.
        """
        origin, foreign = self._origin, self._foreign
        is_canonical = codec.is_surely_canonical
        ms, n, digest, knew_text = self._ms, self._n, self._digest, self._knew_text
        bytes_max = codec.EVENT_BYTES_MAX  # Nothing longer is decoded.
        for event_id, blob in page:
            event_ms, event_n = event_id
            text, known = f"{event_ms}-{event_n}", ""
            try:
                (_, previous, own, stored_id, kind, key, packed, actor, reason, wall_ns,
                 vector) = unpackb(blob if len(blob) <= bytes_max else b"")  # fmt: skip
                slash = key.find("/")
                known = vector[foreign] if len(vector) == 2 else "0-0"
                is_good = (
                    previous == digest
                    and event_n == n + 1
                    and ms <= event_ms <= MS_MAX
                    and blob[0] == _ARRAY_OF_11
                    and blob[1] == codec.FORMAT_VERSION
                    and own == origin
                    and stored_id == vector[origin] == text
                    and len(vector) <= 2
                    and kind in _CHANGES
                    # So that none of the texts is over its limit.
                    and len(blob) - len(packed) <= KEY_BYTES_MAX
                    and 0 < slash < len(key) - 1
                    and key.isprintable()
                    and type(key) is type(actor) is type(reason) is str
                    and type(packed) is bytes
                    and type(wall_ns) is int
                    and (packed == codec.NOTHING or is_canonical(packed))
                    and (known == knew_text or self._learns(event_id, known))
                )
            except Exception:  # noqa: BLE001  `codec.decode` tells which of the many
                is_good = False
            if is_good:
                digest = sha256(blob).digest()
                ms, n = event_ms, event_n
                knew_text = known
                continue
            self._count += n - self._n
            self._ms, self._n, self._digest = ms, n, digest
            what = self.take(event_id, blob)
            if what is not None:
                return Fault(event_id, what)
            ms, n, digest, knew_text = self._ms, self._n, self._digest, self._knew_text
        self._count += n - self._n
        self._ms, self._n, self._digest = ms, n, digest
        return None

    def _learns(self, event_id: EventId, text: str) -> bool:
        """Whether the writer had learnt of a newer event of the other stream."""
        seen = EventId.parse(text)
        if seen < self._knew or seen.ms > MS_MAX:
            return False
        self._knew, self._knew_text = seen, text
        if seen > self._named:
            self._named, self._named_by = seen, event_id
        return True

    def take(self, event_id: EventId, blob: bytes) -> str | None:
        """Go on by one event; what is wrong with it, if anything is."""
        ms, n = event_id
        fields: Any = None
        if len(blob) <= codec.EVENT_BYTES_MAX:
            try:
                fields = unpackb(blob)
            except Exception:  # noqa: BLE001  `codec.decode` tells which of the many
                fields = None
        if type(fields) is not list or len(fields) < 2:
            return self._why(event_id, blob)
        if fields[1] != self._digest:
            return self._breaks(event_id, blob, fields[1])
        if n != self._n + 1:
            return f"it cannot follow {self._ms}-{self._n}: {self._n + 1} is the next number"
        if ms < self._ms or ms > MS_MAX:
            return f"its time cannot follow that of {self._ms}-{self._n}"
        if fields[0] == codec.FORMAT_VERSION and type(fields[0]) is int:
            what = self._known_format(event_id, blob)
            if what is not None:
                return what
        elif type(fields[0]) is int and fields[0] > codec.FORMAT_VERSION:
            self._later_count += 1
        else:
            return f"its format version is {fields[0]!r}"[:FAULT_TEXT_MAX]
        self._digest = sha256(blob).digest()
        self._ms, self._n = ms, n
        self._count += 1
        return None

    def _known_format(self, event_id: EventId, blob: bytes) -> str | None:
        event = codec.readable(self._origin, event_id, blob)
        if event is None:
            return self._why(event_id, blob)
        vector = event.vector
        strange = vector.keys() - {self._origin, self._foreign}
        if strange:
            return f"its vector names {sorted(strange)[0]!r}, no stream of the pair"[
                :200
            ]
        seen = vector.get(self._foreign, START)
        if seen > self._named:
            self._named, self._named_by = seen, event_id
        if seen < self._knew:
            if event.recovered is not None:
                return None
            if event.kind not in _MEMORY_IS_NEW:
                return (
                    f"it knew {seen} of stream {self._foreign!r}, and the event before it "
                    f"knew {self._knew} already"
                )
        self._knew, self._knew_text = seen, str(seen)
        return None

    def _why(self, event_id: EventId, blob: bytes) -> str:
        try:
            found = codec.decode(self._origin, event_id, blob)
        except DamagedEvent as error:
            return str(error)[:FAULT_TEXT_MAX]
        return "it is damaged" if isinstance(found, Event) else found.why

    def _breaks(self, event_id: EventId, blob: bytes, previous: object) -> str:
        if type(previous) is not bytes or len(previous) != codec.DIGEST_BYTES:
            return self._why(event_id, blob)
        before = f"{self._ms}-{self._n}" if self._n else "the begin of this stream"
        if event_id.n != self._n + 1:
            missing = " (numbers are missing)" if event_id.n > self._n + 1 else ""
            return f"it does not continue {before}, which comes before it{missing}"
        return (
            f"the digest in it of what came before it is {previous.hex()[:16]}…, and "
            f"that of {before} is {self._digest.hex()[:16]}…: one of these two was changed"
        )


_ARRAY_OF_11: Final = 0x9B
