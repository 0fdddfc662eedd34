"""What licences are worth at one moment, and which may be installed (L1 to L3)."""

from __future__ import annotations

import pytest

from eventstore import (
    LICENCES,
    Event,
    JsonValue,
    Kind,
    PublicKey,
    read_licence,
)
from node.errors import LicenceRefused
from node.licences import (
    LICENCE_COUNT_MAX,
    NOT_REACHED,
    Licences,
    Signature,
    Validity,
    check_install,
    check_seat,
    validity,
)
from tests.support.histories import MASTER, Writer
from tests.support.licences import (
    DAY_NS,
    KEY,
    NOW_NS,
    OTHER_KEY,
    document,
    events_of,
    signed,
)

VENDOR = KEY.public
Document = dict[str, JsonValue]


def worth(
    *documents: Document,
    key: PublicKey | None = VENDOR,
    now_ns: int = NOW_NS,
    grace_over: bool = False,
) -> Validity:
    known = Licences.of_events(events_of(*documents), key)
    return validity(known, now_wall_ns=now_ns, grace_over=grace_over)


def refused(
    given: Document,
    *there: Document,
    key: PublicKey | None = VENDOR,
    now_ns: int = NOW_NS,
) -> tuple[str, ...]:
    known = Licences.of_events(events_of(*there), key)
    try:
        check_install(known, read_licence(given), key, now_wall_ns=now_ns)
    except LicenceRefused as error:
        return error.reasons
    return ()


# The total.


@pytest.mark.parametrize(
    ("given", "seats"),
    [
        ([("a", 50, None)], 50),
        ([("a", 50, None), ("b", 10, None)], 60),
        ([("a", 50, None), ("b", 20, "rec")], 20),
        ([("a", 50, None), ("b", 20, "rec"), ("c", 20, "rec")], 40),
        ([("a", 50, None), ("b", 20, "rec"), ("c", 30, "fax")], 20),
        ([("a", 50, None), ("b", 80, "rec")], 50),
        ([("b", 20, "rec")], 0),
        ([], 0),
    ],
)
def test_the_total_is_the_smallest_sum(
    given: list[tuple[str, int, str | None]], seats: int
) -> None:
    found = worth(*(signed(i, seats=n, option=o) for i, n, o in given))
    assert found.seats == seats
    assert found.valid == (seats > 0)


def test_an_option_that_is_not_valid_lowers_nothing() -> None:
    option = signed("b", seats=20, option="rec", ends="2026-01-31")
    found = worth(signed("a"), option)
    assert (found.seats, dict(found.options)) == (20, {"rec": 20})
    found = worth(signed("a"), option, now_ns=NOW_NS + 31 * DAY_NS)
    assert (found.seats, dict(found.options)) == (50, {})


def test_why_nobody_may_log_on_is_said() -> None:
    ended = signed("a", ends="2025-12-31")
    assert worth().reason == "no licence is installed"
    assert worth(ended).reason == (
        "no licence is valid (licence a: it ended at 2026-01-01T00:00:00Z)"
    )
    assert worth(ended, signed("b", ends="2025-12-31")).reason == (
        "no licence is valid (licence a: it ended at 2026-01-01T00:00:00Z, and 1 more)"
    )
    assert worth(signed("a", option="rec")).reason == (
        "only licences of options are installed, none of the product"
    )


# Time.


def test_a_licence_begins_and_ends_to_the_nanosecond() -> None:
    given = signed(not_before="2026-01-02", ends="2026-01-03")
    first, behind = NOW_NS + DAY_NS, NOW_NS + 3 * DAY_NS
    times = (first - 1, first, behind - 1, behind)
    found = [worth(given, now_ns=now_ns) for now_ns in times]
    assert [f.valid for f in found] == [False, True, True, False]
    assert [f.standings[0].reason for f in found] == [
        "it is not valid before 2026-01-02T00:00:00Z",
        None,
        None,
        "it ended at 2026-01-04T00:00:00Z",
    ]


def test_the_ends_in_days_are_those_of_the_first_that_ends() -> None:
    found = worth(signed("a", ends="2026-01-10"), signed("b", ends="2026-01-05"))
    assert found.ends_in_days(NOW_NS) == 5
    assert found.ends_in_days(NOW_NS + 1) == 4
    assert found.ends_in_days(NOW_NS + 9 * DAY_NS) == 0
    assert worth(signed()).ends_in_days(NOW_NS) is None
    ended = worth(signed("a"), signed("b", ends="2025-12-31"))
    assert ended.ends_in_days(NOW_NS) is None, "it has ended already"


def test_a_standby_without_its_master_has_none_that_is_valid() -> None:
    found = worth(signed("a"), signed("b", ends="2025-12-31"), grace_over=True)
    assert (found.valid, found.seats) == (False, 0)
    assert [s.reason for s in found.standings] == [
        NOT_REACHED,
        "it ended at 2026-01-01T00:00:00Z",
    ]


# Signatures.


