"""Supervision, detector and link together: what a node does with what it sees."""

from __future__ import annotations

import attrs
import pytest

from node.core import CloseConnection, Dial, Note, PeerWrites, SendBytes
from node.link_messages import Goodbye, Head, Heartbeat, Proof, Refusal, pack
from node.roles import Role, State
from node.situation import (
    Active,
    ChangeState,
    NotHeardByPeer,
    Passive,
    RunCallbacks,
    Starting,
    StartWindowClosed,
)
from tests.support.links import MASTER as MASTER_IDENTITY
from tests.support.links import STANDBY as STANDBY_IDENTITY
from tests.support.links import connection, framed
from tests.support.lone_core import LoneCore

MASTER, STANDBY = Role.MASTER, Role.STANDBY
ACTIVE, PASSIVE = State.ACTIVE, State.PASSIVE
BOTH_ROLES = pytest.mark.parametrize("role", list(Role))


def beats(lone: LoneCore) -> list[Heartbeat]:
    return [message for message in lone.heard if isinstance(message, Heartbeat)]


# Dialling and accepting.


def test_the_first_tick_dials() -> None:
    lone = LoneCore()
    lone.tick()
    assert lone.effects == [Dial()]


def test_there_is_one_dial_at_a_time() -> None:
    lone = LoneCore()
    lone.ticks(3)
    assert lone.dials == 1


def test_a_dial_whose_end_is_never_told_is_forgotten() -> None:
    lone = LoneCore()
    lone.ticks(4)
    assert lone.dials == 2


def test_after_a_failed_dial_the_next_tick_dials_again() -> None:
    lone = LoneCore()
    for _ in range(3):
        lone.tick(1.0)
        lone.core.dial_failed(lone.now_s, refused=True)
        lone.settle()
    assert lone.dials == 3


def test_accepting_a_peer_dials_back_at_once() -> None:
    lone = LoneCore()
    lone.tick()
    lone.core.dial_failed(lone.now_s, refused=True)
    lone.accept()
    assert lone.dials == 2


def test_accepting_a_peer_that_is_dialled_already_does_not_dial_again() -> None:
    lone = LoneCore()
    lone.tick()
    lone.answer()
    lone.accept()
    assert lone.dials == 1


def test_both_directions_make_a_connected_peer() -> None:
    lone = LoneCore()
    lone.tick()
    assert not lone.core.is_connected(lone.now_s)
    number = lone.accept()
    assert not lone.core.is_connected(lone.now_s)
    lone.answer()
    assert lone.core.is_connected(lone.now_s)
    assert lone.core.incoming == number
    assert not lone.core.is_connected(lone.now_s + 3.0)


def test_s3_the_answer_to_our_hello_counts_as_heard() -> None:
    lone = LoneCore()
    lone.peer_state = ACTIVE
    lone.tick()
    lone.answer()
    assert lone.core.situation.phase == Passive()
    assert lone.core.detector.heard_s == lone.now_s


def test_s4_the_answer_to_our_hello_says_passive() -> None:
    lone = LoneCore()
    lone.tick()
    lone.answer()
    assert lone.changes == [(ACTIVE, "S4")]


def passive_master(*, heard_sequence: int) -> LoneCore:
    """Its peer is active, and has said so in a word of that number."""
    lone = LoneCore()
    lone.peer_state, lone._sequence = ACTIVE, heard_sequence
    lone.connect()
    return lone


def test_s14_a_heartbeat_overtaken_by_an_answer_tells_nothing() -> None:
    """The words of a node come on two connections. Found by the exploration."""
    lone = passive_master(heard_sequence=5)
    lone.beat(PASSIVE, sequence=4)
    assert lone.core.state is PASSIVE
    assert lone.core.peer is None
    lone.beat(PASSIVE, sequence=5)
    assert lone.core.state is ACTIVE


def test_s14_an_answer_overtaken_by_a_heartbeat_tells_nothing() -> None:
    lone = passive_master(heard_sequence=5)
    lone.beat(ACTIVE)
    lone.peer_state, lone._sequence = PASSIVE, 5
    lone.answer()
    assert lone.core.state is PASSIVE
    lone._sequence = 6
    lone.answer()
    assert lone.core.state is ACTIVE


def test_an_overtaken_heartbeat_is_a_sign_of_life() -> None:
    lone = passive_master(heard_sequence=5)
    lone.now_s += 1.0
    lone.beat(ACTIVE, sequence=4)
    assert lone.core.detector.heard_s == lone.now_s


