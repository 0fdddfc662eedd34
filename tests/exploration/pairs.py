"""Pairs of nodes and the network between them, as numbers.

A pair is five numbers: master, standby, what each has said that is still under way, network. They
name values in tables, so what a node does on one input is reckoned once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import attrs

from node.roles import State
from node.situation import (
    Active,
    Asked,
    Giving,
    GivingStep,
    HandingOver,
    Passive,
    Promised,
    Starting,
)
from tests.exploration.network import Network
from tests.exploration.nodes import (
    Message,
    Node,
    Rules,
    Saying,
    Sleep,
    Word,
    has_deadline,
)
from tests.exploration.turns import Turn, is_of_a_switch

Pair = tuple[int, int, int, int, int]
_T = TypeVar("_T")


class Table(Generic[_T]):
    """Values and their numbers."""

    def __init__(self) -> None:
        self.values: list[_T] = []
        self._numbers: dict[_T, int] = {}

    def number(self, value: _T) -> int:
        found = self._numbers.get(value)
        if found is None:
            found = self._numbers[value] = len(self.values)
            self.values.append(value)
        return found


class View:
    """What moves and invariants ask of a node, reckoned once."""

    def __init__(self, node: Node | None) -> None:
        phase = None if node is None else node.phase
        awake = node is not None and node.sleep is Sleep.AWAKE
        self.alive = node is not None
        self.awake = awake
        self.long = node is not None and node.sleep is Sleep.LONG
        self.active = node is not None and node.active
        self.serves = self.active and not self.long
        self.simply_active = isinstance(phase, Active) and not self.long
        self.goodbye = node is not None and node.goodbye
        self.peers_active = node is not None and node.peers_state is State.ACTIVE
        self.peers_word = None if node is None else (node.peers_state, node.peer_well)
        self.peer = None if node is None else node.peer
        self.heard_fresh = node is not None and node.heard_fresh
        self.starting = awake and isinstance(phase, Starting)
        self.passive = isinstance(phase, Passive | Asked)
        self.of_a_switch = phase is not None and is_of_a_switch(phase)
        self.can_lose = awake and (self.passive or self.of_a_switch)
        late = node is not None and node.late
        self.late = late
        self.can_be_late = phase is not None and has_deadline(phase) and not late
        due = node is not None and node.situation.deadline_s is not None
        self.turn_due = awake and late and due
        self.work_count = len(node.works) if node is not None and awake else 0
        self.word = node.word() if node is not None else None
        self.says = (self.word.state, self.word.well) if self.word else None
        self.handing_over = isinstance(phase, HandingOver)
        self.promised = phase.switch.id if isinstance(phase, Promised) else None
        self.waits_for = None
        """The switch for whose promise it waits."""
        self.handed_over = phase.switch.id if isinstance(phase, HandingOver) else None
        self.short_deadline = isinstance(phase, Promised | HandingOver)
        if isinstance(phase, Giving):
            self.short_deadline = phase.step is not GivingStep.RETIRING
            if phase.step is GivingStep.ASKING:
                self.waits_for = phase.switch.id
        self.paused = node is not None and node.paused
        self.sick = node is not None and node.sick
        self.tried = node is not None and node.tried
        of_none = node is not None and node.situation.awaited is None
        self.rests = of_none and isinstance(phase, Active | Passive)
        """No switch is under way, and of none the outcome is still to be told."""
        fits = node is not None and node.serving is node.active and not node.frozen
        self.settled = self.rests and fits


class Pairs:
    """The tables, and how a pair becomes another one."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.nodes: Table[Node | None] = Table()
        self.queues: Table[Saying] = Table()
        self.networks: Table[Network] = Table()
        self.views: list[View] = []
        self.causes: list[tuple[int, tuple[str, ...]]] = []
        """Why states changed since this was cleared: at which place, by which rules."""
        self._turns: dict[tuple[object, ...], tuple[int, Saying, tuple[str, ...]]] = {}
        self._joined: dict[tuple[int, Saying], int] = {}
        self._changes: dict[tuple[int, object], int] = {}
        self.node_number(None)
        self.queues.number(())

    def node_number(self, node: Node | None) -> int:
        number = self.nodes.number(node)
        if number == len(self.views):
            self.views.append(View(node))
        return number

    def pair(self, master: Node | None, standby: Node | None, network: Network) -> Pair:
        """With nothing under way."""
        numbers = self.node_number(master), self.node_number(standby)
        return (*numbers, 0, 0, self.networks.number(network))

    def network(self, pair: Pair) -> Network:
        return self.networks.values[pair[4]]

    def node(self, pair: Pair, place: int) -> Node:
        node = self.nodes.values[pair[place]]
        assert node is not None, "only a living node moves"
        return node

    # Nodes.

    def turn(
        self, pair: Pair, place: int, key: object, run: Callable[[Turn], None]
    ) -> Pair:
        """`run` at one node; `key` names all that it depends on."""
        known = (pair[place], key)
        found = self._turns.get(known)
        if found is None:
            turn = Turn(self.node(pair, place), self.rules)
            run(turn)
            found = self.node_number(turn.node), tuple(turn.said), tuple(turn.causes)
            self._turns[known] = found
        number, said, causes = found
        if causes:
            self.causes.append((place, causes))
        pair = with_node(pair, place, number)
        if said and self.networks.values[pair[4]].stands[place]:
            return with_queue(pair, place, self.join(pair[2 + place], said))
        return pair  # What cannot be sent is lost.

    def set(self, pair: Pair, place: int, **changes: object) -> Pair:
        """One node, with other values."""
        key = (pair[place], *changes.items())
        found = self._turns.get(key)
        if found is None:
            changed = attrs.evolve(self.node(pair, place), **changes)  # type: ignore[arg-type]
            found = self._turns[key] = self.node_number(changed), (), ()
        return with_node(pair, place, found[0])

    # What is under way.

    def join(self, queue: int, said: Saying) -> int:
        found = self._joined.get((queue, said))
        if found is None:
            messages: list[Message] = list(self.queues.values[queue])
            for message in said:
                # A word that is repeated at once says nothing new.
                if not messages or messages[-1] != message:
                    messages.append(message)
            found = self._joined[(queue, said)] = self.queues.number(tuple(messages))
        return found

    def without_head(self, pair: Pair, place: int) -> Pair:
        """The oldest message under way from `place` is read, or lost."""
        head, *rest = self.queues.values[pair[2 + place]]
        word = isinstance(head, Word)

        def read(network: Network) -> Network:
            answer = network.dials[1 - place]
            if answer is None:
                return network
            return network.with_dial(1 - place, answer.after_reading(word=word))

        pair = self.changed(pair, ("read", place, word), read)
        return with_queue(pair, place, self.queues.number(tuple(rest)))

    def without_words(self, pair: Pair, place: int, count: int) -> Pair:
        """What was said before the newest word is not believed any more."""
        queue = self.queues.values[pair[2 + place]]
        older = tuple(said for said in queue[:count] if not isinstance(said, Word))
        return with_queue(pair, place, self.queues.number(older + queue[count:]))

    def cleared(self, pair: Pair, place: int) -> Pair:
        """Nothing is under way from `place`."""

        def clear(network: Network) -> Network:
            answer = network.dials[1 - place]
            if answer is None:
                return network
            answer = attrs.evolve(answer, older_count=0)
            return network.with_dial(1 - place, answer)

        return with_queue(self.changed(pair, ("clear", place), clear), place, 0)

    # The network.

    def disconnected(self, pair: Pair, place: int) -> Pair:
        """The connection that it dialled ends, with what is under way on it."""
        ended = self.changed(
            pair,
            ("disconnect", place),
            lambda network: network.with_connection(place, False),
        )
        return self.cleared(ended, place)

    def torn(self, pair: Pair) -> Pair:
        """No connection stands; what is under way is left."""
        return self.changed(pair, "tear", Network.torn)

    def spend(self, pair: Pair, name: str) -> Pair:
        return self.changed(pair, name, lambda network: network.spend(name))

    def healed(self, pair: Pair) -> Pair:
        """The same pair, with nothing that fails or is held back from now on."""
        pair = self.changed(pair, "heal", Network.healed)
        for place in (0, 1):
            if self.views[pair[place]].paused:
                pair = self.set(pair, place, paused=False)
        return pair

    def changed(
        self, pair: Pair, key: object, change: Callable[[Network], Network]
    ) -> Pair:
        """Another network; `key` names what `change` does."""
        known = pair[4], key
        found = self._changes.get(known)
        if found is None:
            found = self.networks.number(change(self.networks.values[pair[4]]))
            self._changes[known] = found
        return (*pair[:4], found)

    def with_network(self, pair: Pair, network: Network) -> Pair:
        return (*pair[:4], self.networks.number(network))


def with_node(pair: Pair, place: int, node: int) -> Pair:
    if place == 0:
        return (node, *pair[1:])
    return (pair[0], node, *pair[2:])


def with_queue(pair: Pair, place: int, queue: int) -> Pair:
    if place == 0:
        return (*pair[:2], queue, *pair[3:])
    return (*pair[:3], queue, pair[4])
