"""Who may ask what over HTTP, and how every refusal looks."""

from __future__ import annotations

import logging

import pytest

from node.roles import Role, State
from tests.support.http_client import CHANGE_TOKEN, READ_TOKEN, Api, refusal_of
from tests.support.served_node import FakeNode

READS = [
    "/status",
    "/metrics",
    "/entries/a/b",
    "/entries",
    "/replication",
    "/history",
    "/events?origin=master",
    "/archives",
    "/archive?before=1767225600000",
]
CHANGES = [
    ("PUT", "/entries/a/b"),
    ("DELETE", "/entries/a/b"),
    ("POST", "/entries"),
    ("POST", "/switch"),
    ("DELETE", "/switch"),
    ("POST", "/replication"),
    ("POST", "/archive"),
]


@pytest.fixture
def node() -> FakeNode:
    return FakeNode()


@pytest.fixture
def api(node: FakeNode) -> Api:
    return Api(node)


class TestProbes:
    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    @pytest.mark.parametrize(
        ("path", "state", "status"),
        [
            ("/active", State.ACTIVE, 200),
            ("/active", State.PASSIVE, 503),
            ("/passive", State.PASSIVE, 200),
            ("/passive", State.ACTIVE, 503),
        ],
    )
    def test_a_state_is_asked_without_a_token(
        self,
        api: Api,
        node: FakeNode,
        method: str,
        path: str,
        state: State,
        status: int,
    ) -> None:
        node.state, node.role = state, Role.STANDBY
        reply = api(method, path, token=None)
        assert reply.status_code == status
        if method == "GET":
            assert reply.json() == {"role": "standby", "state": state.value}
        assert reply.headers["cache-control"] == "no-store"

    @pytest.mark.parametrize(("live", "status"), [(True, 200), (False, 503)])
    def test_live_is_asked_without_a_token(
        self, api: Api, node: FakeNode, live: bool, status: int
    ) -> None:
        node.live = live
        reply = api("GET", "/live", token=None)
        assert (reply.status_code, reply.json()) == (status, {"live": live})

    def test_ready_gives_every_reason_why_not(self, api: Api, node: FakeNode) -> None:
        reply = api("GET", "/ready", token=None)
        assert (reply.status_code, reply.json()) == (
            200,
            {"ready": True, "reasons": []},
        )
        node.reasons = ["Redis is gone", "replication is off"]
        reply = api("GET", "/ready", token=None)
        assert reply.status_code == 503
        assert reply.json() == {"ready": False, "reasons": node.reasons}

    def test_a_probe_cannot_be_changed_without_a_token(self, api: Api) -> None:
        assert refusal_of(api("POST", "/live", token=None)) == (401, "not-authorised")


class TestTokens:
    @pytest.mark.parametrize(
        ("method", "path"),
        [("GET", path) for path in [*READS, "/openapi.json", "/none", "/live/"]]
        + CHANGES,
    )
    @pytest.mark.parametrize("token", [None, "unknown-0123456789", "", "é"])
    def test_all_but_the_probes_need_a_known_token(
        self, api: Api, node: FakeNode, method: str, path: str, token: str | None
    ) -> None:
        headers = (
            [] if token is None else [(b"authorization", b"Bearer " + token.encode())]
        )
        reply = api(method, path, token=None, headers=headers, content=b"{}")
        assert refusal_of(reply) == (401, "not-authorised")
        assert reply.headers["www-authenticate"] == "Bearer"
        assert node.orders == []

    @pytest.mark.parametrize("path", [*READS, "/openapi.json"])
    @pytest.mark.parametrize("token", [READ_TOKEN, CHANGE_TOKEN])
    def test_both_tokens_read(
        self, api: Api, node: FakeNode, path: str, token: str
    ) -> None:
        node.put("a/b", 1, actor="jane")
        assert api("GET", path, token=token).status_code == 200

    @pytest.mark.parametrize(("method", "path"), CHANGES)
    def test_the_read_token_changes_nothing(
        self, api: Api, node: FakeNode, method: str, path: str
    ) -> None:
        reply = api(method, path, token=READ_TOKEN, content=b"{}")
        assert refusal_of(reply) == (403, "not-authorised")
        assert node.orders == []

    @pytest.mark.parametrize(
        "headers",
        [
            [(b"authorization", CHANGE_TOKEN.encode())],
            [(b"authorization", b"Basic " + CHANGE_TOKEN.encode())],
            [(b"authorization", b"Bearer " + CHANGE_TOKEN.encode() + b"x")],
            [(b"authorization", b"Bearer " + CHANGE_TOKEN.encode())] * 2,
        ],
        ids=["bare", "basic", "longer", "twice"],
    )
    def test_a_token_comes_in_one_way_only(
        self, api: Api, headers: list[tuple[bytes, bytes]]
    ) -> None:
        reply = api("GET", "/status", token=None, headers=headers)
        assert refusal_of(reply) == (401, "not-authorised")

    def test_the_scheme_is_written_in_any_case(self, api: Api) -> None:
        headers = {"authorization": f"bEARER {READ_TOKEN}"}
        assert api("GET", "/status", token=None, headers=headers).status_code == 200