def test_a_new_process_of_the_peer_counts_its_words_anew() -> None:
    lone = passive_master(heard_sequence=5)
    lone.peer = attrs.evolve(lone.peer, instance="s2")
    lone._sequence, lone.peer_state = 0, PASSIVE
    lone.answer()
    assert lone.core.state is ACTIVE


def test_a_hello_is_newer_than_the_heartbeat_that_could_not_be_sent_before_it() -> None:
    lone = LoneCore()
    lone.tick()
    before = lone.core._greeting().sequence
    lone.tick(1.0)
    assert lone.core._greeting().sequence == before + 1


def test_an_incoming_hello_says_nothing_of_the_state() -> None:
    lone = LoneCore()
    lone.tick()
    lone.accept()
    assert isinstance(lone.core.situation.phase, Starting)
    assert lone.core.detector.heard_s == lone.now_s
    lone.beat(ACTIVE)
    assert lone.core.situation == attrs.evolve(lone.core.situation, phase=Passive())


def test_a_superseded_connection_is_closed_and_not_believed() -> None:
    lone = LoneCore(STANDBY)
    first = lone.connect()
    end = lone.ends[first]
    second = lone.accept()
    assert lone.closed == [first]
    assert lone.core.incoming == second
    end.send(Goodbye())
    lone.core.data_received(first, end.take_outbox(), lone.now_s)
    assert lone.core.state is PASSIVE


def test_a_newer_connection_of_ours_supersedes_the_older() -> None:
    lone = LoneCore()
    lone.connect()
    first = max(lone.ends)
    lone.answer()
    assert lone.closed == [first]


def test_a_new_instance_voids_what_was_known_of_the_old_one() -> None:
    lone = LoneCore(STANDBY)
    lone.connect()
    lone.beat(PASSIVE)
    before = sorted(lone.ends)
    lone.peer = attrs.evolve(MASTER_IDENTITY, instance="another")
    lone.accept()
    assert sorted(lone.closed) == before
    assert lone.core.peer is None
    assert lone.core.peer_instance == "another"
    assert lone.dials == 2


def test_who_connects_and_says_nothing_is_dropped_after_two_intervals() -> None:
    lone = LoneCore()
    lone.connect()
    lone.core.connection_opened(99, dialled=False, now_s=lone.now_s)
    lone.ticks(2)
    assert lone.closed == []
    lone.tick(0.5)
    assert lone.closed == [99]


def test_a_dialled_connection_that_stays_mute_is_dialled_again() -> None:
    lone = LoneCore()
    lone.tick()
    lone.core.connection_opened(99, dialled=True, now_s=lone.now_s)
    lone.ticks(3)
    assert lone.closed == [99]
    assert lone.dials == 2


def test_what_is_not_of_the_protocol_ends_that_connection_only() -> None:
    lone = LoneCore()
    lone.connect()
    lone.core.connection_opened(99, dialled=False, now_s=lone.now_s)
    lone.core.data_received(99, b"GET / HTTP/1.1\r\n", lone.now_s)
    lone.settle()
    assert lone.closed == [99]
    assert "not this protocol" in lone.notes[-1]
    assert lone.core.is_connected(lone.now_s)


def test_an_altered_frame_ends_the_peers_connection() -> None:
    lone = LoneCore()
    number = lone.connect()
    lone.core.data_received(number, framed(bytes(40)), lone.now_s)
    lone.settle()
    assert lone.closed == [number]
    assert lone.core.incoming is None


def test_an_unknown_connection_that_closes_is_no_event() -> None:
    lone = LoneCore()
    lone.tick()
    lone.close(77)
    assert lone.effects == [Dial()]


def test_when_our_connection_ends_it_is_dialled_again_soon() -> None:
    lone = LoneCore()
    lone.connect()
    lone.tick(0.5)
    lone.close(max(lone.ends))
    assert lone.dials == 2


def test_a_connection_that_never_lasts_is_no_busy_loop() -> None:
    lone = LoneCore()
    lone.connect()
    for _ in range(50):
        lone.close(max(lone.ends))
        deadline_s = lone.core.deadline_s
        if lone.dials == 2:
            break
        assert deadline_s is not None
        lone.turn(max(0.0, deadline_s - lone.now_s))
    assert lone.now_s >= 1000.1


