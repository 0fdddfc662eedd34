from collections.abc import Iterator

import attrs
import pytest

from eventstore import Event, EventId, Filter
from eventstore.history import merge_causally
from tests.support.histories import MASTER, STANDBY, History, Writer


@pytest.fixture
def history() -> History:
    return History()


def merged(history: History) -> list[Event]:
    return list(
        merge_causally(iter(history.master.written), iter(history.standby.written))
    )


def test_a_cause_comes_before_its_effect_whatever_the_clocks(history: History) -> None:
    cause = history.master.put("users/a", ms=1000)
    effect = history.standby.put("users/b", ms=5)
    history.standby.hear(history.master)
    later = history.standby.put("users/b", ms=6)
    history.master.hear(history.standby)
    last = history.master.put("users/a", ms=7)
    assert merged(history) == [effect, cause, later, last]


def test_causes_come_first_even_where_an_id_is_before_its_causes(
    history: History,
) -> None:
    # No writer of ours makes such ids; vectors are believed, times are not.
    cause = history.master.put("users/a", ms=1000)
    history.standby.hear(history.master)
    effect = attrs.evolve(history.standby.put("users/b"), id=EventId(1, 1))
    for streams in (([cause], [effect]), ([effect], [cause])):
        first, second = map(iter, streams)
        assert list(merge_causally(first, second)) == [cause, effect]


def test_concurrent_events_come_by_their_time(history: History) -> None:
    late = history.master.put("users/a", ms=20)
    early = history.standby.put("users/a", ms=10)
    latest = history.standby.put("users/a", ms=30)
    assert merged(history) == [early, late, latest]


def test_concurrent_events_of_one_moment_come_first_stream_first(
    history: History,
) -> None:
    theirs, ours = history.standby.put("users/a", ms=1), history.master.put("users/a")
    ours = history.master.put("users/a", ms=1)
    assert merged(history) == [history.master.written[0], ours, theirs]


@pytest.mark.parametrize("origin", [MASTER, STANDBY])
def test_one_stream_alone_comes_as_it_is(history: History, origin: str) -> None:
    writer = history.master if origin == MASTER else history.standby
    events = [writer.put("users/a") for _ in range(3)]
    assert merged(history) == events
    assert merged(History()) == []


def test_merging_reads_no_further_than_it_must(history: History) -> None:
    for writer in (history.master, history.standby):
        for _ in range(3):
            writer.put("users/a")
    read: list[Event] = []

    def counted(writer: Writer) -> Iterator[Event]:
        for event in writer.written:
            read.append(event)
            yield event

    both = merge_causally(counted(history.master), counted(history.standby))
    next(both)
    assert len(read) == 2


def test_no_filter_accepts_all(history: History) -> None:
    assert Filter().accepts(history.master.put("users/a"))


@pytest.mark.parametrize(
    ("wanted", "accepted"),
    [
        (Filter(key="users/a"), True),
        (Filter(key="users/"), False),
        (Filter(prefix="users/"), True),
        (Filter(prefix="user/"), False),
        (Filter(actor="jane"), True),
        (Filter(actor="jan"), False),
        (Filter(origin=STANDBY), True),
        (Filter(origin=MASTER), False),
        (Filter(since_ns=5_000_000), True),
        (Filter(since_ns=5_000_001), False),
        (Filter(until_ns=5_000_001), True),
        (Filter(until_ns=5_000_000), False),
        (Filter(key="users/a", actor="joe"), False),
    ],
    ids=repr,
)
def test_a_filter_accepts_what_it_names(
    history: History, wanted: Filter, accepted: bool
) -> None:
    event = history.standby.put("users/a", ms=5)
    assert wanted.accepts(event) is accepted
