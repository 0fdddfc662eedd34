"""Asks the HTTP interface of a node in memory, without a socket."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator
from typing import Any, cast

import httpx
from fastapi import FastAPI

from node.config import NodeConfig
from node.http_api import Limits, ServedNode
from node.http_api.app import create_app
from node.roles import Role
from tests.support.served_node import FakeNode

READ_TOKEN = "read-token-0123456789"
CHANGE_TOKEN = "change-token-0123456789"


def http_config(http_listen: str = "127.0.0.1:7480") -> NodeConfig:
    """A configuration with an HTTP interface."""
    return NodeConfig(
        pair="office",
        role=Role.MASTER,
        listen="127.0.0.1:7400",
        peer="127.0.0.1:7401",
        secret="correct horse battery",
        redis_url="redis://127.0.0.1:6379/0",
        peer_redis_url="redis://127.0.0.1:6380/0",
        http_listen=http_listen,
        read_token=READ_TOKEN,
        change_token=CHANGE_TOKEN,
    )


class _Relay:
    """Stands for the node of the test that runs now."""

    node: FakeNode

    def __getattr__(self, name: str) -> Any:
        return getattr(self.node, name)


@functools.cache
def _shared_app() -> tuple[FastAPI, _Relay]:
    """One application for all tests with the usual limits: making one takes 50 ms."""
    relay = _Relay()
    return create_app(cast(ServedNode, relay), http_config(), Limits()), relay


class Api:
    """The interface of `node`, asked with the change token unless told otherwise."""

    def __init__(self, node: FakeNode, limits: Limits | None = None) -> None:
        self.node = node
        if limits is None:
            self._app, relay = _shared_app()
            relay.node = node
        else:
            self._app = create_app(node, http_config(), limits)

    def __call__(
        self,
        method: str,
        path: str,
        *,
        token: str | None = CHANGE_TOKEN,
        headers: dict[str, str] | list[tuple[bytes, bytes]] | None = None,
        **more: Any,
    ) -> httpx.Response:
        """The answer to one request."""
        sent = httpx.Headers(headers)
        if token is not None:
            sent["authorization"] = f"Bearer {token}"
        asked = self.ask(method, path, headers=sent, **more)
        return asyncio.run(asyncio.wait_for(asked, 20))

    async def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """The same within a loop, with the headers as they are given."""
        transport = httpx.ASGITransport(self._app)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://node"
        ) as client:
            return await client.request(method, path, **more)


async def chunks(size: int, count: int) -> AsyncIterator[bytes]:
    """A body that does not say how long it is."""
    for _ in range(count):
        yield b" " * size


def refusal_of(reply: httpx.Response) -> tuple[int, str]:
    """Status and code of a refused request, whose shape is checked on the way."""
    content = reply.json()
    assert isinstance(content["error"], str)
    assert len(content["error"].splitlines()) == 1
    assert reply.headers["content-type"] == "application/json"
    assert "Traceback" not in reply.text
    return reply.status_code, content["code"]
