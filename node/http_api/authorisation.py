"""Who may do what: the gate that every request passes before anything of it is read."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import re
from collections.abc import Iterator
from enum import StrEnum

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from node.http_api.refusals import Refusal, internal_error

logger = logging.getLogger(__name__)

PROBES = frozenset({"/active", "/passive", "/live", "/ready"})
"""Paths that anyone may read: a load balancer carries no token."""

_READING = frozenset({"GET", "HEAD"})
_BEARER = re.compile(rb"bearer +([\x21-\x7e]+) *", re.IGNORECASE)


class Access(StrEnum):
    """What a token allows; also the actor of a request that names none."""

    READ = "read"
    CHANGE = "change"


class Tokens:
    """The two bearer tokens of a node; they are in no message and no `repr`."""

    def __init__(self, *, read: str, change: str) -> None:
        self._read, self._change = read.encode(), change.encode()

    def access(self, headers: list[tuple[bytes, bytes]]) -> Access | None:
        """What the token in `headers` allows; None: there is none, or it is unknown.

        Takes equally long for every token of one length.
        """
        given = [value for name, value in headers if name == b"authorization"]
        found = _BEARER.fullmatch(given[0]) if len(given) == 1 else None
        if found is None:
            return None
        may_read = hmac.compare_digest(found[1], self._read)
        may_change = hmac.compare_digest(found[1], self._change)
        if may_change:
            return Access.CHANGE
        return Access.READ if may_read else None


class Gate:
    """ASGI middleware: authorises, answers `HEAD`, and lets no exception out.

    Everything but the probes needs a token, and everything but reading the change
    token, so a route that is added later is closed until it has one. Probes are served
    however many other requests are under way.
    """

    def __init__(self, app: ASGIApp, tokens: Tokens, request_count_max: int) -> None:
        self._app = app
        self._tokens = tokens
        self._request_count_max = request_count_max
        self._under_way_count = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        assert scope["type"] == "http", "uvicorn runs without WebSocket and lifespan"
        started = False

        async def watched_send(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            admitted = self._admitted(scope)
            with self._counted(scope["path"]):
                await self._app(admitted, receive, watched_send)
        except Exception as error:
            if not isinstance(error, Refusal):
                logger.exception("error in %s %r", scope["method"], scope["path"])
            refusal = error if isinstance(error, Refusal) else internal_error()
        except asyncio.CancelledError:
            refusal = Refusal(503, "stopping", "this node is being stopped")
        else:
            return
        if not started:
            await refusal.reply()(scope, receive, send)

    @contextlib.contextmanager
    def _counted(self, path: str) -> Iterator[None]:
        if path in PROBES:
            yield
            return
        if self._under_way_count >= self._request_count_max:
            raise Refusal(
                503,
                "busy",
                f"{self._request_count_max} requests are under way already",
                headers={"retry-after": "1"},
            )
        self._under_way_count += 1
        try:
            yield
        finally:
            self._under_way_count -= 1

    def _admitted(self, scope: Scope) -> Scope:
        """The request as it goes on, with what its token allows."""
        method, path = scope["method"], scope["path"]
        reading = method in _READING
        access = self._tokens.access(scope["headers"])
        if not (reading and path in PROBES):
            if access is None:
                raise Refusal(
                    401,
                    "not-authorised",
                    "a bearer token that this node knows is needed",
                    headers={"www-authenticate": "Bearer"},
                )
            if not reading and access is not Access.CHANGE:
                raise Refusal(403, "not-authorised", "the read token changes nothing")
        # The server leaves out the body for HEAD, so the routes need not know of it.
        return {**scope, "method": "GET" if reading else method, "access": access}
