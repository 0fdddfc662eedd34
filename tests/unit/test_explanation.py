"""Why an entry is what it is, in one sentence that names the ids which decide."""

from __future__ import annotations

import pytest

from eventstore import Explanation, read_explanation
from tests.support.histories import MASTER, STANDBY, History
from tests.support.sources import MemorySource

KEY = "users/alice"


@pytest.fixture
def history() -> History:
    return History()


def explained(history: History) -> Explanation:
    source = MemorySource.of(history)
    return read_explanation(source, KEY, prevailing=MASTER, other=STANDBY)


def test_nothing_competes_for_a_key_that_never_was(history: History) -> None:
    history.master.put("users/bob")
    history.master.write("state-changed", KEY)  # It concerns no entry.
    found = explained(history)
    assert found.why == "no event ever changed 'users/alice'"
    assert (found.standing, found.loser, found.is_conflict) == (None, None, False)


def test_one_writer_has_no_rival(history: History) -> None:
    history.standby.put(KEY, 1)
    newest = history.standby.put(KEY, 2)
    found = explained(history)
    assert found.why == "only the standby changed it: its newest change stands"
    assert (found.standing, found.loser) == (newest, None)


def test_a_change_of_the_standby_that_knew_stands(history: History) -> None:
    ours = history.master.put(KEY, 1, ms=5)
    history.standby.hear(history.master)
    theirs = history.standby.put(KEY, 2, ms=6)
    found = explained(history)
    assert found.why == (
        "the standby's change 6-1 had seen the master's newest, 5-1 (its vector has "
        "master=5-1): the standby's newest change stands"
    )
    assert (found.standing, found.loser, found.is_conflict) == (theirs, ours, False)


def test_a_later_change_stands_by_an_earlier_one_that_had_seen_more(
    history: History,
) -> None:
    # As recovery may leave them: what was made in ignorance comes anew behind the rest.
    history.master.put(KEY, 1, ms=5)
    history.standby.hear(history.master)
    knew = history.standby.put(KEY, 2, ms=6)
    del history.standby.seen[MASTER]
    ignorant = history.standby.put(KEY, 3, ms=7)
    found = explained(history)
    assert (found.covered_by, found.standing) == (knew, ignorant)
    assert found.why == (
        "the standby's change 6-1 had seen the master's newest, 5-1 (its vector has "
        "master=5-1), and 7-2 came after it: the standby's newest change stands"
    )


def test_the_first_change_that_had_seen_the_masters_newest_is_named(
    history: History,
) -> None:
    history.master.put(KEY, 1, ms=5)
    history.standby.hear(history.master)
    first, second = (history.standby.put(KEY, n, ms=6 + n) for n in range(2))
    found = explained(history)
    assert (found.covered_by, found.standing) == (first, second)
    assert "and 7-2 came after it" in found.why


def test_a_change_of_the_master_that_knew_stands(history: History) -> None:
    theirs = history.standby.put(KEY, 1, ms=5)
    history.master.hear(history.standby)
    ours = history.master.put(KEY, 2, ms=6)
    found = explained(history)
    assert found.why == (
        "the master's newest change 6-1 had seen the standby's newest, 5-1 (its vector "
        "has standby=5-1), and no change of the standby had seen 6-1: the master's stands"
    )
    assert (found.standing, found.loser, found.is_conflict) == (ours, theirs, False)


def test_of_concurrent_changes_the_masters_stands(history: History) -> None:
    theirs = history.standby.put(KEY, 1, ms=9)
    ours = history.master.put(KEY, 2, ms=6)
    found = explained(history)
    assert found.why == (
        "the standby's changes had seen the master only up to master=0-0, before its "
        "newest change 6-1, and that had seen the standby only up to 0-0, before 9-1: "
        "they are concurrent, and the master's stands"
    )
    assert (found.standing, found.loser, found.is_conflict) == (ours, theirs, True)
