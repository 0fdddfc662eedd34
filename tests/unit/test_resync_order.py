"""When the standby's data may be replaced, and when that is due (D12)."""

from __future__ import annotations

import attrs
import pytest

from eventstore import Event, JsonValue, Kind
from node.resync_order import OwnFacts, baseline, failed_checks, resync_due
from node.roles import Role, State
from tests.support.histories import STANDBY, Writer
from tests.support.links import HEARTBEAT

OWN = OwnFacts(
    role=Role.STANDBY,
    state=State.PASSIVE,
    replication_enabled=False,
    hindrance=None,
    unreadable=None,
    is_switching=False,
    link_open=True,
)
MASTER = attrs.evolve(HEARTBEAT, replication_enabled=False, problems={})


def test_a_passive_standby_with_replication_off_may_be_resynchronised() -> None:
    assert failed_checks(OWN, MASTER) == ()


@pytest.mark.parametrize(
    ("own", "peer", "reason"),
    [
        ({"role": Role.MASTER}, {}, "this is the master"),
        ({"state": State.ACTIVE}, {}, "this node is active"),
        ({"replication_enabled": True}, {}, "replication is on; switch it off"),
        ({"is_switching": True}, {}, "a switch is under way"),
        ({"hindrance": "it lost events"}, {}, "it lost events"),
        ({"unreadable": "of a newer format"}, {}, "of a newer format"),
        ({"link_open": False}, {}, "the master is not connected"),
        ({}, {"replication_enabled": True}, "still on at the master"),
        ({}, {"ready": False}, "the master is not ready"),
    ],
)
def test_one_reason_is_enough_against_it(
    own: dict[str, object], peer: dict[str, object], reason: str
) -> None:
    (found,) = failed_checks(
        attrs.evolve(OWN, **own),  # type: ignore[arg-type]
        attrs.evolve(MASTER, **peer),  # type: ignore[arg-type]
    )
    assert reason in found


def test_all_reasons_are_given_at_once() -> None:
    own = OwnFacts(
        role=Role.MASTER,
        state=State.ACTIVE,
        replication_enabled=True,
        hindrance="it lost events",
        unreadable="of a newer format",
        is_switching=True,
        link_open=True,
    )
    sick = attrs.evolve(MASTER, ready=False, problems={"redis": "away"})
    found = failed_checks(own, sick)
    assert len(found) == 7
    assert found[-1] == "the master is not ready; redis: away"
    assert len(failed_checks(own, None)) == 7


def test_a_master_that_was_never_heard_is_not_connected() -> None:
    assert failed_checks(OWN, None) == ("the master is not connected",)


def events(*values: tuple[Kind, JsonValue]) -> list[Event]:
    writer = Writer(STANDBY)
    return [
        writer.write(kind, "", value, ms=ms) for ms, (kind, value) in enumerate(values)
    ]


def test_the_baseline_is_handed_on_from_start_to_start_and_set_by_a_resync() -> None:
    old, opened, resynchronised, again = events(
        (Kind.STREAM_OPENED, {"version": "1"}),
        (Kind.STREAM_OPENED, {"version": "2", "baseline": "1"}),
        (Kind.RESYNCHRONISED, {"version": "2"}),
        (Kind.STREAM_OPENED, {"version": "3", "baseline": "2"}),
    )
    assert baseline(None, None) is None
    assert baseline(old, None) == "1"
    assert baseline(opened, None) == "1"
    assert baseline(opened, resynchronised) == "2"
    assert baseline(again, resynchronised) == "2"
    assert baseline(None, resynchronised) == "2"


@pytest.mark.parametrize(
    "value",
    [
        None,
        5,
        {},
        {"version": 5},
        {"baseline": None},
        {"baseline": "1" * 65_000},  # Handed on, it would not fit the next event.
    ],
)
def test_an_event_that_says_nothing_of_it_makes_nothing_due(value: JsonValue) -> None:
    (opened,) = events((Kind.STREAM_OPENED, value))
    assert baseline(opened, None) is None
    assert resync_due(Role.STANDBY, None, "2") is None


def test_another_version_makes_a_resync_of_the_standby_due() -> None:
    due = resync_due(Role.STANDBY, "1", "2")
    assert due == "the software is 2, the data here were last replaced under 1"
    assert resync_due(Role.STANDBY, "2", "2") is None
    assert resync_due(Role.MASTER, "1", "2") is None
