"""`/history` over HTTP: what an event looks like, filters and pages."""

from __future__ import annotations

import pytest

from eventstore import Loss, StoreUnavailable, format_time
from node.http_api import Limits
from tests.support.http_client import Api, refusal_of
from tests.support.served_node import ARCHIVE, FIRST_NS, FakeNode


@pytest.fixture
def node() -> FakeNode:
    node = FakeNode()
    node.put("users/alice", {"extension": "101"}, actor="jane", reason="moved in")
    node.receive("users/bob", 2)
    node.receive("users/carol", 3)
    node.delete("users/alice", actor="jane")
    node.receive("scripts/x", 5)
    return node


@pytest.fixture
def api(node: FakeNode) -> Api:
    return Api(node)


def pages(api: Api, query: str) -> list[list[str]]:
    found: list[list[str]] = []
    after = ""
    while True:
        assert len(found) < 10
        content = api("GET", f"/history?{query}{after}").json()
        found.append([event["key"] for event in content["events"]])
        if content["next"] is None:
            return found
        after = f"&after={content['next']}"


def joined(found: list[list[str]]) -> list[str]:
    return [key for page in found for key in page]


def test_an_event_is_shown_in_full(api: Api, node: FakeNode) -> None:
    content = api("GET", "/history").json()
    assert content["next"] is None
    assert content["events"][0] == {
        "id": "1767225600000-1",
        "origin": "master",
        "kind": "entry-put",
        "key": "users/alice",
        "value": {"extension": "101"},
        "actor": "jane",
        "reason": "moved in",
        "time": "2026-01-01T00:00:00.000000Z",
        "vector": {"master": "1767225600000-1"},
        "digest": "01" * 32,
        "recovered": None,
        "overridden_by": None,
        "archived": None,
    }
    assert content["events"][1]["time"] == "2026-01-01T00:00:01.000001Z"
    assert content["events"][3]["kind"] == "entry-deleted"
    assert content["events"][3]["value"] is None


def test_a_change_that_lost_names_the_one_that_stands_in_its_place(
    api: Api, node: FakeNode
) -> None:
    lost, winner = node.events[1], node.events[0]
    node.losses = [Loss(lost, winner)]
    content = api("GET", "/history").json()
    assert [event["overridden_by"] for event in content["events"]] == [
        None,
        str(winner.id),
        None,
        None,
        None,
    ]


def test_pages_go_on_behind_both_origins(api: Api) -> None:
    whole = pages(api, "limit=1000")
    assert whole == [
        ["users/alice", "users/bob", "users/carol", "users/alice", "scripts/x"]
    ]
    for limit in (1, 2, 3, 4, 5):
        found = pages(api, f"limit={limit}")
        assert joined(found) == whole[0]
        assert all(len(page) == limit for page in found[:-1])


def test_a_cursor_names_the_newest_event_of_each_origin(
    api: Api, node: FakeNode
) -> None:
    content = api("GET", "/history?limit=1").json()
    assert content["next"] == f"master={node.events[0].id}"
    content = api("GET", f"/history?limit=1&after={content['next']}").json()
    assert content["next"] == (
        f"master={node.events[0].id},standby={node.events[1].id}"
    )


def test_archived_events_are_marked_and_come_in_pages_too(
    api: Api, node: FakeNode
) -> None:
    whole = api("GET", "/history?archived=true").json()
    assert {event["archived"] for event in whole["events"]} == {ARCHIVE}
    assert pages(api, "archived=true") == pages(api, "archived=false")
    page = api("GET", "/history?archived=true&limit=2").json()
    assert page["next"] == f"{ARCHIVE}={node.events[1].id}"
    assert pages(api, "archived=true&key=users/bob") == [["users/bob"]]


@pytest.mark.parametrize("after", ["", "x", "x=5", "master=1-1x"])
def test_a_cursor_that_no_page_of_archived_events_gave_is_refused(
    api: Api, after: str
) -> None:
    reply = api("GET", f"/history?archived=true&after={after}")
    assert refusal_of(reply) == (422, "invalid-request")


def test_pages_end_before_they_get_too_large(node: FakeNode) -> None:
    small = Api(node, Limits(page_bytes_max=370))
    assert [len(page) for page in pages(small, "limit=100")] == [2, 2, 1]


@pytest.mark.parametrize(
    ("query", "keys"),
    [
        ("key=users/bob", ["users/bob"]),
        ("key=users/", []),
        ("prefix=scripts/", ["scripts/x"]),
        ("actor=jane", ["users/alice", "users/alice"]),
        ("origin=standby", ["users/bob", "users/carol", "scripts/x"]),
        ("origin=standby&prefix=users/", ["users/bob", "users/carol"]),
        ("kind=entry-deleted", ["users/alice"]),
        ("kind=entry-deleted&kind=x&key=users/alice", ["users/alice"]),
        ("kind=entry-putt", []),
    ],
)
def test_filters_are_handed_on(api: Api, query: str, keys: list[str]) -> None:
    assert pages(api, query) == [keys]
    assert joined(pages(api, f"{query}&limit=1")) == keys


@pytest.mark.parametrize(
    ("text", "instant_ns"),
    [
        ("1767225600000", FIRST_NS),
        ("0", 0),
        ("2026-01-01T00:00:00Z", FIRST_NS),
        ("2026-01-01T00:00:00", FIRST_NS),
        ("2026-01-01", FIRST_NS),
        ("20260101", FIRST_NS),
        ("2026-01-01T01:00:00.000001%2B01:00", FIRST_NS + 1000),
        ("1969-12-31T23:59:59.999999Z", -1000),
        ("0001-01-01T00:00:00%2B23:59", -62135596800 * 10**9 - 86340 * 10**9),
    ],
)
@pytest.mark.parametrize("name", ["since", "until"])
def test_an_instant_is_iso_8601_or_milliseconds(
    api: Api, node: FakeNode, name: str, text: str, instant_ns: int
) -> None:
    node.orders.clear()
    assert api("GET", f"/history?{name}={text}").status_code == 200
    assert node.orders[0][f"{name}_ns"] == instant_ns


@pytest.mark.parametrize(
    "query",
    [
        "since=yesterday",
        "since=",
        "since=-1",
        "since=2026",
        "since=1.5",
        "until=2026-13-01",
        "until=2026-01-01T00:00:00+01:00",
        "until=1767225600000000000",
        "limit=0",
        "limit=10001",
        "limit=x",
        "origin=peer",
        "after=",
        "after=5-1",
        "after=master=",
        "after=master=5-1,peer=6-1",
        "from=0",
        "kind=" + "x" * 65,
        "kind=x&" * 21,
        "key=a&key=b",
    ],
)
def test_a_wrong_parameter_is_refused(api: Api, query: str) -> None:
    reply = api("GET", f"/history?{query}")
    assert refusal_of(reply) == (422, "invalid-request")
    assert query.partition("=")[0] in reply.json()["error"]


def test_a_store_that_cannot_gives_503(api: Api, node: FakeNode) -> None:
    node.error = StoreUnavailable("Redis is gone")
    assert refusal_of(api("GET", "/history")) == (503, "store-unavailable")


def test_a_time_that_no_calendar_has_is_left_out() -> None:
    assert format_time(2**63) == "2262-04-11T23:47:16.854775Z"
    assert format_time(2**70) is None
