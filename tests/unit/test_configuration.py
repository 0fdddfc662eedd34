import hashlib
import random

import pytest

from eventstore import START, Configuration, Event, Kind
from tests.support.histories import MASTER, STANDBY, History

KEY = "users/alice"


@pytest.fixture
def history() -> History:
    return History()


def folded(*events: Event) -> Configuration:
    configuration = Configuration(prevailing=MASTER)
    for event in events:
        configuration.fold(event)
    return configuration


def value_of(configuration: Configuration) -> object:
    entry = configuration.get(KEY)
    return None if entry is None else entry.value


def test_the_newest_event_of_one_origin_stands(history: History) -> None:
    for writer in (history.master, history.standby):
        first, second = writer.put(KEY, "first"), writer.put(KEY, "second")
        assert value_of(folded(first, second)) == "second"
        assert value_of(folded(second, first)) == "second"


def test_the_masters_change_wins_over_a_concurrent_one(history: History) -> None:
    # The standby's clock is far ahead; clocks never decide (D6).
    theirs = history.standby.put(KEY, "standby", ms=10**12)
    ours = history.master.put(KEY, "master")
    for order in ((theirs, ours), (ours, theirs)):
        configuration = folded(*order)
        assert value_of(configuration) == "master"
        assert configuration.conflict_count == 1


def test_a_standby_change_that_knew_the_masters_wins(history: History) -> None:
    ours = history.master.put(KEY, "master", ms=10**12)
    history.standby.hear(history.master)
    theirs = history.standby.put(KEY, "standby")
    for order in ((theirs, ours), (ours, theirs)):
        configuration = folded(*order)
        assert value_of(configuration) == "standby"
        assert configuration.conflict_count == 0


def test_a_standby_change_that_knew_an_older_master_change_loses(
    history: History,
) -> None:
    history.master.put(KEY, "old")
    history.standby.hear(history.master)
    theirs = history.standby.put(KEY, "standby")
    newest = history.master.put(KEY, "new")
    assert value_of(folded(history.master.written[0], theirs, newest)) == "new"


def test_one_event_that_covers_is_enough_and_the_newest_stands(
    history: History,
) -> None:
    # As after a recovery, where a change made in ignorance comes behind a wiser one.
    ours = history.master.put(KEY, "master")
    history.standby.hear(history.master)
    wiser = history.standby.put(KEY, "wiser")
    del history.standby.seen[MASTER]
    ignorant = history.standby.put(KEY, "ignorant")
    for order in (
        (ours, wiser, ignorant),
        (ours, ignorant, wiser),
        (ignorant, ours, wiser),
        (ignorant, wiser, ours),
    ):
        assert value_of(folded(*order)) == "ignorant"


def test_which_origin_prevails_is_an_argument(history: History) -> None:
    ours, theirs = history.master.put(KEY, "master"), history.standby.put(KEY, "s")
    configuration = Configuration(prevailing=STANDBY)
    configuration.fold(ours)
    configuration.fold(theirs)
    assert value_of(configuration) == "s"


def test_a_deleted_entry_is_gone_and_does_not_come_back(history: History) -> None:
    put = history.master.put(KEY, 1)
    history.standby.hear(history.master)
    deleted = history.standby.delete(KEY)
    for order in ((put, deleted), (deleted, put), (put, deleted, put)):
        configuration = folded(*order)
        assert configuration.get(KEY) is None
        assert (len(configuration), list(configuration.entries())) == (0, [])
        assert int(configuration.digest, 16) == 0


def test_an_event_that_says_nothing_new_folds_to_none(history: History) -> None:
    first, second = history.master.put(KEY, 1), history.master.put(KEY, 2)
    history.standby.hear(history.master)
    old, new = history.standby.put(KEY, 3), history.standby.put(KEY, 4)
    configuration = folded(second, new)
    for event in (first, second, old, new):
        assert configuration.fold(event) is None
    assert value_of(configuration) == 4


@pytest.mark.parametrize(
    "kind",
    [
        Kind.STATE_CHANGED,
        Kind.STREAM_OPENED,
        Kind.REPLICATION_CHANGED,
        "entry-blessed",
    ],
)
def test_an_event_that_concerns_no_entry_is_not_folded(
    history: History, kind: str
) -> None:
    configuration = folded()
    assert configuration.fold(history.master.write(kind, KEY, 1)) is None
    assert len(configuration) == 0