def test_a_dial_that_is_dropped_by_who_was_just_heard_is_made_again_soon() -> None:
    lone = LoneCore(STANDBY)
    number = lone.connect()
    lone.beat(ACTIVE)
    lone.turn(0.5)
    lone.close(max(lone.ends))
    assert lone.dials == 2
    lone.core.connection_opened(99, dialled=True, now_s=lone.now_s)
    lone.settle()
    lone.close(99)
    lone.turn(0.1)
    assert lone.dials == 3
    assert number == lone.core.incoming


def test_who_is_connected_meanwhile_is_not_dialled_again() -> None:
    lone = LoneCore()
    lone.connect()
    lone.turn(0.5)
    lone.close(max(lone.ends))
    lone.core.connection_opened(99, dialled=True, now_s=lone.now_s)
    lone.settle()
    lone.answer()
    lone.close(99)
    lone.turn(0.1)
    assert lone.dials == 2


def test_a_heartbeat_of_another_instance_than_the_hello_ends_the_connection() -> None:
    lone = LoneCore()
    number = lone.connect()
    lone.beat(PASSIVE, instance="another")
    assert lone.closed == [number]
    assert lone.core.peer is None


# Heartbeats.


def test_every_tick_sends_a_heartbeat_with_the_next_sequence() -> None:
    lone = LoneCore(STANDBY)
    lone.peer_state = ACTIVE
    lone.connect()
    before = lone.last_sequence
    lone.ticks(2)
    assert [beat.sequence for beat in beats(lone)[-2:]] == [before + 1, before + 2]


def test_a_heartbeat_says_what_is_so_at_that_moment() -> None:
    lone = LoneCore(STANDBY)
    lone.peer_state = ACTIVE
    lone.connect()
    lone.beat(ACTIVE, sequence=41)
    lone.facts = attrs.evolve(lone.facts, calls=3, problems={"sip": "no answer"})
    lone.tick(1.0)
    beat = beats(lone)[-1]
    assert (beat.instance, beat.role, beat.state) == ("s", STANDBY, PASSIVE)
    assert (beat.heard_sequence, beat.promise, beat.version) == (41, None, "1.0")
    assert (beat.calls, dict(beat.problems)) == (3, {"sip": "no answer"})


def test_a_change_of_state_is_said_at_once() -> None:
    lone = LoneCore()
    lone.connect()
    assert beats(lone)[-1].state is ACTIVE


def test_what_has_changed_can_be_said_between_two_ticks() -> None:
    lone = LoneCore()
    lone.connect()
    before = len(beats(lone))
    lone.core.announce(lone.now_s)
    lone.settle()
    assert len(beats(lone)) == before + 1


def test_d8_data_that_differ_although_they_must_not_are_an_alarm_once() -> None:
    lone = LoneCore()
    lone.facts = attrs.evolve(lone.facts, heads={"master": Head("5-1", "ab")})
    lone.connect()
    for _ in range(3):
        lone.beat(PASSIVE, heads={"master": Head("5-1", "cd")})
    assert lone.core.divergence is not None
    alarms = [e for e in lone.effects if isinstance(e, Note) and e.alarming]
    assert [alarm.text for alarm in alarms] == [lone.core.divergence]
    lone.beat(PASSIVE, heads={"master": Head("5-1", "ab")}, digest="ef")
    assert str(lone.core.divergence) == "None"
    lone.beat(PASSIVE, heads={"master": Head("5-1", "ab")}, digest="ef")
    ended = f"no longer seen: {alarms[0].text}"
    assert [note for note in lone.notes if note.startswith("no longer")] == [ended]


def test_d8_unequal_entries_are_an_alarm_until_the_nodes_are_seen_to_be_equal() -> None:
    lone = LoneCore()
    heads = {"master": Head("5-1", "ab")}
    lone.facts = attrs.evolve(lone.facts, heads=heads, digest="ef")
    lone.connect()
    # Between, the peer lacks an event: nothing can be said of the entries then.
    behind = {"master": Head("4-0", "aa")}
    for said, differ in (
        ((heads, "ee"), False),
        ((behind, "ee"), False),
        ((heads, "ee"), True),
        ((behind, "ef"), True),
        ((heads, "ee"), True),
        ((heads, "ef"), False),
        ((behind, "ee"), False),
    ):
        lone.beat(PASSIVE, heads=said[0], digest=said[1])
        assert (lone.core.divergence is not None) is differ, said
    told = [note for note in lone.notes if "different entries" in note]
    assert [note.startswith("no longer seen") for note in told] == [False, True]


