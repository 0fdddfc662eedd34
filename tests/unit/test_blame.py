"""Who made an entry what it is."""

from __future__ import annotations

from eventstore import Blame, read_blame
from tests.support.histories import MASTER, STANDBY, History
from tests.support.sources import MemorySource

KEY = "users/alice"


def blamed(history: History, limit: int = 100) -> Blame:
    source = MemorySource.of(history)
    return read_blame(source, KEY, prevailing=MASTER, other=STANDBY, limit=limit)


def test_a_field_is_the_one_s_who_last_changed_it() -> None:
    history = History()
    first = history.master.put(KEY, {"a": 1, "b": 1, "c": 1})
    second = history.master.put(KEY, {"a": 2, "b": 1, "c": True})
    third = history.master.put(KEY, {"a": 1, "b": 1, "c": True})
    # That a has the value of long ago again is the third one's doing.
    assert blamed(history).fields == {"a": third, "b": first, "c": second}


def test_whoever_puts_a_deleted_entry_again_set_all_its_fields() -> None:
    history = History()
    history.master.put(KEY, {"a": 1})
    history.master.delete(KEY)
    again = history.master.put(KEY, {"a": 1})
    assert blamed(history).fields == {"a": again}


def test_concurrent_changes_replaced_the_same_and_one_lost() -> None:
    history = History()
    base = history.master.put(KEY, {"a": 1, "b": 1}, ms=1)
    history.standby.hear(history.master)
    theirs = history.standby.put(KEY, {"a": 2, "b": 1}, ms=2)
    ours = history.master.put(KEY, {"a": 1, "b": 2}, ms=3)
    found = blamed(history)
    assert [(c.event, c.before) for c in found.changes] == [
        (ours, base),
        (theirs, base),
        (base, None),
    ]
    lost = found.changes[1].loss
    assert lost is not None
    assert (lost.winner, lost.settled_by) == (ours, None)
    assert found.fields == {"a": base, "b": ours}


def test_of_two_changes_with_one_id_the_standbys_lost() -> None:
    history = History()
    won = history.master.put(KEY, 1, ms=5)
    lost = history.standby.put(KEY, 2, ms=5)
    assert won.id == lost.id
    marked = {c.event.origin: c.loss for c in blamed(history).changes}
    assert marked[MASTER] is None
    assert marked[STANDBY] is not None


def test_what_recovery_made_anew_behind_what_overrides_it_has_lost() -> None:
    """Its vector is older than that of the event before it in its stream."""
    history = History()
    base = history.standby.put(KEY, 1, ms=1)
    history.master.hear(history.standby)
    ours = history.master.put(KEY, 2, ms=2)
    history.standby.hear(history.master)
    history.standby.put("users/other", ms=3)
    del history.standby.seen[MASTER]
    anew = history.standby.put(KEY, 3, ms=4)
    found = blamed(history)
    assert [(c.event, c.before) for c in found.changes] == [
        (anew, ours),
        (ours, base),
        (base, None),
    ]
    assert found.standing == ours
    assert found.changes[0].loss is not None


def test_what_is_no_change_of_an_entry_is_nobody_s_doing() -> None:
    history = History()
    put = history.master.put(KEY, {"a": 1})
    history.master.write("a-later-kind", KEY, {"a": 2})
    found = blamed(history)
    assert [change.event for change in found.changes] == [put]
    assert (found.standing, found.fields) == (put, {"a": put})
