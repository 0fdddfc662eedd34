"""`/licences` over HTTP: listed, installed and removed."""

from __future__ import annotations

import json

import pytest

from eventstore import LICENCE_BYTES_MAX, StoreUnavailable, WritesFrozen
from node.errors import LicenceRefused, NotMaster
from tests.support.http_client import READ_TOKEN, Api, chunks, refusal_of
from tests.support.licences import document
from tests.support.served_node import FakeNode


@pytest.fixture
def node() -> FakeNode:
    return FakeNode()


@pytest.fixture
def api(node: FakeNode) -> Api:
    return Api(node)


def test_a_licence_is_installed_listed_and_removed(api: Api, node: FakeNode) -> None:
    given = document(ends="2026-12-31")
    headers = {"X-Actor": "jane", "X-Reason": "order%204711"}
    reply = api("POST", "/licences", json=given, headers=headers)
    assert (reply.status_code, reply.json()) == (200, {"id": "1767225600000-1"})
    assert node.orders == [{"actor": "jane", "reason": "order 4711"}]
    listed = api("GET", "/licences", token=READ_TOKEN).json()
    assert listed == {
        "valid": True,
        "licences": [
            {
                "id": "L-1",
                "valid": True,
                "reason": None,
                "signature": "none",
                "document": given,
                "event": "1767225600000-1",
                "installed": "2026-01-01T00:00:00.000000Z",
                "actor": "jane",
            }
        ],
    }
    reply = api("DELETE", "/licences/L-1")
    assert (reply.status_code, reply.json()) == (200, {"id": "1767225601000-2"})
    assert api("GET", "/licences").json() == {"valid": False, "licences": []}
    assert refusal_of(api("DELETE", "/licences/L-1")) == (404, "no-such-licence")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid-json"),
        (b"{", "invalid-json"),
        (b"\xff", "invalid-json"),
        (b"[" * 60_000, "invalid-json"),
        (b'{"a":' * 10_000, "invalid-json"),
        (b'{"id": "a", "id": "b"}', "invalid-json"),
        (b'{"seats": NaN}', "invalid-json"),
        (b'{"seats": 1' + b"0" * 5000 + b"}", "invalid-json"),
        (b'{"holder": "\\ud800"}', "invalid-json"),
        (b"[]", "invalid-licence"),
        (b'{"seats": 1}', "invalid-licence"),
        (json.dumps(document(region="EU")).encode(), "invalid-licence"),
    ],
)
def test_what_is_no_licence_is_refused(
    api: Api, node: FakeNode, body: bytes, code: str
) -> None:
    assert refusal_of(api("POST", "/licences", content=body)) == (422, code)
    assert node.events == []


def test_a_huge_document_is_refused_while_it_arrives(api: Api, node: FakeNode) -> None:
    body = json.dumps(document()).encode().ljust(LICENCE_BYTES_MAX)
    assert api("POST", "/licences", content=body).status_code == 200
    reply = api("POST", "/licences", content=body + b" ")
    assert refusal_of(reply) == (413, "too-large")
    endless = api("POST", "/licences", content=chunks(LICENCE_BYTES_MAX, 100))
    assert refusal_of(endless) == (413, "too-large")
    assert len(node.events) == 1


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (NotMaster("ask the master"), 409, "not-master"),
        (LicenceRefused(("it ended", "it was altered")), 409, "refused"),
        (WritesFrozen("a switch"), 503, "writes-frozen"),
        (StoreUnavailable("Redis"), 503, "store-unavailable"),
    ],
)
def test_a_refused_order_says_why(
    api: Api, node: FakeNode, error: Exception, status: int, code: str
) -> None:
    node.error = error
    reply = api("POST", "/licences", json=document())
    assert refusal_of(reply) == (status, code)
    if code == "refused":
        assert reply.json()["reasons"] == ["it ended", "it was altered"]
    assert refusal_of(api("DELETE", "/licences/L-1")) == (status, code)


def test_who_may_only_read_changes_nothing(api: Api, node: FakeNode) -> None:
    for method, path in (("POST", "/licences"), ("DELETE", "/licences/L-1")):
        reply = api(method, path, token=READ_TOKEN)
        assert refusal_of(reply) == (403, "not-authorised")
        assert refusal_of(api(method, path, token=None)) == (401, "not-authorised")
    assert refusal_of(api("GET", "/licences", token=None)) == (401, "not-authorised")
    assert node.orders == []
