"""Faults at any call that a process makes to Redis, and which calls there are in the code."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from types import FrameType
from typing import Any, Final

import attrs
import redis

import eventstore
from eventstore import EventId, Origin, StoreUnavailable, Streams
from eventstore.memory import Stored

_ROOT: Final = Path(eventstore.__file__).parent
_STREAMS: Final = "streams.py"
_CALL: Final = "_call"
_NO_STREAMS: Final = {
    "batch", "branch", "drafts", "reasons", "resync", "self._unsettled", "swaps",
}  # fmt: skip
"""What has methods that are named as those of `Streams`, in modules that use it."""


class Killed(BaseException):
    """The process ends here. No `Exception`: nothing in the product may catch it."""


@attrs.frozen(order=True)
class Point:
    """A place in the code that makes Redis do something."""

    module: str
    first_line: int
    last_line: int = attrs.field(eq=False)
    text: str = attrs.field(eq=False)

    def __str__(self) -> str:
        return f"{self.module}:{self.first_line} {self.text}"


class Fault(Enum):
    """What happens at one call to Redis."""

    DIES_BEFORE = "dies before"
    DIES_AFTER = "dies after"
    UNANSWERED = "unanswered"
    """Redis does it, and the process lives on without knowing."""


class Life:
    """One process: counts its calls to Redis, and has a fault at one of them."""

    def __init__(self, fault: Fault) -> None:
        self.call_count = 0
        self.fault = fault
        self.fault_at: int | None = None
        """The number of that call, counted from 1."""
        self.unanswered_count = 0
        """So many of the next calls get no answer besides."""
        self.page_count_max: int | None = None
        """At most so many events come at once from the stream that is followed."""
        self.places: list[tuple[str, int]] = []
        """The module and line of each call on the way to the fault, the innermost first."""

    def streams(self, client: redis.Redis, pair: str, *, name: str) -> Streams:
        """Streams that belong to this process."""
        return _FaultyStreams(client, pair, name=name, life=self)

    def call(self, command: Callable[[], Any], frame: FrameType | None) -> Any:
        """Let `command` be the next call."""
        self.call_count += 1
        faulty = self.call_count == self.fault_at
        if faulty:
            self.places = list(_places(frame))
        if faulty and self.fault is Fault.DIES_BEFORE:
            raise Killed
        try:
            answer = command()
        finally:
            if faulty and self.fault is Fault.DIES_AFTER:
                raise Killed
        if faulty or self.unanswered_count:
            self.unanswered_count = max(0, self.unanswered_count - 1)
            raise StoreUnavailable("Redis did it and did not answer, as the test wants")
        return answer


class _FaultyStreams(Streams):
    def __init__(
        self, client: redis.Redis, pair: str, *, name: str, life: Life
    ) -> None:
        super().__init__(client, pair, name=name)
        self._life = life

    def follow(
        self, origin: Origin, after: EventId, count: int, block_ms: int | None
    ) -> list[Stored]:
        count = min(count, self._life.page_count_max or count)
        return super().follow(origin, after, count, block_ms)

    def _call(self, command: Callable[[], Any]) -> Any:
        inner = super()._call
        return self._life.call(lambda: inner(command), sys._getframe(1))


def _places(frame: FrameType | None) -> Iterator[tuple[str, int]]:
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if path.parent == _ROOT:
            yield path.name, frame.f_lineno
        frame = frame.f_back


def points_in_code() -> set[Point]:
    """Every call of a client in `streams.py`, and every call of streams elsewhere."""
    trees = {path.name: ast.parse(path.read_text()) for path in _ROOT.glob("*.py")}
    methods = _methods_that_call(trees[_STREAMS])
    found = set()
    for module, tree in trees.items():
        uses_streams = any(
            isinstance(part, ast.ImportFrom) and part.module == "eventstore.streams"
            for part in tree.body
        )
        for call in _calls(tree):
            on = ast.unparse(call.func.value)
            if module == _STREAMS:
                is_point = on == "self" and call.func.attr == _CALL
            else:
                is_point = uses_streams and call.func.attr in methods
            if is_point and on not in _NO_STREAMS:
                assert call.end_lineno is not None
                text = f"{on}.{call.func.attr}"
                found.add(Point(module, call.lineno, call.end_lineno, text))
    return found


def points_of(life: Life, known: set[Point]) -> set[Point]:
    """Where the fault was, of `known`: the call of the client and who wanted it."""
    (inner, *outer) = life.places
    wanted = next((place for place in outer if place[0] != _STREAMS), None)
    return {
        point
        for place in (inner, wanted)
        if place is not None
        for point in known
        if point.module == place[0] and point.first_line <= place[1] <= point.last_line
    }


class _MethodCall(ast.Call):
    func: ast.Attribute


def _calls(tree: ast.AST) -> Iterator[_MethodCall]:
    for found in ast.walk(tree):
        if isinstance(found, ast.Call) and isinstance(found.func, ast.Attribute):
            yield found  # type: ignore[misc]


def _methods_that_call(tree: ast.Module) -> set[str]:
    """The public methods of `Streams` that end up in a call to Redis."""
    (streams,) = (
        part
        for part in tree.body
        if isinstance(part, ast.ClassDef) and part.name == Streams.__name__
    )
    calls = {
        part.name: {c.func.attr for c in _calls(part)}
        for part in streams.body
        if isinstance(part, ast.FunctionDef)
    }
    reached = {_CALL}
    while found := {name for name, inner in calls.items() if inner & reached} - reached:
        reached |= found
    return {name for name in reached if not name.startswith("_")}
