"""Renders `docs/supervision.md` from the state machine itself. Pure.

`make docs` writes the page; a test fails when it is stale. Every phase is asked about every
kind of observation, so whoever reads the page sees all that can happen.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import assert_never

import attrs

from node.roles import Role, State
from node.situation import (
    ActivateTold,
    Active,
    Asked,
    AwaitHead,
    CannotServe,
    ChangeState,
    ConfirmAsked,
    DeadlinePassed,
    Effect,
    Evidence,
    FreezeWrites,
    GiveAsked,
    Giving,
    GivingStep,
    HandingOver,
    HeadConfirmed,
    HeadReached,
    Limits,
    NotHeardByPeer,
    Observation,
    Passive,
    PeerClaimed,
    PeerHeard,
    PeerLost,
    PeerYielded,
    Phase,
    PromiseAsked,
    Promised,
    PromiseGiven,
    RecordBothActive,
    Report,
    RetireService,
    RunCallbacks,
    ServiceRetired,
    Situation,
    Stalled,
    Starting,
    StartWindowClosed,
    Switch,
    SwitchAborted,
    SwitchOrdered,
    Tell,
    ThawWrites,
    WritesFrozen,
)
from node.supervision import step

LIMITS = Limits(step_s=1.0, whole_s=5.0)
NOW_S = 100.0
"""The moment of every observation but the late ones."""
LATE_S = NOW_S + LIMITS.step_s

_INTRO = """\
# Supervision: who is active, and how that changes

Generated from `node/supervision.py` by `make docs`; do not edit it here.

A node is always in one phase. Outside, *active* and *giving* read as active, all others as
passive. Rules (S1, S2, …) are those of the design. A planned switch goes from the **giver** to
the **taker**, and the master orders it.

| Phase | State | What it means |
|---|---|---|
| starting | passive | nothing was heard of the peer yet |
| passive | passive | the peer serves, or is about to |
| active | active | this node serves |
| giving | active | the giver prepares to step down: freezing, confirming, retiring, asking |
| handing over | passive | the giver has stepped down and told the taker to activate |
| asked | passive | the master has asked the standby to hand over to it |
| promised | passive | the taker will activate when told, until its promise runs out |

Each section asks one phase about everything that can be observed.

- *Where* narrows a row to a role or a step of giving; elsewhere that observation changes
  nothing. Empty: it holds in all of them.
- Effects are carried out in the order given. *Report* tells the operator who ordered the
  switch, and so happens at the master only; of a node that hands over because it cannot serve,
  it tells its log.
- The master is never asked to give: it orders every switch, and the standby refuses orders.
- A narrower observation (a new instance of the peer, another switch, too late, after the
  promise) has a row of its own only where it makes a difference.