def test_who_is_dialled_hears_us_at_once() -> None:
    lone = LoneCore(STANDBY)
    lone.peer_state = ACTIVE
    lone.tick()
    lone.answer()
    assert [beat.state for beat in beats(lone)] == [PASSIVE]


def test_what_depends_on_the_peers_heartbeat_is_told() -> None:
    lone = LoneCore(STANDBY)
    lone.connect()
    lone.beat(ACTIVE)
    assert lone.core.peer is not None
    assert lone.spoken == [lone.core.peer]


def test_we_are_heard_while_our_heartbeats_are_answered() -> None:
    lone = LoneCore()
    assert not lone.core.is_heard_by_peer(lone.now_s)
    lone.connect()
    assert lone.core.is_heard_by_peer(lone.now_s)
    lone.tick(1.0)
    lone.beat(PASSIVE)
    assert lone.core.is_heard_by_peer(lone.now_s + 2.9)
    assert not lone.core.is_heard_by_peer(lone.now_s + 3.0)
    lone.tick(1.0)
    lone.beat(PASSIVE, heard_sequence=12345)
    assert not lone.core.is_heard_by_peer(lone.now_s + 2.0)


# A connection that does not carry any more.


def unheard_master() -> LoneCore:
    """The peer goes on speaking, and hears nothing from the second second on."""
    lone = LoneCore()
    lone.connect()
    lone.tick(1.0)
    lone.beat(PASSIVE)
    said = lone.last_sequence
    assert lone.dials == 1
    for _ in range(2):
        lone.tick(1.0)
        lone.beat(PASSIVE, heard_sequence=said)
    return lone


def test_s12_beside_a_doubtful_connection_another_one_is_dialled() -> None:
    lone = unheard_master()
    assert lone.dials == 1
    assert lone.core.deadline_s == lone.now_s + 0.5
    lone.turn(0.5)
    assert lone.dials == 2
    assert lone.closed == []  # It may only be slow.
    assert lone.core.deadline_s == lone.now_s + 3.0  # How long a dial may take.
    number = lone.answer()
    assert lone.closed == [number - 1]
    assert lone.notes[-1] == (
        "the peer did not answer for 2.5 s; a new connection stands"
    )
    lone.tick(0.5)
    lone.beat(PASSIVE)
    lone.tick(1.0)
    lone.beat(PASSIVE)
    assert lone.dials == 2
    assert lone.changes == [(ACTIVE, "S4")]


def test_a_dial_beside_a_doubtful_connection_is_tried_once_per_interval() -> None:
    lone = unheard_master()
    lone.turn(0.5)
    lone.core.dial_failed(lone.now_s, refused=False)
    lone.settle()
    assert lone.core.deadline_s == lone.now_s + 1.0
    lone.turn(0.5)
    assert lone.dials == 2
    lone.turn(0.5)
    assert lone.dials == 3


# Deadlines.


def test_s2_the_window_counts_from_the_first_turn() -> None:
    lone = LoneCore()
    lone.now_s += 60.0
    lone.tick()
    assert lone.core.deadline_s == lone.now_s + 3.0
    assert lone.notes == []
    lone.ticks(2)
    lone.turn(0.99)
    assert lone.changes == []
    lone.turn(0.01)
    assert lone.changes == [(ACTIVE, "S2")]


def test_s13_the_window_counts_anew_after_a_stall() -> None:
    lone = LoneCore()
    lone.tick()
    lone.tick(4.0)
    assert lone.notes == ["this node stood still for 4.0 s; silence counts anew"]
    assert lone.core.deadline_s == lone.now_s + 3.0
    lone.turn(1.0)
    lone.turn(1.0)
    lone.turn(1.0)
    assert lone.changes == [(ACTIVE, "S2")]


