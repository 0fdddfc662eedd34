"""`/replay`, `/diff`, `/blame` and `/explain` over HTTP."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from fastapi import Request
from starlette.requests import ClientDisconnect

from eventstore import EventId, Replayed
from eventstore.configuration import Configuration
from node.http_api import Limits
from node.http_api.departure import until_departure
from node.http_api.kept_replays import KeptReplays
from tests.support.histories import MASTER
from tests.support.http_client import READ_TOKEN, Api, refusal_of
from tests.support.served_node import FakeNode
from tests.support.waiting import wait_until

KEYS = ["scripts/x", "users/a", "users/b", "users/c"]
BASE_MS = 1_767_225_600_000


@pytest.fixture
def node() -> FakeNode:
    """Four entries at one second, one changed and one deleted later, and a conflict."""
    node = FakeNode()
    past = node.past
    for key in KEYS:
        past.master.put(key, {"of": key, "n": 1}, ms=BASE_MS)
    past.standby.hear(past.master)
    past.standby.put("users/a", {"of": "users/a", "n": 2}, ms=BASE_MS + 2000)
    past.master.put("users/a", {"of": "users/a", "n": 3}, ms=BASE_MS + 3000)
    past.master.hear(past.standby)
    past.master.delete("users/b", ms=BASE_MS + 4000)
    return node


@pytest.fixture
def api(node: FakeNode) -> Api:
    return Api(node, Limits())


def pages(api: Api, path: str, field: str) -> list[Any]:
    """All pages, which are asked for as an admin does: with the same query."""
    found: list[Any] = []
    after = ""
    mark = "&" if "?" in path else "?"
    while True:
        assert len(found) < 20
        content = api("GET", path + after).json()
        found.append(content[field])
        if content["next"] is None:
            return found
        after = f"{mark}after={content['next']}"


def vector_of(node: FakeNode, master: int, standby: int = 0) -> str:
    text = f"master={node.past.master.written[master - 1].id}"
    if standby:
        text += f",standby={node.past.standby.written[standby - 1].id}"
    return text


def test_an_entry_is_told_with_the_event_that_made_it(api: Api) -> None:
    content = api("GET", "/replay?key=users/a", token=READ_TOKEN).json()
    assert content["next"] is None
    assert content["at"] == {
        "master": f"{BASE_MS + 4000}-6",
        "standby": f"{BASE_MS + 2000}-1",
    }
    assert content["entries"] == {
        "users/a": {
            "id": f"{BASE_MS + 3000}-5",
            "origin": "master",
            "kind": "entry-put",
            "value": {"of": "users/a", "n": 3},
            "actor": "jane",
            "reason": "",
            "time": "2026-01-01T00:00:03.000000Z",
        }
    }


@pytest.mark.parametrize(
    ("until", "numbers"),
    [
        ("2025-12-31T23:59:59Z", {}),
        ("2026-01-01T00:00:00Z", {"users/a": 1, "users/b": 1}),
        ("1767225600000", {"users/a": 1, "users/b": 1}),
        ("2026-01-01T00:00:02", {"users/a": 2, "users/b": 1}),
        ("2026-01-01T01:00:03%2B01:00", {"users/a": 3, "users/b": 1}),
        ("2026-01-01T00:00:04", {"users/a": 3}),
    ],
)
def test_a_time_counts_to_its_end(
    api: Api, until: str, numbers: dict[str, int]
) -> None:
    entries = api("GET", f"/replay?prefix=users/&until={until}").json()["entries"]
    found = {key: entry["value"]["n"] for key, entry in entries.items()}
    assert {k: n for k, n in found.items() if k != "users/c"} == numbers


def test_a_vector_is_a_point_too(api: Api, node: FakeNode) -> None:
    until = vector_of(node, 4, 1)
    content = api("GET", f"/replay?until={until}&key=users/a").json()
    assert content["entries"]["users/a"]["value"]["n"] == 2
    assert ",".join(f"{o}={i}" for o, i in content["at"].items()) == until


@pytest.mark.parametrize(
    ("until", "text"),
    [
        ("master=5-5", "there is no event 5-5 in stream 'master'"),
        ("peer=5-5", "there is no stream 'peer'"),
        ("master=x", "'master=x' is no vector such as"),
        ("master=0-0,master=0-0", "names 'master' twice"),
        (f"master={BASE_MS + 4000}-6", "knew event"),
    ],
)
@pytest.mark.parametrize(
    "path",
    [
        "/replay?until=",
        "/diff?from=",
        "/blame?key=users/a&until=",
        "/explain?key=users/a&until=",
    ],
)
def test_a_vector_that_no_node_had_is_refused(
    api: Api, path: str, until: str, text: str
) -> None:
    reply = api("GET", path + until)
    assert refusal_of(reply) == (404, "no-such-point")
    assert text in reply.json()["error"]


@pytest.mark.parametrize("limit", [1, 2, 3, 4])
def test_pages_go_on_behind_a_key_of_the_same_point(
    api: Api, node: FakeNode, limit: int
) -> None:
    whole = api("GET", "/replay").json()["entries"]
    node.fold_count = 0
    found = pages(api, f"/replay?limit={limit}", "entries")
    assert {key: entry for page in found for key, entry in page.items()} == whole
    assert all(len(page) == limit for page in found[:-1])


def test_what_is_written_meanwhile_is_not_in_the_next_page(
    api: Api, node: FakeNode
) -> None:
    first = api("GET", "/replay?limit=1").json()
    node.past.master.put("users/d", 1, ms=BASE_MS + 9000)
    node.past.master.delete("users/c", ms=BASE_MS + 9000)
    rest = api("GET", f"/replay?after={first['next']}").json()
    assert rest["at"] == first["at"]
    assert list(rest["entries"]) == ["users/a", "users/c"]


def test_the_next_page_is_not_folded_again_and_one_that_is_forgotten_is(
    node: FakeNode,
) -> None:
    api = Api(node, Limits())
    headers = {"authorization": f"Bearer {READ_TOKEN}"}

    async def asked() -> None:
        first = (await api.ask("GET", "/replay?limit=1", headers=headers)).json()
        following = f"/replay?limit=1&after={first['next']}"
        second = (await api.ask("GET", following, headers=headers)).json()
        assert (node.fold_count, list(second["entries"])) == (1, ["users/a"])
        for prefix in ("u", "us", "use", "user"):
            await api.ask("GET", f"/replay?limit=1&prefix={prefix}", headers=headers)
        assert node.fold_count == 5
        again = (await api.ask("GET", following, headers=headers)).json()
        assert (node.fold_count, again) == (6, second)
        first = (await api.ask("GET", "/diff?from=0&limit=1", headers=headers)).json()
        assert node.fold_count == 8
        await api.ask("GET", f"/diff?after={first['next']}", headers=headers)
        assert node.fold_count == 8

    asyncio.run(asked())


def test_a_kept_replay_goes_after_a_while() -> None:
    replays = KeptReplays(for_s=0.05)
    cut = {MASTER: EventId(1, 1)}

    async def kept_and_gone() -> None:
        replays.keep(Replayed(cut, Configuration(prevailing=MASTER)), None, None)
        assert replays.find(cut, None, None) is not None
        assert replays.find(cut, "users/a", None) is None
        assert replays.find(None, None, None) is None
        async with asyncio.timeout(10):
            while len(replays):
                await asyncio.sleep(0.01)
        assert replays.find(cut, None, None) is None

    asyncio.run(kept_and_gone())


def test_a_page_ends_before_it_gets_too_large(node: FakeNode) -> None:
    small = Api(node, Limits(page_bytes_max=200))
    assert [len(page) for page in pages(small, "/replay", "entries")] == [2, 1]
    found = pages(small, "/diff?from=0", "differences")
    assert [len(page) for page in found] == [1, 1, 1]
    content = small("GET", "/blame?key=users/a").json()
    assert (len(content["changes"]), content["more"]) == (1, True)


def test_differences_name_the_change_that_made_them(api: Api, node: FakeNode) -> None:
    found: list[Any] = []
    for limit in (1, 2, 100):
        path = f"/diff?from=2026-01-01T00:00:00Z&limit={limit}"
        found = [d for page in pages(api, path, "differences") for d in page]
        assert [d["key"] for d in found] == ["users/a", "users/b"]
    changed, removed = found
    assert (changed["before"]["value"]["n"], changed["after"]["value"]["n"]) == (1, 3)
    assert changed["event"]["id"] == changed["after"]["id"]
    assert (removed["after"], removed["event"]["kind"]) == (None, "entry-deleted")
    backwards = api("GET", "/diff?from=2026-01-02&to=2026-01-01&key=users/b").json()
    (added,) = backwards["differences"]
    assert (added["before"], added["after"]["value"]["n"]) == (None, 1)
    assert backwards["from"]["standby"]
    assert "standby" not in backwards["to"]


def test_blame_tells_newest_first_what_was_replaced_and_what_lost(api: Api) -> None:
    content = api("GET", "/blame?key=users/a").json()
    assert [c["value"]["n"] for c in content["changes"]] == [3, 2, 1]
    assert [(c["before"] or {}).get("value") for c in content["changes"]] == [
        {"of": "users/a", "n": 1},
        {"of": "users/a", "n": 1},
        None,
    ]
    ids = [c["id"] for c in content["changes"]]
    assert [c["overridden_by"] for c in content["changes"]] == [None, ids[0], None]
    assert {name: f["id"] for name, f in content["fields"].items()} == {
        "n": ids[0],
        "of": ids[2],
    }
    assert (content["change_count"], content["more"]) == (3, False)
    few = api("GET", "/blame?key=users/a&limit=2").json()
    assert (few["changes"], few["more"]) == (content["changes"][:2], True)
    older = api("GET", "/blame?key=users/a&until=2026-01-01T00:00:02Z").json()
    assert [c["id"] for c in older["changes"]] == ids[1:]
    nothing = api("GET", "/blame?key=users/nobody").json()
    assert (nothing["standing"], nothing["changes"]) == (None, [])


def test_explain_cites_the_vectors_that_decide(api: Api) -> None:
    content = api("GET", "/explain?key=users/a").json()
    assert content["standing"]["value"]["n"] == 3
    assert content["loser"]["id"] == f"{BASE_MS + 2000}-1"
    assert content["is_conflict"] is True
    assert content["covered"] == f"{BASE_MS}-4"
    assert "concurrent" in content["why"]
    assert f"master={BASE_MS}-4" in content["why"]
    before = api("GET", "/explain?key=users/a&until=2026-01-01T00:00:02Z").json()
    assert (before["standing"]["origin"], before["is_conflict"]) == ("standby", False)
    assert "had seen the master's newest" in before["why"]


@pytest.mark.parametrize(
    "path",
    [
        "/replay?until=yesterday",
        "/replay?until=",
        "/replay?limit=0",
        "/replay?limit=10001",
        "/replay?after=",
        "/replay?after=master=1-1",
        "/replay?after=;:users/a",
        "/replay?from=0",
        "/diff",
        "/diff?to=0",
        "/diff?from=0&after=:users/a",
        "/blame",
        "/blame?key=a/b&limit=0",
        "/blame?key=a/b&limit=1001",
        "/explain",
    ],
)
def test_a_wrong_parameter_is_refused(api: Api, path: str) -> None:
    assert refusal_of(api("GET", path)) == (422, "invalid-request")


@pytest.mark.parametrize(
    "path", ["/replay", "/diff?from=0", "/blame?key=a/b", "/explain?key=a/b"]
)
def test_a_token_is_needed(api: Api, path: str) -> None:
    assert refusal_of(api("GET", path, token=None)) == (401, "not-authorised")


def test_an_empty_history_has_no_entries(api: Api, node: FakeNode) -> None:
    content = api("GET", "/replay?until=1970-01-01").json()
    assert content == {"at": {}, "entries": {}, "next": None}


def test_a_walk_ends_when_its_client_has_left() -> None:
    left = asyncio.Event()

    async def receive() -> dict[str, str]:
        await left.wait()
        return {"type": "http.disconnect"}

    async def walk() -> None:
        request = Request({"type": "http"}, receive)
        async with until_departure(request) as watch:
            watch(500)
            left.set()

            def goes_on() -> bool:
                try:
                    watch(500)
                except ClientDisconnect:
                    return False
                return True

            waiting = asyncio.to_thread(
                wait_until, lambda: not goes_on(), 10.0, "the end of the walk"
            )
            await waiting
        with pytest.raises(ClientDisconnect):
            watch(500)

    asyncio.run(walk())
