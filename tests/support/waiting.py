"""Waiting for facts in tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from node import waiting
from node.waiting import WaitedTooLong

T = TypeVar("T")


def wait_until(condition: Callable[[], T], limit_s: float, what: str) -> T:
    """Ask `condition` until its answer is true, and return that answer.

    Raises:
        AssertionError: it was not true within `limit_s` seconds; it says `what` was
            waited for and the last answer.
    """
    try:
        return waiting.wait_until(condition, limit_s, what)
    except WaitedTooLong as error:
        raise AssertionError(str(error)) from None