@pytest.mark.parametrize(
    "woken_by",
    ["tick", "turn", "announce", "observe", "opened", "data", "closed", "dial failed"],
)
def test_s13_a_stall_is_noticed_whatever_comes_first(woken_by: str) -> None:
    lone = LoneCore(STANDBY)
    number = lone.connect()
    lone.beat(ACTIVE)
    lone.now_s += 60.0
    core, now_s = lone.core, lone.now_s
    {
        "tick": lambda: core.tick(now_s),
        "turn": lambda: core.turn(now_s),
        "announce": lambda: core.announce(now_s),
        "observe": lambda: core.observe(StartWindowClosed(), now_s),
        "opened": lambda: core.connection_opened(99, dialled=False, now_s=now_s),
        "data": lambda: core.data_received(number, b"", now_s),
        "closed": lambda: core.connection_closed(99, now_s),
        "dial failed": lambda: core.dial_failed(now_s, refused=False),
    }[woken_by]()
    lone.settle()
    assert lone.notes == ["this node stood still for 60.0 s; silence counts anew"]
    assert lone.core.state is PASSIVE


def test_a_loop_that_turns_a_little_late_has_not_stood_still() -> None:
    lone = LoneCore()
    lone.tick()
    lone.tick(1.5)
    assert lone.notes == []
    lone.tick(1.53)
    assert len(lone.notes) == 1


def test_a_starting_node_has_no_other_deadline_than_its_window() -> None:
    lone = LoneCore(start_window_s=30.0)
    lone.tick()
    lone.accept()
    lone.ticks(10)
    assert lone.core.deadline_s == 1030.0


def test_s6_a_passive_node_is_due_when_silence_is_loss() -> None:
    lone = LoneCore(STANDBY)
    lone.connect()
    lone.beat(ACTIVE)
    assert lone.core.deadline_s == lone.now_s + 3.0
    lone.ticks(2)
    lone.turn(0.99)
    assert lone.changes == []
    lone.turn(0.01)
    assert lone.changes == [(ACTIVE, "S6")]


def test_an_active_node_has_no_deadline() -> None:
    lone = LoneCore()
    lone.connect()
    lone.beat(PASSIVE)
    assert lone.core.state is ACTIVE
    assert lone.core.deadline_s is None


def test_s13_a_passive_node_that_stood_still_counts_anew() -> None:
    lone = LoneCore(STANDBY)
    lone.connect()
    lone.beat(ACTIVE)
    lone.tick(60.0)
    assert lone.changes == []
    lone.turn(1.0)
    lone.turn(1.0)
    lone.turn(1.0)
    assert lone.changes == [(ACTIVE, "S6")]


# Losing the peer.


def test_s11_a_goodbye_is_taken_over_at_once() -> None:
    lone = LoneCore(STANDBY)
    lone.connect()
    lone.beat(ACTIVE)
    lone.say(Goodbye())
    assert lone.changes == [(ACTIVE, "S11")]
    assert "the peer says goodbye" in lone.notes


def test_s12_ended_and_refused_is_taken_over_at_once() -> None:
    lone = LoneCore(STANDBY)
    number = lone.connect()
    lone.beat(ACTIVE)
    lone.close(number)
    assert lone.changes == []
    lone.core.dial_failed(lone.now_s, refused=True)
    lone.settle()
    assert lone.changes == [(ACTIVE, "S12")]


def test_s12_a_dial_that_times_out_is_not_refused() -> None:
    lone = LoneCore(STANDBY)
    number = lone.connect()
    lone.beat(ACTIVE)
    lone.close(number)
    lone.core.dial_failed(lone.now_s, refused=False)
    lone.settle()
    assert lone.changes == []


def test_s12_refused_while_the_peer_still_speaks_is_no_proof() -> None:
    lone = LoneCore(STANDBY)
    lone.connect()
    for _ in range(5):
        lone.tick(0.9)
        lone.beat(ACTIVE)
        lone.core.dial_failed(lone.now_s, refused=True)
        lone.settle()
    assert lone.changes == []


# S20.


def test_s20_exactly_two_limits_after_it_was_last_heard() -> None:
    lone = LoneCore()
    lone.connect()
    lone.tick(1.0)
    lone.beat(PASSIVE)
    said = lone.last_sequence
    for _ in range(5):
        lone.tick(1.0)
        lone.beat(ACTIVE, heard_sequence=said)
    lone.turn(0.984375)
    lone.beat(ACTIVE, heard_sequence=said)
    assert lone.changes == [(ACTIVE, "S4")]
    lone.turn(0.015625)
    assert lone.changes == [(ACTIVE, "S4"), (PASSIVE, "S20")]
    change = lone.seen(ChangeState)[-1]
    assert isinstance(change, ChangeState)
    assert change.evidence == {"unheard_s": 6.0}


