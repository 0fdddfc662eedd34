"""What one item of a node's inbox does: the production `step`, and what `core` does around it.

`core` marks what it heard, asks `step`, settles what follows from the time alone, and speaks.
`now_s` is 0 before the phase's deadline and the deadline itself from then on; afterwards
the time is shifted back to 0.
"""

from __future__ import annotations

import attrs

from node.link_messages import Goodbye, SwitchMessage
from node.roles import State
from node.situation import (
    Asked,
    AwaitHead,
    CannotServe,
    ChangeState,
    DeadlinePassed,
    Effect,
    Evidence,
    FreezeWrites,
    Giving,
    HandingOver,
    HeadReached,
    Observation,
    Passive,
    PeerClaimed,
    PeerHeard,
    PeerLost,
    Phase,
    Promised,
    RecordBothActive,
    Report,
    RetireService,
    RunCallbacks,
    ServiceRetired,
    Stalled,
    Switch,
    SwitchOrdered,
    SwitchStep,
    Tell,
    ThawWrites,
    WritesFrozen,
)
from node.switch_steps import observation_of
from tests.exploration.nodes import (
    OPEN_GATE,
    Message,
    Node,
    Rules,
    Sleep,
    Word,
    instance,
)

SILENT_S = 3.0
_HEAD = "5-1"


