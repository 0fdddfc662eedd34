"""`HttpServer` on a real socket: bad clients, slow clients, start and stop."""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import Any

import httpx
import psutil
import pytest

from eventstore import Event
from node.errors import ConfigError, PortInUse
from node.http_api import HttpServer, Limits
from tests.support.http_client import CHANGE_TOKEN, READ_TOKEN, http_config
from tests.support.served_node import FakeNode
from tests.support.waiting import wait_until

LIMITS = Limits(
    body_bytes_max=100_000,
    value_body_bytes_max=100_000,
    request_deadline_s=0.6,
    stop_deadline_s=1,
)
AUTHORISED = f"Authorization: Bearer {CHANGE_TOKEN}\r\n".encode()
CHUNKED_PUT = (
    b"PUT /entries/a/b HTTP/1.1\r\nHost: n\r\nTransfer-Encoding: chunked\r\n"
    + AUTHORISED
    + b"\r\n"
)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


@pytest.fixture
def node() -> FakeNode:
    return FakeNode()


@pytest.fixture
def port() -> int:
    return free_port()


@contextmanager
def serving(node: FakeNode, port: int, limits: Limits) -> Iterator[HttpServer]:
    server = HttpServer(node, http_config(f"127.0.0.1:{port}"), limits)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def server(node: FakeNode, port: int) -> Iterator[HttpServer]:
    with serving(node, port, LIMITS) as server:
        yield server


@pytest.fixture
def url(server: HttpServer, port: int) -> str:
    return f"http://127.0.0.1:{port}"


