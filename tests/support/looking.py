"""Looks at both nodes all the time, and works out what that proves about who served.

One thread asks master and standby in turn, so the looks are in order and never overlap. A
look is true at some instant between question and answer, no more is known. Hence:

- Two were active only if a node said "active" before *and* after the other said so: then it
  was active at the instant of the other's answer, unless it changed twice in between, which
  no switch does within two looks. Two single looks prove nothing: the service may have moved
  from one node to the other between them.
- Nobody is known to have served from the last "active" question to the next "active" answer,
  if both nodes said no in between. That is the longest it can have been, and never less than
  it was.
"""

from __future__ import annotations

import threading
import time
from itertools import groupby, pairwise

import attrs

from node.pair.client import PairClient
from node.roles import Role
from tests.support.processes import PairProcesses

INTERVAL_S = 0.01
STOP_LIMIT_S = 10.0


@attrs.frozen
class Look:
    """One answer to `/active`."""

    role: Role
    asked_s: float
    answered_s: float
    is_active: bool
    """False too when the node did not answer."""


class Looking:
    """Looks at both nodes every 10 ms while its block runs."""

    def __init__(self, pair: PairProcesses) -> None:
        # Clients of its own: one may be used by one thread at a time.
        self._clients = {
            node.role: PairClient(node.url, pair.read_token, "looking")
            for node in pair.nodes.values()
        }
        self.looks: list[Look] = []
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="looking", daemon=True)

    def __enter__(self) -> Looking:
        self._thread.start()
        return self

    def __exit__(self, *details: object) -> None:
        self._ending.set()
        self._thread.join(STOP_LIMIT_S)
        for client in self._clients.values():
            client.close()

    def span_s(self) -> float:
        """How long it has been looking, in seconds."""
        return self.looks[-1].answered_s - self.looks[0].asked_s if self.looks else 0.0

    def _run(self) -> None:
        while not self._ending.wait(INTERVAL_S):
            for role, client in self._clients.items():
                asked_s = time.monotonic()
                is_active = client.says_yes("/active")
                self.looks.append(Look(role, asked_s, time.monotonic(), is_active))


def both_active(looks: list[Look]) -> list[tuple[Look, Look, Look]]:
    """Looks that prove two active nodes: one node before and after the other."""
    threes = zip(looks, looks[1:], looks[2:], strict=False)
    return [three for three in threes if all(look.is_active for look in three)]


def longest_without_s(looks: list[Look]) -> float:
    """The longest time, in seconds, in which it may be that no node was active."""
    runs = [list(run) for _, run in groupby(looks, lambda look: look.is_active)]
    longest_s = 0.0
    for before, run in pairwise(runs):
        if not run[0].is_active and len({look.role for look in run}) == len(Role):
            following = next(
                (look for look in looks if look.asked_s > run[-1].asked_s), run[-1]
            )
            longest_s = max(longest_s, following.answered_s - before[-1].asked_s)
    return longest_s