class Turn:
    """One turn of a node's loop; afterwards `node`, what it has `said` and why it changed."""

    def __init__(self, node: Node, rules: Rules) -> None:
        self.node = node
        self._rules = rules
        self.said: list[Message] = []
        self.causes: list[str] = []
        """The rules by which its state changed, and "recorded" if it gave way so."""
        self._told = node.word()

    def _set(self, **changes: object) -> None:
        self.node = attrs.evolve(self.node, **changes)  # type: ignore[arg-type]

    # What enters the inbox.

    def hear(self, message: Message) -> None:
        """A frame on the connection that the peer dialled."""
        match message:
            case Word():
                assert message.instance == self.node.peer, "its connection was accepted"
                fresh = message.fresh or not self.node.doubts
                self._set(
                    goodbye=False,
                    peers_state=message.state,
                    peer_well=message.well,
                    peers_fresh=message.fresh_here,
                    heard_fresh=self.node.heard_fresh or fresh,
                )
                self._hear_word(message, fresh)
            case Goodbye():
                if self.node.heard_fresh:
                    self._set(goodbye=True)
            case SwitchMessage():
                self._set(goodbye=False)
                observed = observation_of(
                    message,
                    role=self.node.role,
                    instance=instance(self.node.role),
                    peer_instance=self.node.peer,
                )
                if observed is not None:
                    self._step(observed)
        self.settle()

    def accept(self, peer: str) -> None:
        """The peer's dial has proved itself."""
        self._meet(peer)
        self.settle()

    def answered(self, word: Word, *, overtaken: bool) -> None:
        """Our dial stands; `word` was the peer's answer."""
        self._meet(word.instance)
        fresh = word.fresh or not self.node.doubts
        self._set(heard_fresh=self.node.heard_fresh or fresh)
        if not (overtaken and self._rules.drops_overtaken_words):
            self._hear_word(word, fresh)
        self._say()
        self.settle()

    def claimed(self, word: Word, *, listened_to: bool) -> None:
        """Our dial was answered by somebody whom we cannot accept (S18)."""
        stale = self.node.doubts and not word.fresh
        if not (self.node.active or listened_to or stale):
            self._set(goodbye=False)
            if word.promise is None or not self._rules.waits_for_promises:
                self._step(PeerClaimed(word.state, "wrong secret"))
        self.settle()

    def woken(self) -> None:
        """It stood still, and turns again."""
        long = self.node.sleep is Sleep.LONG
        self._set(sleep=Sleep.AWAKE, doubts=True, heard_fresh=False)
        if long:
            self._step(Stalled(SILENT_S))

    def work_ends(self, place: int) -> None:
        """A shell has done what it was told."""
        works = self.node.works
        self._set(works=works[:place] + works[place + 1 :])
        self._step(works[place])
        self.settle()

    def observe(self, observed: Observation) -> None:
        """A verdict of `core`."""
        self._step(observed)
        self.settle()

    def begin(self, switch: Switch) -> None:
        """A switch is ordered, or begun for sickness."""
        if switch.urgent:
            self._set(tried=True)
        self._step(CannotServe(switch) if switch.urgent else SwitchOrdered(switch))
        self.settle()

    def settle(self) -> None:
        """Whatever follows from the time alone, and telling the peer what changed."""
        if self.node.goodbye and self._heeds_goodbye():
            self._step(PeerLost(Evidence.GOODBYE, 0.0))
        if self.node.late and self.node.situation.deadline_s is not None:
            self._step(DeadlinePassed())
        now, told = self.node.word(), self._told
        if (now.state, now.promise) != (told.state, told.promise):
            self._say()

    def _heeds_goodbye(self) -> bool:
        if is_of_a_switch(self.node.phase):
            return True
        if not isinstance(self.node.phase, Passive | Asked):
            return False
        return not OPEN_GATE.holds(
            self._rules,
            Evidence.GOODBYE,
            paused=self.node.paused,
            took_over=False,
            witness=True,
        )

    # What comes of it.

    def _hear_word(self, word: Word, fresh: bool) -> None:
        self._step(PeerHeard(word.state, word.instance, word.promise, fresh))

    def _meet(self, peer: str) -> None:
        if peer != self.node.peer:
            self._set(peer=peer, peers_state=None, peer_well=True)
        self._set(goodbye=False)

    def _say(self) -> None:
        self._told = self.node.word()
        self.said.append(self._told)

    def _step(self, observed: Observation) -> None:
        before = self.node
        now_s = _deadline_s(before.phase) if before.late else 0.0
        after, effects = self._rules.step(before.situation, observed, now_s)
        if after.phase != before.phase:
            self._set(late=False)
            after = attrs.evolve(after, phase=_shifted(after.phase, now_s))
        self._set(situation=after)
        for effect in effects:
            self._carry_out(effect)
        if self.node.active is not before.active:
            self._say()

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case Tell(named, switch, text):
                # Why it aborts is for people.
                head = text if named is SwitchStep.CONFIRM else ""
                self.said.append(SwitchMessage(named, switch, head))
            case FreezeWrites(switch):
                self._set(frozen=True)
                self._begin_work(WritesFrozen(switch, _HEAD))
            case ThawWrites():
                self._set(frozen=False)
            case RetireService(switch):
                self._set(serving=False)
                self._begin_work(ServiceRetired(switch))
            case AwaitHead(switch):
                self._begin_work(HeadReached(switch))
            case RunCallbacks(state):
                self._set(serving=state is State.ACTIVE)
            case ChangeState(rule=rule):
                self.causes.append(rule)
            case RecordBothActive():
                self.causes.append("recorded")
            case Report():
                pass  # For people.

    def _begin_work(self, seen: Observation) -> None:
        if seen not in self.node.works:
            self._set(works=(*self.node.works, seen))


def is_of_a_switch(phase: Phase) -> bool:
    """Whether one of the two must come out, so that no gate holds (S14)."""
    return isinstance(phase, Giving | HandingOver | Promised)


def _deadline_s(phase: Phase) -> float:
    if isinstance(phase, Giving | HandingOver | Asked | Promised):
        return phase.until_s
    return 0.0


def _shifted(phase: Phase, by_s: float) -> Phase:
    match phase:
        case Giving():
            until_s, ends_s = phase.until_s - by_s, phase.ends_s - by_s
            return attrs.evolve(phase, until_s=until_s, ends_s=ends_s)
        case HandingOver() | Asked() | Promised():
            return attrs.evolve(phase, until_s=phase.until_s - by_s)
        case _:
            return phase
