"""Kills a store at any of its calls to Redis, before or after what the call does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import redis

from eventstore import Streams

T = TypeVar("T")


class Killed(BaseException):
    """The process ends here. No `Exception`: nothing in the product may catch it."""


class MortalStreams(Streams):
    """Streams whose process dies at the call with the number `dies_at`, counted from 1."""

    def __init__(self, client: redis.Redis, pair: str, *, name: str) -> None:
        super().__init__(client, pair, name=name)
        self.call_count = 0
        self.dies_at: int | None = None
        self.dies_after = False
        """Whether that call still reaches Redis."""

    def _call(self, command: Callable[[], Any]) -> Any:
        self.call_count += 1
        if self.call_count != self.dies_at:
            return super()._call(command)
        if self.dies_after:
            super()._call(command)
        raise Killed
