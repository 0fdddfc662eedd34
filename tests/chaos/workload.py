"""Adds integers on both sides all the time, and remembers what each attempt came to.

Most integers are an entry of their own; some go to a few keys that both sides change. The
integer is also the actor of its change, so every event tells which attempt it is of.
"""

from __future__ import annotations

import itertools
import threading
import time
from random import Random

import httpx

from eventstore import EventId, Origin
from node.roles import Role
from tests.chaos.verdict import Attempt, Outcome
from tests.support.processes import PairProcesses

THREADS_PER_NODE = 2
ANSWER_LIMIT_S = 20.0
"""Longer than a node holds a write back: a late answer is an answer."""
CONTENDED_SHARE = 0.1
CONTENDED_KEY_COUNT = 8
DELETE_SHARE = 0.2
"""Of the contended changes."""
SURELY_NOT_STORED = {"writes-frozen", "invalid-entry", "no-such-entry", "entry-changed"}
"""Codes of refusals after which the event must not be there."""


class Workload:
    """Writes to both nodes while its block runs, at a steady rate."""

    def __init__(self, pair: PairProcesses, per_second: float, chance: Random) -> None:
        self.attempts: list[Attempt] = []
        self._pause_s = len(pair.nodes) * THREADS_PER_NODE / per_second
        self._numbers = itertools.count(1)
        self._ending = threading.Event()
        self._threads = [
            threading.Thread(
                target=self._run,
                args=(role, node.url, pair.change_token, Random(chance.random())),
                name=f"adding to the {role}",
                daemon=True,
            )
            for role, node in pair.nodes.items()
            for _ in range(THREADS_PER_NODE)
        ]

    def __enter__(self) -> Workload:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *details: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Write no more; every attempt has ended on return."""
        self._ending.set()
        for thread in self._threads:
            thread.join(2 * ANSWER_LIMIT_S)

    def _run(self, role: Role, url: str, token: str, chance: Random) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(
            base_url=url, headers=headers, timeout=ANSWER_LIMIT_S, trust_env=False
        ) as http:
            while not self._ending.wait(self._pause_s):
                self.attempts.append(_attempt(http, role, next(self._numbers), chance))


def _attempt(http: httpx.Client, role: Role, number: int, chance: Random) -> Attempt:
    key, method = f"set/{number}", "PUT"
    if chance.random() < CONTENDED_SHARE:
        key = f"contended/{chance.randrange(CONTENDED_KEY_COUNT)}"
        method = "DELETE" if chance.random() < DELETE_SHARE else "PUT"
    began_s = time.monotonic()
    event_id, said = None, ""
    outcome = Outcome.UNKNOWN
    try:
        reply = http.request(
            method,
            f"/entries/{key}",
            headers={"X-Actor": str(number)},
            content=str(number) if method == "PUT" else None,
        )
        said = f"{reply.status_code} {reply.text}"
        told = reply.json()
        if reply.is_success:
            event_id, outcome = EventId.parse(told["id"]), Outcome.ACKNOWLEDGED
        elif told["code"] in SURELY_NOT_STORED:
            outcome = Outcome.REFUSED
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        said, outcome = repr(error), Outcome.REFUSED  # It was not even sent.
    except (httpx.HTTPError, ValueError, KeyError) as error:
        said = said or repr(error)
    return Attempt(number, Origin(role), key, began_s, outcome, event_id, said)
