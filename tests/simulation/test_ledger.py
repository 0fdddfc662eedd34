"""The excuse for a missing event: at some moment it was nowhere."""

from __future__ import annotations

from tests.simulation.ledger import Identity, Ledger
from tests.support.histories import MASTER, Writer


def events(count: int) -> set[Identity]:
    writer = Writer(MASTER)
    made = [writer.put("users/a", n) for n in range(count)]
    return {(e.origin, e.id, e.digest) for e in made}


def test_what_the_other_redis_has_is_not_lost() -> None:
    gone = events(2)
    ledger = Ledger()
    ledger.look(gone, stored=gone, remembered=set())
    assert not ledger.lost


def test_what_a_process_remembers_is_lost_when_the_last_one_ends() -> None:
    gone = events(2)
    ledger = Ledger()
    ledger.look(gone, stored=set(), remembered=gone)
    assert not ledger.lost
    ledger.look(set(), stored=set(), remembered=set())
    assert ledger.lost == gone


def test_what_was_stored_again_before_the_process_ended_is_not_lost() -> None:
    gone = events(2)
    ledger = Ledger()
    ledger.look(gone, stored=set(), remembered=gone)
    ledger.look(set(), stored=gone, remembered=set())
    ledger.look(set(), stored=set(), remembered=set())
    assert not ledger.lost, "nothing was lost since: it must still be there"


def test_what_is_nowhere_is_lost() -> None:
    gone = events(3)
    ledger = Ledger()
    ledger.look(gone, stored=set(), remembered=set())
    assert ledger.lost == gone
    assert ledger.lost_count == 3
