"""A virtual clock, and a network in memory that can be told to fail."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from typing import Protocol

import attrs

from node.roles import Role

LATENCY_S = 1 / 64
DIAL_LIMIT_S = 1.0
SWITCH_FRAME = b"\xa6switch\x83"
"""What only a frame with a step of a switch has in it."""


class Agenda:
    """What will happen, and when."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._entries: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def later(self, wait_s: float, work: Callable[[], None]) -> None:
        """Do `work` after `wait_s`; 0: after what is being done."""
        entry = self.now_s + wait_s, next(self._order), work
        heapq.heappush(self._entries, entry)

    def run(self, duration_s: float) -> None:
        """Let time pass."""
        end_s = self.now_s + duration_s
        while self._entries and self._entries[0][0] <= end_s:
            self.now_s, _, work = heapq.heappop(self._entries)
            work()
        self.now_s = end_s

    def run_until(self, condition: Callable[[], bool], limit_s: float) -> float:
        """Let time pass until `condition`; returns how much."""
        start_s = self.now_s
        while not condition():
            assert self._entries, "nothing is going to happen"
            next_s = self._entries[0][0]
            assert next_s <= start_s + limit_s, f"not within {limit_s} s"
            self.run(next_s - self.now_s)
        return self.now_s - start_s


class End(Protocol):
    """A process, as the network sees it: every call may wait until it runs."""

    role: Role
    dead: bool

    def opened(self, number: int, *, dialled: bool) -> None: ...
    def received(self, number: int, data: bytes) -> None: ...
    def closed(self, number: int) -> None: ...
    def dial_failed(self, *, refused: bool) -> None: ...


@attrs.define(eq=False)
class _Wire:
    """One TCP connection."""

    number: int
    dialler: End
    listener: End
    open: bool = True

    def other(self, end: End) -> End:
        return self.listener if end is self.dialler else self.dialler


class Network:
    """Delivers in order in each direction, after `LATENCY_S`."""

    def __init__(self, agenda: Agenda) -> None:
        self.on_switch_message: Callable[[int, Role], bool] = lambda _number, _role: (
            True
        )
        """Asked at each step that is sent; False: it is lost with its connection."""
        self.step_count = 0
        self.listening: dict[Role, End] = {}
        self._agenda = agenda
        self._numbers = itertools.count(1)
        self._wires: dict[int, _Wire] = {}
        self._silenced: set[Role] = set()
        self._held: list[Callable[[], None]] = []

    def silence(self, *roles: Role) -> None:
        """What they say does not arrive before `heal`; nobody can connect."""
        self._silenced.update(roles)

    def heal(self) -> None:
        self._silenced.clear()
        held, self._held = self._held, []
        for work in held:
            self._agenda.later(LATENCY_S, work)

    def reset(self, by: End | None = None) -> None:
        """End every connection; `by` is not told."""
        for wire in [wire for wire in self._wires.values() if wire.open]:
            self._end(wire, by)

    def forget(self) -> None:
        """Every connection carries nothing any more, and nobody is told; new ones do."""
        for wire in self._wires.values():
            wire.open = False

    def dial(self, end: End) -> None:
        target = self.listening.get(end.role.other)
        if self._silenced:
            self._agenda.later(DIAL_LIMIT_S, lambda: end.dial_failed(refused=False))
        elif target is None or target.dead:
            self._agenda.later(LATENCY_S, lambda: end.dial_failed(refused=True))
        else:
            wire = _Wire(next(self._numbers), end, target)
            self._wires[wire.number] = wire
            self._agenda.later(LATENCY_S, lambda: self._open(wire))

    def send(self, end: End, number: int, data: bytes) -> None:
        wire = self._wires[number]
        if not wire.open:
            return
        if SWITCH_FRAME in data:
            self.step_count += 1
            if not self.on_switch_message(self.step_count - 1, end.role):
                self._end(wire, None)
                return
        target = wire.other(end)
        self._carry(end, lambda: target.received(number, data))

    def close(self, end: End, number: int) -> None:
        self._end(self._wires[number], end)

    def _open(self, wire: _Wire) -> None:
        wire.listener.opened(wire.number, dialled=False)
        wire.dialler.opened(wire.number, dialled=True)

    def _end(self, wire: _Wire, by: End | None) -> None:
        wire.open = False
        for end in (wire.dialler, wire.listener):
            if end is not by:
                self._carry(wire.other(end), self._closing(wire, end))

    def _closing(self, wire: _Wire, end: End) -> Callable[[], None]:
        return lambda: end.closed(wire.number)

    def _carry(self, sender: End, work: Callable[[], None]) -> None:
        if sender.role in self._silenced:
            self._held.append(work)
        else:
            self._agenda.later(LATENCY_S, work)
