"""Rules of which one is broken: what must become of each is in the test beside."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import attrs

from node import supervision, switch_order
from node.roles import Role, State
from node.situation import (
    ActivateTold,
    Active,
    DeadlinePassed,
    Effect,
    Evidence,
    Giving,
    HandingOver,
    HeadConfirmed,
    NotHeardByPeer,
    Observation,
    Passive,
    PeerHeard,
    PeerLost,
    RecordBothActive,
    Situation,
    Stalled,
    Switch,
    SwitchOrdered,
    ThawWrites,
)
from node.supervision import Step
from node.takeover_gate import Held, Pause, TakeoverGate
from tests.exploration.nodes import Rules, instance

When = Callable[[Situation, Observation], bool]


def _deaf(when: When) -> Rules:
    """A node that does nothing then."""

    def step(now: Situation, observed: Observation, now_s: float) -> Step:
        if when(now, observed):
            return now, ()
        return supervision.step(now, observed, now_s)

    return Rules(step=step)


def _turning(when: When, phase: Active | Passive) -> Rules:
    """A node that changes to `phase` then."""

    def step(now: Situation, observed: Observation, now_s: float) -> Step:
        if when(now, observed):
            return attrs.evolve(now, phase=phase), ()
        return supervision.step(now, observed, now_s)

    return Rules(step=step)


def _without(effect: type[Effect], when: When = lambda *_: True) -> Rules:
    """A node that leaves `effect` out then."""

    def step(now: Situation, observed: Observation, now_s: float) -> Step:
        after, effects = supervision.step(now, observed, now_s)
        if when(now, observed):
            effects = tuple(one for one in effects if not isinstance(one, effect))
        return after, effects

    return Rules(step=step)


def _is(phase: type[object], observed: type[object]) -> When:
    return lambda now, seen: isinstance(now.phase, phase) and isinstance(seen, observed)


def _hears_active(now: Situation, observed: Observation) -> bool:
    active = isinstance(observed, PeerHeard) and observed.state is State.ACTIVE
    return active and isinstance(now.phase, Active)


def _swapped(now: Situation, observed: Observation, now_s: float) -> Step:
    """Of two active nodes the master yields."""
    if not _hears_active(now, observed):
        return supervision.step(now, observed, now_s)
    other = attrs.evolve(now, role=now.role.other)
    after, effects = supervision.step(other, observed, now_s)
    return attrs.evolve(after, role=now.role), effects


def _switching_back(now: Situation, observed: Observation, now_s: float) -> Step:
    """A passive master wants the service back."""
    match observed:
        case PeerHeard(state=State.ACTIVE, instance=giver):
            if now.role is Role.MASTER and isinstance(now.phase, Passive):
                taker = instance(now.role)
                back = Switch("back", giver, taker, now.role.other, "", "")
                return supervision.step(now, SwitchOrdered(back), now_s)
    return supervision.step(now, observed, now_s)


def _ignoring(now: Situation, observed: Observation, now_s: float) -> Step:
    """Who has handed over does not wait for the taker."""
    if isinstance(observed, PeerHeard):
        observed = attrs.evolve(observed, promise=None)
    return supervision.step(now, observed, now_s)


def _believing(now: Situation, observed: Observation, now_s: float) -> Step:
    """What was said before a stall counts."""
    if isinstance(observed, PeerHeard):
        observed = attrs.evolve(observed, fresh=True)
    return supervision.step(now, observed, now_s)


def _insisting(now: Situation, observed: Observation, now_s: float) -> Step:
    """An urgent switch waits for its confirmation like any other."""
    if isinstance(now.phase, Giving) and isinstance(observed, DeadlinePassed):
        planned = attrs.evolve(now.phase.switch, urgent=False)
        now = attrs.evolve(now, phase=attrs.evolve(now.phase, switch=planned))
    return supervision.step(now, observed, now_s)


class _Restless(TakeoverGate):
    """Knows of no pause."""

    def held(
        self, evidence: Evidence | None, pause: Pause | None, now_s: float
    ) -> Held | None:
        return super().held(evidence, None, now_s)


class _Forgetful(TakeoverGate):
    """Knows of no earlier takeover."""

    def remember(self, ages_s: Iterable[float], now_s: float) -> None:
        pass


class _Hasty(TakeoverGate):
    """Asks no witness."""

    def held(
        self, evidence: Evidence | None, pause: Pause | None, now_s: float
    ) -> Held | None:
        asked = evidence in (None, Evidence.SILENCE)
        return super().held(Evidence.REFUSED if asked else evidence, pause, now_s)


def _never(*_: object, **__: object) -> str:
    return "no"


def _again(*args: object, **facts: object) -> str | None:
    return switch_order.against_handover(*args, **{**facts, "tried_s": None})  # type: ignore[arg-type]


NO_ONE_YIELDS = _deaf(_hears_active)
THE_MASTER_YIELDS = Rules(step=_swapped)
NO_TAKEOVER = _deaf(_is(Passive, PeerLost))
NO_THAW = _without(ThawWrites, _is(HandingOver, PeerHeard))
LATE_WORD_COUNTS = _turning(_is(Passive, ActivateTold), Active())
NO_ROLL_BACK = _turning(_is(Giving, DeadlinePassed), Passive())
SWITCHING_BACK = Rules(step=_switching_back)
PROMISE_IGNORED = Rules(step=_ignoring)
UNCONFIRMED = _deaf(_is(Giving, HeadConfirmed))
UNHEARD_GOES_ON = _deaf(_is(Active, NotHeardByPeer))
NO_SELF_DISTRUST = _deaf(_is(Active, Stalled))
STALE_WORDS_COUNT = Rules(step=_believing)
UNRECORDED = _without(RecordBothActive)
SICK_GOES_ON = Rules(against_handover=_never)
SICK_INSISTS = Rules(step=_insisting)
SICK_TRIES_ON = Rules(against_handover=_again)
PAUSE_IGNORED = Rules(gate=_Restless)
TAKEOVERS_FORGOTTEN = Rules(gate=_Forgetful)
WITNESS_IGNORED = Rules(gate=_Hasty)
OLDER_WORD_COUNTS = Rules(drops_overtaken_words=False)
HELLO_NEED_NOT_HOLD = Rules(accepts_what_holds=False)
PROMISE_OF_A_CLAIM_IGNORED = Rules(waits_for_promises=False)
OLD_REFUSAL_COUNTS = Rules(asks_again=False)