"""


@attrs.frozen
class Seen:
    """One representative observation."""

    name: str
    observation: Observation
    like: str = ""
    """The wider observation of which this is a narrower case."""
    now_s: float = NOW_S


@attrs.frozen
class Result:
    """What a step came to, in words."""

    next: str
    effects: tuple[str, ...]
    reports: tuple[str, ...]

    @property
    def changes(self) -> tuple[str, tuple[str, ...]]:
        """All but the reports, which only the ordering master makes."""
        return self.next, self.effects


@attrs.frozen
class Row:
    """One line of a table, still without its observation."""

    where: str
    result: Result


def observations(role: Role, switch: Switch) -> Iterator[Seen]:
    """Every kind of observation at a node of `role` during `switch`."""
    peer, reborn = f"{role.other}-1", f"{role.other}-2"
    for state in State:
        said = f"the peer says {state}"
        yield Seen(said, PeerHeard(state, peer))
        heard = PeerHeard(state, reborn)
        yield Seen(f"a new instance of the peer says {state}", heard, said)
    stale = PeerHeard(State.PASSIVE, peer, fresh=False)
    yield Seen("the peer said passive before this node stood still", stale)
    promising = PeerHeard(State.PASSIVE, peer, switch.id)
    said = "the peer says passive"
    yield Seen("the peer says passive and shows the promise", promising, said)
    for state in State:
        name = f"the peer's address answers {state} but is not accepted"
        claimed = PeerClaimed(state, "wrong secret")
        yield Seen(name, claimed)
        yield Seen(f"{name}, after the promise", claimed, name, LATE_S)
    for evidence in Evidence:
        yield Seen(f"the peer is lost: {evidence}", PeerLost(evidence, 3.0))
    yield Seen("the start window closes", StartWindowClosed())
    yield Seen(
        "the active standby does not hear this node (master)", NotHeardByPeer(6.0)
    )
    yield Seen("the peer has given way to this node", PeerYielded())
    yield Seen("this node stood still for too long", Stalled(9.0))
    urgent = attrs.evolve(switch, id="urgent", urgent=True)
    yield Seen("this node cannot serve and the peer is well", CannotServe(urgent))
    yield Seen("the deadline passes", DeadlinePassed(), now_s=LATE_S)
    another = attrs.evolve(switch, id="another")
    for name, ours, others in zip(
        _STEP_NAMES, _steps_of(switch), _steps_of(another), strict=True
    ):
        yield Seen(name, ours)
        yield Seen(f"{name} (another switch)", others, name)
    asked = "the giver asks whether its events are here"
    yield Seen(f"{asked} (it cannot serve)", ConfirmAsked(urgent, "1-1"), asked)
    asked = "the giver asks for the promise"
    yield Seen(f"{asked} (it cannot serve)", PromiseAsked(urgent), asked)
    told = "the giver says: activate"
    yield Seen(f"{told}, too late", ActivateTold(switch), told, LATE_S)
    told = "the taker has promised"
    yield Seen(f"{told}, too late", PromiseGiven(switch), told, LATE_S)


_NEVER_AT: Mapping[Role, type[Observation] | tuple[type[Observation], ...]] = {
    Role.MASTER: GiveAsked,
    Role.STANDBY: (SwitchOrdered, NotHeardByPeer),
}
"""What `core` lets a node of that role never observe (S8, S20)."""

_STEP_NAMES = (
    "an operator orders a switch (master)",
    "the master asks to hand over (standby)",
    "writes are frozen",
    "the taker has every event",
    "the passive callbacks have ended",
    "the taker has promised",
    "the giver asks whether its events are here",
    "the giver's events are here",
    "the giver asks for the promise",
    "the giver says: activate",
    "the other side aborts",
)


def _steps_of(switch: Switch) -> tuple[Observation, ...]:
    return (
        SwitchOrdered(switch),
        GiveAsked(switch),
        WritesFrozen(switch, "1-1"),
        HeadConfirmed(switch),
        ServiceRetired(switch),
        PromiseGiven(switch),
        ConfirmAsked(switch, "1-1"),
        HeadReached(switch),
        PromiseAsked(switch),
        ActivateTold(switch),
        SwitchAborted(switch, "the other side's reason"),
    )


def sections() -> Iterator[tuple[str, tuple[Situation, ...]]]:
    """Every phase, with the situations in which it occurs."""
    taking, giving = switch_of(Role.STANDBY), switch_of(Role.MASTER)
    yield "Starting", tuple(_situation(role, Starting()) for role in Role)
    yield "Passive", tuple(_situation(role, Passive()) for role in Role)
    awaiting = attrs.evolve(_situation(Role.MASTER, Passive()), awaited=taking)
    yield "Passive, its promise has run out, the operator waits", (awaiting,)
    yield "Active", tuple(_situation(role, Active()) for role in Role)
    ends_s = NOW_S + LIMITS.whole_s
    steps = [
        Giving(switch, name, LATE_S, ends_s)
        for name in GivingStep
        for switch in (giving, taking)
    ]
    yield "Giving", tuple(_situation(phase.switch.giver, phase) for phase in steps)
    sick = [
        attrs.evolve(phase, switch=attrs.evolve(phase.switch, urgent=True))
        for phase in steps
    ]
    title = "Giving, because it cannot serve"
    yield title, tuple(_situation(phase.switch.giver, phase) for phase in sick)
    over = [HandingOver(switch, LATE_S) for switch in (giving, taking)]
    yield "Handing over", tuple(_situation(phase.switch.giver, phase) for phase in over)
    yield "Asked", (_situation(Role.MASTER, Asked(taking, LATE_S)),)
    told = [Promised(switch, LATE_S) for switch in (taking, giving)]
    yield "Promised", tuple(_situation(p.switch.giver.other, p) for p in told)


def switch_of(giver: Role) -> Switch:
    """A switch in which `giver` hands over, between the first instances of both."""
    taker = giver.other
    return Switch("one", f"{giver}-1", f"{taker}-1", giver, "operator", "why")


def _situation(role: Role, phase: Phase) -> Situation:
    bare = Situation(role, LIMITS, phase)
    switch = bare.switch
    awaits = switch is not None and (
        switch.giver is role if switch.urgent else role is Role.MASTER
    )
    return attrs.evolve(bare, awaited=switch if awaits else None)


def page() -> str:
    """The whole page, as Markdown."""
    return "\n".join([_INTRO, *(_section(*section) for section in sections())])


def _section(title: str, situations: tuple[Situation, ...]) -> str:
    columns = [
        observations(now.role, now.switch or switch_of(now.role)) for now in situations
    ]
    found: dict[str, list[Row]] = {}
    idle = []
    for seen in zip(*columns, strict=True):
        name, like = seen[0].name, seen[0].like
        found[name] = rows = list(_rows(situations, seen))
        if like and rows == found[like]:
            del found[name]
        elif not rows:
            idle.append(name)
    lines = [
        f"| {name} | {row.where} | {row.result.next} | {_together(row.result)} |"
        for name, rows in found.items()
        for row in rows
    ]
    return (
        f"## {title}\n\n| Observed | Where | Next phase | Effects |\n|---|---|---|---|\n"
        + "\n".join(lines)
        + f"\n\nNothing changes when {'; '.join(idle)}.\n"
    )


def _rows(situations: tuple[Situation, ...], seen: tuple[Seen, ...]) -> Iterator[Row]:
    """What one observation changes, with equal changes in one row."""
    groups: dict[tuple[str, tuple[str, ...]], list[Situation]] = {}
    said: dict[tuple[str, tuple[str, ...]], Result] = {}
    for now, one in zip(situations, seen, strict=True):
        if isinstance(one.observation, _NEVER_AT[now.role]):
            continue
        after, effects = step(now, one.observation, one.now_s)
        if after == now and not effects:
            continue
        stays = after.phase == now.phase
        result = _result("stays" if stays else _name_of(after.phase), effects)
        groups.setdefault(result.changes, []).append(now)
        if result.reports or result.changes not in said:
            said[result.changes] = result
    for changes, places in groups.items():
        yield Row(_where(places, situations), said[changes])


def _where(places: list[Situation], all_of: tuple[Situation, ...]) -> str:
    roles = {now.role for now in places}
    steps = list(dict.fromkeys(now.switch_step or "" for now in places))
    assert len(places) == len(roles) * len(steps), "it depends on both"
    every_role = roles == {now.role for now in all_of}
    every_step = len(steps) == len({now.switch_step for now in all_of})
    words = [] if every_role else [role.value for role in roles]
    return ", ".join(words + ([] if every_step else steps))


def _result(following: str, effects: Iterable[Effect]) -> Result:
    done = [(_in_words(effect), isinstance(effect, Report)) for effect in effects]
    return Result(
        following,
        tuple(text for text, is_report in done if not is_report),
        tuple(text for text, is_report in done if is_report),
    )


def _together(result: Result) -> str:
    return "; ".join(result.effects + result.reports)


def _name_of(phase: Phase) -> str:
    if isinstance(phase, Giving):
        return f"giving: {phase.step}"
    return (
        "handing over"
        if isinstance(phase, HandingOver)
        else type(phase).__name__.lower()
    )


def _in_words(effect: Effect) -> str:
    match effect:
        case ChangeState(state, reason, rule):
            return f"**become {state}** ({rule}: {reason})"
        case RunCallbacks(state):
            return f"run the {state} callbacks"
        case RecordBothActive():
            return "record that both were active"
        case RetireService():
            return "run the passive callbacks while still active"
        case FreezeWrites():
            return "freeze writes"
        case ThawWrites():
            return "thaw writes"
        case AwaitHead():
            return "wait for the giver's events"
        case Tell(named, _, text):
            why = f" ({text})" if text else ""
            return f"tell the peer *{named}*{why}"
        case Report(_, outcome, text):
            return f"report *{outcome}* ({text})"
        case _:
            assert_never(effect)


if __name__ == "__main__":
    sys.stdout.write(page())
