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
FORGOTTEN_LIMIT_S = 3.0
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
        """Let time pass. Work may call this: then time passes within it."""
        end_s = self.now_s + duration_s
        while self._entries and self._entries[0][0] <= end_s:
            at_s, _, work = heapq.heappop(self._entries)
            # Not back: what called us may have let more time pass than it was due.
            self.now_s = max(self.now_s, at_s)
            work()
        self.now_s = max(self.now_s, end_s)

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
    """One TCP connection; `open` and `due_s` are by the role of an end."""

    number: int
    dialler: End
    listener: End
    open: dict[Role, bool]
    """Whether an end still takes it for open."""
    due_s: dict[Role, float] = attrs.field(factory=lambda: dict.fromkeys(Role, 0.0))
    """When what an end said last arrives: nothing overtakes it."""
    lag_s: float = 0.0
    """What this connection is slower than the others."""
    forgotten: bool = False
    """Something between the ends has forgotten it: nothing arrives any more."""

    def end(self, role: Role) -> End:
        return self.dialler if role is self.dialler.role else self.listener

    @property
    def stands(self) -> bool:
        return all(self.open.values()) and not self.forgotten


class Network:
    """Delivers in order in each direction of a connection, after `LATENCY_S` or more."""

    def __init__(self, agenda: Agenda) -> None:
        self.on_switch_message: Callable[[int, Role], bool] = lambda _number, _role: (
            True
        )
        """Asked at each step that is sent; False: it is lost with its connection."""
        self.step_count = 0
        self.sent_count = 0
        self.dial_count = 0
        self.listening: dict[Role, End] = {}
        self.delay_s: Callable[[], float] = lambda: 0.0
        """What a packet takes longer than `LATENCY_S`."""
        self.unacknowledged_limit_s: float | None = None
        """How long TCP tries to bring what is sent to the other side; None: for ever."""
        self._agenda = agenda
        self._numbers = itertools.count(1)
        self._wires: dict[int, _Wire] = {}
        self._silenced: set[Role] = set()
        self._held: list[tuple[_Wire, Role, Callable[[], None]]] = []

    # Failing.

    @property
    def is_cut(self) -> bool:
        """Whether something of what the nodes say does not arrive."""
        return bool(self._silenced)

    def silence(self, *roles: Role) -> None:
        """What they say does not arrive before `heal`; nobody can connect."""
        self._silenced.update(roles)
        if self.unacknowledged_limit_s is not None:
            for wire in self._standing():
                self._give_up_later(wire)

    def heal(self) -> None:
        self._silenced.clear()
        held, self._held = self._held, []
        for wire, sender, work in held:
            self._carry(wire, sender, work)

    def reset(self, by: End | None = None) -> None:
        """End every connection; `by` is not told."""
        for wire in self._standing():
            self._end(wire, by)

    def cross(self, lag_s: float) -> None:
        """The diallers' ends are gone; what they said arrives `lag_s` late, then the end.

        So a new connection overtakes what was said on the old one.
        """
        for wire in self._standing():
            wire.lag_s = lag_s
            self._end(wire, None)

    def forget(self, told: Role | None = None) -> None:
        """Something between forgets all connections; new ones carry again.

        `told` sees them end, and the other end finds out when what it says is not
        acknowledged; None: nobody is told, ever.
        """
        for wire in self._standing():
            wire.forgotten = True
            if told is not None:
                self._agenda.later(LATENCY_S, self._closing(wire, told))
                self._agenda.later(FORGOTTEN_LIMIT_S, self._closing(wire, told.other))

    # What the ends ask for.

    def dial(self, end: End) -> None:
        self.dial_count += 1
        target = self.listening.get(end.role.other)
        if self._silenced:
            self._agenda.later(DIAL_LIMIT_S, lambda: end.dial_failed(refused=False))
        elif target is None or target.dead:
            self._agenda.later(LATENCY_S, lambda: end.dial_failed(refused=True))
        else:
            wire = _Wire(next(self._numbers), end, target, dict.fromkeys(Role, True))
            self._wires[wire.number] = wire
            self._agenda.later(LATENCY_S + self.delay_s(), lambda: self._open(wire))

    def send(self, end: End, number: int, data: bytes) -> None:
        wire = self._wires[number]
        if not wire.open[end.role]:
            return
        self.sent_count += 1
        if SWITCH_FRAME in data:
            self.step_count += 1
            if not self.on_switch_message(self.step_count - 1, end.role):
                self._end(wire, None)
                return
        target = wire.end(end.role.other)
        self._carry(wire, end.role, lambda: target.received(number, data))

    def close(self, end: End, number: int) -> None:
        self._end(self._wires[number], end)

    # Inside.

    def _standing(self) -> list[_Wire]:
        return [wire for wire in self._wires.values() if wire.stands]

    def _open(self, wire: _Wire) -> None:
        wire.listener.opened(wire.number, dialled=False)
        wire.dialler.opened(wire.number, dialled=True)

    def _end(self, wire: _Wire, by: End | None) -> None:
        for end in (wire.dialler, wire.listener):
            if end is not by and wire.open[end.role]:
                closing = self._closing(wire, end.role)
                self._carry(wire, end.role.other, closing)
        wire.open = dict.fromkeys(Role, False)

    def _closing(self, wire: _Wire, told: Role) -> Callable[[], None]:
        def close() -> None:
            wire.open[told] = False
            wire.end(told).closed(wire.number)

        return close

    def _give_up_later(self, wire: _Wire) -> None:
        """TCP gives a connection up when a cut lasts; what it held never arrives."""
        limit_s = self.unacknowledged_limit_s
        assert limit_s is not None

        def give_up() -> None:
            if self._silenced and wire.stands:
                wire.forgotten = True
                self._held = [held for held in self._held if held[0] is not wire]
                for role in Role:
                    self._closing(wire, role)()

        self._agenda.later(limit_s, give_up)

    def _carry(self, wire: _Wire, sender: Role, work: Callable[[], None]) -> None:
        if wire.forgotten:
            return
        if sender in self._silenced:
            self._held.append((wire, sender, work))
            return
        now_s = self._agenda.now_s
        due_s = now_s + LATENCY_S + self.delay_s()
        if sender is wire.dialler.role:
            due_s += wire.lag_s
        wire.due_s[sender] = due_s = max(due_s, wire.due_s[sender])
        self._agenda.later(due_s - now_s, work)
