"""A node is killed before or after any effect of its core: one node serves, and takes changes.

`SCENARIOS` names what a pair does: switches, takeovers, and what disturbs them. Each is done
again and again, and each time one of the nodes ends one effect later, and is started again. An
effect that is added to the code, and that none of them reaches, makes
`test_a_kill_at_any_effect` fail.
"""

from __future__ import annotations

import ast
import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, get_args

import attrs
import pytest

from node import core as core_module
from node import supervision
from node.core import AskWitness, Core, CoreEffect, Note
from node.roles import Role
from node.situation import Effect, RecordBothActive, Tell
from tests.simulation.test_planned_switch import check_end
from tests.simulation.world import WORK_S, Node, World, settled

GONE_S = 0.5
QUIET_S = 30.0
_INNER: Final = {Tell.__name__, RecordBothActive.__name__}
"""What the core itself carries out."""


class WatchedCore(Core):
    """A core that remembers where in the code it decided on each effect."""

    @property
    def _effects(self) -> list[CoreEffect]:
        return self._watched

    @_effects.setter
    def _effects(self, effects: list[CoreEffect]) -> None:
        self._watched = _Effects(effects)


class _Effects(list[CoreEffect]):
    def append(self, effect: CoreEffect) -> None:
        _LINES[id(effect)] = sys._getframe(1).f_lineno
        super().append(effect)


_LINES: dict[int, int] = {}
"""In `core.py`, by the identity of an effect that is not carried out yet."""


def watch(node: Node) -> None:
    waiting = node.core.__dict__.pop("_effects")
    node.core.__class__ = WatchedCore
    node.core._effects = waiting


@attrs.frozen(order=True)
class Point:
    """Where an effect comes from."""

    module: str
    text: str
    first_line: int = 0
    last_line: int = 0


def points_in_code() -> set[Point]:
    """Each line of the core that hands out an effect, and each kind that supervision decides.

    A line for the log changes nothing and is none.
    """
    found = set()
    for call in _calls(core_module.__file__):
        if ast.unparse(call.func) == "self._effects.append":
            text = ast.unparse(call.args[0])
            if not text.startswith(f"{Note.__name__}(") and text != "effect":
                assert call.end_lineno is not None
                found.add(Point("core.py", text, call.lineno, call.end_lineno))
    kinds = {kind.__name__ for kind in get_args(Effect)} - _INNER
    for call in _calls(supervision.__file__):
        if ast.unparse(call.func) in kinds:
            found.add(Point("supervision.py", ast.unparse(call.func)))
    return found


def _calls(file: str) -> list[ast.Call]:
    tree = ast.parse(Path(file).read_text())
    return [found for found in ast.walk(tree) if isinstance(found, ast.Call)]


def point_of(effect: CoreEffect, line: int, known: set[Point]) -> Point:
    kind = type(effect).__name__
    return next(
        (point for point in known if point.first_line <= line <= point.last_line),
        Point("supervision.py", kind),
    )


class Killer:
    """Counts the effects of both nodes, and ends the node whose effect has a number."""

    def __init__(self, world: World, number: int, *, after: bool) -> None:
        self.count = 0
        self.victim: Role | None = None
        self.effect: CoreEffect | None = None
        self.line: int | None = None
        """Where in the core it was decided on; None: before that was watched."""
        self._world, self._number, self._after = world, number, after
        self._carry_out = world.on_effect
        world.on_effect = self._on_effect
        for node in world.nodes.values():
            watch(node)

    def _on_effect(
        self, node: Node, effect: CoreEffect, carry_out: Callable[[], None]
    ) -> None:
        if node.dead:
            return
        line = _LINES.pop(id(effect), None)
        if not isinstance(node.core, WatchedCore):
            watch(node)
        is_due = False
        if not isinstance(effect, Note):
            self.count += 1
            is_due = self.count == self._number
        if is_due:
            self.effect, self.line = effect, line
        if is_due and not self._after:
            self._kill(node)
            return
        self._carry_out(node, effect, carry_out)
        if is_due:
            self._kill(node)

    def _kill(self, node: Node) -> None:
        self.victim = node.role
        self._world.crash(node.role)
        self._world.later(GONE_S, lambda: start_again(self._world, node.role))


def start_again(world: World, role: Role) -> None:
    if world.nodes[role].dead:
        world.start(role)


@attrs.frozen
class Scenario:
    """What a pair does from the moment at which either node may be killed."""

    act: Callable[[World, Role], None]
    """Is given the world and who is active in it; takes as long as it does."""
    prepare: Callable[[Role], World] = settled
    may_both_be_active: bool = False


def switch(world: World, active: Role) -> None:
    world.order()
    world.run(2.0)