def test_s20_a_silent_standby_proves_nothing() -> None:
    lone = LoneCore()
    lone.connect()
    lone.beat(ACTIVE)
    lone.ticks(20)
    assert lone.changes == [(ACTIVE, "S4")]


def test_s20_a_passive_standby_needs_no_yielding_to() -> None:
    lone = LoneCore()
    lone.connect()
    for _ in range(20):
        lone.tick(1.0)
        lone.beat(PASSIVE, heard_sequence=0)
    assert lone.changes == [(ACTIVE, "S4")]


def test_s20_the_standby_yields_by_s5_and_never_by_this() -> None:
    lone = LoneCore(STANDBY)
    lone.tick()
    lone.ticks(3)
    assert lone.changes == [(ACTIVE, "S2")]
    lone.core.observe(NotHeardByPeer(1.0), lone.now_s)  # Only to show what would be.
    lone.settle()
    assert lone.core.take_effects() == []
    assert (PASSIVE, "S20") in lone.changes
    again = LoneCore(STANDBY)
    again.tick()
    again.ticks(3)
    again.accept()
    for _ in range(20):
        again.tick(1.0)
        again.beat(PASSIVE, heard_sequence=0)
    assert again.changes == [(ACTIVE, "S2")]


def test_s20_after_a_stall_it_counts_anew() -> None:
    lone = LoneCore()
    lone.connect()
    lone.tick(1.0)
    lone.beat(PASSIVE)
    said = lone.last_sequence
    lone.now_s += 2.5
    lone.beat(ACTIVE, heard_sequence=said)
    assert lone.changes == [(ACTIVE, "S4")]
    for _ in range(5):
        lone.tick(1.0)
        lone.beat(ACTIVE, heard_sequence=said)
    assert lone.changes == [(ACTIVE, "S4")]
    lone.tick(1.0)
    lone.beat(ACTIVE, heard_sequence=said)
    assert lone.changes[1:] == [(PASSIVE, "S20")]


# Claims (S18).


WRONG_SECRET = {
    role: attrs.evolve(identity, secrets=("another pair's secret",))
    for role, identity in ((MASTER, MASTER_IDENTITY), (STANDBY, STANDBY_IDENTITY))
}


def claimed(dialler: Role, state: State, **changed: object) -> LoneCore:
    """A starting `dialler` that dials somebody who is not accepted."""
    lone = LoneCore(dialler)
    lone.peer_state = state
    stranger = attrs.evolve(WRONG_SECRET[dialler.other], **changed)  # type: ignore[arg-type]
    lone.tick()
    lone.answer(stranger)
    return lone


def test_s18_the_problem_is_named_loudly_and_once() -> None:
    lone = claimed(MASTER, ACTIVE)
    assert lone.core.problem == "the peer refuses us: wrong secret"
    for _ in range(3):
        lone.tick(1.0)
        lone.answer(WRONG_SECRET[STANDBY])
    notes = [note for note in lone.seen(Note) if isinstance(note, Note)]
    assert notes == [
        Note("the peer is not accepted: the peer refuses us: wrong secret", True)
    ]


def test_s18_another_pair_is_named() -> None:
    lone = claimed(MASTER, ACTIVE, pair="shop")
    assert lone.core.problem == "one is of pair 'office', the other of 'shop'"


def test_s18_a_claim_to_be_active_keeps_a_node_passive() -> None:
    for role in Role:
        lone = claimed(role, ACTIVE)
        assert lone.core.situation.phase == Passive()
        assert lone.core.deadline_s == lone.now_s + 3.0


def test_s18_s4_applies_to_a_claim() -> None:
    assert claimed(MASTER, PASSIVE).changes == [(ACTIVE, "S4")]
    assert claimed(STANDBY, PASSIVE).core.situation.phase == Passive()


def test_s18_who_claims_a_promise_may_still_activate() -> None:
    """Told by a process of ours that is gone. Found by the exploration."""
    lone = LoneCore(MASTER)
    lone.peer_promise = "one"
    lone.tick()
    lone.answer(WRONG_SECRET[STANDBY])
    assert not lone.changes
    assert lone.core.detector.heard_s == lone.now_s
    lone.peer_promise = None
    lone.tick(1.0)
    lone.answer(WRONG_SECRET[STANDBY])
    assert lone.changes == [(ACTIVE, "S4")]


