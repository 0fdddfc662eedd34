"""Whether a bundle is what it says: one unbroken history of each stream, and nothing beyond it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

import attrs

from eventstore import codec
from eventstore.bundle import Bundle
from eventstore.bundle_format import Chain, Held, held_of
from eventstore.codec import Unknown
from eventstore.errors import DamagedBundle, DamagedEvent, StreamForked
from eventstore.event import START, Event, EventId, Origin
from eventstore.memory import Head, Stored, chained, head_of

_NAMED: Final = re.compile(r"[a-z]+-([0-9]+-[0-9]+)-([0-9a-f]{12})")
"""Origin, first event, and the begin of the last one's digest; see `mending`."""


@attrs.define
class CheckedChain:
    """What was found in a chain of a bundle."""

    chain: Chain
    held: Held = attrs.field(factory=Held)
    """Count, first and last event."""
    unread_count: int = 0
    """Events that this version does not understand."""
    since_ns: int | None = None
    """The earliest wall clock of a writer, nanoseconds since 1970; None: no event."""
    until_ns: int | None = None
    """The latest one."""
    break_at: EventId | None = None
    """The first event of an archive that does not continue the one before. What was damaged
    before it was replaced is kept as it was; a stream in a bundle has no break.
    """


def check_bundle(
    bundle: Bundle, told: Callable[[int], None] = lambda _count: None
) -> list[CheckedChain]:
    """Read all of `bundle` once; what it holds, if it is whole and unbroken.

    `told` gets the number of events after each part. Nobody's key is trusted here: compare
    `bundle.signer`.

    Raises:
        StoreUnavailable: the file cannot be read any more.
        DamagedBundle: the first thing that is wrong.
    """
    chains = [CheckedChain(chain) for chain in bundle.header.chains]
    untils = {c.origin: c.until for c in bundle.header.chains if c.archive is None}
    _check_starts(bundle)
    for number, page in bundle.walk():
        checked = chains[number]
        try:
            for event in _events(checked, page, untils):
                _count(checked, event)
        except (StreamForked, DamagedEvent) as error:
            raise DamagedBundle(f"{bundle.path}: {error}") from error
        checked.held = held_of(page, checked.held)
        told(len(page))
    for checked, promised in zip(chains, bundle.trailer.held, strict=True):
        if checked.held != promised:
            raise DamagedBundle(
                f"{bundle.path}: {checked.chain.name} has not the ends that the trailer "
                "tells"
            )
        _check_name(bundle, checked)
    return chains


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
        if chain.after is None or chain.after.id != START:
            continue
        if chain.after.digest != codec.genesis(bundle.pair, chain.origin):
            raise DamagedBundle(
                f"{bundle.path}: {chain.name} does not begin as one of pair "
                f"{bundle.pair!r} does"
            )


def _events(
    checked: CheckedChain, page: list[Stored], untils: dict[Origin, EventId]
) -> Sequence[Event | Unknown | None]:
    chain = checked.chain
    end = chain.after if checked.held.last is None else checked.held.last
    if chain.archive is not None:
        return _archived(checked, end, page)
    assert end is not None, "a stream in a bundle says what it continues"
    events = chained(chain.origin, end, page)
    for event in events:
        if isinstance(event, Event):
            _check_vector(event, untils)
    return events


def _check_vector(event: Event, untils: dict[Origin, EventId]) -> None:
    for origin, seen in event.vector.items():
        if seen > untils.get(origin, START):
            raise StreamForked(
                f"event {event.id} of stream {event.origin!r} knew event {seen} of stream "
                f"{origin!r}, which is not in it"
            )


def _archived(
    checked: CheckedChain, end: Head | None, page: list[Stored]
) -> Sequence[Event | Unknown | None]:
    events = list[Event | Unknown | None]()
    for event_id, blob in page:
        try:
            event = codec.decode(checked.chain.origin, event_id, blob)
        except DamagedEvent:
            event = None
        if checked.break_at is None and end is not None:
            follows = event is not None and event.previous == end.digest
            if not follows or event_id.n != end.id.n + 1:
                checked.break_at = event_id
        end = head_of((event_id, blob))
        events.append(event)
    return events


def _count(checked: CheckedChain, event: Event | Unknown | None) -> None:
    if not isinstance(event, Event):
        checked.unread_count += 1
        return
    since, until = checked.since_ns, checked.until_ns
    checked.since_ns = event.wall_ns if since is None else min(since, event.wall_ns)
    checked.until_ns = event.wall_ns if until is None else max(until, event.wall_ns)
