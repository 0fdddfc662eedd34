"""What must hold in every reachable state of a pair, and at every move.

Most of it says what comes of a state once nothing fails any more. Then nothing is left to chance:
each node does what is due, one thing after another, until the pair rests.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from itertools import islice

from tests.exploration.nodes import Gate
from tests.exploration.pairs import Pair
from tests.exploration.world import URGENT, Move, World


class Invariant(Enum):
    """Its value says it in words."""

    HEALED_ONE = "healed, exactly one node is active"
    HEALED_MASTER = "healed, the master is active if both were"
    WAY_OUT = "healed, the pair comes to rest, and no switch, freeze or outcome is left"
    ALONE = "alone, a node becomes active, or does so once no order holds it back"
    HELD = "who is told not to take over by itself does not"
    NEVER_TWO = "never two active without a cut or a wrong verdict, in a switch either"
    NEEDLESS = (
        "nobody stops serving before the other is about to begin, unless both were"
    )
    CALM = "no change of state in a healthy network without a command"
    CARRIED_OUT = "a switch that nothing disturbs changes who is active"
    ONE_WAY = "while the network is cut in one direction, exactly one is active at last"
    WOKEN = "who stood still for long does not serve before it knows more"
    SICK = "healed, no sick node is active beside a well one"
    MINUTE = "a sick node hands over once a minute at most"
    RECORDED = "who gives way to another active node records that both were"


Found = Iterator[tuple[Invariant, bool]]
"""Each invariant that was checked, and whether it holds."""
_MOVE_COUNT_MAX = 1000
"""After so many moves without a fault a pair will never rest; some twenty are usual."""
_BY_LOSS = {"S6", "S11", "S12"}
_GIVES_WAY = {"S5", "S20"}


class Invariants:
    """The checks, on the pairs of one world."""

    def __init__(self, world: World, gate: Gate, *, settled: bool) -> None:
        self._world = world
        self._pairs = world.pairs
        self._views = world.views
        self._gate = gate
        self._settled = settled
        """The walk began with one node active."""
        self._ends: dict[Pair, Pair] = {}
        self._at_ends: dict[Pair, tuple[tuple[Invariant, bool], ...]] = {}
        self._alone: dict[tuple[int, int], bool] = {}

    # At a move.

    def at_move(self, before: Pair, move: Move, after: Pair) -> Found:
        views = self._views
        was = views[before[0]].active, views[before[1]].active
        now = views[after[0]].active, views[after[1]].active
        network = self._pairs.network(after)
        for place in (0, 1):
            if views[before[place]].long and views[after[place]].awake:
                yield Invariant.WOKEN, not now[place]
        earlier = self._pairs.network(before)
        if network.switch_count > earlier.switch_count:
            if move[0] == URGENT:
                yield Invariant.MINUTE, not views[before[move[1]]].tried
            elif not (earlier.used or any(earlier.dials)) and self._settled:
                end = self.end(self._pairs.healed(after))
                yield Invariant.CARRIED_OUT, views[end[0]].active is not was[0]
        for place, causes in self._pairs.causes:
            yield from self._at_cause(before, place, causes)
        if self._settled and not network.used:
            yield Invariant.CALM, was == now
        if was != now and not network.disturbed:
            serving = [views[after[place]].serves for place in (0, 1)]
            yield Invariant.NEVER_TWO, not all(serving)
            yield from self._needless(before, after)

    def _at_cause(self, before: Pair, place: int, causes: tuple[str, ...]) -> Found:
        view, network = self._views[before[place]], self._pairs.network(before)
        if view.passive and not _BY_LOSS.isdisjoint(causes):
            told = view.paused
            if self._gate.hold_off_s or self._gate.per_hour_max:
                told |= network.took_over[place] and "S11" not in causes
            if self._gate.ask_again_s is not None:
                told |= not network.witness[place] and "S6" in causes
            yield Invariant.HELD, not told
        if "S2" in causes and self._gate.ask_again_s is not None:
            yield Invariant.HELD, network.witness[place]
        if not _GIVES_WAY.isdisjoint(causes):
            yield Invariant.RECORDED, "recorded" in causes

    def _needless(self, before: Pair, after: Pair) -> Found:
        for place in (0, 1):
            view, other = self._views[after[place]], self._views[after[1 - place]]
            if not (self._views[before[place]].serves and view.alive):
                continue
            if not (view.active or view.long):
                yield Invariant.NEEDLESS, other.active or view.handing_over

    # In a state.

    def in_state(self, pair: Pair) -> Found:
        for place in (0, 1):
            if self._views[pair[place]].alive:
                yield Invariant.ALONE, self._serves_alone(pair[place], place)
        end = self.end(self._pairs.healed(pair))
        found = self._at_ends.get(end)
        if found is None:
            found = self._at_ends[end] = tuple(self._at_end(end))
        yield from found
        # A switch under way, or a node that steps down as it wakes, is another matter.
        if all(self._views[pair[place]].simply_active for place in (0, 1)):
            sick = any(self._views[pair[place]].sick for place in (0, 1))
            if not sick:
                yield Invariant.HEALED_MASTER, self._views[end[0]].active
        yield from self._while_cut(pair)

    def _at_end(self, end: Pair) -> Found:
        rest = list(islice(self._rest(end), _MOVE_COUNT_MAX))
        views = [[self._views[pair[place]] for place in (0, 1)] for pair in rest]
        active = [[view.active for view in both] for both in views]
        alive = any(view.alive for view in views[0])
        yield Invariant.HEALED_ONE, all(sum(both) == alive for both in active)
        settled = all(view.settled for both in views for view in both if view.alive)
        rests = len(rest) < _MOVE_COUNT_MAX and all(
            both == active[0] for both in active
        )
        yield Invariant.WAY_OUT, settled and rests
        one, other = views[0]
        if one.alive and other.alive and one.sick is not other.sick:
            yield Invariant.SICK, not (one if one.sick else other).active

    def _rest(self, end: Pair) -> Iterator[Pair]:
        """Heartbeats go on for ever, so at rest a pair comes back to where it was."""
        yield end
        for _, pair in self.way_out(end):
            if pair == end:
                return
            yield pair

    def end(self, pair: Pair) -> Pair:
        """Where a healed pair comes to rest."""
        if pair in self._ends:
            return self._ends[pair]
        path, end = {pair: None}, pair
        for _, end in islice(self.way_out(pair), _MOVE_COUNT_MAX):
            if end in self._ends or end in path:
                break
            path[end] = None
        end = self._ends.get(end, end)
        for passed in path:
            self._ends[passed] = end
        return end

    def way_out(self, pair: Pair) -> Iterator[tuple[Move, Pair]]:
        """What happens to a healed pair, for ever or until nothing is left."""
        while (following := self._world.next_when_healed(pair)) is not None:
            yield following
            pair = following[1]

    def _serves_alone(self, number: int, place: int) -> bool:
        known = number, place
        found = self._alone.get(known)
        if found is None:
            node = self._pairs.nodes.values[number]
            network = self._pairs.networks.values[0].healed().torn()
            master, standby = (node, None) if place == 0 else (None, node)
            alone = self._pairs.healed(self._pairs.pair(master, standby, network))
            found = self._views[self.end(alone)[place]].active
            self._alone[known] = found
        return found

    def _while_cut(self, pair: Pair) -> Found:
        """As long as one of them is heard, they agree (S5, S20)."""
        network = self._pairs.network(pair)
        if sum(network.up) != 1:
            return
        speaker = 0 if network.up[0] else 1
        held = any(self._views[pair[place]].paused for place in (0, 1))
        if not network.stands[speaker] or held:
            return
        lasting = self._pairs.network(self._pairs.healed(pair))
        lasting = lasting.with_line(1 - speaker, False)
        views = self._views
        end = self.end(self._pairs.with_network(pair, lasting))
        if all(views[end[place]].alive for place in (0, 1)):
            active = sum(views[end[place]].active for place in (0, 1))
            yield Invariant.ONE_WAY, active == 1
