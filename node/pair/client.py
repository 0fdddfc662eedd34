"""Asks one node over its HTTP interface, as far as running a pair needs it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import httpx

from node.errors import NodeError

REPLY_LIMIT_S = 2.0


class NodeRefused(NodeError):
    """The node did not answer, or not with success; the message says what it said."""


class PairClient:
    """One node's HTTP interface; safe to be used by one thread at a time."""

    def __init__(self, url: str, token: str, actor: str) -> None:
        self.url = url
        self._http = httpx.Client(
            base_url=url,
            headers={
                "Authorization": f"Bearer {token}",
                "Content-Type": "application/json",
                "X-Actor": quote(actor),
            },
            timeout=REPLY_LIMIT_S,
            trust_env=False,  # A proxy for the web must not get between us and a node.
        )

    def close(self) -> None:
        self._http.close()

    def says_yes(self, probe: str) -> bool:
        """Whether a probe such as `/active` is answered with 200 now."""
        try:
            return self._http.get(probe).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    def status(self) -> dict[str, Any]:
        """The node's `/status`; empty when it does not answer."""
        try:
            return self.ask("GET", "/status")
        except NodeRefused:
            return {}

    def put(self, key: str, value: object) -> str:
        """Store an entry and return the id of its event.

        Raises:
            NodeRefused: it was not stored, or it is not known whether it was.
        """
        path = f"/entries/{quote(key)}"
        return str(self.ask("PUT", path, content=json.dumps(value))["id"])

    def value(self, key: str) -> object:
        """The entry's value; None when there is none, or the node does not answer."""
        try:
            return self.ask("GET", f"/entries/{quote(key)}")["value"]
        except NodeRefused:
            return None

    def may_switch(self) -> bool:
        """Whether this is a master that would begin a switch, were it ordered now."""
        try:
            self.ask("POST", "/switch", content=json.dumps({"dry_run": True}))
        except NodeRefused:
            return False
        return True

    def switch(self, reason: str, limit_s: float) -> dict[str, Any]:
        """Order a switch, now, and return what the master reports.

        Raises:
            NodeRefused: it was refused, rolled back, or failed.
        """
        order = json.dumps({"when": "now", "reason": reason})
        return self.ask("POST", "/switch", content=order, limit_s=limit_s)

    def ask(
        self,
        method: str,
        path: str,
        *,
        content: str | None = None,
        query: Mapping[str, str | int] | None = None,
        limit_s: float = REPLY_LIMIT_S,
    ) -> dict[str, Any]:
        """The node's reply to a request, whose body is `content`: both are JSON.

        Raises:
            NodeRefused: there was no reply within `limit_s`, or it was an error.
        """
        try:
            reply = self._http.request(
                method, path, content=content, params=query, timeout=limit_s
            )
            said: dict[str, Any] = reply.json()
        except (httpx.HTTPError, ValueError) as error:
            raise NodeRefused(f"{method} {self.url}{path}: {error!r}") from None
        if reply.is_error:
            raise NodeRefused(f"{method} {path}: {said.get('error')}")
        return said
