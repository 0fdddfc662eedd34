"""Lets a client of a node ask its HTTP interface in memory."""

from __future__ import annotations

import asyncio

import httpx

from tests.support.http_client import Api
from tests.support.served_node import FakeNode


class AsgiTransport(httpx.BaseTransport):
    """Carries the requests of a blocking client to the interface of `node`."""

    def __init__(self, node: FakeNode) -> None:
        self._api = Api(node)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.raw_path.decode()
        headers = dict(request.headers)
        asked = self._api.ask(request.method, path, headers=headers)
        reply = asyncio.run(asyncio.wait_for(asked, 20))
        return httpx.Response(
            reply.status_code, headers=reply.headers, content=reply.content
        )
