"""How far a verification is, as a value; and what it found. Pure.

A walk can be left after any page and gone on with elsewhere: its state has a few kilobytes,
however long the history is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs

from eventstore.comparing import (
    FIRST,
    Accusation,
    Bad,
    Compared,
    Judged,
    judge,
)
from eventstore.event import START, JsonValue, Origin
from eventstore.memory import Head
from eventstore.verification import Fault, Walked, check_count

ORIGINS: Final = (Origin("master"), Origin("standby"))


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
        cls,
        pair: str,
        copy_count: int,
        *,
        archives: bool = True,
        archived: Sequence[Mapping[Origin, Head | None]] = (),
    ) -> Verification:
        """Nothing was looked at yet.

        `archived` says of each copy with which event a stream begins there that has an
        earlier one, up to which nothing is looked at; None: nobody archived what is missing.
        """
        first, second = (
            _begun(pair, origin, [found.get(origin, _WHOLE) for found in archived])
            if archived
            else Compared(walked=[Walked.start(pair, origin)] * copy_count)
            for origin in ORIGINS
        )
        archive = (FIRST, "", None) if archives else None
        return cls(compared=(first, second), archive=archive)

    def archived_n(self, origin: Origin) -> int:
        """How many events of the stream are archived, and were not looked at."""
        compared = self.compared[ORIGINS.index(origin)]
        return max(w.head.id.n - w.event_count for w in compared.walked)

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
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            raise ValueError(f"no state of a verification: {error}") from None

    @classmethod
    def _from_value(cls, value: Any) -> Verification:
        first, second = (Compared.from_value(c) for c in value["streams"])
        if len(first.walked) != len(second.walked):
            raise ValueError("one copy of one stream, and two of the other")
        archive = value["archive"]
        if archive is not None:
            copy, name, walked = archive
            _check_copy(copy, first)
            if type(name) is not str:
                raise ValueError("no such archive")
            archive = copy, name, None if walked is None else Walked.from_value(walked)
        counts = [check_count(count) for count in value["archives"]]
        if len(counts) != 3:
            raise ValueError("a count is missing")
        accusations = [Accusation.from_value(a) for a in value["accusations"]]
        bad_archives = value["bad_archives"]
        accused = [
            *(a.copy for a in accusations),
            *(copy for copy, _, _ in bad_archives),
        ]
        for copy in accused:
            _check_copy(copy, first)
        return cls(
            compared=(first, second),
            archive=archive,
            archive_count=counts[0],
            archived_count=counts[1],
            bad_archive_count=counts[2],
            bad_archives=tuple(
                (copy, str(name), Fault.from_value(fault))
                for copy, name, fault in bad_archives
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


_WHOLE: Final = Head(START, b"")


def _begun(pair: str, origin: Origin, begins: Sequence[Head | None]) -> Compared:
    """Copies of a stream before the first event that is looked at, of each the same one."""
    whole = Walked.start(pair, origin)
    said = [head for head in begins if head is not None]
    start = max(said, key=lambda head: head.id, default=_WHOLE)
    if start.id == START:
        return Compared(walked=[whole] * len(begins))
    # What nobody archived is walked from the genesis, which finds that it is not there.
    walked = [whole if head is None else Walked(head=start) for head in begins]
    return Compared(walked=walked, is_alone=None in begins)


def _check_copy(copy: Any, compared: Compared) -> None:
    if type(copy) is not int or not 0 <= copy < len(compared.walked):
        raise ValueError("a copy that was not looked at")
