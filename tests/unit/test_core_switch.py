"""A planned switch at one node: orders, waiting, and messages that are not for it."""

from __future__ import annotations

import attrs
import pytest

from node.link_messages import Goodbye, SwitchMessage
from node.roles import Role, State
from node.situation import (
    AwaitHead,
    FreezeWrites,
    HeadReached,
    Outcome,
    Report,
    RetireService,
    ServiceRetired,
    Switch,
    SwitchStep,
    ThawWrites,
    WritesFrozen,
)
from tests.support.lone_core import LoneCore

MASTER, STANDBY = Role.MASTER, Role.STANDBY
ACTIVE, PASSIVE = State.ACTIVE, State.PASSIVE
TO_STANDBY = Switch("one", "m", "s", MASTER, "jane", "why")
TO_MASTER = Switch("one", "s", "m", STANDBY, "jane", "why")


def paired(role: Role, peers: State) -> LoneCore:
    """A node whose peer says `peers`, and that is the other."""
    lone = LoneCore(role)
    lone.peer_state = peers
    lone.tick()
    if peers is PASSIVE and role is STANDBY:
        lone.ticks(3)
    lone.connect()
    lone.beat(peers)
    assert lone.core.state is not peers
    return lone


def ordered(lone: LoneCore, *, idle_s: float | None = None) -> tuple[str, ...]:
    reasons = lone.core.order_switch(
        switch_id="one", actor="jane", reason="why", now_s=lone.now_s, idle_s=idle_s
    )
    lone.settle()
    return reasons


def steps(lone: LoneCore) -> list[SwitchStep]:
    """What the peer was told."""
    return [m.step for m in lone.heard if isinstance(m, SwitchMessage)]


def outcomes(lone: LoneCore) -> list[Outcome]:
    return [report.outcome for report in lone.reports]


def observe(lone: LoneCore, observation: object) -> None:
    lone.core.observe(observation, lone.now_s)  # type: ignore[arg-type]
    lone.settle()


# The whole way.


def test_the_master_gives() -> None:
    lone = paired(MASTER, PASSIVE)
    assert ordered(lone) == ()
    assert lone.seen(FreezeWrites) == [FreezeWrites(TO_STANDBY)]
    observe(lone, WritesFrozen(TO_STANDBY, "7-3"))
    lone.say_step(SwitchStep.CONFIRMED)
    assert lone.seen(RetireService) == [RetireService(TO_STANDBY)]
    observe(lone, ServiceRetired(TO_STANDBY))
    lone.peer_promise = "one"
    lone.say_step(SwitchStep.PROMISED)
    lone.beat()
    assert steps(lone) == [
        SwitchStep.CONFIRM, SwitchStep.PROMISE, SwitchStep.ACTIVATE,
    ]  # fmt: skip
    assert lone.core.state is PASSIVE
    lone.peer_promise = None
    lone.beat(ACTIVE)
    assert lone.seen(ThawWrites) == [ThawWrites()]
    assert outcomes(lone) == [Outcome.DONE]


def test_the_taker_is_told_to_activate_before_it_hears_that_we_are_passive() -> None:
    lone = paired(MASTER, PASSIVE)
    ordered(lone)
    observe(lone, WritesFrozen(TO_STANDBY, "7-3"))
    lone.say_step(SwitchStep.CONFIRMED)
    observe(lone, ServiceRetired(TO_STANDBY))
    before = len(lone.heard)
    lone.say_step(SwitchStep.PROMISED)
    told, beat = lone.heard[before:]
    assert isinstance(told, SwitchMessage)
    assert told.step is SwitchStep.ACTIVATE
    assert getattr(beat, "state", None) is PASSIVE


def test_the_standby_gives_when_the_master_asks() -> None:
    lone = paired(STANDBY, PASSIVE)
    lone.say(SwitchMessage(SwitchStep.GIVE, TO_MASTER, ""))
    assert lone.seen(FreezeWrites) == [FreezeWrites(TO_MASTER)]


def test_the_master_takes_what_it_asked_for() -> None:
    lone = paired(MASTER, ACTIVE)
    assert ordered(lone) == ()
    lone.say_step(SwitchStep.CONFIRM, "7-3")
    assert lone.seen(AwaitHead) == [AwaitHead(TO_MASTER, "7-3")]
    observe(lone, HeadReached(TO_MASTER))
    lone.say_step(SwitchStep.PROMISE)
    assert steps(lone) == [
        SwitchStep.GIVE, SwitchStep.CONFIRMED, SwitchStep.PROMISED,
    ]  # fmt: skip
    lone.say_step(SwitchStep.ACTIVATE)
    assert lone.core.state is ACTIVE
    assert outcomes(lone) == [Outcome.DONE]


