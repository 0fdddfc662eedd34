"""The client: what is sent, and what every kind of answer and silence means."""

from __future__ import annotations

import gzip
import json

import httpx
import pytest

from admin.client import Batch, HistoryFilter, NodeClient
from admin.errors import (
    AdminError,
    ExitCode,
    NotAuthorised,
    Refused,
    ReplyUnclear,
    TimedOut,
    Unreachable,
    UsageProblem,
)
from admin.http_exchange import REPLY_BYTES_MAX, Exchange, NodeAddress, checked_url
from tests.support.fake_node import CHANGE_TOKEN, URL, FakeNode, refusal


def _client(node: FakeNode, *, token: str | None = CHANGE_TOKEN) -> NodeClient:
    address = NodeAddress(url=URL + "/", token=token, actor="Zoë Q", timeout_s=2.5)
    return NodeClient(Exchange(address, transport=node.transport))


def _failure(answer: httpx.Response | Exception) -> AdminError:
    node = FakeNode()
    node.answers.append(answer)
    with pytest.raises(AdminError) as raised:
        _client(node).status()
    return raised.value


def test_who_and_why_travel_percent_encoded_as_utf_8() -> None:
    node = FakeNode()
    _client(node).put("users/a", 1, expected=None, reason="neu: 5 % € \n")
    request = node.requests[0]
    assert request.headers["X-Actor"] == "Zo%C3%AB%20Q"
    assert request.headers["X-Reason"] == "neu%3A%205%20%25%20%E2%82%AC%20%0A"
    assert node.events[0]["actor"] == "Zoë Q"
    assert node.events[0]["reason"] == "neu: 5 % € \n"


@pytest.mark.parametrize(
    "key",
    [
        *("users/a b", "users/ü?x=1#y", "a/..", "a/../../status", "a/./b", "a/%2e"),
        *("a//b", "a/b/", "a/:", "a/+&="),
    ],
)
def test_any_key_reaches_the_node_as_it_is(key: str) -> None:
    node = FakeNode()
    _client(node).put(key, {"x": [1, None]}, expected=None, reason="")
    assert node.values() == {key: {"x": [1, None]}}
    assert _client(node).get(key).value == {"x": [1, None]}


def test_entries_come_page_by_page_in_order() -> None:
    node = FakeNode({f"users/{number:04}": number for number in range(2500)})
    node.page_count_max = 999
    found = [entry.value for entry in _client(node).entries("users/")]
    assert found == list(range(2500))
    assert len(node.requests) == 3


def test_a_page_over_the_limit_is_asked_for_again_in_smaller_pieces() -> None:
    node = FakeNode({"a/1": 1})
    node.answers.append(httpx.Response(200, content=b" " * (REPLY_BYTES_MAX + 1)))
    assert [entry.key for entry in _client(node).entries()] == ["a/1"]
    limits = [request.url.params["limit"] for request in node.requests]
    assert limits == ["1000", "100"]


def test_a_page_that_leads_to_itself_ends_the_listing() -> None:
    node = FakeNode()
    page = {"entries": {"a/1": {"value": 1, "id": "1-1", "origin": "master"}}}
    node.answers += [httpx.Response(200, json={**page, "next": "a/1"})] * 3
    with pytest.raises(ReplyUnclear, match="leads to itself"):
        list(_client(node).entries())
    assert len(node.requests) == 2


def test_history_comes_page_by_page() -> None:
    node = FakeNode({f"users/{number}": number for number in range(2500)})
    events = list(_client(node).history(HistoryFilter(prefix="users/")))
    assert [event.value for event in events] == list(range(2500))


def test_a_batch_whose_ids_are_of_other_keys_is_not_taken_for_stored() -> None:
    node = FakeNode()
    node.answers.append(httpx.Response(200, json={"ids": {"a/1": "1-1"}}))
    with pytest.raises(ReplyUnclear, match="not those of the keys"):
        _client(node).store(Batch({"a/1": 1, "a/2": 2}), reason="")


@pytest.mark.parametrize(
    ("status", "code", "kind", "exit_code"),
    [
        (401, "not-authorised", NotAuthorised, ExitCode.NOT_AUTHORISED),
        (403, "not-authorised", NotAuthorised, ExitCode.NOT_AUTHORISED),
        (404, "no-such-entry", Refused, ExitCode.REFUSED),
        (409, "entry-changed", Refused, ExitCode.REFUSED),
        (409, "not-master", Refused, ExitCode.REFUSED),
        (409, "refused", Refused, ExitCode.REFUSED),
        (503, "store-unavailable", Refused, ExitCode.REFUSED),
        (503, "writes-frozen", Refused, ExitCode.REFUSED),
        (504, "not-replicated", TimedOut, ExitCode.TIMED_OUT),
        (504, "rolled-back", TimedOut, ExitCode.TIMED_OUT),
        (504, "switch-failed", TimedOut, ExitCode.TIMED_OUT),
        (422, "invalid-entry", UsageProblem, ExitCode.USAGE),
        (422, "invalid-json", UsageProblem, ExitCode.USAGE),
        (413, "too-large", UsageProblem, ExitCode.USAGE),
        (404, "no-such-path", ReplyUnclear, ExitCode.UNREACHABLE),
        (409, "of-a-later-version", Refused, ExitCode.REFUSED),
        (500, "internal", AdminError, ExitCode.INTERNAL),
        (418, "teapot", ReplyUnclear, ExitCode.UNREACHABLE),
    ],
)
def test_every_code_of_the_node_has_its_exit_code(
    status: int, code: str, kind: type[AdminError], exit_code: ExitCode
) -> None:
    failure = _failure(refusal(status, code, "because\nof this", ["one", "two"]))
    assert type(failure) is kind
    assert failure.exit_code == exit_code
    assert failure.text.startswith("because of this")
    assert failure.code == code
    assert failure.reasons == ("one", "two")


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, text="<html>Welcome to nginx</html>"),
        httpx.Response(200, content=b"\xff\xfe\x00"),
        httpx.Response(200, content=b""),
        httpx.Response(200, text="[]"),
        httpx.Response(200, text="null"),
        httpx.Response(200, text='{"pair": 5}'),
        httpx.Response(200, text='{"pair": "\\ud800"}'),
        httpx.Response(200, text="[" * 100_000),
        httpx.Response(200, text="9" * 10_000),
        httpx.Response(200, text="NaN"),
        httpx.Response(204),
        httpx.Response(302, headers={"Location": "http://other.test/"}),
        httpx.Response(502, text="Bad Gateway"),
        httpx.Response(401, text="Unauthorized"),
        httpx.Response(404, json={"detail": "Not Found"}),
        httpx.Response(409, json={"error": 5, "code": "refused"}),
        httpx.Response(
            200,
            headers={"Content-Encoding": "gzip"},
            stream=httpx.ByteStream(b"no gzip"),
        ),
        httpx.RemoteProtocolError("illegal status line: bytearray(b'SSH-2.0')"),
    ],
    ids=str,
)
def test_what_no_node_answers_is_said_in_one_line(
    answer: httpx.Response | Exception,
) -> None:
    failure = _failure(answer)
    assert type(failure) is ReplyUnclear
    assert failure.exit_code == ExitCode.UNREACHABLE
    assert "\n" not in failure.text
    assert len(failure.text) < 400


