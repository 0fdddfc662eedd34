"""Whether a bundle is what it says: one unbroken history of each stream, and nothing beyond it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import attrs

from eventstore import codec
from eventstore.archive_verification import walked_to
from eventstore.bundle import Bundle
from eventstore.bundle_format import Chain, Held, held_of
from eventstore.errors import DamagedBundle, DamagedEvent
from eventstore.event import START, EventId, Origin
from eventstore.memory import Stored
from eventstore.verification import Walked, walked_on
from eventstore.verified import ORIGINS

_NAMED: Final = re.compile(r"[a-z]+-([0-9]+-[0-9]+)-([0-9a-f]{12})")
"""Origin, first event, and the begin of the last one's digest; see `mending`."""


@attrs.define
class CheckedChain:
    """What was found in a chain of a bundle."""

    chain: Chain
    held: Held = attrs.field(factory=Held)
    """Count, first and last event."""
    since_ns: int | None = None
    """The earliest wall clock of a writer, nanoseconds since 1970; None: no event."""
    until_ns: int | None = None
    """The latest one."""
    walked: Walked | None = None
    """As verified: as far as its history is unbroken. None: no event."""

    @property
    def unread_count(self) -> int:
        """Events that this version does not understand."""
        return 0 if self.walked is None else self.walked.later_count

    @property
    def break_at(self) -> EventId | None:
        """The first event of an archive that does not continue the one before.

        What was damaged before it was replaced is kept as it was, and not looked at from there
        on; a stream in a bundle has no break.
        """
        fault = None if self.walked is None else self.walked.fault
        return None if fault is None else fault.id


def check_bundle(
    bundle: Bundle, told: Callable[[int], None] = lambda _count: None
) -> list[CheckedChain]:
    """Read all of `bundle` once; what it holds, if it is whole and unbroken.

    Streams are verified as `verify` does. `told` gets the number of events after each part.
    Nobody's key is trusted here: compare `bundle.signer`.

    Raises:
        StoreUnavailable: the file cannot be read any more.
        DamagedBundle: the first thing that is wrong.
    """
    chains = [CheckedChain(chain) for chain in bundle.header.chains]
    untils = {c.origin: c.until for c in bundle.header.chains if c.archive is None}
    _check_starts(bundle)
    for number, page in bundle.walk():
        checked = chains[number]
        _walk_on(bundle, checked, page, untils)
        checked.held = held_of(page, checked.held)
        _note_times(checked, page)
        told(len(page))
    for checked, promised in zip(chains, bundle.trailer.held, strict=True):
        if checked.held != promised:
            raise DamagedBundle(
                f"{bundle.path}: {checked.chain.name} has not the ends that the trailer "
                "tells"
            )
        _check_name(bundle, checked)
    return chains


def walked_chain(chain: Chain, walked: Walked | None, page: Sequence[Stored]) -> Walked:
    """`walked` with a `page` of `chain`, or up to its fault; None: it is the first page."""
    if walked is None:
        start = chain.after
        walked = (
            walked_to(chain.origin, page[0]) if start is None else Walked(head=start)
        )
    if walked.fault is not None:
        return walked
    return walked_on(walked, chain.origin, _other(chain.origin), page)


def _other(origin: Origin) -> Origin:
    return ORIGINS[1 - ORIGINS.index(origin)]


def _check_name(bundle: Bundle, checked: CheckedChain) -> None:
    """The archive of a recovery is named after what is in it."""
    named = _NAMED.fullmatch(checked.chain.archive or "")
    first, last = checked.held.first, checked.held.last
    if named is None or first is None or last is None:
        return
    if named[1] != str(first.id) or named[2] != last.digest.hex()[: len(named[2])]:
        raise DamagedBundle(
            f"{bundle.path}: {checked.chain.name} has other events than its name tells"
        )


def _check_starts(bundle: Bundle) -> None:
    for chain in bundle.header.chains:
        if chain.origin not in ORIGINS:
            raise DamagedBundle(
                f"{bundle.path}: {chain.name} is of {chain.origin!r}, not of a pair"
            )
        if chain.after is None or chain.after.id != START:
            continue
        if chain.after.digest != codec.genesis(bundle.pair, chain.origin):
            raise DamagedBundle(
                f"{bundle.path}: {chain.name} does not begin as one of pair "
                f"{bundle.pair!r} does"
            )


def _walk_on(
    bundle: Bundle,
    checked: CheckedChain,
    page: list[Stored],
    untils: Mapping[Origin, EventId],
) -> None:
    chain = checked.chain
    checked.walked = walked = walked_chain(chain, checked.walked, page)
    if chain.archive is not None:
        return
    if walked.fault is not None:
        raise DamagedBundle(
            f"{bundle.path}: {chain.name}, event {walked.fault.id}: {walked.fault.what}"
        )
    foreign = _other(chain.origin)
    if walked.named > untils.get(foreign, START):
        events = (codec.readable(chain.origin, *stored) for stored in page)
        knew = ((e.id, e.vector.get(foreign, START)) for e in events if e is not None)
        event_id, seen = next(
            (one for one in knew if one[1] > untils.get(foreign, START)),
            (walked.named_by, walked.named),
        )
        raise DamagedBundle(
            f"{bundle.path}: event {event_id} of {chain.name} knew event {seen} of "
            f"stream {foreign!r}, which is not in it"
        )


def _note_times(checked: CheckedChain, page: list[Stored]) -> None:
    for event_id, blob in page:
        try:
            wall_ns = codec.written_ns(event_id, blob)
        except DamagedEvent:
            continue
        if wall_ns is None:
            continue
        since, until = checked.since_ns, checked.until_ns
        checked.since_ns = wall_ns if since is None else min(since, wall_ns)
        checked.until_ns = wall_ns if until is None else max(until, wall_ns)
