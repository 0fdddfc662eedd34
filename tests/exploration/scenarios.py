"""Where a walk begins, and what may befall the pair on its way."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from node.roles import Role
from node.situation import Active, Passive
from tests.exploration.network import Budget, Network
from tests.exploration.nodes import OPEN_GATE, Gate, Node, started

Start = tuple[Node, Node, Network]


@attrs.frozen
class Scenario:
    """So many faults of each kind, at any moment."""

    name: str
    budget: Budget
    gate: Gate = OPEN_GATE
    settled: bool = True
    """It begins with one node active, and otherwise with both that just started."""

    def starts(self) -> Iterator[Start]:
        """Either node is active; or both start."""
        network = Network(self.budget)
        if not self.settled:
            yield started(Role.MASTER), started(Role.STANDBY), network.torn()
            return
        for active in Role:
            master, standby = (
                started(role, Active() if role is active else Passive())
                for role in (Role.MASTER, Role.STANDBY)
            )
            yield master, standby, network


_HOLD_OFF = Gate(hold_off_s=60.0)
_CAP = Gate(per_hour_max=1)
_WITNESS = Gate(ask_again_s=2.0)

SMALL = (
    Scenario("calm", Budget(resets=2, losses=1, repeats=1)),
    Scenario("start", Budget(resets=1, losses=1, crashes=1), settled=False),
    Scenario("crash", Budget(crashes=2, stops=1, resets=1)),
    Scenario("cut", Budget(cuts=2, crashes=1)),
    Scenario("stall", Budget(stalls=2)),
    Scenario("stall, crash", Budget(stalls=1, crashes=1)),
    Scenario("stall, cut", Budget(stalls=1, cuts=1)),
    Scenario("verdict", Budget(verdicts=2, resets=1)),
    Scenario("switch", Budget(orders=1, losses=1, resets=1)),
    Scenario("switch, redial", Budget(orders=1, redials=1)),
    Scenario("switch, crash", Budget(orders=1, crashes=1)),
    Scenario("switch, stop", Budget(orders=1, stops=1)),
    Scenario("switch, stall", Budget(orders=1, stalls=1)),
    Scenario("switch, verdict", Budget(orders=1, verdicts=1)),
    Scenario("sick", Budget(sicknesses=1, resets=1)),
    Scenario("both sick", Budget(sicknesses=2)),
    Scenario("claims", Budget(refusals=1, crashes=1)),
    Scenario("claims, switch", Budget(refusals=1, orders=1)),
    Scenario("claims, stall", Budget(refusals=1, stalls=1)),
    Scenario("pause", Budget(pauses=1, cuts=1, crashes=1)),
    Scenario("hold-off", Budget(crashes=2, stops=1), _HOLD_OFF),
    Scenario("cap", Budget(cuts=1, crashes=1), _CAP),
    Scenario("witness", Budget(isolations=1, cuts=1, crashes=1), _WITNESS),
    Scenario("witness, start", Budget(isolations=1, cuts=1), _WITNESS, settled=False),
)
"""Seconds for all of them: part of the tests."""

LARGE = (
    Scenario("switch twice", Budget(orders=2)),
    Scenario("switch, cut", Budget(orders=1, cuts=1)),
    Scenario("sick, minute", Budget(sicknesses=1, minutes=1)),
    Scenario("sick, crash", Budget(sicknesses=1, crashes=1)),
    Scenario("sick, stall", Budget(sicknesses=1, stalls=1)),
    Scenario("claims, switch, crash", Budget(refusals=1, orders=1, crashes=1)),
    Scenario("pause, sick", Budget(pauses=1, sicknesses=1, stops=1)),
    Scenario("start+", Budget(cuts=1, crashes=1, stalls=1, resets=1), settled=False),
    Scenario("faults+", Budget(cuts=1, crashes=1, stalls=1, verdicts=1)),
    Scenario("stalls+", Budget(stalls=3, cuts=1)),
    Scenario("switch+", Budget(orders=1, losses=2, resets=2, repeats=2)),
    Scenario("switch, redial+", Budget(orders=1, redials=2)),
    Scenario("switch twice+", Budget(orders=2, losses=1, resets=1)),
    Scenario("switch, crash+", Budget(orders=1, crashes=2, resets=1, stops=1)),
    Scenario("switch, cut+", Budget(orders=1, cuts=2, resets=1)),
    Scenario("switch, cut, crash+", Budget(orders=1, cuts=1, crashes=1)),
    Scenario("switch, stall+", Budget(orders=1, stalls=2, resets=1)),
    Scenario("switch, stall, crash+", Budget(orders=1, stalls=1, crashes=1)),
    Scenario("switch, verdict+", Budget(orders=1, verdicts=2, resets=1, losses=1)),
    Scenario("sick+", Budget(sicknesses=1, losses=1, minutes=1)),
    Scenario("sick, reset+", Budget(sicknesses=1, losses=1, resets=1, repeats=1)),
    Scenario("sick, well+", Budget(sicknesses=1, recoveries=1, minutes=1)),
    Scenario("both sick+", Budget(sicknesses=2, minutes=1)),
    Scenario("sick, cut, crash+", Budget(sicknesses=1, cuts=1, crashes=1)),
    Scenario("sick, cut+", Budget(sicknesses=1, cuts=2)),
    Scenario("sick, switch+", Budget(sicknesses=1, orders=1, losses=1)),
    Scenario("sick, switch, crash+", Budget(sicknesses=1, orders=1, crashes=1)),
    Scenario("claims+", Budget(refusals=1, orders=1, crashes=1, cuts=1)),
    Scenario("claims, stall+", Budget(refusals=1, stalls=1, orders=1)),
    Scenario("pause+", Budget(pauses=1, orders=1, cuts=1, crashes=1)),
    Scenario("hold-off+", Budget(crashes=2, cuts=1, orders=1), _HOLD_OFF),
    Scenario("witness+", Budget(isolations=1, cuts=1, crashes=1, orders=1), _WITNESS),
)
"""Minutes: `make explore`."""