def test_a_reply_is_read_up_to_the_limit_and_no_further() -> None:
    bomb = gzip.compress(b"[" + b" " * (REPLY_BYTES_MAX + 1) + b"]")
    answer = httpx.Response(
        200, headers={"Content-Encoding": "gzip"}, stream=httpx.ByteStream(bomb)
    )
    assert "over the limit of 64 MiB" in _failure(answer).text


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (httpx.ConnectError("[Errno 111] Connection refused"), "Connection refused"),
        (httpx.ConnectTimeout(""), "did not answer within 2.5 s"),
        (httpx.ReadTimeout(""), "--timeout-s"),
        (httpx.ReadError(""), "ReadError"),
    ],
    ids=str,
)
def test_silence_is_unreachable_and_names_the_url(error: Exception, words: str) -> None:
    failure = _failure(error)
    assert type(failure) is Unreachable
    assert URL in failure.text
    assert words in failure.text
    assert "unknown" not in failure.text


@pytest.mark.parametrize(
    ("error", "is_unknown"),
    [
        (httpx.ConnectError("refused"), False),
        (httpx.ConnectTimeout(""), False),
        (httpx.ReadTimeout(""), True),
        (httpx.ReadError("reset"), True),
        (httpx.RemoteProtocolError("closed"), True),
    ],
    ids=str,
)
def test_a_change_that_may_have_arrived_is_said_to_be_unknown(
    error: Exception, is_unknown: bool
) -> None:
    node = FakeNode()
    node.answers.append(error)
    with pytest.raises(AdminError) as raised:
        _client(node).put("a/b", 1, expected=None, reason="")
    assert ("whether the change was made is unknown" in raised.value.text) is is_unknown


def test_a_node_that_dies_before_it_answers_is_looked_for_first() -> None:
    died = httpx.RemoteProtocolError("Server disconnected without sending a response.")
    assert "check that the node still runs" in _failure(died).text


def test_nothing_is_asked_twice() -> None:
    node = FakeNode()
    node.answers.append(httpx.ReadTimeout(""))
    with pytest.raises(Unreachable):
        _client(node).put("a/b", 1, expected=None, reason="")
    assert len(node.requests) == 1


def test_the_remedy_depends_on_what_was_given() -> None:
    node = FakeNode()
    with pytest.raises(NotAuthorised, match="no token was given"):
        _client(node, token=None).status()
    with pytest.raises(NotAuthorised, match="not one of this node's"):
        _client(node, token="wrong").status()


def test_a_switch_waits_longer_than_other_requests() -> None:
    node = FakeNode()
    client = _client(node)
    client.switch(when="now", dry_run=False, reason="why", wait_s=5.0)
    client.status()
    limits = [request.extensions["timeout"] for request in node.requests]
    assert [limit["read"] for limit in limits] == [60.0, 2.5]
    assert [limit["connect"] for limit in limits] == [2.5, 2.5]
    assert json.loads(node.requests[0].content) == {
        "when": "now",
        "dry_run": False,
        "reason": "why",
        "wait_s": 5.0,
    }


@pytest.mark.parametrize(
    "url",
    [
        *("", "node", "10.0.0.1:7480", "ftp://node", "http://", "http://node:99999"),
        *(
            "http://node:x",
            "http://node/?a=1",
            "http://[::1",
            "http://node:0",
            "//node",
        ),
    ],
)
def test_what_is_no_url_of_a_node_is_refused(url: str) -> None:
    with pytest.raises(UsageProblem, match=r"such as http://10\.0\.0\.1:7480"):
        checked_url(url)


@pytest.mark.parametrize("url", ["http://jane:hunter2@node", "http://hunter2@node:1"])
def test_a_url_with_a_password_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(UsageProblem, match="--token-file") as raised:
        checked_url(url)
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    "url", ["http://node", "https://[::1]:7480/", "http://a/base/"]
)
def test_urls_of_nodes_are_taken(url: str) -> None:
    assert checked_url(url) == url.rstrip("/")


def test_a_token_does_not_show_in_a_repr() -> None:
    address = NodeAddress(url=URL, token="hunter2", actor=None, timeout_s=1.0)
    assert "hunter2" not in repr(address)
