"""Writes to both nodes all the time, and remembers what each write came to."""

from __future__ import annotations

import threading
import time

import attrs
import httpx

from eventstore import EventId, Origin
from node.roles import Role
from tests.support.processes import PairProcesses

PAUSE_S = 0.01
ANSWER_LIMIT_S = 20.0
"""Longer than any node holds a write back: a late answer is timed, not lost."""
THREADS_PER_NODE = 2


@attrs.frozen
class Write:
    """One `PUT` and its answer."""

    role: Role
    key: str
    took_s: float
    id: EventId | None
    """None: it was not acknowledged."""
    refusal: str = ""


class Writing:
    """Two threads for each node write entries, each key once, while its block runs."""

    def __init__(self, pair: PairProcesses) -> None:
        self.writes: list[Write] = []
        self._ending = threading.Event()
        self._threads = [
            threading.Thread(
                target=self._run,
                args=(node.role, node.url, pair.change_token, number),
                name=f"writing to the {node.role}",
                daemon=True,
            )
            for node in pair.nodes.values()
            for number in range(THREADS_PER_NODE)
        ]

    def __enter__(self) -> Writing:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *details: object) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join(2 * ANSWER_LIMIT_S)

    @property
    def acknowledged(self) -> set[tuple[Origin, EventId]]:
        """Origin and id of every event that a node acknowledged."""
        return {(Origin(w.role), w.id) for w in list(self.writes) if w.id is not None}

    @property
    def refused(self) -> list[Write]:
        """Writes without an acknowledgement."""
        return [write for write in list(self.writes) if write.id is None]

    def slowest_s(self) -> float:
        """The longest that a write took, in seconds."""
        return max(write.took_s for write in list(self.writes))

    def count(self, role: Role) -> int:
        """Writes to one node that have ended."""
        return sum(write.role is role for write in list(self.writes))

    def _run(self, role: Role, url: str, token: str, number: int) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        name = f"written/{role}-{number}-{time.monotonic_ns()}"
        count = 0
        with httpx.Client(
            base_url=url, headers=headers, timeout=ANSWER_LIMIT_S, trust_env=False
        ) as http:
            while not self._ending.wait(PAUSE_S):
                count += 1
                self.writes.append(_write(http, role, f"{name}-{count}", count))


def _write(http: httpx.Client, role: Role, key: str, value: int) -> Write:
    began_s = time.monotonic()
    try:
        reply = http.put(f"/entries/{key}", json=value)
    except httpx.HTTPError as error:
        return Write(role, key, time.monotonic() - began_s, None, repr(error))
    took_s = time.monotonic() - began_s
    if reply.is_error:
        return Write(role, key, took_s, None, f"{reply.status_code} {reply.text}")
    return Write(role, key, took_s, EventId.parse(reply.json()["id"]))