@BOTH_ROLES
@pytest.mark.parametrize("state", list(State))
def test_s18_of_equal_roles_both_stay_passive(role: Role, state: State) -> None:
    lone = claimed(role, state, role=role)
    assert lone.core.situation.phase == Passive()
    assert lone.core.problem == f"both nodes have the role {role}"


def test_s18_who_dials_itself_hears_no_claim() -> None:
    lone = claimed(MASTER, ACTIVE, instance="m")
    assert lone.core.situation.phase == Starting()
    assert lone.core.problem is not None
    assert "its own address" in lone.core.problem


def test_s18_a_refusal_without_a_hello_is_no_claim() -> None:
    lone = LoneCore()
    lone.tick()
    lone.core.connection_opened(99, dialled=True, now_s=lone.now_s)
    refusal = b"\x92\xa7refusal\x81\xa7problem\xa4busy"
    lone.core.data_received(99, framed(refusal), lone.now_s)
    lone.settle()
    assert lone.core.problem == "the peer refuses us: busy"
    assert lone.core.situation.phase == Starting()


def test_s18_what_an_inbound_connection_claims_is_not_believed() -> None:
    lone = LoneCore()
    lone.peer_state = ACTIVE
    lone.tick()
    number = lone.accept(WRONG_SECRET[STANDBY])
    assert lone.core.situation.phase == Starting()
    assert lone.core.problem is None
    assert lone.closed == [number]
    assert lone.notes == ["a link connection was refused: wrong secret"]


def test_s18_an_active_node_ignores_a_claim_but_names_the_problem() -> None:
    lone = LoneCore()
    lone.tick()
    lone.ticks(3)
    lone.peer_state = ACTIVE
    lone.answer(WRONG_SECRET[STANDBY])
    assert lone.core.state is ACTIVE
    assert lone.core.problem is not None
    assert lone.core.detector.heard_s is None


def test_s18_a_claim_counts_for_nothing_while_the_peer_itself_speaks() -> None:
    lone = LoneCore(STANDBY)
    lone.tick()
    lone.accept()
    lone.beat(ACTIVE)
    lone.turn(1.0)
    lone.answer(WRONG_SECRET[MASTER])
    assert lone.core.detector.heard_s == lone.now_s - 1.0


def test_s18_what_was_claimed_before_a_stall_is_not_believed() -> None:
    lone = LoneCore(MASTER)
    lone.tick()
    # The stranger's hello arrived before this node stood still, and is read after it.
    lone.core.connection_opened(99, dialled=True, now_s=lone.now_s)
    stranger = connection(WRONG_SECRET[STANDBY], dialled=False)
    for effect in lone.settle():
        if isinstance(effect, SendBytes):
            list(stranger.receive(effect.data))
    hello = stranger.take_outbox()
    lone.turn(2.0)
    lone.core.data_received(99, hello + framed(pack(Refusal("wrong"))), lone.now_s)
    lone.settle()
    assert lone.core.problem == "the peer refuses us: wrong"
    assert lone.core.situation.phase == Starting()
    lone.tick()
    lone.answer(WRONG_SECRET[STANDBY])
    assert lone.changes == [(ACTIVE, "S4")]


def test_s18_who_stops_answering_is_taken_over() -> None:
    lone = claimed(STANDBY, ACTIVE)
    lone.tick(0.5)
    lone.core.dial_failed(lone.now_s, refused=True)
    lone.settle()
    assert lone.changes == [(ACTIVE, "S12")]
    assert lone.core.problem is None


def test_s18_the_problem_is_over_when_the_peer_is_accepted() -> None:
    lone = claimed(STANDBY, ACTIVE)
    lone.tick(1.0)
    lone.answer()
    assert lone.core.problem is None


# In which format the peer writes (D4).


NEWER = attrs.evolve(STANDBY_IDENTITY, event_format=2)


def formats(lone: LoneCore) -> list[int | None]:
    return [e.event_format for e in lone.effects if isinstance(e, PeerWrites)]


def test_d4_the_peers_format_is_told_once_and_when_it_changes() -> None:
    lone = LoneCore()
    lone.connect()
    lone.beat(PASSIVE)
    assert formats(lone) == [1]
    lone.accept(attrs.evolve(NEWER, instance="s2"))
    lone.answer(attrs.evolve(NEWER, instance="s2"))
    assert formats(lone) == [1, 2]


