"""`/events` and `/archives` over HTTP: stored bytes, in pages."""

from __future__ import annotations

import base64

import pytest

from eventstore import EventId, StoreUnavailable
from node.http_api import Limits
from tests.support.histories import MASTER, STANDBY
from tests.support.http_client import Api, refusal_of
from tests.support.served_node import ARCHIVE, FakeNode
from tests.support.sources import MemorySource, small_history

SOURCE = MemorySource.of(small_history())
SOURCE.kept[ARCHIVE] = SOURCE.streams[STANDBY][:2]


@pytest.fixture
def node() -> FakeNode:
    node = FakeNode()
    node.stored = SOURCE
    return node


@pytest.fixture
def api(node: FakeNode) -> Api:
    return Api(node)


def read(api: Api, query: str) -> list[list[tuple[EventId, bytes]]]:
    pages, after = [], ""
    while True:
        content = api("GET", f"/events?{query}{after}").json()
        pages.append(
            [
                (EventId.parse(e["id"]), base64.b64decode(e["stored"]))
                for e in content["events"]
            ]
        )
        if content["next"] is None:
            return pages
        assert len(pages) < 10
        after = f"&after={content['next']}"


@pytest.mark.parametrize("limit", [1, 2, 1000])
def test_every_byte_of_a_stream_comes_in_pages(api: Api, limit: int) -> None:
    pages = read(api, f"origin=master&limit={limit}")
    assert [stored for page in pages for stored in page] == SOURCE.streams[MASTER]
    assert all(len(page) <= limit for page in pages)


def test_a_page_ends_at_its_size(node: FakeNode) -> None:
    api = Api(node, limits=Limits(page_bytes_max=1))
    assert [len(page) for page in read(api, "origin=standby")] == [1, 1, 1, 1]


def test_an_archive_is_read_by_its_name(api: Api) -> None:
    last = SOURCE.kept[ARCHIVE][-1][0]
    content = api("GET", "/archives").json()
    assert content == {"archives": [{"name": ARCHIVE, "last": str(last)}]}
    assert read(api, f"archive={ARCHIVE}") == [SOURCE.kept[ARCHIVE]]


def test_the_newest_event_of_a_stream_alone(api: Api) -> None:
    assert read(api, "origin=standby&newest=true&limit=1") == [
        SOURCE.streams[STANDBY][-1:]
    ]
    assert read(Api(FakeNode()), "origin=standby&newest=true") == [[]]


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("", "either origin or archive"),
        (f"origin=master&archive={ARCHIVE}", "either origin or archive"),
        (f"archive={ARCHIVE}&newest=true", "newest goes with origin"),
        ("origin=third", "origin"),
        ("origin=master&after=yesterday", "'yesterday' is not an event id"),
        ("origin=master&limit=0", "limit"),
        ("origin=master&limit=5001", "limit"),
        (f"archive={'x' * 257}", "archive"),
    ],
)
def test_what_cannot_be_answered_is_refused(api: Api, query: str, text: str) -> None:
    refused = api("GET", f"/events?{query}")
    assert refusal_of(refused) == (422, "invalid-request")
    assert text in refused.json()["error"]


@pytest.mark.parametrize("path", ["/events?origin=master", "/archives"])
def test_errors_of_the_store_are_told(api: Api, node: FakeNode, path: str) -> None:
    node.error = StoreUnavailable("gone")
    assert refusal_of(api("GET", path)) == (503, "store-unavailable")
    assert refusal_of(api("GET", path, token=None)) == (401, "not-authorised")
