"""When silence becomes loss (S12, S13)."""

from __future__ import annotations

import pytest

from node.failure_detector import FailureDetector
from node.situation import Evidence, PeerLost

HEARD_S = 100.0


def detector(*, heard_s: float | None = HEARD_S) -> FailureDetector:
    found = FailureDetector(interval_s=1.0, lost_after_s=3.0, counted_from_s=90.0)
    if heard_s is not None:
        found.heard(heard_s)
    return found


def test_before_the_first_word_silence_counts_from_the_beginning() -> None:
    never = detector(heard_s=None)
    assert never.heard_s is None
    assert never.verdict(92.999) is None
    assert never.verdict(93.0) == PeerLost(Evidence.SILENCE, 3.0)
    assert never.due_s == 93.0
    assert never.silent_s(95.0) == 5.0
    never.count_anew(100.0)  # It stood still: from there on only.
    assert never.verdict(102.999) is None


def test_silence_is_loss_exactly_at_the_limit() -> None:
    found = detector()
    assert found.verdict(HEARD_S + 2.999) is None
    assert found.verdict(HEARD_S + 3.0) == PeerLost(Evidence.SILENCE, 3.0)
    assert found.due_s == HEARD_S + 3.0


def test_every_word_lets_silence_count_from_there() -> None:
    found = detector()
    found.heard(HEARD_S + 2.0)
    assert found.verdict(HEARD_S + 4.5) is None
    assert found.silent_s(HEARD_S + 4.5) == 2.5
    assert found.heard_s == HEARD_S + 2.0


def test_s11_a_goodbye_is_loss_at_once() -> None:
    found = detector()
    found.goodbye()
    assert found.verdict(HEARD_S) == PeerLost(Evidence.GOODBYE, 0.0)


def test_s12_refused_after_the_connection_ended_is_loss_at_once() -> None:
    found = detector()
    found.connection_ended()
    assert found.verdict(HEARD_S + 0.01) is None
    found.refused()
    lost = found.verdict(HEARD_S + 0.25)
    assert lost == PeerLost(Evidence.REFUSED, 0.25)


def test_s12_refused_while_the_peer_speaks_waits_for_one_interval() -> None:
    found = detector()
    found.refused()
    assert found.verdict(HEARD_S + 0.999) is None
    assert found.due_s == HEARD_S + 1.0
    assert found.verdict(HEARD_S + 1.0) == PeerLost(Evidence.REFUSED, 1.0)


def test_s12_an_ended_connection_alone_is_no_loss_before_silence_is() -> None:
    found = detector()
    found.connection_ended()
    assert found.verdict(HEARD_S + 2.999) is None
    assert found.due_s == HEARD_S + 3.0


@pytest.mark.parametrize("suspicion", ["refused", "ended", "goodbye"])
def test_a_word_of_the_peer_ends_every_suspicion(suspicion: str) -> None:
    found = detector()
    if suspicion == "goodbye":
        found.goodbye()
    else:
        found.refused()
        found.connection_ended()
    found.heard(HEARD_S + 0.5)
    assert found.verdict(HEARD_S + 0.5) is None
    if suspicion == "refused":
        found.connection_ended()
    elif suspicion == "ended":
        found.refused()
    assert found.verdict(HEARD_S + 0.75) is None


def test_s13_after_a_stall_silence_counts_anew() -> None:
    found = detector()
    found.count_anew(HEARD_S + 50.0)
    assert found.verdict(HEARD_S + 52.999) is None
    assert found.due_s == HEARD_S + 53.0
    # The evidence says the truth: how long ago the peer spoke.
    assert found.verdict(HEARD_S + 53.0) == PeerLost(Evidence.SILENCE, 53.0)


def test_s13_after_a_stall_a_refusal_waits_for_one_interval_too() -> None:
    found = detector()
    found.refused()
    found.count_anew(HEARD_S + 50.0)
    assert found.verdict(HEARD_S + 50.5) is None
    assert found.verdict(HEARD_S + 51.0) is not None


def test_counting_anew_never_goes_back() -> None:
    found = detector()
    found.count_anew(HEARD_S + 50.0)
    found.count_anew(HEARD_S + 10.0)
    assert found.due_s == HEARD_S + 53.0


def test_s14_silence_may_count_from_a_moment_to_come() -> None:
    found = detector()
    found.count_anew(HEARD_S + 1.0)
    assert found.silent_s(HEARD_S + 0.5) == 0.0
    assert found.verdict(HEARD_S + 3.5) is None
    assert found.verdict(HEARD_S + 4.0) is not None
