"""`read_history`: both streams of a Redis as one history."""

import pytest

from eventstore import (
    START,
    DamagedEvent,
    EventId,
    Filter,
    HistoryLine,
    history,
    read_archived,
    read_history,
    read_history_lines,
)
from eventstore.streams import Swap
from tests.contracts.nodes import Clock, Node
from tests.support.histories import MASTER, ORIGINS, STANDBY


@pytest.fixture
def both(master: Node, standby: Node, clock: Clock) -> Node:
    """The master, which has it all: three rounds of changes that know each other."""
    for n in range(3):
        clock.ms -= 1000  # By the clock alone, all would be in the opposite order.
        master.put("users/a", n)
        standby.pull(master)
        standby.put("users/b", n)
        master.pull(standby)
    return master


def told(
    node: Node, wanted: Filter, after: dict[str, EventId] | None = None
) -> list[str]:
    found = read_history(node.streams, ORIGINS, wanted, after)  # type: ignore[arg-type]
    return [f"{event.origin} {event.id.n}" for event in found]


ALL = ["master 1", "standby 1", "master 2", "standby 2", "master 3", "standby 3"]


@pytest.mark.parametrize("page_event_count", [1, 2, 500])
def test_causes_come_first_whatever_the_size_of_a_page(
    both: Node, monkeypatch: pytest.MonkeyPatch, page_event_count: int
) -> None:
    monkeypatch.setattr(history, "PAGE_EVENT_COUNT", page_event_count)
    assert told(both, Filter()) == ALL


def test_a_filter_leaves_the_order(both: Node) -> None:
    assert told(both, Filter(origin=STANDBY)) == ALL[1::2]
    assert told(both, Filter(key="users/a")) == ALL[::2]


def test_it_goes_on_behind_what_was_read(both: Node) -> None:
    events = list(read_history(both.streams, ORIGINS, Filter()))
    after: dict[str, EventId] = {}
    for n, event in enumerate(events, start=1):
        after[event.origin] = event.id
        assert told(both, Filter(), after) == ALL[n:]


def test_events_of_a_later_version_are_left_out(both: Node) -> None:
    last = both.stored()[-1][0]
    both.streams.append(
        MASTER, last, [(EventId(last.ms, 4), b"\x92\x02\xc4\x20" + bytes(32))]
    )
    assert told(both, Filter()) == ALL


def test_damaged_events_are_told(both: Node) -> None:
    both.client.xadd(both.streams.key(MASTER), {"x": "1"})
    with pytest.raises(DamagedEvent):
        told(both, Filter())


def test_an_empty_redis_has_no_history(master: Node) -> None:
    assert told(master, Filter()) == []


def archived(
    node: Node, wanted: Filter, after: tuple[str, EventId] | None = None
) -> list[str]:
    found = read_archived(node.streams, wanted, after)
    return [f"{a.archive} {a.event.id.n}" for a in found]


@pytest.mark.parametrize("page_event_count", [1, 500])
def test_archived_events_are_told_archive_by_archive(
    both: Node, monkeypatch: pytest.MonkeyPatch, page_event_count: int
) -> None:
    monkeypatch.setattr(history, "PAGE_EVENT_COUNT", page_event_count)
    streams, stored = both.streams, both.stored()
    assert archived(both, Filter()) == []
    damaged = EventId(stored[-1][0].ms + 1, 4)
    for name, page in (
        ("master-b", stored[:2]),
        ("master-a", [stored[2], (damaged, b"no event")]),
    ):
        streams.make_archive(MASTER, START, page)
        streams.make(MASTER, START, stored)
        end = stored[-1][0]
        streams.swap([Swap(MASTER, end, end, page[-1][0], name)])
    expected = ["master-b 1", "master-b 2", "master-a 3"]
    assert archived(both, Filter()) == expected
    assert archived(both, Filter(key="users/b")) == []
    for n, (name, event_id) in enumerate(
        [
            ("master-b", stored[0][0]),
            ("master-b", stored[1][0]),
            ("master-a", stored[2][0]),
        ],
        start=1,
    ):
        assert archived(both, Filter(), (name, event_id)) == expected[n:]
    assert archived(both, Filter(), ("gone", START)) == []
    assert told(both, Filter()) == ALL


def lines(node: Node) -> list[HistoryLine]:
    found = read_history_lines(node.streams, Filter(), prevailing=MASTER, other=STANDBY)
    return list(found)


@pytest.mark.parametrize("page_event_count", [1, 500])
def test_lines_are_the_same_on_both_nodes(
    both: Node,
    standby: Node,
    monkeypatch: pytest.MonkeyPatch,
    page_event_count: int,
) -> None:
    monkeypatch.setattr(history, "PAGE_EVENT_COUNT", page_event_count)
    both.put("users/b", "in a cut")  # The standby's own, of which it does not hear.
    standby.put("users/b", "at the same time")
    both.pull(standby)
    standby.pull(both)
    on_master, on_standby = lines(both), lines(standby)
    assert on_master == on_standby
    told = [line.before and line.before.value for line in on_master]
    assert sorted(map(str, told)) == sorted(
        map(str, [None, None, 0, 0, 1, 1, 2, 2]),
    )
    (lost,) = [line for line in on_master if line.overridden]
    assert lost.event.value == "at the same time"
