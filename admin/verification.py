"""A verification seen from outside: through a node, or straight from one Redis or both."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import BinaryIO, Protocol

import attrs

from admin.client import NodeClient
from admin.errors import Refused, ReplyUnclear
from admin.offline import ORIGINS, event_count
from eventstore import (
    CHECKPOINT_BYTES_MAX,
    Accusation,
    Checkpoint,
    Origin,
    PublicKey,
    Source,
    Verification,
    VerifyReport,
    Witness,
    accusations,
    accused_by,
    begin_verification,
    read_checkpoints,
    verify_on,
)

WITNESS_COUNT = 50
"""Asked for at once."""
BAD_LINE_COUNT_MAX = 20
"""Of more bad lines in a file only the number is told."""
_STEP_EVENT_COUNT = 5000
Watch = Callable[[int, int], None]
"""Told how many events were verified, and of how many."""


class Verifier(Protocol):
    """One way to verify."""

    def verify(self, watch: Watch, *, archives: bool) -> Walk:
        """Walk through everything."""

    def accused(self, walk: Walk, witnesses: Sequence[Witness]) -> list[Accusation]:
        """What `witnesses` say."""


@attrs.frozen(kw_only=True)
class Walk:
    """A verification that is over."""

    pair: str
    now: Verification
    copies: Sequence[str]
    problem: str = ""


@attrs.frozen
class ThroughNode:
    """Asks a node, which reads both Redis."""

    client: NodeClient

    def verify(self, watch: Watch, *, archives: bool) -> Walk:
        """Walk through everything, a page for each request."""
        problem = ""
        for page in self.client.verify(archives=archives):
            watch(page.event_count, page.total_count)
            problem = problem or page.problem
        return Walk(pair=page.pair, now=page.now, copies=page.copies, problem=problem)

    def accused(self, walk: Walk, witnesses: Sequence[Witness]) -> list[Accusation]:
        """What `witnesses` say."""
        at = [(w.origin, str(w.head.id)) for w in witnesses]
        found = self.client.stored_heads(at, compare=len(walk.copies) > 1)
        if list(found.copies) != list(walk.copies):
            raise ReplyUnclear(
                "the node looked at other copies meanwhile; verify again"
            )
        return [
            accusation
            for witness, digests in zip(witnesses, found.digests, strict=True)
            for accusation in accused_by(walk.now, witness, digests)
        ]


@attrs.frozen
class Offline:
    """Reads one copy, or two."""

    sources: Sequence[Source]
    names: Sequence[str]
    first_is_of: Origin | None
    """Whose Redis the first one is, if that is known."""

    def verify(self, watch: Watch, *, archives: bool) -> Walk:
        """Walk through everything."""
        originals = {}
        if self.first_is_of is not None:
            originals = {o: int(o != self.first_is_of) for o in ORIGINS}
        first = self.sources[0]
        total = event_count(first)
        now = begin_verification(self.sources, archives=archives)
        while not now.is_over:
            now = verify_on(
                now,
                self.sources,
                originals=originals,
                remembered=tuple,
                event_count_max=_STEP_EVENT_COUNT,
            )
            watch(now.event_count, total)
        return Walk(pair=first.pair, now=now, copies=self.names)

    def accused(self, walk: Walk, witnesses: Sequence[Witness]) -> list[Accusation]:
        """What `witnesses` say."""
        return accusations(walk.now, self.sources, witnesses)


@attrs.frozen(kw_only=True)
class Verified:
    """All that was found."""

    report: VerifyReport
    copies: Sequence[str]
    """What was looked at."""
    checkpoint_count: int
    """Good lines of the file."""
    bad_lines: Sequence[str]
    bad_line_count: int

    @property
    def is_whole(self) -> bool:
        """Whether nothing is wrong."""
        return self.report.is_whole and not self.bad_line_count


def verified(
    verifier: Verifier,
    watch: Watch,
    *,
    archives: bool,
    checkpoints: tuple[BinaryIO, PublicKey] | None,
) -> Verified:
    """Verify, and hold what was found against the checkpoints in a file.

    Raises:
        AdminError: a node or a Redis does not answer, or the file holds no checkpoint.
    """
    walk = verifier.verify(watch, archives=archives)
    bad: list[str] = []
    bad_count = good_count = 0
    accused: dict[tuple[Origin, int], Accusation] = {}

    def witnesses() -> Iterator[Witness]:
        nonlocal bad_count, good_count
        if checkpoints is None:
            return
        file, key = checkpoints
        for found in read_checkpoints(_lines(file), key, walk.pair):
            if isinstance(found, Checkpoint):
                good_count += 1
                yield from found.witnesses()
                continue
            bad_count += 1
            if len(bad) < BAD_LINE_COUNT_MAX:
                bad.append(found)

    for batch in _batches(witnesses()):
        for accusation in verifier.accused(walk, batch):
            # The first event is what matters, and the earliest witness is the nearest.
            accused.setdefault((accusation.origin, accusation.copy), accusation)
    if checkpoints is not None and not good_count and not bad_count:
        raise Refused("the file of checkpoints is empty: it proves nothing")
    report = walk.now.report(walk.pair, walk.copies, more=list(accused.values()))
    return Verified(
        report=attrs.evolve(report, problem=walk.problem),
        copies=walk.copies,
        checkpoint_count=good_count,
        bad_lines=bad,
        bad_line_count=bad_count,
    )


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """The lines of a file; of one that is too long, all but the begin is left out."""
    while line := file.readline(CHECKPOINT_BYTES_MAX + 1):
        yield line
        while not line.endswith(b"\n") and line:
            line = file.readline(CHECKPOINT_BYTES_MAX + 1)


def _batches(witnesses: Iterable[Witness]) -> Iterator[list[Witness]]:
    left = iter(witnesses)
    while batch := list(islice(left, WITNESS_COUNT)):
        yield batch
