"""The licences of a running node: installed, removed, told and counted."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress

import attrs
import fakeredis
import pytest

from eventstore import (
    Delete,
    Event,
    InvalidEntry,
    InvalidLicence,
    Kind,
    Put,
    WritesFrozen,
)
from node.errors import LicenceRefused, NoSeat, NoSuchLicence, NotMaster
from node.licensing import Licensing, Seats
from node.roles import Role
from tests.contracts.nodes import LIMIT_S, Clock, Node, Running
from tests.simulation.world import config_of
from tests.support.histories import MASTER, STANDBY
from tests.support.licences import DAY_NS, KEY, document, signed
from tests.support.waiting import wait_until

VENDOR_PEM = KEY.public.pem.decode()


@attrs.frozen
class Wall:
    """A node's clock whose wall clock stands where `ms` puts it."""

    wall_ns: Clock

    def now_s(self) -> float:
        return 0.0


@attrs.frozen
class Made:
    """The licences of one node, over a store of its own."""

    node: Node
    clock: Clock
    licensing: Licensing

    def install(self, given: object) -> Event:
        return self.licensing.install(given, actor="jane", reason="")  # type: ignore[arg-type]

    def remove(self, licence_id: str) -> Event:
        return self.licensing.remove(licence_id, actor="jane", reason="")


def made(
    role: Role = Role.MASTER, grace_over: Callable[[], bool] = lambda: False
) -> Made:
    server = fakeredis.FakeServer(version=(7,))
    origin = MASTER if role is Role.MASTER else STANDBY
    clock = Clock()
    node = Node(lambda: fakeredis.FakeRedis(server=server), origin, clock)
    licensing = Licensing(
        config_of(role, vendor_key=VENDOR_PEM, switch_timeout_s=3.5),
        store=node.store,
        clock=Wall(clock),
        grace_over=grace_over,
    )
    return Made(node, clock, licensing)


@pytest.fixture
def master() -> Made:
    return made()


def test_what_is_installed_is_an_event_and_no_entry(master: Made) -> None:
    given = signed()
    event = master.install(given)
    assert (event.kind, event.key) == (Kind.LICENCE_INSTALLED, "licences/L-1")
    assert (event.actor, event.value) == ("jane", given)
    assert master.licensing.validity().seats == 50
    assert master.node.store.snapshot.entry_count == 0
    assert int(master.node.store.snapshot.digest, 16) == 0
    assert [folded for _, folded in master.node.told] == [None]


def test_a_removed_one_is_gone_and_its_document_stays_in_the_history(
    master: Made,
) -> None:
    master.install(signed())
    event = master.remove("L-1")
    assert (event.kind, event.key) == (Kind.LICENCE_REMOVED, "licences/L-1")
    assert event.value == signed()
    assert master.licensing.validity().reason == "no licence is installed"
    with pytest.raises(NoSuchLicence, match="no licence 'L-1' is installed"):
        master.remove("L-1")


def test_a_new_process_has_the_same(master: Made) -> None:
    """All of them, not only the newest hundred events."""
    master.install(signed("first"))
    for n in range(1, 120):
        issued = f"2025-12-01T00:{n // 60:02}:{n % 60:02}Z"
        master.install(signed("other", issued=issued))
    master.install(signed("gone"))
    master.remove("gone")
    again = Licensing(
        config_of(Role.MASTER, vendor_key=VENDOR_PEM),
        store=master.node.reopened(),
        clock=Wall(master.clock),
        grace_over=lambda: False,
    )
    assert again.validity() == master.licensing.validity()
    assert [s.installed.id for s in again.validity().standings] == ["first", "other"]


def test_through_the_standby_nothing_is_changed() -> None:
    standby = made(Role.STANDBY)
    with pytest.raises(
        NotMaster, match=r"installed at the master, whose link is 127\."
    ):
        standby.install(signed())
    with pytest.raises(NotMaster, match="removed at the master"):
        standby.remove("L-1")
    assert standby.node.told == []


def test_what_is_refused_is_not_stored(master: Made) -> None:
    for wrong, error in (
        (document(), LicenceRefused),
        ({**signed(), "seats": 51}, LicenceRefused),
        (signed(ends="2025-12-31"), LicenceRefused),
        (signed(product="fax"), LicenceRefused),
        ({"id": "L-1"}, InvalidLicence),
        ("text", InvalidLicence),
    ):
        with pytest.raises(error):
            master.install(wrong)
    assert master.node.told == []


def test_what_the_standbys_stream_says_of_licences_is_ignored_on_both_nodes() -> None:
    """L1: even one that the vendor signed, by whoever can write to that Redis."""
    master, standby = made(), made(Role.STANDBY)
    master.install(signed("L-2"))
    for given, installed in ((signed("L-1"), True), (signed("L-2"), False)):
        standby.node.store.change_licence(
            str(given["id"]), given, installed=installed, actor="mallory"
        )
    standby.node.pull(master.node)
    master.node.pull(standby.node)
    for each in (master, standby):
        assert each.node.store.snapshot.heads[STANDBY].id.n == 2
        standings = each.licensing.validity().standings
        assert [s.installed.id for s in standings] == ["L-2"]
        assert each.licensing.validity().valid