def test_folding_tells_what_it_did(history: History) -> None:
    theirs = history.standby.put(KEY, "theirs")
    ours = history.master.put(KEY, "ours")
    configuration = folded()
    first = configuration.fold(theirs)
    assert first is not None
    assert (first.before, first.loser) == (None, None)
    assert first.after is not None
    assert first.after.event is theirs
    second = configuration.fold(ours)
    assert second is not None
    assert second.before == first.after
    assert second.after is not None
    assert second.after.event is ours
    assert second.loser is theirs


def test_a_losing_event_that_comes_late_leaves_the_entry_as_it_is(
    history: History,
) -> None:
    ours = history.master.put(KEY, "ours")
    theirs = history.standby.put(KEY, "theirs")
    configuration = folded(ours)
    told = configuration.fold(theirs)
    assert told is not None
    assert told.after is told.before
    assert told.loser is theirs


def test_a_conflict_is_told_once(history: History) -> None:
    theirs = history.standby.put(KEY, "theirs")
    configuration = folded(theirs)
    told = [
        configuration.fold(history.master.put(KEY, 1)),
        configuration.fold(history.master.put(KEY, 2)),
    ]
    assert [t.loser for t in told if t is not None] == [theirs, None]
    assert configuration.conflict_count == 1


def test_a_conflict_ends_with_the_next_change_that_knew_of_it(
    history: History,
) -> None:
    lost = history.standby.put(KEY, "lost")
    ours = history.master.put(KEY, "ours")
    configuration = folded(lost, ours)
    assert configuration.conflict_count == 1
    history.master.hear(history.standby)
    told = configuration.fold(history.master.put(KEY, "decided"))
    assert told is not None
    assert told.loser is None
    assert configuration.conflict_count == 0
    history.standby.hear(history.master)
    configuration.fold(history.standby.put(KEY, "again"))
    assert (value_of(configuration), configuration.conflict_count) == ("again", 0)


def test_an_entry_tells_the_event_that_made_it(history: History) -> None:
    event = history.standby.put(KEY, {"extension": "101"})
    entry = folded(event).get(KEY)
    assert entry is not None
    assert (entry.key, entry.id, entry.origin) == (KEY, event.id, STANDBY)
    assert entry.value == {"extension": "101"}
    assert entry.value is not entry.value


def test_entries_come_by_key_and_by_prefix(history: History) -> None:
    keys = ["users/b", "scripts/a", "users/a", "users-old/a"]
    configuration = folded(*(history.master.put(key) for key in keys))
    assert [e.key for e in configuration.entries()] == sorted(keys)
    assert [e.key for e in configuration.entries("users/")] == ["users/a", "users/b"]
    assert list(configuration.entries("x")) == []


def test_the_digest_is_the_sum_of_the_entries(history: History) -> None:
    first, second = history.master.put("users/a", 1), history.master.put("users/b", 1)
    weights = [
        int.from_bytes(hashlib.sha256(e.key.encode() + b"\0" + e.digest).digest())
        for e in (first, second)
    ]
    assert folded(first, second).digest == f"{sum(weights) % 2**256:064x}"


def test_the_digest_follows_replaced_and_deleted_entries(history: History) -> None:
    kept = history.master.put("users/b", 1)
    before = folded(kept).digest
    replaced = [history.master.put(KEY, n) for n in range(5)]
    assert folded(kept, *replaced).digest == folded(replaced[-1], kept).digest
    gone = history.master.delete(KEY)
    assert folded(kept, *replaced, gone).digest == before
    assert len(before) == 64


def test_other_entries_give_another_digest(history: History) -> None:
    one, two = history.master.put("users/a", 1), history.master.put("users/b", 1)
    assert len({folded(*e).digest for e in ((), (one,), (two,), (one, two))}) == 4


def test_keys_do_not_touch_each_other(history: History) -> None:
    events = [history.master.put(f"users/{n}", n) for n in range(20)]
    random.Random(1).shuffle(events)
    configuration = folded(*events)
    assert [e.value for e in configuration.entries()] == [
        int(key.partition("/")[2]) for key in sorted(f"users/{n}" for n in range(20))
    ]
    assert configuration.conflict_count == 0


def test_a_standby_event_that_knew_nothing_does_not_beat_a_master_event_at_the_start(
    history: History,
) -> None:
    theirs = history.standby.put(KEY, "theirs")
    assert theirs.vector.get(MASTER, START) == START
    assert value_of(folded(history.master.put(KEY, "ours"), theirs)) == "ours"
