"""Breadth first through all states of a pair, so that a counterexample is a shortest one."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, pairwise

import attrs

from tests.exploration.faults import Faults
from tests.exploration.invariants import Found, Invariant, Invariants
from tests.exploration.nodes import Rules
from tests.exploration.pairs import Pair
from tests.exploration.scenarios import Scenario
from tests.exploration.telling import picture, told
from tests.exploration.world import Moves, World


@attrs.frozen
class Violation:
    """An invariant that does not hold, and the shortest way to see that."""

    invariant: Invariant
    trace: tuple[str, ...]

    def __str__(self) -> str:
        lines = (f"{number:3} {line}" for number, line in enumerate(self.trace))
        return "\n".join((f"violated: {self.invariant.value}", *lines))


@attrs.frozen
class Result:
    """What a walk came to."""

    state_count: int
    transition_count: int
    depth: int
    complete: bool
    """Every reachable state was seen."""
    check_counts: dict[Invariant, int]
    violation: Violation | None


PRODUCTION = Rules()
_TOLD_COUNT_MAX = 100
"""Moves after the last fault; who never rests need not be followed further."""


def explore(
    scenario: Scenario, *, state_count_max: int, rules: Rules = PRODUCTION
) -> Result:
    """Walk from the scenario's starts until all is seen, or an invariant is violated."""
    return _Walk(scenario, rules).run(state_count_max)


class _Walk:
    def __init__(self, scenario: Scenario, rules: Rules) -> None:
        self._scenario = scenario
        self._world = World(rules, scenario.gate)
        self._faults = Faults(self._world)
        self._parents: dict[Pair, Pair | None] = {}
        self._counts = dict.fromkeys(Invariant, 0)
        self._depth = self._transition_count = 0

    def run(self, state_count_max: int) -> Result:
        parents, pairs = self._parents, self._world.pairs
        level = []
        for master, standby, network in self._scenario.starts():
            pair = pairs.pair(master, standby, network)
            parents[pair] = None
            level.append(pair)
        invariants = Invariants(
            self._world, self._scenario.gate, settled=self._scenario.settled
        )
        while level and len(parents) < state_count_max:
            self._depth += 1
            following = []
            for pair in level:
                broken = self._broken(invariants.in_state(pair))
                if broken is not None:
                    return self._result(self._violation(broken, invariants, [pair]))
                pairs.causes.clear()
                for move, after in self._moves(pair):
                    self._transition_count += 1
                    broken = self._broken(invariants.at_move(pair, move, after))
                    if broken is not None:
                        way = [after, pair]
                        return self._result(self._violation(broken, invariants, way))
                    if after not in parents:
                        parents[after] = pair
                        following.append(after)
                    pairs.causes.clear()
            level = following
        return self._result(None, complete=not level)

    def _moves(self, pair: Pair) -> Moves:
        yield from self._world.moves(pair)
        yield from self._faults.moves(pair)

    def _broken(self, found: Found) -> Invariant | None:
        counts = self._counts
        for invariant, holds in found:
            counts[invariant] += 1
            if not holds:
                return invariant
        return None

    def _result(self, violation: Violation | None, *, complete: bool = False) -> Result:
        return Result(
            len(self._parents),
            self._transition_count,
            self._depth,
            complete,
            self._counts,
            violation,
        )

    def _violation(
        self, broken: Invariant, invariants: Invariants, way: list[Pair]
    ) -> Violation:
        """`way`: the last states, the newest first."""
        while (parent := self._parents[way[-1]]) is not None:
            way.append(parent)
        way.reverse()
        return Violation(broken, tuple(self._trace(invariants, way)))

    def _trace(self, invariants: Invariants, way: list[Pair]) -> Iterator[str]:
        pairs = self._world.pairs
        yield f"at the start: {picture(pairs, way[0])}"
        for before, after in pairwise(way):
            move = next(move for move, to in self._moves(before) if to == after)
            yield f"{told(move)}: {picture(pairs, after)}"
        pair = pairs.healed(way[-1])
        yield f"and from here, nothing fails any more: {picture(pairs, pair)}"
        end = invariants.end(pair)
        for move, after in islice(invariants.way_out(pair), _TOLD_COUNT_MAX):
            yield f"{told(move)}: {picture(pairs, after)}"
            if after == end:
                return