@pytest.fixture
def raw(server: HttpServer, port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        yield connection


def read_to_end(connection: socket.socket) -> bytes:
    """All that arrives until the server closes; at most 5 s of silence in between."""
    data = b""
    try:
        while part := connection.recv(65536):
            data += part
    except ConnectionResetError:
        pass
    return data


def assert_alive(url: str) -> None:
    assert httpx.get(f"{url}/live", timeout=5).status_code == 200


class TestBadClients:
    @pytest.mark.parametrize(
        "data",
        [
            b"\x00\xff\x16\x03\x01garbage\r\n\r\n",
            b"GET / HTTP/1.1\r\n\r\n",
            b"GET /live HTTP/1.1\r\nHost: n\r\nContent-Length: x\r\n\r\n",
            b"GET /" + b"a" * 20_000,
            b"GET /live HTTP/1.1\r\nHost: n\r\nX: " + b"a" * 20_000,
            b"GET /live HTTP/1.1\r\nHost: n\r\n" + b"X: a\r\n" * 5_000,
        ],
        ids=["garbage", "no-host", "length", "long-target", "long-header", "headers"],
    )
    def test_what_is_not_http_gets_400_and_the_connection_ends(
        self, raw: socket.socket, url: str, data: bytes
    ) -> None:
        raw.sendall(data)
        head, _, body = read_to_end(raw).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400 ")
        assert json.loads(body)["code"] == "invalid-http"
        assert_alive(url)

    def test_a_broken_chunk_in_a_body_ends_the_connection(
        self, raw: socket.socket, url: str, node: FakeNode
    ) -> None:
        raw.sendall(CHUNKED_PUT + b"1\r\n1\r\n")
        time.sleep(0.1)
        raw.sendall(b"not a chunk\r\n")
        assert b" 400 " in read_to_end(raw)
        assert node.orders == []
        assert_alive(url)

    def test_a_client_that_goes_away_within_its_body_stores_nothing(
        self,
        raw: socket.socket,
        url: str,
        node: FakeNode,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        raw.sendall(CHUNKED_PUT + b"1\r\n1\r\n")
        time.sleep(0.1)
        raw.close()
        assert_alive(url)
        assert node.orders == []
        assert not [r for r in caplog.records if r.levelno >= logging.ERROR]

    def test_a_chunked_body_over_the_limit_is_413(
        self, raw: socket.socket, node: FakeNode
    ) -> None:
        raw.sendall(CHUNKED_PUT)
        for _ in range(8):
            raw.sendall(b"4000\r\n" + b" " * 0x4000 + b"\r\n")
        raw.sendall(b"0\r\n\r\n")
        assert raw.recv(65536).startswith(b"HTTP/1.1 413 ")
        raw.sendall(b"GET /live HTTP/1.1\r\nHost: n\r\n\r\n")
        time.sleep(0.1)
        assert b"HTTP/1.1 200 " in raw.recv(65536)
        assert node.orders == []

    def test_a_declared_body_over_the_limit_is_413_before_it_is_sent(
        self, raw: socket.socket
    ) -> None:
        raw.sendall(
            b"PUT /entries/a/b HTTP/1.1\r\nHost: n\r\nContent-Length: 100001\r\n"
            b"Expect: 100-continue\r\n" + AUTHORISED + b"\r\n"
        )
        assert raw.recv(65536).startswith(b"HTTP/1.1 413 ")

    def test_a_body_without_a_token_is_not_waited_for(self, raw: socket.socket) -> None:
        raw.sendall(
            b"PUT /entries/a/b HTTP/1.1\r\nHost: n\r\nContent-Length: 100\r\n\r\n"
        )
        assert raw.recv(65536).startswith(b"HTTP/1.1 401 ")

    @pytest.mark.parametrize(
        "first",
        [
            b"",
            b"GET /live HTT",
            CHUNKED_PUT + b"1\r\n1\r\n",
            CHUNKED_PUT.replace(AUTHORISED, b""),
            b"GET /live HTTP/1.1\r\nHost: n\r\n\r\n",
        ],
        ids=["silence", "head", "body", "refused-body", "idle"],
    )
    def test_a_slow_client_is_cut_off(
        self, raw: socket.socket, url: str, first: bytes
    ) -> None:
        begin = time.monotonic()
        raw.sendall(first)
        read_to_end(raw)
        assert 0.4 < time.monotonic() - begin < 3
        assert_alive(url)

    def test_a_client_that_trickles_is_cut_off(self, raw: socket.socket) -> None:
        begin = time.monotonic()
        with pytest.raises(OSError):  # Reset, or a broken pipe.
            for _ in range(100):
                raw.sendall(b"G")
                time.sleep(0.05)
        assert time.monotonic() - begin < 3

    @pytest.mark.parametrize(
        ("reply_deadline_s", "whole"), [(0.5, False), (30.0, True)]
    )
    def test_a_reply_has_its_own_deadline(
        self, node: FakeNode, port: int, reply_deadline_s: float, whole: bool
    ) -> None:
        for n in range(100):
            node.put(f"a/{n}", "x" * 60_000, actor="jane")
        limits = Limits(request_deadline_s=0.3, reply_deadline_s=reply_deadline_s)
        with serving(node, port, limits), closing(socket.socket()) as lazy:
            lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            lazy.settimeout(5)
            lazy.connect(("127.0.0.1", port))
            lazy.sendall(b"GET /entries HTTP/1.1\r\nHost: n\r\n" + AUTHORISED + b"\r\n")
            time.sleep(1.0)
            assert (len(read_to_end(lazy)) > 4_000_000) is whole

    def test_over_the_limit_the_connection_that_is_idle_for_longest_has_to_go(
        self, node: FakeNode, port: int
    ) -> None:
        with serving(node, port, Limits(connection_count_max=5)), ExitStack() as open_:
            clients = [
                open_.enter_context(
                    socket.create_connection(("127.0.0.1", port), timeout=5)
                )
                for _ in range(6)
            ]
            for client in clients[1:]:
                client.sendall(b"GET /live HTTP/1.1\r\nHost: n\r\n\r\n")
                assert client.recv(100).startswith(b"HTTP/1.1 200")
            with suppress(ConnectionResetError):
                assert read_to_end(clients[0]) == b""

    def test_a_crowd_of_idle_clients_keeps_no_probe_out(
        self, node: FakeNode, port: int
    ) -> None:
        with serving(node, port, Limits(connection_count_max=20)), ExitStack() as open_:
            for _ in range(100):
                idle = socket.create_connection(("127.0.0.1", port), timeout=5)
                open_.enter_context(idle).sendall(b"GET /active HT")
            assert_alive(f"http://127.0.0.1:{port}")

    def test_walks_that_nobody_waits_for_hold_up_nobody(self, port: int) -> None:
        """The history may be long: whoever leaves the queue does not walk through it."""
        node, url = WalkedNode(), f"http://127.0.0.1:{port}"
        request = b"GET /history HTTP/1.1\r\nHost: n\r\n" + AUTHORISED + b"\r\n"
        headers = {"authorization": f"Bearer {CHANGE_TOKEN}"}
        with serving(node, port, Limits()):
            with ExitStack() as crowd:
                for _ in range(18):
                    client = socket.create_connection(("127.0.0.1", port), timeout=5)
                    crowd.enter_context(client).sendall(request)
                wait_until(lambda: node.walk_count == 2, 5.0, "two walks under way")
            for path in ("/entries", "/conflicts", "/status", "/metrics"):
                reply = httpx.get(url + path, headers=headers, timeout=5)
                assert reply.status_code == 200
            node.may_end.set()
            wait_until(
                lambda: httpx.get(f"{url}/history", headers=headers).is_success,
                5.0,
                "room for another walk",
            )
        assert node.walk_count == 3


class WalkedNode(FakeNode):
    """Its history is long."""

    def __init__(self) -> None:
        super().__init__()
        self.walk_count = 0
        self.may_end = threading.Event()

    def history(self, **wanted: Any) -> Iterator[Event]:
        self.walk_count += 1
        self.may_end.wait(20.0)
        return super().history(**wanted)


class TestAnswers:
    def test_a_probe_is_answered_without_chatter(self, raw: socket.socket) -> None:
        raw.sendall(b"HEAD /active HTTP/1.1\r\nHost: n\r\nConnection: close\r\n\r\n")
        head, _, body = read_to_end(raw).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert body == b""
        assert b"server:" not in head.lower()
        assert b"date:" not in head.lower()
        assert b"content-length: 34" in head.lower()

    def test_a_key_with_dots_names_that_key(
        self, raw: socket.socket, node: FakeNode
    ) -> None:
        raw.sendall(
            b"PUT /entries/users/../x HTTP/1.1\r\nHost: n\r\nContent-Length: 1\r\n"
            b"Connection: close\r\n" + AUTHORISED + b"\r\n1"
        )
        assert read_to_end(raw).startswith(b"HTTP/1.1 200 ")
        assert node.events[0].key == "users/../x"

    def test_two_requests_in_one_packet_are_both_answered(
        self, raw: socket.socket
    ) -> None:
        request = b"GET /live HTTP/1.1\r\nHost: n\r\n"
        raw.sendall(request + b"\r\n" + request + b"Connection: close\r\n\r\n")
        assert read_to_end(raw).count(b"HTTP/1.1 200") == 2

    def test_a_slow_answer_is_not_cut_off(self, url: str, node: FakeNode) -> None:
        node.stuck = threading.Event()
        threading.Timer(1.0, node.stuck.set).start()
        headers = {"authorization": f"Bearer {CHANGE_TOKEN}"}
        reply = httpx.put(f"{url}/entries/a/b", json=1, headers=headers, timeout=5)
        assert reply.status_code == 200

    def test_no_token_is_in_the_log(
        self, url: str, node: FakeNode, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        node.error = ZeroDivisionError()
        for token in (READ_TOKEN, CHANGE_TOKEN, "unknown-token-0123456789"):
            headers = {"authorization": f"Bearer {token}"}
            for method in ("GET", "PUT", "PATCH"):
                httpx.request(method, f"{url}/entries/a/b", headers=headers, json=1)
        assert "ZeroDivisionError" in caplog.text
        own = [r for r in caplog.records if not r.name.startswith("http")]
        assert not [r for r in own if "token-0123456789" in r.getMessage()]
        assert "token-0123456789" not in caplog.text


class TestStartAndStop:
    def test_a_taken_port_is_named_with_the_remedy(
        self, server: HttpServer, port: int, node: FakeNode
    ) -> None:
        second = HttpServer(node, http_config(f"127.0.0.1:{port}"))
        with pytest.raises(PortInUse) as caught:
            second.start()
        assert str(caught.value) == (
            f"http.listen 127.0.0.1:{port} is taken by another process; stop that one, "
            "or set http.listen to another port"
        )
        second.stop()

    def test_an_address_of_another_machine_is_refused(self, node: FakeNode) -> None:
        server = HttpServer(node, http_config("192.0.2.1:7480"))
        with pytest.raises(ConfigError, match=r"^http\.listen 192\.0\.2\.1:7480: "):
            server.start()

    def test_a_stopped_server_frees_its_port_and_starts_again(
        self, server: HttpServer, url: str
    ) -> None:
        for _ in range(2):
            assert_alive(url)
            server.stop()
            server.stop()
            with pytest.raises(httpx.ConnectError):
                httpx.get(f"{url}/live")
            server.start()
        assert_alive(url)

    def test_stop_does_not_wait_for_what_is_stuck(
        self, server: HttpServer, port: int, node: FakeNode
    ) -> None:
        node.stuck = threading.Event()
        request = (
            b"PUT /entries/a/b HTTP/1.1\r\nHost: n\r\nContent-Length: 1\r\n"
            + AUTHORISED
            + b"\r\n1"
        )
        with (
            socket.create_connection(("127.0.0.1", port), timeout=5) as hanging,
            socket.create_connection(("127.0.0.1", port)),
        ):
            hanging.sendall(request)
            time.sleep(0.1)
            begin = time.monotonic()
            server.stop()
            assert time.monotonic() - begin < 3
            head, _, body = read_to_end(hanging).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 503 ")
            assert json.loads(body)["code"] == "stopping"
        node.stuck.set()

    def test_an_ipv6_address_is_served(self, node: FakeNode) -> None:
        if not socket.has_ipv6:
            pytest.skip("no IPv6 here")
        port = free_port()
        server = HttpServer(node, http_config(f"[::1]:{port}"))
        try:
            server.start()
        except ConfigError as error:
            pytest.skip(str(error))
        try:
            assert_alive(f"http://[::1]:{port}")
        finally:
            server.stop()

    def test_an_idle_server_does_not_wake_up(self, server: HttpServer) -> None:
        time.sleep(0.8)  # The deadlines of earlier connections pass.
        thread = next(t for t in threading.enumerate() if t.name == "http")
        process = psutil.Process()

        def used_s() -> float:
            times = {t.id: t.user_time + t.system_time for t in process.threads()}
            assert thread.native_id is not None
            return times[thread.native_id]

        before_s = used_s()
        time.sleep(1.0)
        assert used_s() - before_s <= 0.01
