"""Orders a switch as an operator does, while the test looks on."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import attrs
import httpx

from node.roles import Role
from tests.support.processes import NodeProcess

ANSWER_LIMIT_S = 30.0


@attrs.frozen
class Answer:
    """What the operator is told."""

    status: int
    """Of HTTP; 0: the node was gone before it answered."""
    said: dict[str, Any]

    @property
    def code(self) -> str | None:
        """Why it was not done, for programs."""
        found = self.said.get("code")
        return None if found is None else str(found)

    @property
    def text(self) -> str:
        """What it says to people, done or not."""
        return str(self.said.get("text") or self.said.get("error"))

    @property
    def active(self) -> Role | None:
        """The active node, by the answer to a switch that was done."""
        found = self.said.get("active")
        return None if found is None else Role(found)


def order_switch(node: NodeProcess, **order: object) -> Answer:
    """`POST /switch`, and the answer."""
    try:
        reply = node.http.post("/switch", json=order, timeout=ANSWER_LIMIT_S)
    except httpx.TransportError as error:
        return Answer(0, {"error": repr(error)})
    return Answer(reply.status_code, reply.json())


def cancel_switch(node: NodeProcess) -> Answer:
    """`DELETE /switch`, and the answer."""
    reply = node.http.delete("/switch", timeout=ANSWER_LIMIT_S)
    return Answer(reply.status_code, reply.json())


class Operator:
    """Orders a switch without waiting for the answer."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(max_workers=4)

    def __enter__(self) -> Operator:
        return self

    def __exit__(self, *details: object) -> None:
        self._threads.shutdown()

    def order(self, node: NodeProcess) -> Future[Answer]:
        """`POST /switch`; the answer will be in the future."""
        return self._threads.submit(order_switch, node)
