"""What is against a planned switch: every reason, all at once."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from node.roles import Role, State
from node.situation import Active, GivingStep, Passive, Situation
from node.switch_order import OwnFacts, calls_of_giver, failed_prechecks
from tests.support.links import HEARTBEAT
from tests.support.situations import (
    LIMITS,
    MASTER,
    STANDBY,
    TO_MASTER,
    TO_STANDBY,
    active,
    asked,
    giving,
    handing_over,
    passive,
    promised,
)

WELL = OwnFacts(
    ready=True,
    problems={},
    replicating=True,
    replication_enabled=True,
    calls=0,
    link_open=True,
    heard_by_peer=True,
    event_format=1,
    peer_format=1,
)
STANDBY_PASSIVE = attrs.evolve(
    HEARTBEAT, role=STANDBY, state=State.PASSIVE, problems={}
)
STANDBY_ACTIVE = attrs.evolve(STANDBY_PASSIVE, state=State.ACTIVE)


def test_nothing_is_against_a_switch_of_two_well_nodes() -> None:
    assert failed_prechecks(active(MASTER), WELL, STANDBY_PASSIVE) == ()
    assert failed_prechecks(passive(MASTER), WELL, STANDBY_ACTIVE) == ()


@pytest.mark.parametrize(
    ("own", "peer", "reason"),
    [
        ({"ready": False}, {}, "the master is not ready"),
        (
            {"ready": False, "problems": {"sip": "no answer", "redis": "gone"}},
            {},
            "the master is not ready; sip: no answer; redis: gone",
        ),
        (
            {},
            {"ready": False, "problems": {"sip": "no answer"}},
            "the standby is not ready; sip: no answer",
        ),
        (
            {"ready": False, "problems": {"redis": "gone", "sip": "deaf"}},
            {},
            "the master is not ready; redis: gone; sip: deaf",
        ),
        ({"replication_enabled": False}, {}, "replication is off"),
        (
            {"replicating": False},
            {},
            "replication into the master stands still; see its status",
        ),
        ({"link_open": False}, {}, "the standby is not connected"),
        ({"heard_by_peer": False}, {}, "the standby does not hear the master"),
        ({}, {"state": State.ACTIVE}, "both nodes are active"),
        ({}, {"ready": False}, "the standby is not ready"),
        (
            {},
            {"ready": False, "problems": {"redis": "gone"}},
            "the standby is not ready; redis: gone",
        ),
        ({}, {"replication_enabled": False}, "replication is off at the standby"),
        (
            {},
            {"replicating": False},
            "replication into the standby stands still; see its status",
        ),
    ],
)
def test_each_reason_by_itself(
    own: dict[str, Any], peer: dict[str, object], reason: str
) -> None:
    facts = attrs.evolve(WELL, **own)
    heartbeat = attrs.evolve(STANDBY_PASSIVE, **peer)  # type: ignore[arg-type]
    assert failed_prechecks(active(MASTER), facts, heartbeat) == (reason,)


@pytest.mark.parametrize(
    ("giver", "older", "refused"),
    [
        (MASTER, MASTER, False),
        (MASTER, STANDBY, True),
        (STANDBY, STANDBY, False),
        (STANDBY, MASTER, True),
    ],
)
def test_d4_only_the_giver_may_be_too_old_to_read_the_other_one(
    giver: Role, older: Role, refused: bool
) -> None:
    formats = (1, 2) if older is MASTER else (2, 1)
    own = attrs.evolve(
        WELL,
        replicating=older is not MASTER,
        event_format=formats[0],
        peer_format=formats[1],
    )
    standby = STANDBY_PASSIVE if giver is MASTER else STANDBY_ACTIVE
    standby = attrs.evolve(standby, replicating=older is not STANDBY)
    now = active(MASTER) if giver is MASTER else passive(MASTER)
    found = failed_prechecks(now, own, standby)
    reason = f"replication into the {older} stands still; see its status"
    assert found == ((reason,) if refused else ())


def test_d4_a_giver_that_reads_its_taker_must_do_so() -> None:
    for peer_format in (None, 1):
        own = attrs.evolve(WELL, replicating=False, peer_format=peer_format)
        assert len(failed_prechecks(active(MASTER), own, STANDBY_PASSIVE)) == 1


def test_a_standby_that_was_never_heard_is_not_connected() -> None:
    reasons = failed_prechecks(active(MASTER), WELL, None)
    assert reasons == ("the standby is not connected",)


def test_two_passive_nodes_have_nothing_to_switch() -> None:
    reasons = failed_prechecks(passive(MASTER), WELL, STANDBY_PASSIVE)
    assert reasons == ("both nodes are passive",)


def test_replication_that_is_off_everywhere_is_one_reason() -> None:
    own = attrs.evolve(WELL, replication_enabled=False, replicating=False)
    peer = attrs.evolve(STANDBY_PASSIVE, replication_enabled=False, replicating=False)
    assert failed_prechecks(active(MASTER), own, peer) == ("replication is off",)


def test_s8_the_standby_takes_no_order() -> None:
    master = attrs.evolve(HEARTBEAT, role=MASTER, state=State.ACTIVE)
    reasons = failed_prechecks(passive(STANDBY), WELL, master)
    assert reasons == ("a switch is ordered at the master",)


@pytest.mark.parametrize(
    "now",
    [
        *(giving(MASTER, name) for name in GivingStep),
        handing_over(MASTER),
        asked(),
        promised(MASTER),
    ],
)
def test_one_switch_at_a_time(now: Situation) -> None:
    peer = STANDBY_ACTIVE if now.state is State.PASSIVE else STANDBY_PASSIVE
    assert failed_prechecks(now, WELL, peer) == ("a switch is under way",)


def test_no_switch_before_the_last_ones_outcome_is_known() -> None:
    now = Situation(MASTER, LIMITS, Passive(), awaited=TO_MASTER)
    reasons = failed_prechecks(now, WELL, STANDBY_ACTIVE)
    assert reasons == ("the outcome of the last switch is not known yet",)


def test_all_reasons_come_at_once() -> None:
    own = OwnFacts(
        ready=False,
        problems={},
        replicating=False,
        replication_enabled=True,
        calls=0,
        link_open=True,
        heard_by_peer=False,
        event_format=1,
        peer_format=None,
    )
    peer = attrs.evolve(STANDBY_PASSIVE, ready=False, replicating=False)
    now = Situation(STANDBY, LIMITS, Active())
    assert len(failed_prechecks(now, own, peer)) == 6
    lost = attrs.evolve(own, link_open=False)
    assert len(failed_prechecks(now, lost, peer)) == 4


@pytest.mark.parametrize(("switch", "calls"), [(TO_STANDBY, 4), (TO_MASTER, 9)])
def test_s9_the_calls_that_count_are_the_givers(switch: object, calls: int) -> None:
    which = TO_STANDBY if switch == TO_STANDBY else TO_MASTER
    peer = attrs.evolve(STANDBY_PASSIVE, calls=9)
    assert which.giver in Role
    assert calls_of_giver(which, 4, peer) == calls
