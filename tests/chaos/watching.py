"""Asks both nodes all the time whether they are active."""

from __future__ import annotations

import http.client
import threading
import time
from urllib.parse import urlsplit

from node.roles import Role
from tests.chaos.looks import Answer, Look
from tests.support.processes import PairProcesses

INTERVAL_S = 0.02
ANSWER_LIMIT_S = 1.0
STOP_LIMIT_S = 5.0
_ANSWERS = {200: Answer.ACTIVE, 503: Answer.PASSIVE}


class Watching:
    """A thread for each node, while its block runs: one that hangs hides nothing of the other.

    `tests.support.looking` asks in turn, which proves more, but not while a node is paused.
    """

    def __init__(self, pair: PairProcesses) -> None:
        self.looks: dict[Role, list[Look]] = {role: [] for role in Role}
        self.own_stall_s = 0.0
        """The longest that this program itself was late: what it measures is as wrong."""
        self._ending = threading.Event()
        self._threads = [
            threading.Thread(
                target=self._run, args=(role, node.url), name=f"{role}?", daemon=True
            )
            for role, node in pair.nodes.items()
        ]

    def __enter__(self) -> Watching:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *details: object) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join(STOP_LIMIT_S)

    def _run(self, role: Role, url: str) -> None:
        place = urlsplit(url)
        connection = http.client.HTTPConnection(
            str(place.hostname), place.port, timeout=ANSWER_LIMIT_S
        )
        while not self._ending.is_set():
            asked_s = time.monotonic()
            answer = _ask(connection)
            answered_s = time.monotonic()
            self.looks[role].append(Look(role, asked_s, answered_s, answer))
            self._ending.wait(INTERVAL_S)
            late_s = time.monotonic() - answered_s - INTERVAL_S
            self.own_stall_s = max(self.own_stall_s, late_s)
        connection.close()


def _ask(connection: http.client.HTTPConnection) -> Answer:
    try:
        connection.request("GET", "/active")
        reply = connection.getresponse()
        reply.read()
    except (OSError, http.client.HTTPException):
        connection.close()  # The next request opens it anew.
        return Answer.SILENT
    return _ANSWERS.get(reply.status, Answer.SILENT)