def switch_when_idle(world: World, active: Role) -> None:
    world.nodes[active].calls = 1
    world.run(1.5)
    world.order(idle_s=60.0)
    world.run(1.5)
    world.nodes[active].calls = 0
    world.run(2.5)


def wait_in_vain(world: World, active: Role) -> None:
    world.nodes[active].calls = 1
    world.run(1.5)
    world.order(idle_s=1.0)
    world.run(2.5)
    world.nodes[active].calls = 0


def wait_for_a_sick_taker(world: World, active: Role) -> None:
    world.nodes[active].calls = 1
    world.run(1.5)
    world.order(idle_s=60.0)
    world.nodes[active.other].problems = {"sip": "no answer"}
    world.run(1.5)
    world.nodes[active].calls = 0
    world.run(1.5)
    world.nodes[active.other].problems = {}


def lose_a_step(world: World, active: Role) -> None:
    world.network.on_switch_message = lambda number, _: number != 3
    switch(world, active)


def hand_over(world: World, active: Role) -> None:
    world.nodes[active].problems = {"sip": "no answer"}
    world.run(5.0)
    world.nodes[active].problems = {}


def stop(world: World, active: Role) -> None:
    world.stop(active)
    world.run(1.0)
    start_again(world, active)
    world.run(2.0)


def lose_the_active_one(world: World, active: Role) -> None:
    world.crash(active)
    world.run(1.0)
    start_again(world, active)
    world.run(2.0)


def lose_power(world: World, active: Role) -> None:
    """A whole machine: its connections stay as they are."""
    world.nodes[active.other].dead = True
    world.run(0.5)
    start_again(world, active.other)
    world.run(2.0)


def cut(world: World, active: Role) -> None:
    world.network.silence(*Role)
    world.run(4.5)
    world.network.heal()
    world.run(2.0)


def reset(world: World, active: Role) -> None:
    world.network.reset()
    world.run(1.5)


def meet_a_stranger(world: World, active: Role) -> None:
    world.crash(active.other)
    world.start(active.other, secret="not the pair's secret")
    world.run(2.0)
    world.crash(active.other)
    start_again(world, active.other)
    world.run(1.0)


def with_a_witness(active: Role) -> World:
    world = World()

    def ask_witness(
        node: Node, effect: CoreEffect, carry_out: Callable[[], None]
    ) -> None:
        carry_out()
        if isinstance(effect, AskWitness):
            world.later(WORK_S, lambda: node.do(lambda: answer(node, effect.question)))

    def answer(node: Node, question: int) -> None:
        node.core.witness_answered(question, None, world.now_s)

    world.on_effect = ask_witness
    for role in (active, active.other):
        world.start(role, witness_addresses=("192.0.2.1:1",))
        world.run(7.25)
    assert world.active == {active}
    return world


SCENARIOS = {
    "planned switch": Scenario(switch),
    "switch when idle": Scenario(switch_when_idle),
    "calls that do not end": Scenario(wait_in_vain),
    "a taker that falls ill": Scenario(wait_for_a_sick_taker),
    "a step that is lost": Scenario(lose_a_step),
    "hand-over": Scenario(hand_over),
    "orderly stop": Scenario(stop),
    "takeover": Scenario(lose_the_active_one),
    "a machine that loses power": Scenario(lose_power),
    "cut": Scenario(cut, may_both_be_active=True),
    "cut, with a witness": Scenario(cut, with_a_witness, may_both_be_active=True),
    "reset": Scenario(reset),
    "a stranger": Scenario(meet_a_stranger),
}


def kills(scenario: Scenario, active: Role, *, after: bool) -> Iterator[Killer]:
    """Kill a node at each effect in turn, and see that all ends well."""
    for number in itertools.count(1):
        world = scenario.prepare(active)
        killer = Killer(world, number, after=after)
        scenario.act(world, active)
        if killer.effect is None:
            return
        try:
            world.network.heal()
            world.run(QUIET_S)
            check_end(world)
            assert scenario.may_both_be_active or world.both_active_s == []
        except BaseException as error:
            error.add_note(
                f"the {killer.victim} was killed at effect {number}: {killer.effect}"
            )
            raise
        yield killer


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_kill_at_any_effect(after: bool) -> None:
    known, reached, kill_count = points_in_code(), set[Point](), 0
    for name, scenario in SCENARIOS.items():
        for active in Role:
            for killer in kills(scenario, active, after=after):
                assert killer.effect is not None
                kill_count += 1
                if killer.line is not None:
                    reached.add(point_of(killer.effect, killer.line, known))
        print(f"{name}: {kill_count} so far")
    print(
        f"{len(known)} effects in the code, {len(reached)} reached by {kill_count} kills"
    )
    assert sorted(known - reached) == [], "no scenario reaches this effect"
    assert sorted(reached - known) == [], "this effect is not found in the code"
