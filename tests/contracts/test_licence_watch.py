"""The count of the standby's 28 days: what it tells, and what is left of it whatever is lost."""

from __future__ import annotations

import logging

import attrs
import pytest

from eventstore import Kind
from node.bookkeeping import Record
from node.config import NodeConfig
from node.licence_grace import DAY_S, Reading
from node.licence_watch import NOTE, LicenceWatch
from node.notifications import LicenceWarning
from node.roles import Role
from tests.contracts.nodes import Node
from tests.simulation.world import config_of

NOON_NS = 1_767_225_600_000_000_000
FIRST = Reading(
    now_s=1000.0, boot="one", up_s=1000.0, wall_ns=NOON_NS, synchronised=True
)
NOTE_KEY = f"netphone:{{office}}:note:{NOTE}"
QUIET_S = 6.1
"""Start window and silence."""


class Machine:
    """One process after the other on a machine, over the Redis of `node`."""

    def __init__(self, node: Node, config: NodeConfig, now: Reading = FIRST) -> None:
        self.node, self._config, self.now = node, config, now
        self.contact_s: float | None = None
        self.warnings: list[LicenceWarning] = []
        self.start()

    def start(self) -> None:
        """Another process of the node, as `NetPhoneNode` starts it."""
        self.contact_s = None
        self.node.restart()
        self.watch = LicenceWatch(
            self._config,
            store=self.node.store,
            streams=self.node.streams,
            read=lambda: self.now,
            instance="x",
            contact_s=lambda: self.contact_s,
            hand_in=self._write,
            warn=self.warnings.append,
        )
        self.watch.open()
        value = {"version": "1", **self.watch.at_start()}
        self.node.store.record(Kind.STREAM_OPENED, value, actor="node", reason="")

    def _write(self, record: Record) -> None:
        self.node.store.record(
            record.kind, record.value, actor=record.actor, reason=record.reason
        )

    def passes(self, days: float, *, contact: bool = False) -> None:
        self.now = attrs.evolve(
            self.now,
            now_s=self.now.now_s + days * DAY_S,
            up_s=self.now.up_s + days * DAY_S,
            wall_ns=self.now.wall_ns + int(days * DAY_S * 1e9),
        )
        if contact:
            self.contact_s = self.now.now_s
        self.watch.look()

    @property
    def days_left(self) -> float | None:
        return self.watch.view().grace_days_left

    def kinds(self) -> list[str]:
        store = self.node.store
        found = [
            event
            for kind in (Kind.LICENCES_LAPSED, Kind.LICENCES_RESTORED)
            for event in store.recent(kind)
        ]
        return [event.kind for event in sorted(found, key=lambda event: event.id)]


@pytest.fixture
def machine(standby: Node) -> Machine:
    return Machine(standby, config_of(Role.STANDBY))


def test_it_warns_ends_and_returns_once_each(
    machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "netphone.licences")
    machine.passes(0.01, contact=True)
    for _ in range(60):
        machine.passes(0.5)
        machine.start()
    assert [w.days_left for w in machine.warnings] == [14.0, 7.0, 3.0, 1.0, 0.0]
    assert [w.valid for w in machine.warnings] == [True] * 4 + [False]
    assert machine.watch.view().grace_over
    assert machine.kinds() == ["licences-lapsed"]
    event = machine.node.store.latest(Kind.LICENCES_LAPSED)
    assert event is not None
    assert event.actor == "standby node"
    assert "not reached for more than 28.0 days" in event.reason
    assert isinstance(event.value, dict)
    assert event.value["unreached_s"] == pytest.approx(28.5 * DAY_S)

    machine.passes(0.01, contact=True)
    machine.passes(0.01, contact=True)
    assert not machine.watch.view().grace_over
    assert machine.kinds() == ["licences-lapsed", "licences-restored"]
    assert machine.warnings[5:] == [
        LicenceWarning(
            True, 28.0, "licences are valid again: the master was reached 0.0 s ago"
        )
    ]
    levels = [(record.levelname, record.message) for record in caplog.records]
    assert [level for level, _ in levels] == ["WARNING"] * 4 + ["ERROR", "INFO"]
    assert levels[0][1] == (
        "the master was not reached for 14.0 days: licences become invalid on this "
        "standby in 14.0 days"
    )


def test_a_process_that_is_killed_leaves_its_count(machine: Machine) -> None:
    machine.passes(10.0)
    machine.passes(0.001)
    machine.start()
    assert machine.days_left == pytest.approx(18.0, abs=0.002)