def test_a_licence_is_held_back_with_all_changes(master: Made) -> None:
    master.node.store.freeze("switch")
    installing = Running(lambda: master.install(signed()))
    wait_until(installing.is_waiting, LIMIT_S, "it to be held back")
    assert master.node.told == []
    master.node.store.thaw("switch")
    installing.result(LIMIT_S)
    assert len(master.node.told) == 1
    master.node.store.freeze("switch")
    with pytest.raises(WritesFrozen):
        master.node.store.change_licence(
            "x", {}, installed=True, actor="jane", frozen_limit_s=0.01
        )


def test_two_at_once_do_not_both_replace(master: Made) -> None:
    """Of two with one id and one moment of issue the second is decided on after the first."""
    master.node.store.freeze("switch")
    first = Running(lambda: master.install(signed(seats=1)))
    wait_until(first.is_waiting, LIMIT_S, "the first one to be held back")
    second = Running(lambda: master.install(signed(seats=2)))
    with pytest.raises(TimeoutError):
        second.result(0.2)
    master.node.store.thaw("switch")
    assert first.exception(LIMIT_S) is None
    assert isinstance(second.exception(LIMIT_S), LicenceRefused)
    assert len(master.node.told) == 1


def test_no_entry_is_put_among_licences(master: Made) -> None:
    with pytest.raises(InvalidEntry, match="a licence is installed, not put"):
        master.node.put("licences/L-1", 1)
    master.node.store.append([Put("licence/L-1", 1)], actor="jane")
    with pytest.raises(Exception, match="there is no entry 'licences/L-1'"):
        master.node.store.append([Delete("licences/L-1")], actor="jane")


# Time.


def test_an_end_passes_without_an_event_and_is_told_once(
    master: Made, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "netphone.licences")
    master.install(signed(ends="2026-01-10"))
    master.install(signed("later", not_before="2026-02-01"))
    assert caplog.messages == [
        "licence L-1 is valid",
        "licence later is not valid: it is not valid before 2026-02-01T00:00:00Z",
    ]
    caplog.clear()
    for _ in range(3):
        master.licensing.note_changes()
    assert caplog.messages == []
    master.clock.ms += 10 * DAY_NS // 1_000_000
    assert master.licensing.status()["valid"] is False
    for _ in range(3):
        master.licensing.note_changes()
    ended = "licence L-1 is not valid: it ended at 2026-01-11T00:00:00Z"
    assert caplog.messages == [ended]
    assert caplog.records[0].levelno == logging.WARNING
    master.clock.ms += 30 * DAY_NS // 1_000_000
    caplog.clear()
    master.licensing.note_changes()
    assert caplog.messages == ["licence later is valid"]
    master.remove("later")
    assert caplog.messages[-1] == "licence later was removed"


def test_the_status_tells_what_licences_are_worth(master: Made) -> None:
    master.install(signed(ends="2026-01-31"))
    master.install(signed("rec", seats=20, option="rec"))
    master.licensing.seats.take("alice")
    assert master.licensing.status() == {
        "valid": True,
        "reason": None,
        "ends_in_days": 31,
        "seats": 20,
        "in_use": 1,
        "options": {"rec": 20},
    }


def test_the_grace_of_a_standby_ends_all_and_its_return_brings_all_back() -> None:
    over = False
    found = made(grace_over=lambda: over)
    found.install(signed())
    assert found.licensing.validity().valid
    over = True
    assert not found.licensing.validity().valid
    with pytest.raises(NoSeat, match="has not reached the master"):
        found.licensing.seats.take("alice")
    over = False
    found.licensing.seats.take("alice")


# Seats.


def test_seats_are_counted_by_user(master: Made) -> None:
    seats = master.licensing.seats
    with pytest.raises(NoSeat, match="alice cannot log on: no licence is installed"):
        seats.take("alice")
    master.install(signed(seats=2))
    for user in ("alice", "alice", "bob"):
        seats.take(user)
    with pytest.raises(NoSeat, match="all 2 seats are in use"):
        seats.take("carol")
    assert seats.in_use == 2
    seats.release("alice")
    seats.release("alice")
    seats.release("nobody")
    seats.take("carol")
    assert seats.in_use == 2


def test_no_seat_is_taken_away_when_licences_end(master: Made) -> None:
    seats = master.licensing.seats
    master.install(signed())
    seats.take("alice")
    master.remove("L-1")
    assert seats.in_use == 1
    with pytest.raises(NoSeat):
        seats.take("alice")
    assert seats.in_use == 1


@pytest.mark.parametrize("user", ["", "x" * 257, "\ud800", 7])
def test_a_user_has_a_name(master: Made, user: object) -> None:
    with pytest.raises(InvalidEntry, match="user"):
        master.licensing.seats.take(user)  # type: ignore[arg-type]


class OneSeat:
    """A validity that is looked at by two at once, if nothing keeps them apart."""

    reason = None

    def __init__(self) -> None:
        self._both = threading.Barrier(2)

    @property
    def seats(self) -> int:
        with suppress(threading.BrokenBarrierError):
            self._both.wait(0.2)
        return 1


def test_two_at_once_take_no_more_than_there_are() -> None:
    one_seat = OneSeat()
    seats = Seats(lambda: one_seat)  # type: ignore[arg-type,return-value]
    both = [
        Running(lambda user=user: seats.take(user))  # type: ignore[misc]
        for user in ("alice", "bob")
    ]
    outcomes = [one.exception(LIMIT_S) for one in both]
    assert [type(o) for o in outcomes if o is not None] == [NoSeat]
    assert seats.in_use == 1
