"""What happens next to a pair, faults apart.

Time is not told, but the rules rely on the order of deadlines:

- the taker's promise outlasts the giver's wait for it, and is over when the giver thinks so;
- a message arrives before its receiver would call its sender silent, though after any other
  deadline; a node is silent if it is dead, cut off or stands still for long;
- before a silence is over, so is a promise that was made on the last word;
- who stood still for long finds its short deadlines over;
- a refusal is heeded before the dial of a process that was started since, but for stalls;
- a switch is over before a sick node tries again.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import attrs

from node.situation import (
    Evidence,
    HeadReached,
    NotHeardByPeer,
    PeerLost,
    StartWindowClosed,
)
from node.takeover_gate import FLAPPING
from tests.exploration.network import BOTH, SWITCH_COUNT_MAX, Answer, Network, put
from tests.exploration.nodes import Gate, Rules, Word, instance, started
from tests.exploration.pairs import Pair, Pairs, View, with_node, with_queue
from tests.exploration.turns import SILENT_S, Turn

Move = tuple[str, int]
"""What happens, and to which node; -1: to both."""
Moves = Iterator[tuple[Move, Pair]]
URGENT = "hands over, being sick"
_QUEUE_COUNT = 2
"""So many messages under way; a node sends no heartbeat beyond them. Steps it does."""


class World:
    """The moves of a pair whose operator has configured `gate`."""

    def __init__(self, rules: Rules, gate: Gate) -> None:
        self.pairs = Pairs(rules)
        self.views = self.pairs.views
        self._rules = rules
        self._gate = gate
        self._held: dict[tuple[object, ...], bool] = {}

    def moves(self, pair: Pair) -> Moves:
        """Everything that may happen next without a fault."""
        network = self.pairs.network(pair)
        for place in (0, 1):
            if self.views[pair[place]].alive:
                yield from self._read(pair, place, network)
                yield from self._dial(pair, place, network)
                yield from self._work(pair, place)
                yield from self._turn_late(pair, place)
                yield from self._be_late(pair, place)
                yield from self._wake(pair, place, network)
                yield from self._judge(pair, place, network)
                yield from self._hand_over(pair, place, network)
                yield from self._beat(pair, place, network)
            else:
                yield from self._start_again(pair, place)
            if network.took_over[place]:
                took_over = put(network.took_over, place, False)
                later = attrs.evolve(network, took_over=took_over)
                after = self.pairs.with_network(pair, later)
                yield ("may take over again", place), after

    def next_when_healed(self, pair: Pair) -> tuple[Move, Pair] | None:
        """One thing after another, once nothing fails any more; None: nothing is left."""
        network = self.pairs.network(pair)
        for kind in (
            self._wake, self._read, self._dial, self._work_first, self._turn_late_first,
            self._be_late_first, self._judge, self._hand_over_at_last,
        ):  # fmt: skip
            for place in (0, 1):
                if self.views[pair[place]].alive:
                    for found in kind(pair, place, network):
                        return found
        for place in (0, 1):
            for _, after in self._beat(pair, place, network):
                pair = after
        return (("beat", -1), pair) if pair[2] or pair[3] else None

    def _work_first(self, pair: Pair, place: int, _: Network) -> Moves:
        """What is due, except that nobody gets the last events of a sick node."""
        works = self.pairs.node(pair, place).works
        sick = self.views[pair[1 - place]].sick
        for work, (move, after) in zip(works, self._work(pair, place), strict=False):
            if not (sick and isinstance(work, HeadReached)):
                yield move, after

    def _turn_late_first(self, pair: Pair, place: int, _: Network) -> Moves:
        return self._turn_late(pair, place)

    def _be_late_first(self, pair: Pair, place: int, _: Network) -> Moves:
        return self._be_late(pair, place)

    def _hand_over_at_last(self, pair: Pair, place: int, network: Network) -> Moves:
        one, other = (self.views[pair[at]] for at in (0, 1))
        known = one.peers_word == other.says and other.peers_word == one.says
        if not (all(network.up) and known):
            return iter(
                ()
            )  # In a minute there are many heartbeats, or silence is noticed.
        if self.views[pair[place]].tried and self.views[pair[place]].rests:
            pair = self.pairs.set(pair, place, tried=False)
        return self._hand_over(pair, place, network)

    # Hearing each other.

    def _read(self, pair: Pair, place: int, network: Network) -> Moves:
        if not self.can_read(pair, place, network):
            return
        queue = pair[3 - place]

        def hear(turn: Turn) -> None:
            turn.hear(self.pairs.queues.values[queue][0])

        rest = self.pairs.without_head(pair, 1 - place)
        after = self.pairs.turn(rest, place, ("hear", queue), hear)
        yield ("hears", place), after

    def can_read(self, pair: Pair, place: int, network: Network) -> bool:
        """Whether a message has arrived."""
        other = 1 - place
        arrived = pair[2 + other] and network.up[other]
        answer = network.dials[other]
        superseded = answer is not None and answer.accepted
        return bool(arrived) and not superseded and self.views[pair[place]].awake

    def _dial(self, pair: Pair, place: int, network: Network) -> Moves:
        """Hello, proof, and the answer to it."""
        other = 1 - place
        answer = network.dials[place]
        if (network.stands[place] and answer is None) or not all(network.up):
            return
        view, peer = self.views[pair[place]], self.views[pair[other]]
        if answer is None:
            if peer.awake and view.awake:
                yield ("dials", place), self.greet(pair, place)
        elif answer.claim:
            if view.awake:
                yield ("hears a claim", place), self._claim(pair, place, answer)
        elif not answer.accepted:
            if peer.awake and view.awake:
                yield ("is accepted", place), self._accept(pair, place, answer)
        elif view.awake:
            yield ("is answered", place), self._answer(pair, place, answer)

    def greet(self, pair: Pair, place: int) -> Pair:
        """Its dial is answered with a hello."""
        other = 1 - place
        word = self.views[pair[other]].word
        older_count = len(self.pairs.queues.values[pair[2 + other]])
        assert word is not None, "it is alive"

        def greet(network: Network) -> Network:
            fresh = attrs.evolve(word, fresh=True)
            claim = not network.accepted
            answer = Answer(fresh, claim=claim, older_count=older_count)
            return network.with_dial(place, answer)

        return self.pairs.changed(pair, ("greet", place, word, older_count), greet)

    def _claim(self, pair: Pair, place: int, answer: Answer) -> Pair:
        listened_to = self.pairs.network(pair).stands[1 - place]

        def claimed(turn: Turn) -> None:
            turn.claimed(answer.word, listened_to=listened_to)

        key = ("claim", answer.word, listened_to)
        return self.pairs.turn(self._answered(pair, place), place, key, claimed)

    def _answered(self, pair: Pair, place: int) -> Pair:
        """Its dial is over."""
        return self.pairs.changed(
            pair, ("answered", place), lambda network: network.with_dial(place, None)
        )

    def _accept(self, pair: Pair, place: int, answer: Answer) -> Pair:
        other, dialler = 1 - place, instance(BOTH[place])
        word = self.views[pair[other]].word
        assert word is not None, "it is alive"
        said, now = answer.word, word
        holds = (now.state, now.promise) == (said.state, said.promise)
        if self._rules.accepts_what_holds and not holds:
            return self._answered(pair, place)

        def accept(network: Network) -> Network:
            return network.with_dial(place, attrs.evolve(answer, accepted=True))

        pair = self.pairs.changed(pair, ("accept", place), accept)
        pair = self.pairs.cleared(pair, place)
        if self.views[pair[other]].peer != dialler:
            pair = self.pairs.disconnected(pair, other)
        key = ("accept", dialler)
        return self.pairs.turn(pair, other, key, lambda turn: turn.accept(dialler))

    def _answer(self, pair: Pair, place: int, answer: Answer) -> Pair:
        other, word, overtaken = 1 - place, answer.word, answer.overtaken
        # What it said since then was on a connection that is superseded.
        pair = self.pairs.changed(
            self.pairs.cleared(self._answered(pair, place), place),
            ("stand", place),
            lambda network: network.with_connection(place, True),
        )
        if self._rules.drops_overtaken_words and not overtaken:
            pair = self.pairs.without_words(pair, other, answer.older_count)
        if self.views[pair[place]].peer != word.instance:
            pair = self.pairs.disconnected(pair, other)

        def answered(turn: Turn) -> None:
            turn.answered(word, overtaken=overtaken)

        return self.pairs.turn(pair, place, ("answer", word, overtaken), answered)

    def _beat(self, pair: Pair, place: int, network: Network) -> Moves:
        view = self.views[pair[place]]
        if not (view.awake and network.stands[place]):
            return
        assert view.word is not None
        queue = pair[2 + place]
        if len(self.pairs.queues.values[queue]) < _QUEUE_COUNT:
            joined = self.pairs.join(queue, (view.word,))
            if joined != queue:
                yield ("beats", place), with_queue(pair, place, joined)

    # What a node does by itself.

    def _work(self, pair: Pair, place: int) -> Moves:
        for number in range(self.views[pair[place]].work_count):
            key = ("work", number)
            ended = partial(Turn.work_ends, place=number)
            after = self.pairs.turn(pair, place, key, ended)
            yield ("sees its own work done", place), after

    def _turn_late(self, pair: Pair, place: int) -> Moves:
        if self.views[pair[place]].turn_due:
            after = self.pairs.turn(pair, place, ("settle",), Turn.settle)
            yield ("has waited long enough", place), after

    def _be_late(self, pair: Pair, place: int) -> Moves:
        view, peer = self.views[pair[place]], self.views[pair[1 - place]]
        if not view.can_be_late:
            return
        # The taker's promise outlasts the giver's wait for it, and its trust in it the promise.
        waits = view.promised is not None and view.promised == peer.waits_for
        trusts = view.handed_over is not None and view.handed_over == peer.promised
        if (waits or trusts) and not peer.late:
            return
        late = self.pairs.set(pair, place, late=True)
        yield ("has a deadline that is over now", place), late

    def _wake(self, pair: Pair, place: int, network: Network) -> Moves:
        view, other = self.views[pair[place]], 1 - place
        if view.awake or (view.long and view.short_deadline and not view.late):
            return
        pair = self._doubted(pair, place, network)
        queue = pair[2 + other]

        def wake(turn: Turn) -> None:
            turn.woken()
            turn.settle()

        yield ("wakes", place), self.pairs.turn(pair, place, ("wake",), wake)
        if queue and network.up[other]:

            def wake_reading(turn: Turn) -> None:
                turn.woken()
                turn.hear(self.pairs.queues.values[queue][0])

            rest = self.pairs.without_head(pair, other)
            key = ("wake, reading", queue)
            after = self.pairs.turn(rest, place, key, wake_reading)
            yield ("wakes, hearing", place), after

    def _doubted(self, pair: Pair, place: int, network: Network) -> Pair:
        """Whatever was said before it wakes proves nothing: see `Word`."""
        other = 1 - place
        if self.views[pair[other]].alive:
            pair = self.pairs.set(pair, other, peers_fresh=False)
        for by, by_itself in ((place, True), (other, False)):
            queue = tuple(
                said.stale(by_itself) if isinstance(said, Word) else said
                for said in self.pairs.queues.values[pair[2 + by]]
            )
            pair = with_queue(pair, by, self.pairs.queues.number(queue))
        answer = network.dials[place]
        if answer is not None:
            answer = attrs.evolve(answer, word=answer.word.stale(by_itself=False))
            pair = self.pairs.with_network(pair, network.with_dial(place, answer))
        return pair

    def _hand_over(self, pair: Pair, place: int, network: Network) -> Moves:
        """S15, and the minute until it may happen again."""
        view = self.views[pair[place]]
        if not (view.sick or view.tried) or not view.awake:
            return
        open_ = all(network.stands)
        if not self.pairs.node(pair, place).against_urgent(
            self._rules, link_open=open_
        ):
            yield (URGENT, place), self.begin_switch(pair, place, urgent=True)
        if view.tried and view.rests and network.left.minutes:
            later = self.pairs.set(pair, place, tried=False)
            yield ("has waited for a minute", place), self.pairs.spend(later, "minutes")

    def begin_switch(self, pair: Pair, place: int, *, urgent: bool) -> Pair:
        """The pre-checks have passed."""
        network = self.pairs.network(pair)
        number = min(network.switch_count + 1, SWITCH_COUNT_MAX)
        counted = attrs.evolve(network, switch_count=number, used=True)
        pair = self.pairs.with_network(pair, counted)

        def begin(turn: Turn) -> None:
            turn.begin(turn.node.switch(number, urgent=urgent))

        return self.pairs.turn(pair, place, ("begin", number, urgent), begin)

    def _start_again(self, pair: Pair, place: int) -> Moves:
        peer = self.pairs.nodes.values[pair[1 - place]]
        fresh = peer is None or not peer.doubts
        paused = peer is not None and peer.paused
        node = attrs.evolve(started(BOTH[place]), peers_fresh=fresh, paused=paused)
        after = with_node(pair, place, self.pairs.node_number(node))
        yield ("starts", place), after

    # Verdicts.

    def _judge(self, pair: Pair, place: int, network: Network) -> Moves:
        """Verdicts that are right, as far as the node can see."""
        other = 1 - place
        view, peer = self.views[pair[place]], self.views[pair[other]]
        answer = network.dials[place]
        unread = pair[2 + other] and network.up[other]
        if all(network.up) and answer is not None and answer.accepted:
            unread = True
        if not unread and (view.starting or view.can_lose):
            if (
                self._was_refused(view, pair, other)
                and all(network.up)
                and answer is None
            ):
                for after in self.lose(pair, place, Evidence.REFUSED):
                    yield ("is refused", place), after
            if self._is_mute(pair, other, network):
                yield from self._fall_silent(pair, place, network)
        if (
            place == 0
            and view.awake
            and view.active
            and view.peers_active
            and not view.goodbye
            and peer.awake
            and peer.active
            and network.up == (False, True)
            and network.stands[1]
        ):
            after = self.pairs.turn(
                pair, 0, ("unheard",), lambda turn: turn.observe(NotHeardByPeer(6.0))
            )
            yield ("learns that it is not heard", 0), after

    def _was_refused(self, view: View, pair: Pair, other: int) -> bool:
        """Nobody listens at the peer's address, or did not before it was started again."""
        if not view.can_lose:
            return False
        if not self.views[pair[other]].alive:
            return True
        if view.peer in (None, instance(BOTH[other])):
            return False
        if view.heard_fresh:
            dialled = self.pairs.network(pair).dials[other] is not None
            return self.views[pair[other]].starting and not dialled
        return not self._rules.asks_again

    def _fall_silent(self, pair: Pair, place: int, network: Network) -> Moves:
        view, peer = self.views[pair[place]], self.views[pair[1 - place]]
        if network.dials[place] is not None:
            # A dial does not last as long as that.
            pair = self._answered(pair, place)
        if view.starting:
            promises = peer.promised is not None and not peer.late
            if not (promises or self._is_held(pair, place, None)):
                after = self.pairs.turn(
                    pair,
                    place,
                    ("window",),
                    lambda turn: turn.observe(StartWindowClosed()),
                )
                yield ("has heard no peer since its start", place), after
        elif view.promised is None and (view.late or not view.handing_over):
            for after in self.lose(pair, place, Evidence.SILENCE):
                yield ("hears nothing any more", place), after

    def _is_mute(self, pair: Pair, place: int, network: Network) -> bool:
        """Whether what it says does not arrive for as long as its peer would wait."""
        view = self.views[pair[place]]
        if not view.alive or view.long or not network.up[place]:
            return True
        return not all(network.up) and not (network.stands[place] and network.accepted)

    def lose(self, pair: Pair, place: int, evidence: Evidence) -> Iterator[Pair]:
        """The peer is lost; nothing comes of it while takeovers are held back."""
        view = self.views[pair[place]]
        if not view.of_a_switch:
            if self._is_held(pair, place, evidence):
                return
            pair = self._counted(pair, place, view, evidence)
        lost = PeerLost(evidence, SILENT_S)
        yield self.pairs.turn(pair, place, evidence, lambda turn: turn.observe(lost))

    def _counted(self, pair: Pair, place: int, view: View, evidence: Evidence) -> Pair:
        counts = self._gate.hold_off_s or self._gate.per_hour_max
        if not (counts and view.passive and evidence in FLAPPING):
            return pair
        network = self.pairs.network(pair)
        took_over = put(network.took_over, place, True)
        return self.pairs.with_network(pair, attrs.evolve(network, took_over=took_over))

    def _is_held(self, pair: Pair, place: int, evidence: Evidence | None) -> bool:
        network = self.pairs.network(pair)
        paused = self.views[pair[place]].paused
        key = evidence, paused, network.took_over[place], network.witness[place]
        found = self._held.get(key)
        if found is None:
            found = self._held[key] = self._gate.holds(
                self._rules,
                evidence,
                paused=paused,
                took_over=network.took_over[place],
                witness=network.witness[place],
            )
        return found
