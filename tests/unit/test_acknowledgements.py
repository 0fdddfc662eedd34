"""When a connection that carried what we sent is doubtful (S12), and who heard us (S20)."""

from __future__ import annotations

import itertools

import pytest

from node.acknowledgements import Acknowledgements

INTERVAL_S = 1.0
PEER_LOST_AFTER_S = 3.0
PHASES = pytest.mark.parametrize("phase_s", [k / 16 for k in range(17)])
"""How long after ours the peer's heartbeats are sent."""


def carried(at_s: float = 10.0) -> Acknowledgements:
    """Sequence 1 was sent at `at_s` and acknowledged at once."""
    found = Acknowledgements(INTERVAL_S, unproved_after_s=2 * PEER_LOST_AFTER_S)
    found.sent(1, at_s)
    found.acknowledged(1, at_s)
    return found


def doubted_s(
    phase_s: float, *, delay_s: float, dead_after_s: float, until_s: float
) -> float | None:
    """When the first doubt came; nothing that we send after `dead_after_s` arrives.

    Ours are sent at 0, 1, 2 … s, the peer's at the phase behind them; each takes `delay_s`.
    """
    ours = Acknowledgements(INTERVAL_S, unproved_after_s=2 * PEER_LOST_AFTER_S)
    happens: list[tuple[float, int, int]] = []
    for sequence in range(1, int(until_s) + 1):
        sent_s = (sequence - 1) * INTERVAL_S
        happens.append((sent_s, 0, sequence))
        said_s = sent_s + phase_s
        arrived = [n for n in range(1, sequence + 1) if n - 1 + delay_s <= said_s]
        heard = max((n for n in arrived if n - 1 <= dead_after_s), default=0)
        happens.append((said_s + delay_s, 1, heard))
    for (now_s, what, sequence), following in itertools.pairwise(sorted(happens)):
        if what == 0:
            ours.sent(sequence, now_s)
        else:
            ours.acknowledged(sequence, now_s)
        if ours.doubtful_s is not None and ours.doubtful_s <= following[0]:
            return ours.doubtful_s
    return None


@PHASES
def test_a_dead_connection_is_doubtful_before_the_peer_counts_as_lost(
    phase_s: float,
) -> None:
    """It dies just after it carried our heartbeat of 20 s: silence counts from there."""
    found_s = doubted_s(phase_s, delay_s=0.01, dead_after_s=20.0, until_s=60.0)
    assert found_s is not None
    assert 20.0 < found_s <= 20.0 + PEER_LOST_AFTER_S - 0.45


@PHASES
@pytest.mark.parametrize("delay_s", [0.0, 0.001, 0.3, 0.5, 0.99, 2.0, 2.4])
def test_a_slow_link_that_works_is_never_doubtful(
    phase_s: float, delay_s: float
) -> None:
    assert doubted_s(phase_s, delay_s=delay_s, dead_after_s=99.0, until_s=60.0) is None


def test_heartbeats_that_cross_leave_no_doubt() -> None:
    """The peer's second word was on its way when our second one came."""
    found = carried(10.0)
    found.sent(2, 11.0)
    found.acknowledged(1, 11.001)
    found.sent(3, 12.0)
    assert found.doubtful_s is not None
    assert found.doubtful_s > 12.001
    found.acknowledged(2, 12.001)
    assert found.doubtful_s == 12.001 + 1.5


def test_when_all_is_acknowledged_there_is_no_doubt() -> None:
    assert carried().doubtful_s is None


def test_a_connection_that_never_carried_anything_is_given_more_time() -> None:
    """Or the answers to dials would hide that the peer's words do not come (S20)."""
    found = carried(10.0)
    found.connected(10.5)
    found.sent(2, 11.0)
    assert found.doubtful_s == 11.0 + 6.0
    found.acknowledged(1, 11.5)  # It was sent on the connection before.
    assert found.doubtful_s == 11.0 + 6.0
    found.count_anew(40.0)
    assert found.doubtful_s == 40.0 + 6.0
    found.acknowledged(2, 41.0)
    found.sent(3, 41.0)
    assert found.doubtful_s == 42.5


def test_after_a_stall_doubt_counts_anew() -> None:
    found = carried(10.0)
    found.sent(2, 11.0)
    found.count_anew(40.0)
    assert found.doubtful_s == 41.5
    assert found.unheard_s(41.0) == 1.0


def test_a_new_process_of_the_peer_has_nothing_to_acknowledge() -> None:
    found = carried(10.0)
    found.sent(2, 11.0)
    found.peer_began(12.0)
    assert found.doubtful_s is None
    assert found.unheard_s(13.0) == 1.0
    found.acknowledged(2, 13.0)  # It was not said to this one.
    assert found.unheard_s(13.0) == 1.0


def test_how_long_we_are_unheard_counts_from_the_sending_of_what_was_heard() -> None:
    found = Acknowledgements(INTERVAL_S, unproved_after_s=2 * PEER_LOST_AFTER_S)
    assert found.unheard_s(5.0) == float("inf")
    found.sent(1, 10.0)
    found.sent(2, 11.0)
    found.acknowledged(1, 12.0)
    assert found.unheard_s(12.0) == 2.0
    found.acknowledged(12345, 12.0)
    assert found.unheard_s(12.0) == 2.0
    found.peer_returned(12.5)
    found.acknowledged(2, 13.0)
    assert found.unheard_s(13.0) == 0.5  # Never back.


def test_unanswered_heartbeats_are_not_kept_for_ever() -> None:
    found = carried()
    for sequence in range(2, 1200):
        found.sent(sequence, float(sequence))
    assert len(found._sent_s) == 1000
    found.acknowledged(1199, 1200.0)
    assert len(found._sent_s) == 1
