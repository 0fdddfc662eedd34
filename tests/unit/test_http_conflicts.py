"""`/conflicts` over HTTP: what lost, in pages, and how it is restored."""

from __future__ import annotations

import pytest

from eventstore import EntryChanged, Loss, StoreUnavailable
from node.http_api import Limits
from tests.support.http_client import READ_TOKEN, Api, refusal_of
from tests.support.served_node import FakeNode


@pytest.fixture
def node() -> FakeNode:
    """Two open losses, and one that a later change settled."""
    node = FakeNode()
    for key in ("users/a", "users/b", "scripts/c"):
        loser = node.receive(key, {"by": key})
        winner = node.put(key, 1, actor="jane", reason="moved in")
        node.losses.append(Loss(loser, winner))
    settled_by = node.put("users/b", 2, actor="joe")
    lost = node.losses[1]
    node.losses[1] = Loss(lost.loser, lost.winner, settled_by)
    return node


@pytest.fixture
def api(node: FakeNode) -> Api:
    return Api(node)


def keys(api: Api, query: str = "") -> list[str]:
    content = api("GET", f"/conflicts?{query}").json()
    return [found["key"] for found in content["conflicts"]]


def test_a_conflict_tells_who_when_and_why_of_both(api: Api, node: FakeNode) -> None:
    content = api("GET", "/conflicts", token=READ_TOKEN).json()
    assert content["next"] is None
    assert content["conflicts"][0] == {
        "id": "1767225600000-1",
        "origin": "standby",
        "kind": "entry-put",
        "key": "users/a",
        "value": {"by": "users/a"},
        "actor": "bob",
        "reason": "",
        "time": "2026-01-01T00:00:00.000000Z",
        "why": "concurrent with the master's change",
        "winner": {
            "id": "1767225601000-1",
            "origin": "master",
            "kind": "entry-put",
            "actor": "jane",
            "reason": "moved in",
            "time": "2026-01-01T00:00:01.000001Z",
        },
        "settled_by": None,
    }


def test_settled_ones_are_told_on_demand_with_what_settled_them(api: Api) -> None:
    assert keys(api) == ["users/a", "scripts/c"]
    assert keys(api, "settled=false") == ["users/a", "scripts/c"]
    content = api("GET", "/conflicts?settled=true").json()
    assert [found["key"] for found in content["conflicts"]] == [
        "users/a",
        "users/b",
        "scripts/c",
    ]
    settled_by = content["conflicts"][1]["settled_by"]
    assert (settled_by["actor"], settled_by["kind"]) == ("joe", "entry-put")


def test_they_can_be_asked_for_by_key_and_by_prefix(api: Api) -> None:
    assert keys(api, "settled=true&prefix=users/") == ["users/a", "users/b"]
    assert keys(api, "key=users/a") == ["users/a"]
    assert keys(api, "key=users/") == []


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_pages_go_on_behind_the_last_loser(api: Api, limit: int) -> None:
    found: list[str] = []
    query = f"/conflicts?settled=true&limit={limit}"
    after = ""
    while True:
        content = api("GET", query + after).json()
        found += [conflict["key"] for conflict in content["conflicts"]]
        if content["next"] is None:
            break
        assert len(content["conflicts"]) == limit
        after = f"&after={content['next']}"
    assert found == ["users/a", "users/b", "scripts/c"]


def test_a_page_ends_before_it_gets_too_large(node: FakeNode) -> None:
    small = Api(node, Limits(page_bytes_max=10))
    content = small("GET", "/conflicts?settled=true").json()
    assert [found["key"] for found in content["conflicts"]] == ["users/a"]
    assert content["next"] == content["conflicts"][0]["id"]


@pytest.mark.parametrize(
    "query", ["settled=perhaps", "limit=0", "limit=1001", "after=x", "all=true"]
)
def test_a_wrong_parameter_is_refused(api: Api, query: str) -> None:
    assert refusal_of(api("GET", f"/conflicts?{query}")) == (422, "invalid-request")


def test_a_loser_is_restored_as_a_new_event(api: Api, node: FakeNode) -> None:
    lost = node.losses[0].loser.id
    headers = {"X-Actor": "ann", "X-Reason": "bob%20was%20right"}
    reply = api("POST", f"/conflicts/{lost}/restore", headers=headers)
    assert reply.json() == {"id": str(node.events[-1].id)}
    restored = node.events[-1]
    assert (restored.key, restored.value) == ("users/a", {"by": "users/a"})
    assert (restored.actor, restored.reason) == ("ann", "bob was right")


def test_restoring_needs_the_change_token(api: Api, node: FakeNode) -> None:
    path = f"/conflicts/{node.losses[0].loser.id}/restore"
    assert refusal_of(api("POST", path, token=READ_TOKEN)) == (403, "not-authorised")


def test_an_id_that_has_not_lost_is_refused(api: Api) -> None:
    reply = api("POST", "/conflicts/5-5/restore")
    assert refusal_of(reply) == (404, "no-such-conflict")
    assert "5-5" in reply.json()["error"]
    assert refusal_of(api("POST", "/conflicts/x/restore")) == (422, "invalid-request")


def test_an_entry_that_was_changed_since_is_not_overwritten(
    api: Api, node: FakeNode
) -> None:
    path = f"/conflicts/{node.losses[0].loser.id}/restore"
    node.error = EntryChanged("users/a", expected="5-1", current="6-2")
    reply = api("POST", path)
    assert refusal_of(reply) == (409, "entry-changed")
    assert reply.json()["id"] == "6-2"


def test_a_history_that_cannot_be_read_gives_503(api: Api, node: FakeNode) -> None:
    node.error = StoreUnavailable("Redis is gone")
    assert keys(api) == ["users/a", "scripts/c"], "open ones come from memory"
    reply = api("GET", "/conflicts?settled=true")
    assert refusal_of(reply) == (503, "store-unavailable")
