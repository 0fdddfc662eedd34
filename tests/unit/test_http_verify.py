"""`/verify` over HTTP: pages that carry the state of the walk, and heads for checkpoints."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

import pytest

from eventstore import StoreUnavailable, Verification
from node.http_api.verify import AT_COUNT_MAX
from tests.support import tampering
from tests.support.histories import MASTER
from tests.support.http_client import READ_TOKEN, Api, refusal_of
from tests.support.served_node import FakeNode


@pytest.fixture
def node() -> FakeNode:
    return FakeNode()


@pytest.fixture
def api(node: FakeNode) -> Api:
    return Api(node)


def pages(api: Api, query: str = "") -> list[dict[str, Any]]:
    found = [api("GET", f"/verify?{query}", token=READ_TOKEN).json()]
    while found[-1]["next"] is not None:
        assert len(found) < 20
        found.append(api("GET", f"/verify?after={found[-1]['next']}").json())
    return found


def test_each_page_goes_on_where_the_one_before_ended(api: Api) -> None:
    found = pages(api)
    counts = [page["events"] for page in found]
    assert counts == sorted(counts)
    assert len(set(counts)) > 2
    assert (counts[-1], found[-1]["total"]) == (12, 12)
    assert found[-1]["copies"] == ["the master's Redis", "the standby's Redis"]
    now = Verification.from_value(found[-1]["state"])
    assert now.is_over
    assert now.report("office", found[-1]["copies"]).is_whole


def test_the_last_page_has_what_is_wrong(api: Api, node: FakeNode) -> None:
    stored = node.copies[1].streams
    stored[MASTER] = tampering.removed(stored[MASTER], 3)
    last = pages(api)[-1]
    report = Verification.from_value(last["state"]).report("office", last["copies"])
    assert report.streams[0].verdict == (
        "the copy in the standby's Redis is bad; the one in the master's Redis is whole"
    )
    alone = pages(api, "compare=false")[-1]
    assert alone["copies"] == ["the master's Redis"]


def test_a_cursor_with_half_of_a_surrogate_pair_is_refused(api: Api) -> None:
    state = pages(api)[0]["state"]
    state["bad_archives"] = [[0, "\ud800", [None, "x"]]]
    after = base64.urlsafe_b64encode(zlib.compress(json.dumps(state).encode()))
    reply = api("GET", "/verify", params={"after": after.decode()})
    assert refusal_of(reply) == (422, "invalid-request")


@pytest.mark.parametrize(
    "after",
    [
        "",
        "x",
        "AAAA",
        base64.urlsafe_b64encode(zlib.compress(b"[" * 60_000)).decode(),
        base64.urlsafe_b64encode(zlib.compress(b"1" * 10_000_000)).decode()[:9000],
        base64.urlsafe_b64encode(zlib.compress(json.dumps({}).encode())).decode(),
    ],
    ids=["empty", "x", "no zlib", "deep", "large", "no state"],
)
def test_what_is_no_cursor_is_refused(api: Api, after: str) -> None:
    reply = api("GET", "/verify", params={"after": after})
    assert refusal_of(reply) == (422, "invalid-request")


def test_heads_and_digests_are_told(api: Api, node: FakeNode) -> None:
    first, second = node.copies[0].streams[MASTER][:2]
    node.copies[1].streams[MASTER] = node.copies[1].streams[MASTER][:1]
    at = f"master={first[0]},master={second[0]},standby={second[0].ms + 5}-2"
    told = api("GET", "/verify/heads", params={"at": at}, token=READ_TOKEN).json()
    digest = tampering.event_of(first).digest.hex()
    assert told["at"][0] == {
        "origin": "master", "id": str(first[0]), "digests": [digest, digest],
    }  # fmt: skip
    assert [d is None for d in told["at"][1]["digests"]] == [False, True]
    assert told["at"][2]["digests"] == [None, None]
    assert told["heads"]["master"]["id"] == str(node.copies[0].streams[MASTER][-1][0])


@pytest.mark.parametrize(
    ("at", "what"),
    [
        ("x=1-1", "neither master nor standby"),
        ("master", "is not an event id"),
        ("master=1", "is not an event id"),
        (",".join(["master=1-1"] * (AT_COUNT_MAX + 1)), "the limit is 100"),
    ],
)
def test_what_names_no_event_is_refused(api: Api, at: str, what: str) -> None:
    reply = api("GET", "/verify/heads", params={"at": at})
    assert refusal_of(reply) == (422, "invalid-request")
    assert what in reply.json()["error"]


@pytest.mark.parametrize("path", ["/verify", "/verify/heads"])
def test_a_token_is_needed_and_a_redis_that_is_away_is_told(
    api: Api, node: FakeNode, path: str
) -> None:
    assert refusal_of(api("GET", path, token=None)) == (401, "not-authorised")
    node.error = StoreUnavailable("Redis did not answer in time")
    assert refusal_of(api("GET", path)) == (503, "store-unavailable")
