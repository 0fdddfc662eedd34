"""What `/status` says, from everything that is known at one moment."""

from __future__ import annotations

import json

import attrs
import pytest

from eventstore import Progress
from node.link_messages import Head as SaidHead
from node.roles import Role, State
from node.runtime import View
from node.status import replication_problem
from tests.simulation.world import config_of
from tests.support.statuses import PEER, SOURCES, status


def view(**changed: object) -> View:
    return attrs.evolve(SOURCES.view, **changed)  # type: ignore[arg-type]


def test_it_says_everything_that_the_contract_names() -> None:
    assert status() == {
        "pair": "office",
        "role": "master",
        "state": "active",
        "since": "2026-01-01T00:00:00.000000Z",
        "reason": "peer lost",
        "vector": {"master": "1800-42", "standby": "1700-5"},
        "digest": "ab" * 32,
        "entries": 1042,
        "peer": {
            "connected": True,
            "role": "standby",
            "state": "passive",
            "heard_ago_s": 0.4,
            "hears_us": True,
            "vector": {"standby": "1700-7"},
            "digest": "ef",
            "version": "1.0",
            "problem": None,
            "health": {"sip": "no answer"},
            "calls": 2,
        },
        "replication": {
            "enabled": True,
            "connected": True,
            "lag_events": 2,
            "lag_s": 1.75,
            "conflicts": 3,
            "unknown_events": 1,
            "divergence": None,
            "problem": None,
            "resync": None,
            "resync_due": "new software",
        },
        "takeover": {
            "paused": False,
            "paused_for_s": 0.0,
            "pause": None,
            "held": None,
            "last_hour": 0,
        },
        "both_active": {"count": 0, "last": None},
        "licences": SOURCES.licences,
        "hand_over_problem": None,
        "health": {"redis": "ok"},
        "durability": {"appendonly": True, "appendfsync": "everysec"},
        "switch": None,
        "calls": 2,
        "callbacks": {"failed": 1, "timed_out": 2, "dropped": 3},
        "recovery": None,
        "ready": True,
        "not_ready": [],
        "realm": "phones",
        "version": "1.0.0",
    }


def test_it_is_json_and_holds_no_secret() -> None:
    text = json.dumps(status())
    assert SOURCES.config.secret not in text


def test_of_a_peer_that_was_never_heard_nothing_is_claimed() -> None:
    found = status(view=View(state=State.PASSIVE, problem="wrong secret"))
    assert found["peer"] == {
        "connected": False,
        "role": "standby",
        "state": None,
        "heard_ago_s": None,
        "hears_us": False,
        "vector": {},
        "digest": None,
        "version": None,
        "problem": "wrong secret",
        "health": {},
        "calls": None,
    }
    assert found["replication"]["lag_events"] is None


def test_without_a_realm_the_pairs_name_is_the_realm() -> None:
    assert status(config=config_of(Role.MASTER))["realm"] == "office"


def test_a_complete_copy_lags_by_nothing() -> None:
    peer = attrs.evolve(PEER, heads={"standby": SaidHead("1700-5", "bb")})
    replication = status(view=view(peer=peer))["replication"]
    assert (replication["lag_events"], replication["lag_s"]) == (0, 0.0)


def test_a_copy_that_is_ahead_of_the_last_heartbeat_lags_by_nothing() -> None:
    peer = attrs.evolve(PEER, heads={"standby": SaidHead("1700-4", "bb")})
    assert status(view=view(peer=peer))["replication"]["lag_events"] == 0


@pytest.mark.parametrize(
    ("progress", "lag_s"),
    [
        (Progress(connected=False, problem="gone", complete_at_s=90.0), 10.0),
        (Progress(connected=True, problem=None, complete_at_s=None), None),
    ],
)
def test_the_lag_counts_from_when_the_copy_was_complete(
    progress: Progress, lag_s: float | None
) -> None:
    peer = attrs.evolve(PEER, heads={"standby": SaidHead("1700-5", "bb")})
    found = status(view=view(peer=peer), progress=progress)
    assert found["replication"]["lag_s"] == lag_s


def test_a_copy_of_an_unknown_stream_lags_by_all_of_it() -> None:
    snapshot = attrs.evolve(SOURCES.snapshot, heads={})
    found = status(snapshot=snapshot)
    assert found["replication"]["lag_events"] == 7
    assert found["vector"] == {}


def test_replication_that_is_off_has_no_problem() -> None:
    halted = Progress(connected=False, problem="connection refused", complete_at_s=None)
    on = attrs.evolve(SOURCES, progress=halted)
    assert replication_problem(on) == "connection refused"
    assert replication_problem(attrs.evolve(on, replication_enabled=False)) is None


def test_a_switch_is_shown_as_it_stands() -> None:
    shown = {"id": "5f", "step": "confirming"}
    assert status(switch=shown)["switch"] == shown


def test_a_divergence_is_shown() -> None:
    found = status(view=view(divergence="stream 'master' has forked"))
    assert found["replication"]["divergence"] == "stream 'master' has forked"
