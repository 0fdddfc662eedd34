"""Verifies all that a pair has stored: both streams in one or two copies, and archives. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import attrs

from eventstore.archive_verification import archive_on
from eventstore.beginnings import archived_heads
from eventstore.comparing import step
from eventstore.errors import DamagedEvent
from eventstore.event import Origin
from eventstore.memory import Head
from eventstore.source import Source
from eventstore.verified import ORIGINS, Verification, VerifyReport, Witness
from eventstore.witnesses import accusations, known_and_gone, shorter_originals

STEP_BYTES_MAX: Final = 8 * 1024 * 1024


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
    progress = begin_verification(sources, archives=archives)
    while not progress.is_over:
        progress = verify_on(
            progress, sources, originals=originals or {}, remembered=remembered
        )
        watch(progress)
    return progress.report(source.pair, names)


def begin_verification(sources: Sequence[Source], *, archives: bool) -> Verification:
    """A verification of `sources` that has looked at nothing yet.

    What their events say was archived is not looked at; what lacks without that is a fault.

    Raises:
        StoreUnavailable, UnsuitableStore: a Redis does not answer, or not us.
    """
    archived: list[Mapping[Origin, Head | None]] = []
    for source in sources:
        try:
            found = archived_heads(source, ORIGINS, prevailing=ORIGINS[0])
        except DamagedEvent:
            found = {}  # The walk finds it, and says where.
        archived.append(found)
    return Verification.start(
        sources[0].pair, len(sources), archives=archives, archived=archived
    )


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
        return archive_on(progress, sources)
    found = [
        *known_and_gone(progress, sources),
        *shorter_originals(progress, sources, originals),
        *accusations(progress, sources, remembered()),
    ]
    return attrs.evolve(progress, accusations=tuple(found), is_over=True), 0