def test_a_promise_is_shown_in_the_next_heartbeat_at_once() -> None:
    lone = paired(STANDBY, ACTIVE)
    lone.say(SwitchMessage(SwitchStep.PROMISE, TO_STANDBY, ""))
    told, beat = lone.heard[-2:]
    assert getattr(told, "step", None) is SwitchStep.PROMISED
    assert getattr(beat, "promise", None) == "one"


def test_a_promise_that_ran_out_is_no_longer_shown() -> None:
    lone = paired(STANDBY, ACTIVE)
    lone.say(SwitchMessage(SwitchStep.PROMISE, TO_STANDBY, ""))
    assert lone.core.deadline_s == lone.now_s + 1.0
    lone.turn(1.0)
    assert getattr(lone.heard[-1], "promise", "?") is None


def test_an_activation_that_comes_late_by_a_stall_does_not_count() -> None:
    lone = paired(STANDBY, ACTIVE)
    lone.say(SwitchMessage(SwitchStep.PROMISE, TO_STANDBY, ""))
    lone.now_s += 1.0
    lone.say(SwitchMessage(SwitchStep.ACTIVATE, TO_STANDBY, ""))
    assert lone.core.state is PASSIVE


def test_a_step_of_a_switch_counts_as_heard() -> None:
    lone = paired(STANDBY, ACTIVE)
    lone.turn(1.0)
    lone.say(SwitchMessage(SwitchStep.CONFIRM, TO_STANDBY, "7-3"))
    assert lone.core.detector.heard_s == lone.now_s


def test_while_handing_over_silence_counts_from_the_end_of_the_promise() -> None:
    lone = paired(MASTER, PASSIVE)
    ordered(lone)
    observe(lone, WritesFrozen(TO_STANDBY, "7-3"))
    lone.say_step(SwitchStep.CONFIRMED)
    observe(lone, ServiceRetired(TO_STANDBY))
    lone.say_step(SwitchStep.PROMISED)
    lone.peer_promise = TO_STANDBY.id
    lone.beat(PASSIVE)
    assert lone.core.deadline_s == lone.now_s + 1.0 + 3.0
    for _ in range(3):
        lone.turn(1.0)
    lone.turn(0.984375)
    assert lone.core.state is PASSIVE
    lone.turn(0.015625)
    assert lone.core.state is ACTIVE
    assert lone.changes[-1] == (ACTIVE, "S6")
    assert outcomes(lone) == [Outcome.FAILED]


# Messages that are not for us.


@pytest.mark.parametrize(
    "switch",
    [
        attrs.evolve(TO_STANDBY, giver_instance="m0"),
        attrs.evolve(TO_STANDBY, taker_instance="s0"),
        attrs.evolve(TO_STANDBY, giver_instance="s", taker_instance="s"),
    ],
)
def test_a_step_between_other_instances_is_void(switch: Switch) -> None:
    lone = paired(STANDBY, ACTIVE)
    lone.say(SwitchMessage(SwitchStep.PROMISE, switch, ""))
    assert steps(lone) == []
    assert lone.notes[-1] == "step promise of switch one does not concern us"


@pytest.mark.parametrize(
    ("switch", "step"),
    [
        (TO_STANDBY, SwitchStep.CONFIRMED),
        (TO_STANDBY, SwitchStep.PROMISED),
        (TO_STANDBY, SwitchStep.GIVE),
        (TO_MASTER, SwitchStep.CONFIRM),
        (TO_MASTER, SwitchStep.PROMISE),
        (TO_MASTER, SwitchStep.ACTIVATE),
    ],
)
def test_a_step_from_the_wrong_side_is_void(switch: Switch, step: SwitchStep) -> None:
    lone = paired(STANDBY, ACTIVE)  # The master speaks.
    lone.say(SwitchMessage(step, switch, "7-3"))
    assert steps(lone) == []
    assert "does not concern us" in lone.notes[-1]


def test_s8_the_standby_cannot_make_the_master_give() -> None:
    lone = paired(MASTER, PASSIVE)
    asked = Switch("one", "m", "s", MASTER, "mallory", "why")
    lone.say(SwitchMessage(SwitchStep.GIVE, asked, ""))
    assert lone.seen(FreezeWrites) == []
    assert "does not concern us" in lone.notes[-1]


def test_an_abort_comes_from_either_side() -> None:
    giver = paired(MASTER, PASSIVE)
    ordered(giver)
    giver.say_step(SwitchStep.ABORT, "no room")
    taker = paired(STANDBY, ACTIVE)
    taker.say(SwitchMessage(SwitchStep.PROMISE, TO_STANDBY, ""))
    taker.say_step(SwitchStep.ABORT, "no more")
    assert outcomes(giver) == [Outcome.ROLLED_BACK]
    assert giver.reports[0].text == "no room"
    assert taker.core.situation.switch is None


