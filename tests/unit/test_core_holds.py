"""A core that would take over and is held: by a pause, a cap, a witness. It has a way out."""

from __future__ import annotations

import attrs
import pytest

from node.core import AskWitness, Note
from node.link_messages import Goodbye
from node.roles import Role, State
from tests.support.lone_core import LoneCore

MASTER, STANDBY = Role.MASTER, Role.STANDBY
ACTIVE, PASSIVE = State.ACTIVE, State.PASSIVE
WITNESS = {"witness_addresses": ("10.0.0.254:80",)}


def beside_active(**configured: object) -> LoneCore:
    """A passive standby that hears its active peer."""
    lone = LoneCore(STANDBY, **configured)
    lone.tick()
    lone.accept()
    lone.beat(ACTIVE)
    lone.answer()
    return lone


def paused(lone: LoneCore, left_s: float) -> None:
    lone.facts = attrs.evolve(
        lone.facts,
        pause_revision=1,
        paused=True,
        pause_left_ms=int(left_s * 1000),
        pause_text="by jane: new switch",
    )


def alarms(lone: LoneCore) -> list[str]:
    return [e.text for e in lone.effects if isinstance(e, Note) and e.alarming]


@pytest.mark.parametrize("role", list(Role))
def test_paused_a_node_does_not_take_over_and_says_why_once(role: Role) -> None:
    lone = beside_active() if role is STANDBY else LoneCore(role)
    if role is MASTER:
        lone.tick()
        lone.accept()
        lone.beat(ACTIVE)
    paused(lone, 60.0)
    lone.ticks(10)
    assert lone.changes == []
    assert alarms(lone) == [
        "no sign of the peer (silence), but automatic takeover is paused: by jane: new "
        "switch"
    ]
    assert lone.core.held is not None


def test_paused_a_goodbye_is_not_taken_over_either() -> None:
    lone = beside_active()
    paused(lone, 60.0)
    lone.say(Goodbye())
    assert lone.changes == []


def test_a_pause_that_is_over_lets_it_take_over_at_once() -> None:
    lone = beside_active()
    paused(lone, 60.0)
    lone.ticks(5)
    paused(lone, 0.0)
    lone.turn(0.25)
    assert lone.changes == [(ACTIVE, "S6")]
    assert lone.core.held is None


def test_it_is_due_when_the_pause_runs_out_and_not_all_the_time_before() -> None:
    lone = beside_active()
    paused(lone, 60.0)
    lone.ticks(4)
    assert lone.core.held is not None
    assert lone.core.held.until_s == lone.now_s + 60.0
    assert lone.core.deadline_s is not None
    assert lone.core.deadline_s > lone.now_s


def test_the_peer_that_is_heard_again_ends_the_matter() -> None:
    lone = beside_active()
    paused(lone, 60.0)
    lone.ticks(5)
    lone.beat(ACTIVE)
    assert lone.core.held is None
    assert lone.changes == []


def test_a_planned_switch_works_while_takeover_is_paused() -> None:
    lone = LoneCore(STANDBY)
    lone.tick()
    lone.accept()
    lone.beat(PASSIVE)
    lone.answer()
    paused(lone, 60.0)
    lone.tick(1.0)
    lone.beat(PASSIVE)
    assert lone.core.is_connected(lone.now_s)
    assert lone.core.held is None


def test_s15_does_not_hand_over_while_takeover_is_paused() -> None:
    lone = LoneCore(MASTER)
    lone.connect()
    lone.facts = attrs.evolve(lone.facts, problems={"sip": "no answer"})
    paused(lone, 600.0)
    for _ in range(6):
        lone.tick(1.0)
        lone.beat(PASSIVE)
    assert lone.core.unserved is not None
    assert "paused" in lone.core.unserved


def test_the_cap_holds_the_next_takeover_of_a_flapping_pair() -> None:
    lone = beside_active(takeovers_per_hour_max=1)
    lone.ticks(3)
    assert lone.changes == [(ACTIVE, "S6")]
    lone.beat(ACTIVE)  # S5: the standby yields.
    lone.ticks(10)
    assert [rule for _, rule in lone.changes] == ["S6", "S5"]
    assert lone.core.held is not None
    assert "takeovers_per_hour_max" in lone.core.held.why
    assert lone.core.takeover_count(lone.now_s) == 1
    for _ in range(3700):
        lone.tick(1.0)
    assert [rule for _, rule in lone.changes] == ["S6", "S5", "S6"]


def test_takeovers_of_an_earlier_process_count() -> None:
    lone = beside_active(takeovers_per_hour_max=1)
    lone.core.remember_takeovers([600.0], lone.now_s)
    lone.ticks(10)
    assert lone.changes == []


def test_the_witness_is_asked_when_silence_would_be_loss() -> None:
    lone = beside_active(**WITNESS)
    lone.ticks(2)
    assert lone.seen(AskWitness) == []
    lone.tick(1.0)
    assert lone.seen(AskWitness) == [AskWitness(1)]
    assert lone.changes == []
    lone.core.witness_answered(1, None, lone.now_s + 0.125)
    lone.settle()
    assert lone.changes == [(ACTIVE, "S6")]


def test_a_veto_keeps_it_passive_and_the_witness_is_asked_again_and_again() -> None:
    lone = beside_active(**WITNESS)
    lone.ticks(3)
    for question in range(1, 20):
        assert lone.seen(AskWitness)[-1] == AskWitness(question)
        lone.core.witness_answered(question, "not reached", lone.now_s)
        lone.ticks(2)
    assert lone.changes == []
    assert [text.partition("the witness: ")[2] for text in alarms(lone)] == [
        "no answer yet",
        "not reached",
    ]


def test_the_process_that_is_gone_is_taken_over_without_a_witness() -> None:
    lone = beside_active(**WITNESS)
    for number in list(lone.ends):
        lone.close(number)
    lone.core.dial_failed(lone.now_s, refused=True)
    lone.settle()
    assert lone.changes == [(ACTIVE, "S12")]


def test_a_node_that_starts_alone_asks_the_witness_too() -> None:
    lone = LoneCore(MASTER, **WITNESS)
    lone.tick()
    lone.ticks(3)
    assert lone.changes == []
    assert lone.seen(AskWitness) == [AskWitness(1)]
    assert lone.core.deadline_s == lone.now_s + 2.0
    lone.core.witness_answered(1, None, lone.now_s)
    lone.settle()
    assert lone.changes == [(ACTIVE, "S2")]
