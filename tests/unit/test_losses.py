"""Which change lost, against which, and what settled it (D7)."""

import pytest

from eventstore import Configuration, Delete, Event, Loss, Put
from eventstore.history import merge_causally, second_as_it_knew
from eventstore.losses import losses
from tests.support.histories import MASTER, History

KEY = "users/alice"


@pytest.fixture
def history() -> History:
    return History()


def all_losses(history: History) -> list[Loss]:
    first, second = iter(history.master.written), iter(history.standby.written)
    merged = merge_causally(first, second, second_as_it_knew)
    return list(losses(merged, prevailing=MASTER))


def open_losses(*events: Event) -> list[Loss]:
    configuration = Configuration(prevailing=MASTER)
    for event in events:
        configuration.fold(event)
    return configuration.losses()


def test_a_change_loses_to_the_masters_newest_that_did_not_know_it(
    history: History,
) -> None:
    loser = history.standby.put(KEY, "standby")
    history.master.put(KEY, "first")
    winner = history.master.put(KEY, "second")
    assert all_losses(history) == [Loss(loser, winner)]
    assert open_losses(*history.events) == [Loss(loser, winner)]


def test_what_the_standby_replaced_itself_before_it_knew_did_not_lose(
    history: History,
) -> None:
    history.standby.put(KEY, "draft")
    winner = history.master.put(KEY, "master")
    loser = history.standby.put(KEY, "standby")
    assert all_losses(history) == [Loss(loser, winner)]


def test_the_masters_change_cannot_lose_to_a_concurrent_one(history: History) -> None:
    history.master.put(KEY, "master")
    history.standby.put(KEY, "standby")
    assert {loss.loser.origin for loss in all_losses(history)} == {"standby"}


def test_overriding_knowingly_is_no_loss(history: History) -> None:
    history.standby.put(KEY, "standby")
    history.master.hear(history.standby)
    history.master.put(KEY, "master")
    history.standby.hear(history.master)
    history.standby.put(KEY, "standby again")
    assert all_losses(history) == []


@pytest.mark.parametrize("settler", ["master", "standby"])
def test_the_next_change_of_the_entry_that_knows_it_settles_a_loss(
    history: History, settler: str
) -> None:
    loser = history.standby.put(KEY, "standby")
    winner = history.master.put(KEY, "master", ms=10**6)
    history.master.put("users/bob", "another entry")
    history.standby.hear(history.master)
    history.master.hear(history.standby)
    writer = history.master if settler == "master" else history.standby
    settled_by = writer.put(KEY, "decided")
    assert all_losses(history) == [Loss(loser, winner, settled_by)]
    assert open_losses(*history.events) == []


def test_a_settled_loss_is_kept_beside_a_later_one_of_the_same_entry(
    history: History,
) -> None:
    first = history.standby.put(KEY, 1)
    winner = history.master.put(KEY, 2)
    history.standby.hear(history.master)
    second = history.standby.put(KEY, 3)
    again = history.master.put(KEY, 4)
    assert all_losses(history) == [
        Loss(first, winner, settled_by=second),
        Loss(second, again),
    ]


def test_a_recovered_change_that_loses_is_told_and_hides_no_other(
    history: History,
) -> None:
    winner = history.master.put(KEY, "master")
    first = history.standby.put(KEY, "lost")
    history.standby.hear(history.master)
    history.standby.put("users/bob", "that the standby knew the master's")
    del history.standby.seen[MASTER]
    recovered = history.standby.put(KEY, "made in ignorance")
    assert all_losses(history) == [
        Loss(first, winner, settled_by=recovered),
        Loss(recovered, winner),
    ]


def test_open_losses_come_by_the_id_of_the_loser(history: History) -> None:
    keys = ["users/c", "users/a", "users/b"]
    lost = [history.standby.put(key) for key in keys]
    won = [history.master.put(key) for key in sorted(keys)]
    assert [loss.loser for loss in open_losses(*won, *reversed(lost))] == lost


def test_what_restores_a_put_puts_and_what_restores_a_delete_deletes(
    history: History,
) -> None:
    history.master.put("users/b")
    history.standby.hear(history.master)
    put = history.standby.put("users/a", {"extension": "101"})
    deleted = history.standby.delete("users/b")
    assert Loss(put, put).change == Put("users/a", {"extension": "101"})
    assert Loss(deleted, deleted).change == Delete("users/b")


def test_what_stands_for_a_key_is_told_also_when_it_is_a_delete(
    history: History,
) -> None:
    configuration = Configuration(prevailing=MASTER)
    assert configuration.standing(KEY) is None
    configuration.fold(history.master.put(KEY))
    deleted = history.master.delete(KEY)
    configuration.fold(deleted)
    assert configuration.standing(KEY) == deleted
