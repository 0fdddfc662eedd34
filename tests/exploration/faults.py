"""What may befall a pair, or be asked of it: each spends from the network's budget, or ends."""

from __future__ import annotations

import attrs

from node.link_messages import Goodbye
from node.situation import Evidence
from tests.exploration.network import BOTH, Network, put
from tests.exploration.nodes import Sleep, aged
from tests.exploration.pairs import Pair, with_node, with_queue
from tests.exploration.turns import Turn
from tests.exploration.world import Moves, World


class Faults:
    """The faults and orders in `world`."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._pairs = world.pairs

    def moves(self, pair: Pair) -> Moves:
        """Everything of this kind that may happen next."""
        network = self._pairs.network(pair)
        for place in (0, 1):
            if self._pairs.views[pair[place]].alive:
                yield from self._at_message(pair, place, network)
                yield from self._at_node(pair, place, network)
                yield from self._end_of_node(pair, place, network)
            yield from self._at_line(pair, place, network)
        yield from self._at_both(pair, network)

    def _at_message(self, pair: Pair, place: int, network: Network) -> Moves:
        if not self._world.can_read(pair, place, network):
            return
        queue = pair[3 - place]
        rest = self._pairs.without_head(pair, 1 - place)
        if network.left.losses:
            yield ("loses", place), self._pairs.spend(rest, "losses")
        if network.left.repeats:
            message = self._pairs.queues.values[queue][0]

            def hear_twice(turn: Turn) -> None:
                turn.hear(message)
                turn.hear(message)

            twice = self._pairs.turn(rest, place, ("twice", queue), hear_twice)
            yield ("hears twice", place), self._pairs.spend(twice, "repeats")

    def _at_node(self, pair: Pair, place: int, network: Network) -> Moves:
        left, view = network.left, self._pairs.views[pair[place]]
        if place == 0 and left.orders and view.awake:
            node = self._pairs.node(pair, 0)
            if not node.against_order(link_open=all(network.stands)):
                spent = self._pairs.spend(pair, "orders")
                begun = self._world.begin_switch(spent, 0, urgent=False)
                yield ("is ordered to switch", 0), begun
        if left.sicknesses and view.awake and not view.sick:
            sick = self._pairs.set(pair, place, sick=True)
            yield ("falls sick", place), self._pairs.spend(sick, "sicknesses")
        if left.recoveries and view.awake and view.sick:
            well = self._pairs.set(pair, place, sick=False)
            yield ("is well again", place), self._pairs.spend(well, "recoveries")
        if network.stands[place] and (left.resets or not all(network.up)):
            rest = self._pairs.disconnected(pair, place)
            if all(network.up):
                rest = self._pairs.spend(rest, "resets")
            yield ("loses its connection", place), rest
        other = self._pairs.views[pair[1 - place]]
        speaks = network.stands[place] and network.dials[place] is None
        hear = all(network.up) and view.awake and other.awake
        if left.redials and speaks and hear:
            beside = self._pairs.spend(self._world.greet(pair, place), "redials")
            yield ("dials beside its connection", place), beside
        if left.verdicts and view.can_lose and other.alive:
            for wrong in self._world.lose(pair, place, Evidence.REFUSED):
                spent = self._pairs.spend(wrong, "verdicts")
                yield ("wrongly calls its peer gone", place), spent
        if left.stalls and view.awake:
            for sleep in (Sleep.SHORT, Sleep.LONG):
                asleep = self._pairs.set(pair, place, sleep=sleep)
                text = f"stands still, {sleep.name.lower()}"
                yield (text, place), self._pairs.spend(asleep, "stalls")

    def _end_of_node(self, pair: Pair, place: int, network: Network) -> Moves:
        if network.left.crashes:
            crashed = self._pairs.spend(self._crash(pair, place), "crashes")
            yield ("crashes", place), crashed
            if pair[2 + place]:
                unsaid = with_queue(crashed, place, 0)
                yield ("crashes, and so do its last words", place), unsaid
        if network.left.stops and self._pairs.views[pair[place]].awake:
            if network.stands[place]:
                said = self._pairs.join(pair[2 + place], (Goodbye(),))
                pair = with_queue(pair, place, said)
            stopped = self._pairs.spend(self._crash(pair, place), "stops")
            yield ("stops", place), stopped

    def _crash(self, pair: Pair, place: int) -> Pair:
        role, other = BOTH[place], 1 - place
        said = aged(self._pairs.queues.values[pair[2 + place]], role)
        pair = with_queue(pair, place, self._pairs.queues.number(said))
        pair = self._pairs.torn(with_queue(pair, other, 0))
        survivor = self._pairs.nodes.values[pair[other]]
        if survivor is not None:
            survivor = attrs.evolve(aged(survivor, role), peers_fresh=True)
            pair = with_node(pair, other, self._pairs.node_number(survivor))
        return with_node(pair, place, 0)

    def _at_line(self, pair: Pair, place: int, network: Network) -> Moves:
        if not network.up[place]:
            healed = self._with_line(pair, place, True)
            yield ("is heard again", place), healed
        elif network.left.cuts:
            cut = self._pairs.spend(self._with_line(pair, place, False), "cuts")
            yield ("is not heard any more", place), cut
        if not network.witness[place]:
            reached = attrs.evolve(network, witness=put(network.witness, place, True))
            after = self._pairs.with_network(pair, reached)
            yield ("reaches its witness again", place), after
        elif network.left.isolations:
            without = attrs.evolve(network, witness=put(network.witness, place, False))
            after = self._pairs.with_network(pair, without.spend("isolations"))
            yield ("does not reach its witness", place), after

    def _with_line(self, pair: Pair, place: int, up: bool) -> Pair:
        return self._pairs.changed(
            pair, ("line", place, up), lambda network: network.with_line(place, up)
        )

    def _at_both(self, pair: Pair, network: Network) -> Moves:
        if network.left.cuts and all(network.up):
            cut = self._with_line(self._with_line(pair, 0, False), 1, False)
            yield ("are cut off", -1), self._pairs.spend(cut, "cuts")
        if network.left.refusals and network.accepted:
            torn = attrs.evolve(network.torn().spend("refusals"), accepted=False)
            rest = self._pairs.with_network(pair, torn)
            for place in (0, 1):
                if self._pairs.views[pair[place]].alive:  # Not so the last words.
                    rest = with_queue(rest, place, 0)
            yield ("cannot accept each other", -1), rest
        if not network.accepted:
            accepted = attrs.evolve(network, accepted=True, dials=(None, None))
            yield ("accept each other", -1), self._pairs.with_network(pair, accepted)
        paused = [self._pairs.views[pair[place]].paused for place in (0, 1)]
        if network.left.pauses and not any(paused):
            yield (
                ("are paused", -1),
                self._pairs.spend(self._pause(pair, True), "pauses"),
            )
        if any(paused):
            yield ("are resumed", -1), self._pause(pair, False)

    def _pause(self, pair: Pair, paused: bool) -> Pair:
        for place in (0, 1):
            if self._pairs.views[pair[place]].alive:
                pair = self._pairs.set(pair, place, paused=paused)
        return pair
