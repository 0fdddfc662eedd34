"""Long walks through the past on a real socket: each ends when its client has left."""

from __future__ import annotations

import socket
import threading

import pytest
from starlette.requests import ClientDisconnect

from eventstore import Blame, Explanation, Replayed, Until, Watch
from node.http_api import HttpServer, Limits
from tests.support.http_client import CHANGE_TOKEN, http_config
from tests.support.ports import free_port
from tests.support.served_node import FakeNode
from tests.support.waiting import wait_until

LIMIT_S = 20.0


class EndlessNode(FakeNode):
    """Its history has no end."""

    def __init__(self) -> None:
        super().__init__()
        self.under_way = threading.Event()
        self.ended: list[str] = []
        self.given_up = threading.Event()

    def replay(
        self,
        until: Until = None,
        *,
        key: str | None = None,
        prefix: str | None = None,
        watch: Watch | None = None,
    ) -> Replayed:
        self._walk("replay", watch)
        return super().replay()

    def blame(
        self,
        key: str,
        until: Until = None,
        *,
        limit: int = 1000,
        watch: Watch | None = None,
    ) -> Blame:
        self._walk("blame", watch)
        return super().blame(key)

    def explain(
        self, key: str, until: Until = None, *, watch: Watch | None = None
    ) -> Explanation:
        self._walk("explain", watch)
        return super().explain(key)

    def _walk(self, name: str, watch: Watch | None) -> None:
        assert watch is not None
        self.under_way.set()
        try:
            while not self.given_up.wait(0.01):
                watch(500)
        except ClientDisconnect:
            self.ended.append(name)
            raise


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/replay", "replay"),
        ("/diff?from=0", "replay"),
        ("/blame?key=users/a", "blame"),
        ("/explain?key=users/a", "explain"),
    ],
)
def test_a_walk_ends_when_its_client_has_left(path: str, name: str) -> None:
    node, port = EndlessNode(), free_port()
    server = HttpServer(node, http_config(f"127.0.0.1:{port}"), Limits())
    server.start()
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
            head = f"GET {path} HTTP/1.1\r\nHost: n\r\n"
            token = f"Authorization: Bearer {CHANGE_TOKEN}\r\n\r\n"
            client.sendall((head + token).encode())
            assert node.under_way.wait(LIMIT_S)
        wait_until(lambda: node.ended == [name], LIMIT_S, "the end of the walk")
    finally:
        node.given_up.set()
        server.stop()
