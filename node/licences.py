"""Which licences are installed, what they are worth now, and what may be installed. Pure.

They are those in the master's stream, whatever the standby's has (L1). Licences of the product
add up, and so do those of each option; an option with fewer seats lowers the total to its own.
Each node judges by its own clock and its own vendor key, so the same events and time give the
same verdict anywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

import attrs

from eventstore import (
    LICENCES,
    Event,
    InvalidLicence,
    Kind,
    Licence,
    PublicKey,
    read_licence,
)
from node.errors import LicenceRefused

PRODUCT: Final = "netphone-standby"
LICENCE_COUNT_MAX: Final = 100
"""Licences that may be installed at a time."""

NOT_REACHED: Final = (
    "the standby has not reached the master for longer than licences hold without it"
)
_DAY_NS = 24 * 3600 * 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Signature(StrEnum):
    """What this node found of a document's signature."""

    VERIFIED = "verified"
    NONE = "none"
    """There is none, and without a vendor's key none is asked for."""
    NOT_CHECKED = "not checked"
    """There is one, but no vendor's key to check it with."""
    MISSING = "missing"
    """There is none, although a vendor's key is configured."""
    FORGED = "forged"
    """It was not made with the vendor's key, or the document was altered since."""


@attrs.frozen
class Installed:
    """One licence that is installed, as its event has it."""

    event: Event
    licence: Licence | None
    """None: what was stored is none; then `wrong` says so."""
    signature: Signature
    wrong: str | None
    """Why it is not valid at any time; None: time decides."""

    @property
    def id(self) -> str:
        return self.event.key.removeprefix(LICENCES)


@attrs.frozen
class Licences:
    """All that the events say, whatever the time."""

    installed: tuple[Installed, ...] = ()
    """By id."""
    superseded_ns: Mapping[str, int] = attrs.field(factory=dict)
    """When the newest removed one of an id was issued: an older one must not follow."""

    @classmethod
    def of_events(
        cls, events: Iterable[Event], vendor_key: PublicKey | None
    ) -> Licences:
        """`events` holds the newest event of each licence in the master's stream."""
        installed, removed = list[Installed](), dict[str, int]()
        for event in sorted(events, key=lambda event: event.key):
            if event.kind == Kind.LICENCE_INSTALLED:
                installed.append(_installed(event, vendor_key))
            elif (was := _licence(event)) and _is_ours(was, vendor_key):
                removed[was.id] = was.issued_ns
        return cls(tuple(installed), removed)

    def get(self, licence_id: str) -> Installed | None:
        """The one of this id that is installed."""
        return next((found for found in self.installed if found.id == licence_id), None)


@attrs.frozen
class Standing:
    """One licence at one moment."""

    installed: Installed
    reason: str | None
    """Why it is not valid now; None: it is."""

    @property
    def valid(self) -> bool:
        return self.reason is None


@attrs.frozen
class Validity:
    """What all licences together are worth at one moment."""

    standings: tuple[Standing, ...]
    """Every installed one, by id."""
    seats: int
    """How many users may be logged on; 0 where `reason` is set."""
    reason: str | None
    """Why nobody may log on; None: licences are valid."""
    options: Mapping[str, int]
    """Seats of each option that is valid."""
    ends_ns: int | None
    """When the first valid one ends, in nanoseconds since 1970; None: none ends."""

    @property
    def valid(self) -> bool:
        return self.reason is None

    def ends_in_days(self, now_wall_ns: int) -> int | None:
        """Whole days until the first valid licence ends; None: none ends."""
        if self.ends_ns is None:
            return None
        return max(0, self.ends_ns - now_wall_ns) // _DAY_NS


def validity(licences: Licences, *, now_wall_ns: int, grace_over: bool) -> Validity:
    """What `licences` are worth at `now_wall_ns`, nanoseconds since 1970.

    `grace_over`: this is a standby that has not reached its master for too long (L2).
    """
    standings = tuple(
        Standing(found, _against(found, now_wall_ns, grace_over))
        for found in licences.installed
    )
    valid = [s.installed.licence for s in standings if s.valid and s.installed.licence]
    base = sum(found.seats for found in valid if found.option is None)
    options = dict[str, int]()
    for found in valid:
        if found.option is not None:
            options[found.option] = options.get(found.option, 0) + found.seats
    return Validity(
        standings=standings,
        seats=min([base, *options.values()]),
        reason=None if base else _none_valid(standings),
        options=options,
        ends_ns=min((f.ends_ns for f in valid if f.ends_ns is not None), default=None),
    )


