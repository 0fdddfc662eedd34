"""Asks both nodes all the time whether they are active."""

from __future__ import annotations

import bisect
import http.client
import threading
import time
from urllib.parse import urlsplit

from node.roles import Role
from tests.chaos.looks import Activation, Answer, Look, activations
from tests.support.processes import PairProcesses
from tests.support.waiting import wait_until

INTERVAL_S = 0.02
ANSWER_LIMIT_S = 1.0
STOP_LIMIT_S = 5.0
_ANSWERS = {200: Answer.ACTIVE, 503: Answer.PASSIVE}


class Watching:
    """A thread for each node, from `start` to `stop`: one that hangs hides nothing of the other.

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

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join(STOP_LIMIT_S)

    def catch_up(self) -> None:
        """Wait until both nodes have been looked at anew: all of before has been seen."""
        now_s = time.monotonic()
        wait_until(
            lambda: all(
                looks and looks[-1].asked_s >= now_s for looks in self.looks.values()
            ),
            STOP_LIMIT_S,
            "a look at each node",
        )

    def activations_since(self, began_s: float) -> list[Activation]:
        """Who became active since then, in order."""
        found = []
        for looks in self.looks.values():
            # What the node said before is needed too; it did not hang for longer than this.
            sought_s = began_s - ANSWER_LIMIT_S
            start = bisect.bisect_left(looks, sought_s, key=lambda look: look.asked_s)
            found += [a for a in activations(looks[start:]) if a.at_s >= began_s]
        return sorted(found, key=lambda activation: activation.at_s)

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