def test_d4_that_nobody_is_there_is_known_when_the_window_closes() -> None:
    lone = LoneCore()
    lone.ticks(2)
    assert formats(lone) == []
    lone.ticks(2)
    assert formats(lone) == [None]
    lone.accept(NEWER)
    assert formats(lone) == [None, 2]


def test_d4_what_the_peer_wrote_stays_unreadable_when_it_is_gone() -> None:
    lone = LoneCore()
    lone.tick()
    lone.accept(NEWER)
    lone.answer(NEWER)
    lone.ticks(10)
    assert lone.core.state is ACTIVE
    assert formats(lone) == [2]


def test_d4_the_configured_address_is_believed_before_it_is_accepted() -> None:
    lone = claimed(MASTER, ACTIVE, event_format=2)
    assert lone.core.problem is not None
    assert formats(lone) == [2]
    lone = LoneCore()
    lone.tick()
    lone.accept(attrs.evolve(WRONG_SECRET[STANDBY], event_format=2))
    assert formats(lone) == []


def test_a_stranger_who_goes_on_dialling_does_not_fill_the_log() -> None:
    lone = LoneCore()
    lone.connect()
    for number in range(100, 200):
        lone.core.connection_opened(number, dialled=False, now_s=lone.now_s)
        lone.core.data_received(number, framed(pack(Proof(bytes(32)))), lone.now_s)
    lone.settle()
    assert len(lone.notes) == 10
    assert "not logged" in lone.notes[-1]
    assert not any(e.alarming for e in lone.effects if isinstance(e, Note))
    lone.now_s += 60.0
    lone.core.connection_opened(300, dialled=False, now_s=lone.now_s)
    lone.core.data_received(300, b"GET / HTTP", lone.now_s)
    lone.settle()
    assert "not this protocol" in lone.notes[-1]


# Stopping (S11).


def test_s11_an_active_node_that_stops_says_so_and_goodbye() -> None:
    lone = LoneCore()
    number = lone.connect()
    lone.effects.clear()
    lone.core.stop()
    effects = lone.settle()
    change = ChangeState(PASSIVE, "orderly stop of this node", "S11")
    assert effects[0] == change
    kinds = [type(effect) for effect in effects]
    assert kinds == [ChangeState, SendBytes, CloseConnection, CloseConnection]
    assert number in lone.closed
    assert lone.heard[-1] == Goodbye()


def test_s11_a_passive_node_that_stops_changes_no_state() -> None:
    lone = LoneCore(STANDBY)
    lone.connect()
    lone.effects.clear()
    lone.core.stop()
    lone.settle()
    assert lone.changes == []
    assert lone.heard[-1] == Goodbye()


def test_a_node_without_a_peer_stops_silently() -> None:
    lone = LoneCore()
    lone.tick()
    lone.effects.clear()
    lone.core.stop()
    assert lone.settle() == []


def test_effects_are_taken_once() -> None:
    lone = LoneCore()
    lone.core.tick(lone.now_s)
    assert lone.core.take_effects() == [Dial()]
    assert lone.core.take_effects() == []


def test_s17_callbacks_come_behind_the_change_that_they_tell_of() -> None:
    lone = LoneCore()
    lone.connect()
    kinds = [type(e) for e in lone.effects if isinstance(e, ChangeState | RunCallbacks)]
    assert kinds == [ChangeState, RunCallbacks]
    assert lone.core.situation.phase == Active()


def test_l2_contact_is_when_that_was_sent_which_the_peer_answers() -> None:
    lone = LoneCore(STANDBY)
    lone.connect()
    assert lone.core.contact_s is None, "it has answered nothing yet"
    sent_s = lone.now_s
    answer = lone.last_sequence
    lone.tick(1.0)
    lone.beat(heard_sequence=answer)
    assert lone.core.contact_s == sent_s
    for _ in range(5):
        lone.tick(1.0)
        lone.beat(heard_sequence=answer)  # Held back on the way, or it hears no more.
    assert lone.core.detector.heard_s == lone.now_s
    assert lone.core.contact_s == sent_s
    lone.beat(heard_sequence=lone.last_sequence)
    assert lone.core.contact_s == lone.now_s
    lone.beat(heard_sequence=lone.last_sequence + 1)
    assert lone.core.contact_s == lone.now_s, "never sent"


def test_l2_a_claim_is_no_contact() -> None:
    lone = claimed(STANDBY, ACTIVE)
    assert lone.core.detector.heard_s is not None
    assert lone.core.contact_s is None