@pytest.mark.parametrize(
    ("given", "key", "signature", "valid"),
    [
        (signed(), VENDOR, Signature.VERIFIED, True),
        (document(), VENDOR, Signature.MISSING, False),
        (signed(key=OTHER_KEY), VENDOR, Signature.FORGED, False),
        ({**signed(), "seats": 51}, VENDOR, Signature.FORGED, False),
        (document(), None, Signature.NONE, True),
        (signed(key=OTHER_KEY), None, Signature.NOT_CHECKED, True),
    ],
    ids=["verified", "missing", "other key", "altered", "none", "not checked"],
)
def test_a_signature_is_judged_by_the_vendors_key(
    given: Document, key: PublicKey | None, signature: Signature, valid: bool
) -> None:
    found = worth(given, key=key)
    assert found.standings[0].installed.signature is signature
    assert found.valid is valid
    assert (refused(given, key=key) == ()) is valid


def test_what_is_stored_and_is_no_licence_is_not_valid() -> None:
    writer = Writer(MASTER)
    events = [
        writer.write(Kind.LICENCE_INSTALLED, LICENCES + "a", {"seats": 9}),
        writer.write(Kind.LICENCE_INSTALLED, LICENCES + "b", signed("a")),
    ]
    known = Licences.of_events(events, VENDOR)
    found = validity(known, now_wall_ns=NOW_NS, grace_over=False)
    assert [s.reason for s in found.standings] == [
        "what is stored is no licence that this version reads",
        "it is installed as the licence a",
    ]
    assert not found.valid


# Installing.


def test_a_licence_that_begins_later_may_be_installed() -> None:
    assert refused(signed(not_before="2027-01-01")) == ()


def test_an_expired_one_may_not() -> None:
    given = signed(ends="2025-12-31")
    assert refused(given) == ("it ended at 2026-01-01T00:00:00Z",)
    assert refused(given, now_ns=NOW_NS - 1) == ()


def test_another_products_may_not() -> None:
    assert refused(signed(product="fax")) == (
        "it is for the product 'fax', not 'netphone-standby'",
    )


def test_who_signed_it_is_said() -> None:
    (other,) = refused(signed(key=OTHER_KEY))
    assert OTHER_KEY.public.fingerprint in other
    assert VENDOR.fingerprint in other
    (altered,) = refused({**signed(), "seats": 51})
    assert "it was altered" in altered


def test_every_reason_is_given_at_once() -> None:
    assert len(refused(document(product="fax", ends="2025-12-31"), signed())) == 3


@pytest.mark.parametrize(
    ("issued", "accepted"),
    [("2025-11-30", False), ("2025-12-01", False), ("2025-12-01T00:00:01Z", True)],
)
def test_one_of_the_same_id_replaces_only_an_older_one(
    issued: str, accepted: bool
) -> None:
    assert (refused(signed(issued=issued), signed()) == ()) is accepted


def test_a_forged_one_that_is_there_keeps_no_true_one_of_its_id_away() -> None:
    forged = {**signed(issued="2125-01-01"), "holder": "Mallory"}
    assert refused(signed(), forged) == ()
    known = Licences.of_events(removed(forged), VENDOR)
    check_install(known, read_licence(signed()), VENDOR, now_wall_ns=NOW_NS)


def removed(given: Document) -> list[Event]:
    writer = Writer(MASTER)
    return [writer.write(Kind.LICENCE_REMOVED, f"{LICENCES}{given['id']}", given)]


@pytest.mark.parametrize(
    ("issued", "accepted"),
    [("2025-11-30", False), ("2025-12-01", True), ("2025-12-02", True)],
)
def test_one_that_was_removed_may_come_back_but_no_older_one(
    issued: str, accepted: bool
) -> None:
    known = Licences.of_events(removed(signed()), VENDOR)
    assert known.installed == ()
    given = read_licence(signed(issued=issued))
    if accepted:
        check_install(known, given, VENDOR, now_wall_ns=NOW_NS)
        return
    with pytest.raises(LicenceRefused, match="was there as issued 2025-12-01T"):
        check_install(known, given, VENDOR, now_wall_ns=NOW_NS)


def test_so_many_and_no_more() -> None:
    there = [signed(f"L-{n}") for n in range(LICENCE_COUNT_MAX)]
    assert refused(signed("L-0", issued="2025-12-02"), *there) == ()
    (reason,) = refused(signed("one-more"), *there)
    assert reason == "100 licences are installed; the limit is 100: remove one"


# Seats.


def test_a_seat_is_free_until_all_are_in_use() -> None:
    found = worth(signed(seats=2))
    assert check_seat(found, frozenset({"a"}), "b") is None
    assert check_seat(found, frozenset({"a", "b"}), "b") is None
    assert check_seat(found, frozenset({"a", "b"}), "c") == (
        "all 2 seats are in use (2 users are logged on)"
    )


def test_who_holds_a_seat_keeps_it_when_there_are_fewer() -> None:
    found = worth(signed(seats=1))
    assert check_seat(found, frozenset({"a", "b"}), "a") is None


def test_without_a_valid_licence_nobody_logs_on() -> None:
    assert check_seat(worth(), frozenset({"a"}), "a") == "no licence is installed"
