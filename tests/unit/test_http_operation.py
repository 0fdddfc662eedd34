"""Status, switch and replication over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from eventstore import ResyncRefused
from node.errors import (
    NotMaster,
    ResyncRolledBack,
    SwitchFailed,
    SwitchRefused,
    SwitchRolledBack,
)
from tests.support.http_client import Api, refusal_of
from tests.support.served_node import FakeNode


@pytest.fixture
def node() -> FakeNode:
    return FakeNode()


@pytest.fixture
def api(node: FakeNode) -> Api:
    return Api(node)


class TestStatus:
    def test_status_is_what_the_node_says(self, api: Api, node: FakeNode) -> None:
        assert api("GET", "/status").json() == node.status()

    def test_replication_is_a_part_of_it(self, api: Api) -> None:
        assert api("GET", "/replication").json() == {"enabled": True}

    @pytest.mark.parametrize("path", ["/status", "/replication"])
    def test_an_unknown_parameter_is_refused(self, api: Api, path: str) -> None:
        reply = api("GET", f"{path}?verbose=1")
        assert refusal_of(reply) == (422, "invalid-request")


class TestReplication:
    @pytest.mark.parametrize("enabled", [True, False])
    def test_replication_is_switched(
        self, api: Api, node: FakeNode, enabled: bool
    ) -> None:
        reply = api(
            "POST",
            "/replication",
            json={"enabled": enabled},
            headers={"X-Actor": "jane", "X-Reason": "update"},
        )
        assert reply.json() == {"enabled": enabled}
        assert node.orders == [{"actor": "jane", "reason": "update"}]

    @pytest.mark.parametrize(
        "body", [{}, {"enabled": 1}, {"enabled": "off"}, {"enabled": True, "x": 1}, []]
    )
    def test_an_unclear_order_is_refused(
        self, api: Api, node: FakeNode, body: Any
    ) -> None:
        reply = api("POST", "/replication", json=body)
        assert refusal_of(reply) == (422, "invalid-request")
        assert node.orders == []


class TestResync:
    def test_what_left_is_told(self, api: Api, node: FakeNode) -> None:
        event = node.put("users/a", 1, actor="bob")
        node.orders.clear()
        reply = api(
            "POST",
            "/replication/resync",
            json={"discard": True},
            headers={"X-Actor": "jane", "X-Reason": "update"},
        )
        assert reply.status_code == 200
        assert reply.json() == {
            "outcome": "done",
            "text": "all is the master's",
            "discard": True,
            "events": 8,
            "changes": 1,
            "listed": [
                {
                    "id": str(event.id),
                    "kind": "entry-put",
                    "key": "users/a",
                    "actor": "bob",
                    "time": "2026-01-01T00:00:00.000000Z",
                }
            ],
            "entries": 1,
            "keys": ["users/a"],
            "replaced": {"standby": 8},
            "id": None,
            "duration_s": 1.5,
        }
        order = {"actor": "jane", "reason": "update", "discard": True, "dry_run": False}
        assert node.orders == [order]

    def test_without_a_body_nothing_is_discarded(
        self, api: Api, node: FakeNode
    ) -> None:
        assert api("POST", "/replication/resync").json()["discard"] is False
        reply = api("POST", "/replication/resync", json={"dry_run": True})
        assert reply.json()["outcome"] == "ready"

    @pytest.mark.parametrize("body", [{"discard": 1}, {"force": True}, [], "now"])
    def test_an_unclear_order_is_refused(
        self, api: Api, node: FakeNode, body: Any
    ) -> None:
        reply = api("POST", "/replication/resync", json=body)
        assert refusal_of(reply) == (422, "invalid-request")
        assert node.orders == []

    def test_a_failure_is_told_by_what_it_means(self, api: Api, node: FakeNode) -> None:
        node.error = ResyncRefused(["it is on", "it is active"])
        reply = api("POST", "/replication/resync")
        assert refusal_of(reply) == (409, "refused")
        assert reply.json()["reasons"] == ["it is on", "it is active"]
        node.error = ResyncRolledBack("nothing was changed")
        reply = api("POST", "/replication/resync")
        assert refusal_of(reply) == (504, "rolled-back")


class TestTakeover:
    @pytest.mark.parametrize("pause_s", [90.0, 0])
    def test_takeover_is_paused_and_resumed(
        self, api: Api, node: FakeNode, pause_s: float
    ) -> None:
        reply = api(
            "POST",
            "/takeover",
            json={"pause_s": pause_s},
            headers={"X-Actor": "jane", "X-Reason": "new switch"},
        )
        assert reply.json() == {"paused": pause_s > 0}
        assert api("GET", "/takeover").json() == reply.json()
        assert node.orders[0]["reason"] == "new switch"

    @pytest.mark.parametrize(
        "body", [{}, {"pause_s": -1}, {"pause_s": 1e9}, {"pause_s": "1h"}, []]
    )
    def test_an_unclear_order_is_refused(
        self, api: Api, node: FakeNode, body: Any
    ) -> None:
        reply = api("POST", "/takeover", json=body)
        assert refusal_of(reply) == (422, "invalid-request")
        assert node.orders == []


class TestSwitch:
    @pytest.mark.parametrize(
        ("body", "outcome"),
        [
            (None, "done"),
            ({}, "done"),
            ({"when": "now"}, "done"),
            ({"when": "idle", "wait_s": 60}, "waiting"),
            ({"dry_run": True}, "ready"),
        ],
    )
    def test_the_outcome_is_told(
        self, api: Api, body: dict[str, Any] | None, outcome: str
    ) -> None:
        reply = api("POST", "/switch", json=body)  # For None, httpx sends no body.
        assert reply.status_code == 200
        assert reply.json() == {
            "outcome": outcome,
            "id": "s-1",
            "text": "all is well",
            "active": "standby",
            "duration_s": 0.25,
        }

    def test_the_order_is_handed_on(self, api: Api, node: FakeNode) -> None:
        body = {"when": "idle", "dry_run": True, "reason": "update", "wait_s": 2.5}
        api("POST", "/switch", json=body, headers={"X-Actor": "jane"})
        assert node.orders == [{**body, "actor": "jane"}]

    def test_the_reason_may_come_in_the_header(self, api: Api, node: FakeNode) -> None:
        api("POST", "/switch", headers={"X-Reason": "update"})
        assert node.orders[0]["reason"] == "update"

    @pytest.mark.parametrize(
        "body",
        [
            {"when": "later"},
            {"dry_run": "no"},
            {"dry_run": 0},
            {"wait_s": 0},
            {"wait_s": -1},
            {"wait_s": 604801},
            {"wait_s": True},
            {"reason": 5},
            {"reason": "r" * 1025},
            {"reason": "a\nb"},
            {"dryrun": True},
            "now",
        ],
        ids=lambda body: str(body)[:30],
    )
    def test_an_unclear_order_is_refused(
        self, api: Api, node: FakeNode, body: Any
    ) -> None:
        reply = api("POST", "/switch", json=body)
        assert refusal_of(reply) == (422, "invalid-request")
        assert node.orders == []

    @pytest.mark.parametrize(
        ("error", "status", "code"),
        [
            (NotMaster("ask the master"), 409, "not-master"),
            (SwitchRefused(("no peer", "replication is off")), 409, "refused"),
            (SwitchRolledBack("timed out; all as before"), 504, "rolled-back"),
            (SwitchFailed("the master became active (S4)"), 504, "switch-failed"),
        ],
        ids=["not-master", "refused", "rolled-back", "failed"],
    )
    def test_a_failure_is_told_by_what_it_means(
        self, api: Api, node: FakeNode, error: Exception, status: int, code: str
    ) -> None:
        node.error = error
        reply = api("POST", "/switch")
        assert refusal_of(reply) == (status, code)
        assert reply.json()["error"] == str(error)
        reasons = list(error.reasons) if isinstance(error, SwitchRefused) else None
        assert reply.json().get("reasons") == reasons

    def test_a_waiting_switch_is_cancelled(self, api: Api, node: FakeNode) -> None:
        reply = api("DELETE", "/switch", headers={"X-Actor": "jane"})
        assert reply.json()["outcome"] == "cancelled"
        assert reply.json()["active"] is None
        assert node.orders == [{"actor": "jane"}]

    def test_cancelling_none_is_refused(self, api: Api, node: FakeNode) -> None:
        node.error = SwitchRefused(("no switch waits",))
        reply = api("DELETE", "/switch")
        assert refusal_of(reply) == (409, "refused")
        assert reply.json()["reasons"] == ["no switch waits"]