def test_an_orderly_stop_notes_contact_of_the_last_seconds(machine: Machine) -> None:
    machine.passes(0.002)
    machine.contact_s = machine.now.now_s
    machine.watch.start()
    machine.watch.stop(5.0)
    machine.start()
    assert machine.days_left == 28.0


def test_a_redis_that_is_emptied_under_a_running_node_changes_nothing(
    machine: Machine,
) -> None:
    machine.passes(10.0)
    machine.node.client.delete(NOTE_KEY)
    machine.passes(0.01)
    machine.start()
    assert machine.days_left == pytest.approx(17.99)


def test_an_older_note_gives_no_time_back(machine: Machine) -> None:
    machine.passes(1.0)
    older = machine.node.streams.note(NOTE)
    assert older is not None
    machine.passes(10.0)
    machine.node.client.set(NOTE_KEY, older)
    machine.start()
    assert machine.days_left == pytest.approx(17.0)


@pytest.mark.parametrize("rubbish", [None, b"", b"{", b"[" * 1000, b"7" * 5000])
def test_a_note_that_is_gone_is_stood_in_for_by_the_last_start(
    machine: Machine, rubbish: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    machine.passes(5.0)
    machine.start()
    machine.passes(5.0)
    if rubbish is None:
        machine.node.client.delete(NOTE_KEY)
    else:
        machine.node.client.set(NOTE_KEY, rubbish)
    machine.start()
    assert machine.days_left == pytest.approx(18.0)
    assert "does not say any more how long the master was not reached" in caplog.text


def test_then_the_last_word_of_the_master_is_evidence_too(
    machine: Machine, master: Node
) -> None:
    machine.passes(10.0, contact=True)
    master.put("users/a", 1)
    wrote = master.store.snapshot.heads[master.origin].id
    machine.node.pull(master)
    now_ns = wrote.ms * 1_000_000 + int(2 * DAY_S * 1e9)
    machine.now = attrs.evolve(machine.now, wall_ns=now_ns)
    machine.node.client.delete(NOTE_KEY)
    machine.start()
    assert machine.days_left == pytest.approx(26.0)


def test_only_where_the_clock_is_vouched_for(machine: Machine, master: Node) -> None:
    machine.passes(10.0, contact=True)
    master.put("users/a", 1)
    machine.node.pull(master)
    machine.node.client.delete(NOTE_KEY)
    machine.now = attrs.evolve(machine.now, wall_ns=NOON_NS, synchronised=False)
    machine.start()
    assert machine.days_left == pytest.approx(18.0)


def test_a_new_standby_has_all_of_it(machine: Machine) -> None:
    assert machine.days_left == 28.0
    assert machine.kinds() == []


def test_a_node_that_starts_first_looks_whether_the_master_is_there(
    standby: Node,
) -> None:
    machine = Machine(standby, config_of(Role.STANDBY))
    machine.passes(27.0)
    machine.warnings.clear()
    machine.now = attrs.evolve(machine.now, now_s=machine.now.now_s + 2 * DAY_S)
    machine.start()
    machine.watch.start()
    try:
        machine.watch.look()
        assert machine.watch.view().grace_over
        assert machine.kinds() == []
        machine.passes(QUIET_S / DAY_S)
        assert machine.kinds() == ["licences-lapsed"]
    finally:
        machine.watch.stop(5.0)


def test_a_longer_grace_is_followed(standby: Node) -> None:
    short = Machine(standby, config_of(Role.STANDBY, grace_days=1.0))
    short.passes(1.5)
    assert short.watch.view().grace_over
    longer = Machine(standby, config_of(Role.STANDBY, grace_days=2.0), short.now)
    longer.passes(0.01)
    assert longer.days_left == pytest.approx(0.49)
    assert longer.kinds() == ["licences-lapsed", "licences-restored"]


def test_on_the_master_nothing_runs_out(master: Node) -> None:
    machine = Machine(master, config_of(Role.MASTER))
    machine.watch.start()
    machine.watch.stop(1.0)
    assert machine.days_left is None
    assert not machine.watch.view().grace_over
    assert machine.watch.at_start() == {}
    assert master.client.get(NOTE_KEY) is None


def test_a_note_of_another_type_is_replaced(machine: Machine) -> None:
    machine.passes(1.0)
    machine.node.client.delete(NOTE_KEY)
    machine.node.client.xadd(NOTE_KEY, {"not": "a string"})
    machine.start()
    machine.passes(1.0)
    assert machine.days_left == pytest.approx(26.0)
    assert machine.node.streams.note(NOTE) is not None