class TestActor:
    @pytest.mark.parametrize(
        ("headers", "actor", "reason"),
        [
            ({}, "change", ""),
            ({"X-Actor": "", "X-Reason": ""}, "change", ""),
            ({"X-Actor": "jane", "X-Reason": "moved out"}, "jane", "moved out"),
            ({"X-Actor": "J%C3%BCrgen%20%E7%8E%8B"}, "Jürgen 王", ""),
            ({"X-Actor": "a" * 256, "X-Reason": "r" * 1024}, "a" * 256, "r" * 1024),
        ],
        ids=["none", "empty", "plain", "encoded", "longest"],
    )
    def test_actor_and_reason_come_from_headers(
        self,
        api: Api,
        node: FakeNode,
        headers: dict[str, str],
        actor: str,
        reason: str,
    ) -> None:
        reply = api("PUT", "/entries/a/b", headers=headers, json=1)
        assert reply.status_code == 200
        assert (node.events[0].actor, node.events[0].reason) == (actor, reason)

    @pytest.mark.parametrize(
        "headers",
        [
            {"X-Actor": "a" * 257},
            {"X-Actor": "%C3%BC" * 129},
            {"X-Reason": "r" * 1025},
            {"X-Actor": "%ff"},
            {"X-Actor": "jane%0Aroot"},
            {"X-Reason": "%1b[2J"},
            [(b"x-actor", b"jane"), (b"x-actor", b"bob")],
        ],
        ids=["long", "long-utf-8", "reason", "utf-8", "newline", "escape", "twice"],
    )
    @pytest.mark.parametrize(
        ("method", "path"), [c for c in CHANGES if c != ("DELETE", "/switch")]
    )
    def test_an_actor_or_reason_outside_its_limits_is_refused(
        self,
        api: Api,
        node: FakeNode,
        method: str,
        path: str,
        headers: dict[str, str],
    ) -> None:
        body = b'{"enabled": true}' if path == "/replication" else b"{}"
        reply = api(method, path, headers=headers, content=body)
        assert refusal_of(reply) == (422, "invalid-request")
        assert node.orders == []


class TestRefusals:
    @pytest.mark.parametrize(
        "path", ["/", "/none", "/status/", "/entry/a/b", "//status", "/docs"]
    )
    def test_an_unknown_path_is_named_so(self, api: Api, path: str) -> None:
        assert refusal_of(api("GET", path)) == (404, "no-such-path")

    def test_a_path_names_the_methods_it_allows(self, api: Api) -> None:
        reply = api("PATCH", "/status")
        assert refusal_of(reply) == (405, "method-not-allowed")
        assert reply.headers["allow"] == "GET"

    def test_an_unforeseen_error_is_logged_and_not_shown(
        self, node: FakeNode, api: Api, caplog: pytest.LogCaptureFixture
    ) -> None:
        node.error = ZeroDivisionError("hunter2")
        reply = api("PUT", "/entries/a/b", json=1)
        assert refusal_of(reply) == (500, "internal-error")
        assert reply.json()["error"] == "internal error; see the node's log"
        assert "ZeroDivisionError: hunter2" in caplog.text
        assert len([r for r in caplog.records if r.levelno >= logging.ERROR]) == 1
        assert CHANGE_TOKEN not in caplog.text

    def test_an_unforeseen_error_of_a_probe_is_logged_and_not_shown(
        self,
        node: FakeNode,
        api: Api,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        monkeypatch.setattr(node, "is_ready", lambda: 1 // 0)
        assert refusal_of(api("GET", "/ready", token=None)) == (500, "internal-error")
        assert "ZeroDivisionError" in caplog.text

    def test_the_description_names_every_route_and_the_errors(self, api: Api) -> None:
        description = api("GET", "/openapi.json").json()
        paths = description["paths"]
        described = {(m.upper(), p) for p, methods in paths.items() for m in methods}
        assert described >= {
            ("GET", "/active"),
            ("GET", "/ready"),
            ("GET", "/status"),
            ("PUT", "/entries/{key}"),
            ("POST", "/entries"),
            ("POST", "/switch"),
            ("DELETE", "/switch"),
            ("POST", "/replication"),
            ("GET", "/history"),
        }
        put = paths["/entries/{key}"]["put"]
        assert put["summary"]
        assert {"200", "401", "403", "409", "413", "422", "503", "504"} <= set(
            put["responses"]
        )
        assert [p["name"] for p in put["parameters"]] == [
            "key",
            "expected",
            "replicated_within_s",
        ]
        assert "requestBody" in put
        shape = {"$ref": "#/components/schemas/ErrorReply"}
        for status in ("401", "409", "504"):
            answer = put["responses"][status]["content"]["application/json"]
            assert answer["schema"] == shape
        assert "ErrorReply" in description["components"]["schemas"]