def test_a_step_that_cannot_be_sent_is_noted_and_times_out() -> None:
    lone = paired(MASTER, PASSIVE)
    ordered(lone)
    lone.close(max(lone.ends))
    observe(lone, WritesFrozen(TO_STANDBY, "7-3"))
    assert "step confirm of switch one could not be sent" in lone.notes
    lone.turn(1.0)
    assert outcomes(lone) == [Outcome.ROLLED_BACK]


# Orders.


def test_every_reason_against_a_switch_comes_at_once() -> None:
    lone = LoneCore()
    lone.facts = attrs.evolve(lone.facts, ready=False, replicating=False)
    lone.tick()
    assert ordered(lone) == (
        "the master is not ready",
        "replication into the master stands still; see its status",
        "the standby is not connected",
    )
    assert lone.reports == []


def test_s8_ordered_at_the_standby_it_is_refused() -> None:
    lone = paired(STANDBY, ACTIVE)
    assert ordered(lone) == ("a switch is ordered at the master",)


def test_a_second_order_is_refused_and_the_first_goes_on() -> None:
    lone = paired(MASTER, PASSIVE)
    assert ordered(lone) == ()
    assert ordered(lone) == ("a switch is under way",)
    assert lone.reports == []


# Waiting for calls (S9).


def waiting(calls: int = 2) -> LoneCore:
    lone = paired(MASTER, PASSIVE)
    lone.facts = attrs.evolve(lone.facts, calls=calls)
    assert ordered(lone, idle_s=60.0) == ()
    return lone


def pass_time(lone: LoneCore, count: int) -> None:
    for _ in range(count):
        lone.tick(1.0)
        lone.beat()


def test_s9_it_waits_until_no_call_is_active() -> None:
    lone = waiting()
    pass_time(lone, 5)
    assert lone.core.waiting is not None
    assert lone.core.waiting_for_calls() == 2
    lone.facts = attrs.evolve(lone.facts, calls=0)
    lone.tick(1.0)
    assert lone.core.waiting is None
    assert lone.seen(FreezeWrites) != []


def test_s9_without_calls_it_begins_at_once() -> None:
    lone = waiting(calls=0)
    assert lone.seen(FreezeWrites) != []
    assert lone.core.waiting_for_calls() == 0


def test_s9_it_waits_for_the_calls_of_the_giver() -> None:
    lone = paired(MASTER, ACTIVE)
    lone.beat(calls=4)
    assert ordered(lone, idle_s=60.0) == ()
    assert lone.core.waiting_for_calls() == 4
    lone.beat(calls=0)
    assert steps(lone) == [SwitchStep.GIVE]


def test_while_one_waits_another_is_refused() -> None:
    lone = waiting()
    (reason,) = ordered(lone)
    assert reason == "a switch waits for calls to end; cancel it first"


def test_s9_it_does_not_wait_for_ever() -> None:
    lone = waiting()
    pass_time(lone, 59)
    assert lone.reports == []
    pass_time(lone, 1)
    (report,) = lone.reports
    assert report.outcome is Outcome.CANCELLED
    assert report.text == "2 calls did not end in time"
    assert lone.core.waiting is None


def test_s9_it_can_be_cancelled_once() -> None:
    lone = waiting()
    assert lone.core.cancel_waiting("cancelled by jane")
    assert not lone.core.cancel_waiting("cancelled by jane")
    lone.settle()
    assert lone.reports == [Report(TO_STANDBY, Outcome.CANCELLED, "cancelled by jane")]


def test_s14_a_change_of_state_cancels_it() -> None:
    lone = paired(MASTER, ACTIVE)
    lone.beat(calls=4)
    ordered(lone, idle_s=60.0)
    lone.say(Goodbye())
    (report,) = lone.reports
    assert report.outcome is Outcome.CANCELLED
    assert report.text == "this node became active"


def test_s14_a_new_instance_of_the_peer_cancels_it() -> None:
    lone = waiting()
    lone.peer = attrs.evolve(lone.peer, instance="s2")
    lone.accept()
    (report,) = lone.reports
    assert report.outcome is Outcome.CANCELLED
    assert report.text == "the standby was restarted"


def test_s14_the_pre_checks_are_made_again_when_it_begins() -> None:
    lone = waiting()
    lone.facts = attrs.evolve(lone.facts, calls=0, ready=False)
    lone.tick(1.0)
    (report,) = lone.reports
    assert report.outcome is Outcome.CANCELLED
    assert report.text == "the master is not ready"
    assert lone.seen(FreezeWrites) == []


def test_no_order_before_the_last_outcome_is_known() -> None:
    lone = paired(MASTER, ACTIVE)
    ordered(lone)
    lone.say_step(SwitchStep.CONFIRM, "7-3")
    lone.say_step(SwitchStep.PROMISE)
    lone.turn(1.0)
    assert ordered(lone) == ("the outcome of the last switch is not known yet",)
    lone.beat(ACTIVE)
    assert outcomes(lone) == [Outcome.ROLLED_BACK]
    assert ordered(lone) == ()
