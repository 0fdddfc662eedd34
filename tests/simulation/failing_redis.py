"""One Redis in memory, whose calls can fail.

Every command of the product goes through `Streams`, so each is a point at which a process
can be killed, an answer can be lost, and time can pass for everybody else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Protocol, TypeVar, cast

import attrs
import redis

from eventstore import START, EventId, Origin, Streams
from eventstore.memory import Stored
from tests.simulation.network import Agenda
from tests.simulation.redis_in_memory import Content, RedisInMemory
from tests.support.histories import PAIR

_Reply = TypeVar("_Reply")
_ALL = 1_000_000
_NESTED_COUNT_MAX = 8
"""Calls that may be under way at once; the next one takes no time."""


class KilledHere(BaseException):
    """The process that made a call was killed in it; nothing of it may catch this."""


class Caller(Protocol):
    """The process that makes a call."""

    killed: bool

    def before_call(self) -> None:
        """May raise `KilledHere`."""

    def after_call(self) -> None:
        """May raise `KilledHere`: executed, but nobody has the answer."""

    def is_cut_from(self, place: SimulatedRedis) -> bool: ...


@attrs.define(eq=False)
class SimulatedRedis:
    """A Redis server and what is wrong with it."""

    agenda: Agenda
    rng: Random
    name: str
    is_gone: bool = False
    """Nobody listens at its address."""
    is_stopped: bool = False
    """It takes commands, and executes and answers them when it goes on."""
    unanswered_share: float = 0.0
    """How many calls get no answer; half of these are executed."""
    repeated_share: float = 0.0
    """How many calls are executed twice; the second answer counts."""
    slow_share: float = 0.0
    """How many calls take a while, up to `slow_max_s`."""
    slow_max_s: float = 0.0
    call_count: int = 0
    on_grown: Callable[[], None] = lambda: None
    """Told when a command may have added something."""
    _under_way: int = 0
    _late: list[Callable[[], object]] = attrs.field(factory=list)
    memory: RedisInMemory = attrs.field(factory=RedisInMemory)
    """For the tests alone: nothing is wrong with this way to it."""

    # What becomes of it.

    def go_on(self) -> None:
        """Execute what came in while it was stopped."""
        self.is_stopped = False
        late, self._late = self._late, []
        for command in late:
            command()
        self.on_grown()

    def restore(self, content: Content) -> None:
        """Hold this and nothing else, as after a start from another file."""
        self._late.clear()
        self.memory.restore(content)

    # Calls.

    def call(
        self, caller: Caller, timeout_s: float, command: Callable[[], _Reply]
    ) -> _Reply:
        """Carry out one call of the product, or let it fail."""
        self.call_count += 1
        caller.before_call()
        if caller.is_cut_from(self):
            self._pass_time(caller, timeout_s)
            raise redis.TimeoutError("the network is cut")
        if self.is_gone:
            _refuse()
        if self.is_stopped:
            self._late.append(command)
            self._pass_time(caller, timeout_s)
            raise redis.TimeoutError("stopped")
        if self.unanswered_share and self.rng.random() < self.unanswered_share:
            self._lose_answer(caller, timeout_s, command)
        if self.slow_share and self.rng.random() < self.slow_share:
            return self._take_time(caller, timeout_s, command)
        return self._execute(caller, command)

    def _execute(self, caller: Caller, command: Callable[[], _Reply]) -> _Reply:
        if self.repeated_share and self.rng.random() < self.repeated_share:
            command()
        reply = command()
        caller.after_call()
        return reply

    def _lose_answer(
        self, caller: Caller, timeout_s: float, command: Callable[[], object]
    ) -> None:
        if self.rng.random() < 0.5:
            command()
        if self.rng.random() < 0.5:
            self._pass_time(caller, timeout_s)
            raise redis.TimeoutError("no answer")
        raise redis.ConnectionError("connection closed by server")

    def _take_time(
        self, caller: Caller, timeout_s: float, command: Callable[[], _Reply]
    ) -> _Reply:
        takes_s = self.rng.random() * self.slow_max_s
        share = self.rng.random()
        if takes_s > timeout_s:
            self.agenda.later(takes_s, lambda: self._execute_late(caller, command))
            self._pass_time(caller, timeout_s)
            raise redis.TimeoutError("slow")
        self._pass_time(caller, takes_s * share)
        if self.is_gone:
            raise redis.ConnectionError("connection closed by server")
        reply = command()
        self.on_grown()
        self._pass_time(caller, takes_s * (1 - share))
        caller.after_call()
        return reply

    def _execute_late(self, caller: Caller, command: Callable[[], object]) -> None:
        # Of a killed process it came before its next one: Redis takes them in order.
        if not (self.is_gone or caller.killed):
            command()
            self.on_grown()

    def _pass_time(self, caller: Caller, duration_s: float) -> None:
        """Let everybody else go on while this caller waits."""
        if self._under_way >= _NESTED_COUNT_MAX:
            return
        self._under_way += 1
        self.agenda.run(duration_s)
        self._under_way -= 1
        caller.before_call()


class GatedStreams(Streams):
    """The streams in one Redis, for one client of one process."""

    def __init__(self, place: SimulatedRedis, caller: Caller, timeout_s: float) -> None:
        super().__init__(cast(redis.Redis, place.memory), PAIR, name=place.name)
        self._place = place
        self._caller = caller
        self._timeout_s = timeout_s

    def append(
        self, origin: Origin, after: EventId, batch: Sequence[Stored]
    ) -> EventId | None:
        found = super().append(origin, after, batch)
        self._place.on_grown()
        return found

    def _call(self, command: Callable[[], _Reply]) -> _Reply:
        place = self._place
        return super()._call(lambda: place.call(self._caller, self._timeout_s, command))


def stored(place: SimulatedRedis, origin: Origin) -> list[Stored]:
    """Everything in a stream, whatever is wrong with its Redis."""
    memory = cast(redis.Redis, place.memory)
    return Streams(memory, PAIR, name=place.name).read(origin, START, _ALL)


def _refuse() -> None:
    try:
        raise ConnectionRefusedError("nobody listens")
    except ConnectionRefusedError as error:
        raise redis.ConnectionError(str(error))  # noqa: B904 as redis-py does
