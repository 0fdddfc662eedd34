"""Waiting for facts instead of for time to pass."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from node.clock import SystemClock
from node.errors import NodeError

T = TypeVar("T")

POLL_S = 0.02


class WaitedTooLong(NodeError):
    """What was waited for did not happen within its limit; the message says what."""


def wait_until(condition: Callable[[], T], limit_s: float, what: str) -> T:
    """Ask `condition` every 20 ms until its answer is true, and return that answer.

    Raises:
        WaitedTooLong: it was not true within `limit_s` seconds; the message says `what`
            was waited for and the last answer.
    """
    clock = SystemClock()
    deadline_s = clock.now_s() + limit_s
    pause = threading.Event()
    while not (answer := condition()):
        if clock.now_s() >= deadline_s:
            raise WaitedTooLong(
                f"waited {limit_s:g} s for {what}; the last answer was {answer!r}"
            )
        pause.wait(POLL_S)
    return answer
