"""The wire between two machines: what becomes of each packet. Pure.

It is told what to do to the packets that a side sends; time and chance are arguments.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from random import Random

import attrs

from node.pair.ports import other_role
from node.roles import Role
from tests.chaos import packets

HELD_BYTES_MAX = 16_000_000


class Act(Enum):
    """What happens to the packets of one side."""

    PASS = "pass"
    DROP = "drop"
    HOLD = "hold"
    """They arrive all at once when the wire is healed, as after a jam."""
    RESET = "reset"
    """Both ends of every connection there is are told that it is over; new ones pass."""
    HALF_OPEN = "half-open"
    """Only the receiver of every connection there is is told; new ones pass."""
    FORGET = "forget"
    """Nobody is told that every connection there is is over; new ones pass."""


@attrs.frozen
class Treatment:
    """What is done to the packets that one side sends."""

    act: Act = Act.PASS
    port: int | None = None
    """Only to TCP packets of connections to this port; None: to all."""
    lost: float = 0.0
    """The share of packets that disappears, 0 to 1."""
    doubled: float = 0.0
    """The share of packets that arrives twice, 0 to 1."""
    delay_s: float = 0.0
    jitter_s: float = 0.0
    """Up to so much is added by chance: packets overtake each other."""


@attrs.frozen
class Delivery:
    """A packet that arrives."""

    due_s: float
    to: Role
    packet: bytes


PASS = Treatment()


class Wire:
    """Carries packets from one side to the other."""

    def __init__(self, chance: Random) -> None:
        self._chance = chance
        self._treatments: dict[Role, Treatment] = dict.fromkeys(Role, PASS)
        self._new_flows: set[packets.Flow] = set()
        """Connections that began under the treatment."""
        self._held: list[tuple[Role, bytes]] = []
        self._held_bytes = 0

    def treat(self, treatments: Mapping[Role, Treatment]) -> None:
        """From now on, treat the packets that each side sends like that."""
        self._treatments = dict.fromkeys(Role, PASS) | dict(treatments)
        self._new_flows.clear()

    def heal(self, now_s: float) -> list[Delivery]:
        """Carry everything again; what was held arrives now."""
        self.treat({})
        released = [Delivery(now_s, to, packet) for to, packet in self._held]
        self._held.clear()
        self._held_bytes = 0
        return released

    def carry(self, packet: bytes, sender: Role, now_s: float) -> list[Delivery]:
        """What arrives, where and when, because `sender` sent `packet` now."""
        treatment = self._treatments[sender]
        receiver = other_role(sender)
        segment = packets.parse(packet)
        if segment is not None and segment.opens:
            self._new_flows |= {segment.flow, segment.flow.reversed()}
        arrives = [Delivery(now_s, receiver, packet)]
        if treatment.port is not None and (
            segment is None or treatment.port not in segment.has_port
        ):
            return arrives
        match treatment.act:
            case Act.DROP:
                return []
            case Act.HOLD:
                return self._hold(packet, receiver)
            case Act.RESET | Act.HALF_OPEN | Act.FORGET:
                if segment is None or segment.flow in self._new_flows:
                    return arrives
                if treatment.act is Act.FORGET:
                    return []
                return _end(segment, sender, treatment.act, now_s)
            case Act.PASS:
                if self._chance.random() < treatment.lost:
                    return []
                times = 2 if self._chance.random() < treatment.doubled else 1
                return [
                    Delivery(now_s + self._delay_s(treatment), receiver, packet)
                    for _ in range(times)
                ]

    def _delay_s(self, treatment: Treatment) -> float:
        return treatment.delay_s + self._chance.uniform(0, treatment.jitter_s)

    def _hold(self, packet: bytes, receiver: Role) -> list[Delivery]:
        # A queue that is full loses what comes then, as a real one does.
        if self._held_bytes + len(packet) <= HELD_BYTES_MAX:
            self._held.append((receiver, packet))
            self._held_bytes += len(packet)
        return []


def _end(
    segment: packets.Segment, sender: Role, act: Act, now_s: float
) -> list[Delivery]:
    if segment.flags & packets.RST:
        # The answer to what still comes: the sender must not learn of it.
        return []
    to_sender, to_receiver = packets.resets(segment)
    deliveries = [Delivery(now_s, other_role(sender), to_receiver)]
    if act is Act.RESET:
        deliveries.append(Delivery(now_s, sender, to_sender))
    return deliveries
