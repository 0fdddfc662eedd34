"""Which changes lost, open and settled: the same on any node, and what the oracle says."""

from __future__ import annotations

import random

from hypothesis import event as note
from hypothesis import given
from hypothesis import strategies as st

from eventstore import Configuration, Event, Loss
from eventstore.history import merge_causally, second_as_it_knew
from eventstore.losses import losses
from tests.properties.pairs import histories
from tests.support import oracle
from tests.support.histories import MASTER, History


def all_losses(history: History) -> list[Loss]:
    first, second = iter(history.master.written), iter(history.standby.written)
    merged = merge_causally(first, second, second_as_it_knew)
    return list(losses(merged, prevailing=MASTER))


def still_open(found: list[Loss]) -> list[Loss]:
    return [loss for loss in found if loss.settled_by is None]


def folded(events: list[Event]) -> Configuration:
    configuration = Configuration(prevailing=MASTER)
    for event in events:
        configuration.fold(event)
    return configuration


@given(histories(), st.randoms(use_true_random=False))
def test_open_losses_are_the_same_in_any_order_and_those_of_the_oracle(
    history: History, chance: random.Random
) -> None:
    one, other = history.events, history.events * 2
    chance.shuffle(one)
    chance.shuffle(other)
    found = folded(one).losses()
    assert found == folded(other).losses() == still_open(all_losses(history))
    expected = oracle.open_losses(one, prevailing=MASTER)
    assert {loss.key: (loss.loser, loss.winner) for loss in found} == expected
    assert [loss.loser.id for loss in found] == sorted(loss.loser.id for loss in found)
    note(f"open: {min(len(found), 3)}")


@given(histories(recovered=False))
def test_all_that_ever_lost_is_what_the_oracle_says(history: History) -> None:
    found = all_losses(history)
    expected = oracle.losers(history.events, prevailing=MASTER)
    assert {loss.loser.digest for loss in found} == expected
    assert len(found) == len(expected), "one is told twice"
    note(f"settled: {min(len(found) - len(still_open(found)), 3)}")


@given(histories())
def test_a_loss_names_a_change_that_did_not_know_it_and_one_that_settles(
    history: History,
) -> None:
    for loss in all_losses(history):
        assert loss.winner.key == loss.key
        assert (loss.loser.origin, loss.winner.origin) != (MASTER, loss.loser.origin)
        assert oracle.are_concurrent(loss.loser, loss.winner)
        if loss.settled_by is not None:
            assert loss.settled_by.key == loss.key
            assert oracle.happened_before(loss.loser, loss.settled_by)


@given(histories())
def test_no_open_loss_is_left_once_each_is_restored(history: History) -> None:
    for loss in folded(history.events).losses():
        writer = history.standby
        writer.hear(history.master)
        writer.write(loss.loser.kind, loss.key, loss.loser.value)
    after = folded(history.events)
    assert after.losses() == []
    assert still_open(all_losses(history)) == []
