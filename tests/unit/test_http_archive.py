"""`/archive`: which events may leave, and the order that lets them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.http_client import CHANGE_TOKEN, Api, refusal_of
from tests.support.served_node import FakeNode

BEFORE = "1767225600000"
PLACE = {"id": "5-5", "digest": "ab" * 32}
ORDER: dict[str, Any] = {
    "before": BEFORE,
    "file": "segment",
    "sha256": "cd" * 32,
    "streams": {"master": PLACE},
}


@pytest.fixture
def node() -> FakeNode:
    return FakeNode()


@pytest.fixture
def api(node: FakeNode) -> Api:
    return Api(node)


def test_what_may_leave_is_told(api: Api) -> None:
    reply = api("GET", f"/archive?before={BEFORE}")
    assert reply.status_code == 200
    told = reply.json()
    assert told["until"]["master"] == {"id": "5-5", "digest": "00" * 32}
    assert told["after"]["master"]["id"] == "0-0"


def test_an_order_names_file_and_places(api: Api, node: FakeNode) -> None:
    reply = api("POST", "/archive", json=ORDER, token=CHANGE_TOKEN)
    assert reply.status_code == 200
    assert reply.json()["id"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"before": "yesterday"},
        {"file": ""},
        {"sha256": "cd"},
        {"streams": {"master": {"id": "5-5"}}},
        {"streams": {"master": {"id": "five", "digest": "ab" * 32}}},
        {"streams": {"third": PLACE}},
        {"more": 1},
    ],
    ids=str,
)
def test_a_wrong_order_is_refused(
    api: Api, node: FakeNode, wrong: dict[str, Any]
) -> None:
    reply = api("POST", "/archive", json={**ORDER, **wrong}, token=CHANGE_TOKEN)
    assert refusal_of(reply) == (422, "invalid-request")
    assert node.orders == []


def test_an_order_that_names_no_event_is_refused(api: Api) -> None:
    reply = api("POST", "/archive", json={**ORDER, "streams": {}}, token=CHANGE_TOKEN)
    assert refusal_of(reply) == (409, "refused")