def check_install(
    licences: Licences,
    licence: Licence,
    vendor_key: PublicKey | None,
    *,
    now_wall_ns: int,
) -> None:
    """Whether `licence` may be installed beside, or in place of, what is there.

    One that begins later may: it is not valid until then.

    Raises:
        LicenceRefused: every reason why not.
    """
    reasons = [
        reason
        for reason in (
            _wrong(licence, _signature(licence, vendor_key), vendor_key),
            _ended(licence, now_wall_ns),
            _not_newer(licences, licence),
        )
        if reason is not None
    ]
    known = {found.id for found in licences.installed}
    if len(known | {licence.id}) > LICENCE_COUNT_MAX:
        reasons.append(
            f"{len(known)} licences are installed; the limit is {LICENCE_COUNT_MAX}: "
            "remove one"
        )
    if reasons:
        raise LicenceRefused(tuple(reasons))


def check_seat(validity: Validity, users: Set[str], user: str) -> str | None:
    """Why `user` may not log on while `users` hold a seat; None: it may.

    Who holds one keeps it, also where the total fell below what is in use.
    """
    if validity.reason is not None:
        return validity.reason
    if user in users or len(users) < validity.seats:
        return None
    return f"all {validity.seats} seats are in use ({len(users)} users are logged on)"


def shown_time(wall_ns: int) -> str:
    """An instant for people: ISO 8601, UTC, to the second."""
    instant = _EPOCH + timedelta(seconds=wall_ns // 1_000_000_000)
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")


def _installed(event: Event, vendor_key: PublicKey | None) -> Installed:
    licence = _licence(event)
    if licence is None:
        unread = "what is stored is no licence that this version reads"
        return Installed(event, None, Signature.NONE, unread)
    signature = _signature(licence, vendor_key)
    wrong = _wrong(licence, signature, vendor_key)
    if event.key != LICENCES + licence.id:
        wrong = f"it is installed as the licence {licence.id}"
    return Installed(event, licence, signature, wrong)


def _licence(event: Event) -> Licence | None:
    """The licence that an event carries, if it is one."""
    with suppress(InvalidLicence):
        return read_licence(event.value)
    return None


def _signature(licence: Licence, vendor_key: PublicKey | None) -> Signature:
    if licence.signature is None:
        return Signature.NONE if vendor_key is None else Signature.MISSING
    if vendor_key is None:
        return Signature.NOT_CHECKED
    signed = licence.is_signed_by(vendor_key)
    return Signature.VERIFIED if signed else Signature.FORGED


def _wrong(
    licence: Licence, signature: Signature, vendor_key: PublicKey | None
) -> str | None:
    """Why it is worth nothing at any time."""
    if licence.product != PRODUCT:
        return f"it is for the product {licence.product!r}, not {PRODUCT!r}"
    if vendor_key is None:
        return None
    if signature is Signature.MISSING:
        return "it is not signed, and a vendor's key is configured"
    if licence.signature is not None and signature is Signature.FORGED:
        named, known = licence.signature.fingerprint, vendor_key.fingerprint
        if named != known:
            return f"it is signed with the key {named}, not the vendor's {known}"
        return f"its signature is not that of the vendor's key {known}: it was altered"
    return None


def _is_ours(licence: Licence, vendor_key: PublicKey | None) -> bool:
    """Whether it can be worth anything: a forged one must not keep a true one away."""
    return _wrong(licence, _signature(licence, vendor_key), vendor_key) is None


def _against(found: Installed, now_wall_ns: int, grace_over: bool) -> str | None:
    if found.wrong is not None:
        return found.wrong
    licence = found.licence
    assert licence is not None, "what cannot be read is wrong"
    if licence.starts_ns is not None and now_wall_ns < licence.starts_ns:
        return f"it is not valid before {shown_time(licence.starts_ns)}"
    return _ended(licence, now_wall_ns) or (NOT_REACHED if grace_over else None)


def _ended(licence: Licence, now_wall_ns: int) -> str | None:
    if licence.ends_ns is None or now_wall_ns < licence.ends_ns:
        return None
    return f"it ended at {shown_time(licence.ends_ns)}"


def _not_newer(licences: Licences, licence: Licence) -> str | None:
    found = licences.get(licence.id)
    known = found.licence if found is not None and found.wrong is None else None
    if known is not None and licence.issued_ns <= known.issued_ns:
        return (
            f"licence {licence.id} is installed, issued {shown_time(known.issued_ns)}; "
            f"only one issued later can replace it, and this one was issued "
            f"{shown_time(licence.issued_ns)}"
        )
    removed_ns = licences.superseded_ns.get(licence.id, licence.issued_ns)
    if licence.issued_ns < removed_ns:
        return (
            f"licence {licence.id} was there as issued {shown_time(removed_ns)}, and this "
            f"one was issued before, {shown_time(licence.issued_ns)}"
        )
    return None


def _none_valid(standings: tuple[Standing, ...]) -> str:
    """Why nobody may log on, where no licence of the product is valid."""
    base = [
        s
        for s in standings
        if s.installed.licence is None or s.installed.licence.option is None
    ]
    if not standings:
        return "no licence is installed"
    if not base:
        return "only licences of options are installed, none of the product"
    first = f"licence {base[0].installed.id}: {base[0].reason}"
    more = len(base) - 1
    return f"no licence is valid ({first}{f', and {more} more' if more else ''})"
