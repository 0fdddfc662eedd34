"""`/entries` over HTTP: reading, storing, deleting, and every way to be refused."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import pytest

from eventstore import (
    EventId,
    SecondWriter,
    StoreRefused,
    StoreUnavailable,
    WritesFrozen,
)
from node.errors import NotReplicated
from node.http_api import Limits
from tests.support.http_client import CHANGE_TOKEN, Api, chunks, refusal_of
from tests.support.served_node import FakeNode

LIMITS = Limits(
    body_bytes_max=1000,
    value_body_bytes_max=1000,
    order_body_bytes_max=1000,
    bodies_bytes_max=1500,
    page_bytes_max=300,
)
CHANGE = {"authorization": f"Bearer {CHANGE_TOKEN}"}


@pytest.fixture
def node() -> FakeNode:
    return FakeNode()


@pytest.fixture
def api(node: FakeNode) -> Api:
    return Api(node)


@pytest.fixture
def small(node: FakeNode) -> Api:
    """The same with limits that a test reaches."""
    return Api(node, LIMITS)


class TestOneEntry:
    @pytest.mark.parametrize(
        "value",
        [None, True, 0, -1.5, "", "ü🙂\n", [], {"a": [1, {"b": None}]}, 2**64 - 1],
    )
    def test_a_value_comes_back_as_it_was_stored(
        self, api: Api, node: FakeNode, value: Any
    ) -> None:
        stored = api("PUT", "/entries/users/alice", content=json.dumps(value))
        assert stored.status_code == 200
        reply = api("GET", "/entries/users/alice")
        assert reply.json() == {
            "key": "users/alice",
            "value": value,
            "id": stored.json()["id"],
            "origin": "master",
        }
        assert reply.json()["id"] == str(node.events[0].id)

    @pytest.mark.parametrize(
        ("path", "key"),
        [
            ("users/alice", "users/alice"),
            ("users%2Falice", "users/alice"),
            ("users/a/b/c", "users/a/b/c"),
            ("users//", "users//"),
            ("users/%E7%8E%8B", "users/王"),
            ("users/%2e%2e/%2E%2E/etc", "users/../../etc"),
            ("users/a%3Fb%23c", "users/a?b#c"),
            ("users/100%2525", "users/100%25"),
            ("users/a+b%20c", "users/a+b c"),
        ],
    )
    def test_a_key_is_decoded_once_and_else_left_alone(
        self, api: Api, node: FakeNode, path: str, key: str
    ) -> None:
        assert api("PUT", f"/entries/{path}", json=1).status_code == 200
        assert node.events[0].key == key
        assert api("GET", f"/entries/{path}").json()["key"] == key
        assert api("DELETE", f"/entries/{path}").status_code == 200

    @pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
    def test_a_key_that_is_not_utf_8_is_refused(
        self, api: Api, node: FakeNode, method: str
    ) -> None:
        reply = api(method, "/entries/users/%ff", content=b"1")
        assert refusal_of(reply) == (422, "invalid-entry")
        assert node.events == []

    @pytest.mark.parametrize("key", ["", "users", "users/", "/x", "a/" + "b" * 256])
    def test_a_key_that_names_no_entry_is_refused(self, api: Api, key: str) -> None:
        reply = api("PUT", f"/entries/{key}", json=1)
        assert refusal_of(reply) == (422, "invalid-entry")
        assert refusal_of(api("GET", f"/entries/{key}")) == (404, "no-such-entry")

    @pytest.mark.parametrize("method", ["GET", "DELETE"])
    def test_an_entry_that_is_not_there_is_404(self, api: Api, method: str) -> None:
        reply = api(method, "/entries/users/alice")
        assert refusal_of(reply) == (404, "no-such-entry")

    def test_a_change_on_condition_holds_for_one_version(
        self, api: Api, node: FakeNode
    ) -> None:
        first = node.put("a/b", 1, actor="jane").id
        second = api("PUT", f"/entries/a/b?expected={first}", json=2).json()["id"]
        reply = api("PUT", f"/entries/a/b?expected={first}", json=3)
        assert refusal_of(reply) == (409, "entry-changed")
        assert reply.json()["id"] == second
        reply = api("DELETE", f"/entries/a/b?expected={first}")
        assert refusal_of(reply) == (409, "entry-changed")
        assert api("DELETE", f"/entries/a/b?expected={second}").status_code == 200
        reply = api("PUT", f"/entries/a/b?expected={second}", json=4)
        assert refusal_of(reply) == (409, "entry-changed")
        assert reply.json()["id"] is None

    @pytest.mark.parametrize(
        "query",
        [
            "expected=xyz",
            "expected=",
            "expected=1-2-3",
            "expected=99999999999999999999-1",
            "expected=1-1&expected=2-1",
            "expcted=1-1",
            "replicated_within_s=abc",
            "replicated_within_s=-1",
            "replicated_within_s=0",
            "replicated_within_s=nan",
            "replicated_within_s=inf",
            "replicated_within_s=61",
        ],
    )
    def test_a_wrong_parameter_stores_nothing(
        self, api: Api, node: FakeNode, query: str
    ) -> None:
        reply = api("PUT", f"/entries/a/b?{query}", json=1)
        assert refusal_of(reply) == (422, "invalid-request")
        assert query.partition("=")[0] in reply.json()["error"]
        assert node.orders == []

    def test_waiting_for_the_peer_is_handed_on(self, api: Api, node: FakeNode) -> None:
        api("PUT", "/entries/a/b?replicated_within_s=2.5", json=1)
        assert node.orders[0]["within_s"] == 2.5

    @pytest.mark.parametrize(
        ("error", "status", "code"),
        [
            (StoreUnavailable("Redis is gone"), 503, "store-unavailable"),
            (StoreRefused("Redis is full"), 503, "store-unavailable"),
            (SecondWriter("another process writes"), 503, "store-unavailable"),
            (WritesFrozen("a switch is under way"), 503, "writes-frozen"),
        ],
        ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
    )
    @pytest.mark.parametrize("method", ["PUT", "DELETE", "POST"])
    def test_a_store_that_cannot_gives_503(
        self,
        api: Api,
        node: FakeNode,
        method: str,
        error: Exception,
        status: int,
        code: str,
    ) -> None:
        node.error = error
        path = "/entries" if method == "POST" else "/entries/a/b"
        reply = api(method, path, json={"put": {"a/b": 1}})
        assert refusal_of(reply) == (status, code)
        assert reply.json()["error"] == str(error)

    def test_a_change_that_the_peer_lacks_names_its_event(
        self, api: Api, node: FakeNode
    ) -> None:
        node.error = NotReplicated(EventId(5, 7), 2.0)
        reply = api("PUT", "/entries/a/b?replicated_within_s=1", json=1)
        assert refusal_of(reply) == (504, "not-replicated")
        assert reply.json()["id"] == "5-7"

    def test_a_value_that_cannot_be_stored_is_refused(self, api: Api) -> None:
        reply = api("PUT", "/entries/a/b", json="x" * 70_000)
        assert refusal_of(reply) == (422, "invalid-entry")


class TestBodies:
    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"{",
            b"NaN",
            b"[Infinity]",
            b"-Infinity",
            b"1e999",
            b'{"a": 1, "a": 1}',
            b'[{"a": {"b": 1, "b": 2}}]',
            b'"\\ud800"',
            b'{"\\udfff": 1}',
            b'"\xff"',
            '"ü"'.encode("utf-16"),
            b"\xef\xbb\xbf1",
            b"[" * 10_000,
            b"1" * 5000,
            b"1 2",
            b"'a'",
        ],
        ids=lambda body: repr(body[:12]),
    )
    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("PUT", "/entries/a/b"),
            ("POST", "/entries"),
            ("POST", "/switch"),
            ("POST", "/replication"),
        ],
    )
    def test_what_is_not_strict_json_is_refused(
        self, api: Api, node: FakeNode, method: str, path: str, body: bytes
    ) -> None:
        if path == "/switch" and not body:
            return  # An empty order to switch means now.
        reply = api(method, path, content=body)
        assert refusal_of(reply) == (422, "invalid-json")
        assert node.orders == []

    def test_half_pairs_that_make_a_whole_are_a_character(self, api: Api) -> None:
        assert (
            api("PUT", "/entries/a/b", content=b'"\\ud83d\\ude42"').status_code == 200
        )
        assert api("GET", "/entries/a/b").json()["value"] == "🙂"

    def test_a_body_at_the_limit_is_read(self, small: Api) -> None:
        body = b'"' + b"x" * 998 + b'"'
        assert small("PUT", "/entries/a/b", content=body).status_code == 200

    @pytest.mark.parametrize(
        ("method", "path"),
        [("PUT", "/entries/a/b"), ("POST", "/entries"), ("POST", "/switch")],
    )
    def test_a_body_over_the_limit_is_413(
        self, small: Api, node: FakeNode, method: str, path: str
    ) -> None:
        reply = small(method, path, content=b" " * 1001)
        assert refusal_of(reply) == (413, "too-large")
        reply = small(method, path, content=chunks(100, 11))
        assert refusal_of(reply) == (413, "too-large")
        assert node.orders == []

    def test_a_body_over_the_limit_is_not_read_to_its_end(self, small: Api) -> None:
        taken = 0

        async def endless() -> Any:
            nonlocal taken
            while True:
                taken += 1
                yield b" " * 100

        reply = small("PUT", "/entries/a/b", content=endless())
        assert refusal_of(reply) == (413, "too-large")
        assert taken == 11

    def test_the_bodies_of_all_requests_together_are_limited(
        self, small: Api, node: FakeNode
    ) -> None:
        node.stuck = threading.Event()

        async def story() -> None:
            body = b'"' + b"x" * 900 + b'"'
            first = asyncio.create_task(
                small.ask("PUT", "/entries/a/b", content=body, headers=CHANGE)
            )
            await asyncio.sleep(0.05)
            second = await small.ask(
                "PUT", "/entries/a/c", content=body, headers=CHANGE
            )
            assert refusal_of(second) == (503, "busy")
            assert node.stuck is not None
            node.stuck.set()
            assert (await first).status_code == 200
            third = await small.ask("PUT", "/entries/a/c", content=body, headers=CHANGE)
            assert third.status_code == 200

        asyncio.run(asyncio.wait_for(story(), 20))


class TestPages:
    def read_all(self, api: Api, query: str) -> list[list[str]]:
        pages: list[list[str]] = []
        after = ""
        while True:
            assert len(pages) < 10
            content = api("GET", f"/entries?{query}{after}").json()
            pages.append(list(content["entries"]))
            if content["next"] is None:
                return pages
            assert content["next"] == pages[-1][-1]
            after = f"&after={content['next']}"

    def test_entries_are_listed_in_the_order_of_their_keys(
        self, api: Api, node: FakeNode
    ) -> None:
        for key in ["users/b", "users/a", "scripts/x", "users/ü", "users/B"]:
            node.put(key, key, actor="jane")
        reply = api("GET", "/entries?prefix=users/").json()
        assert list(reply["entries"]) == ["users/B", "users/a", "users/b", "users/ü"]
        assert reply["next"] is None
        assert reply["entries"]["users/a"] == {
            "value": "users/a",
            "id": str(node.events[1].id),
            "origin": "master",
        }
        assert len(api("GET", "/entries").json()["entries"]) == 5

    def test_pages_end_at_their_limit(self, api: Api, node: FakeNode) -> None:
        for n in range(5):
            node.put(f"a/{n}", n, actor="jane")
        assert self.read_all(api, "limit=2") == [
            ["a/0", "a/1"],
            ["a/2", "a/3"],
            ["a/4"],
        ]
        assert self.read_all(api, "limit=5") == [[f"a/{n}" for n in range(5)]]

    def test_pages_end_before_they_get_too_large(
        self, small: Api, node: FakeNode
    ) -> None:
        for n in range(4):
            node.put(f"a/{n}", "x" * 200, actor="jane")
        node.put("a/4", "x" * 2000, actor="jane")
        pages = self.read_all(small, "limit=100")
        assert pages == [["a/0", "a/1"], ["a/2", "a/3"], ["a/4"]]

    def test_no_entries_are_an_empty_page(self, api: Api) -> None:
        assert api("GET", "/entries").json() == {"entries": {}, "next": None}

    @pytest.mark.parametrize(
        "query", ["limit=abc", "limit=-1", "limit=0", "limit=10001", "limit=", "limt=5"]
    )
    def test_a_wrong_parameter_is_refused(self, api: Api, query: str) -> None:
        reply = api("GET", f"/entries?{query}")
        assert refusal_of(reply) == (422, "invalid-request")
        assert query.partition("=")[0] in reply.json()["error"]


class TestBatches:
    def test_a_batch_stores_and_deletes(self, api: Api, node: FakeNode) -> None:
        node.put("a/old", 1, actor="jane")
        reply = api(
            "POST",
            "/entries",
            json={"put": {"a/x": 1, "a/y": [2]}, "delete": ["a/old"]},
            headers={"X-Actor": "import"},
        )
        assert reply.json() == {
            "ids": {event.key: str(event.id) for event in node.events[1:]}
        }
        assert list(node.list()) == ["a/x", "a/y"]
        assert node.events[1].actor == "import"

    @pytest.mark.parametrize("body", [{}, {"put": {}, "delete": []}])
    def test_no_changes_are_no_error(
        self, api: Api, node: FakeNode, body: dict[str, Any]
    ) -> None:
        reply = api("POST", "/entries", json=body)
        assert (reply.status_code, reply.json()) == (200, {"ids": {}})
        assert node.orders == []

    @pytest.mark.parametrize(
        ("body", "status", "code"),
        [
            ({"put": {"a/x": 1, "bad": 1}}, 422, "invalid-entry"),
            ({"put": {"a/x": 1}, "delete": ["a/none"]}, 404, "no-such-entry"),
            ({"put": {"a/x": 1}, "delete": ["a/x"]}, 422, "invalid-entry"),
            ({"delete": ["a/x", "a/x"]}, 422, "invalid-entry"),
            ({"put": {f"a/{n}": 1 for n in range(1001)}}, 422, "invalid-entry"),
            ({"puts": {}}, 422, "invalid-request"),
            ({"put": []}, 422, "invalid-request"),
            ({"put": None}, 422, "invalid-request"),
            ({"delete": "a/x"}, 422, "invalid-request"),
            ({"delete": [5]}, 422, "invalid-request"),
            ([], 422, "invalid-request"),
            (None, 422, "invalid-request"),
        ],
        ids=lambda value: str(value)[:30],
    )
    def test_a_batch_is_refused_as_a_whole(
        self, api: Api, node: FakeNode, body: Any, status: int, code: str
    ) -> None:
        reply = api("POST", "/entries", content=json.dumps(body))
        assert refusal_of(reply) == (status, code)
        assert node.events == []

    def test_a_thousand_changes_are_one_batch(self, api: Api, node: FakeNode) -> None:
        reply = api(
            "POST", "/entries", json={"put": {f"a/{n}": n for n in range(1000)}}
        )
        assert len(reply.json()["ids"]) == 1000


class TestLanes:
    def test_stuck_changes_hold_up_neither_probes_nor_reads_nor_orders(
        self, node: FakeNode
    ) -> None:
        api = Api(node, Limits())
        node.put("a/b", 1, actor="jane")
        stuck = node.stuck = threading.Event()

        async def story() -> None:
            puts = [
                asyncio.create_task(
                    api.ask("PUT", f"/entries/a/{n}", json=n, headers=CHANGE)
                )
                for n in range(60)
            ]
            await asyncio.sleep(0.1)
            refused = [put.result() for put in puts if put.done()]
            assert len(refused) == 20
            assert {refusal_of(reply) for reply in refused} == {(503, "busy")}
            assert refused[0].headers["retry-after"] == "1"
            async with asyncio.timeout(2):
                for path in ("/active", "/live", "/ready", "/status", "/entries/a/b"):
                    reply = await api.ask("GET", path, headers=CHANGE)
                    assert reply.status_code == 200
                node.stuck = None  # The others hang on; an order must get through.
                reply = await api.ask("POST", "/switch", headers=CHANGE)
                assert reply.status_code == 200
                assert (await api.ask("GET", "/entries", headers=CHANGE)).is_success
            stuck.set()
            replies = await asyncio.gather(*puts)
            assert sum(reply.status_code == 200 for reply in replies) == 40
            reply = await api.ask("PUT", "/entries/a/x", json=1, headers=CHANGE)
            assert reply.status_code == 200

        asyncio.run(asyncio.wait_for(story(), 20))
