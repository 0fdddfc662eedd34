"""What an entry was before each change, and which change lost."""

from __future__ import annotations

from eventstore import Event, EventId, Filter, HistoryLine, read_history_lines
from eventstore.history_lines import Overridden
from tests.support.histories import MASTER, STANDBY, History, Writer
from tests.support.sources import MemorySource

KEY = "users/alice"


def lines(history: History, wanted: Filter | None = None) -> list[HistoryLine]:
    return list(
        read_history_lines(
            MemorySource.of(history),
            wanted or Filter(),
            prevailing=MASTER,
            other=STANDBY,
        )
    )


def befores(found: list[HistoryLine]) -> dict[tuple[str, int], object]:
    """The value before each event, `None` for no entry."""
    return {
        (line.event.origin, line.event.id.n): line.before and line.before.value
        for line in found
    }


def cut(history: History) -> tuple[Event, Event, Event]:
    """One entry, changed on both sides of a cut."""
    first = history.master.put(KEY, "100", ms=1)
    history.standby.hear(history.master)
    lost = history.standby.put(KEY, "201", ms=2)
    won = history.master.put(KEY, "106", ms=3)
    return first, lost, won


def test_before_is_what_the_last_change_left() -> None:
    history = History()
    history.master.put(KEY, 1)
    history.master.put("users/bob", 2)
    history.master.put(KEY, 3)
    history.master.delete(KEY)
    history.master.put(KEY, 4)
    found = befores(lines(history))
    assert list(found.values()) == [None, None, 1, 3, None]


def test_before_names_the_event_that_made_it_so() -> None:
    history = History()
    first = history.master.put(KEY, None)
    history.standby.hear(history.master)
    history.standby.put(KEY, 2)
    line = lines(history)[1]
    assert line.before is not None
    assert (line.before.origin, line.before.id) == (MASTER, first.id)
    assert line.before.value is None


def test_in_a_cut_each_side_changed_what_it_saw() -> None:
    history = History()
    cut(history)
    # By the clock the standby's came first, but the master could not know of it.
    assert befores(lines(history)) == {
        (MASTER, 1): None,
        (STANDBY, 1): "100",
        (MASTER, 2): "100",
    }


def test_after_a_cut_both_changed_what_won() -> None:
    history = History()
    cut(history)
    history.standby.hear(history.master)
    history.master.hear(history.standby)
    history.standby.put(KEY, "301", ms=5)
    history.master.put(KEY, "401", ms=6)
    found = befores(lines(history))
    assert found[STANDBY, 2] == "106"
    assert found[MASTER, 3] == "106"


def test_what_lost_names_what_overrode_it_while_that_is_open() -> None:
    history = History()
    _, lost, won = cut(history)
    marked = {line.event.digest: line.overridden for line in lines(history)}
    assert marked[won.digest] is None
    found = marked[lost.digest]
    assert found is not None
    assert (found.by, found.settled_by) == (won.id, None)


def test_and_what_settled_it() -> None:
    history = History()
    _, _, won = cut(history)
    history.standby.hear(history.master)
    settled = history.standby.put(KEY, "301")
    (found,) = [line.overridden for line in lines(history) if line.overridden]
    assert (found.by, found.settled_by) == (won.id, (STANDBY, settled.id))


def test_what_its_own_writer_replaced_before_it_heard_has_not_lost() -> None:
    """By the ids' time the master's came between the two, which says nothing."""
    history = History()
    history.standby.put(KEY, "200", ms=5)
    won = history.master.put(KEY, "100", ms=6)
    lost = history.standby.put(KEY, "201", ms=7)
    found = [line for line in lines(history) if line.overridden]
    assert [line.event for line in found] == [lost]
    assert found[0].overridden == Overridden(won.id, None)


def test_of_two_events_with_one_id_the_standbys_lost() -> None:
    history = History()
    won = history.master.put(KEY, "100", ms=5)
    lost = history.standby.put(KEY, "200", ms=5)
    assert won.id == lost.id
    marked = {line.event.origin: line.overridden for line in lines(history)}
    assert marked[MASTER] is None
    assert marked[STANDBY] is not None


def test_what_came_before_a_time_still_counts() -> None:
    history = History()
    cut(history)
    history.standby.hear(history.master)
    history.standby.put(KEY, "301", ms=9)
    (line,) = lines(history, Filter(since_ns=5_000_000))
    assert line.before is not None
    assert line.before.value == "106"


def test_every_filter_leaves_the_lines_as_they_are() -> None:
    history = History()
    cut(history)
    history.standby.write("state-changed", "", {"from": "passive"}, ms=4)
    history.standby.put("groups/x", 1, ms=5)
    whole = lines(history)
    for wanted in (
        Filter(key=KEY),
        Filter(prefix="users/"),
        Filter(origin=MASTER),
        Filter(origin=STANDBY),
        Filter(kinds={"entry-put"}),
        Filter(kinds={"state-changed", "entry-deleted"}),
        Filter(actor="nobody"),
        Filter(until_ns=3_000_000),
    ):
        expected = [line for line in whole if wanted.accepts(line.event)]
        assert lines(history, wanted) == expected


def test_nobody_looks_for_losers_until_a_change_that_may_be_one_is_told() -> None:
    history = History()
    cut(history)
    source, asked = MemorySource.of(history), []

    def overridden() -> dict[EventId, object]:
        asked.append(True)
        return {}

    found = read_history_lines(
        source,
        Filter(),
        prevailing=MASTER,
        other=STANDBY,
        overridden=overridden,  # type: ignore[arg-type]
    )
    next(found)
    assert not asked
    list(found)
    assert asked == [True]


def test_what_recovery_made_anew_changes_what_its_stream_had() -> None:
    """The tail that came back stands before it, although its writer had lost it."""
    history = History()
    history.master.put(KEY, "100")
    history.standby.put("users/bob", 1)
    history.master.hear(history.standby)
    history.master.put(KEY, "101")
    anew = Writer(MASTER)
    anew.written, anew.blobs = history.master.written, history.master.blobs
    anew.put(KEY, "102")  # Its vector knows nothing of the standby.
    assert befores(lines(history))[MASTER, 3] == "101"
