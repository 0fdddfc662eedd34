"""D3, D11, D12: the standby's data become the master's, all or none, and nothing is lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from eventstore import (
    START,
    Delete,
    Event,
    EventId,
    JsonValue,
    Kind,
    Leaving,
    Origin,
    Resynced,
    ResyncOrder,
    ResyncRefused,
    StoreRefused,
    StoreUnavailable,
    Streams,
    codec,
    mending,
)
from eventstore.memory import Stored
from eventstore.streams import Swap
from tests.contracts.conftest import Connect
from tests.contracts.convergence import events, exchange
from tests.contracts.nodes import Clock, Node, entries_of
from tests.support import oracle
from tests.support.crash_points import Fault, Killed, Life
from tests.support.histories import MASTER, ORIGINS, STANDBY


def order(*, discard: bool = False, anyway: bool = False) -> ResyncOrder:
    return ResyncOrder(
        actor="jane",
        reason="update",
        discard=discard,
        anyway=anyway,
        note={"version": "2"},
        kept=(Kind.REPLICATION_CHANGED,),
    )


def resync(
    standby: Node, master: Node, *, discard: bool = False, anyway: bool = False
) -> Resynced:
    return standby.store.resync(
        master.streams,
        order(discard=discard, anyway=anyway),
        watch=lambda _count: True,
    )


def look(standby: Node, master: Node, *, discard: bool = False) -> Leaving:
    return standby.store.look_at_resync(
        master.streams, discard=discard, with_entries=True, watch=lambda _count: True
    )


def archived(node: Node) -> dict[Origin, list[Stored]]:
    """What is in the archives, by origin."""
    found: dict[Origin, list[Stored]] = {}
    for archive in node.streams.archives():
        stored = node.streams.read_archive(archive.name, START, 1000)
        assert stored[-1][0] == archive.last
        found[archive.origin] = stored
    return found


def everything(node: Node) -> tuple[object, ...]:
    return node.saved(), node.streams.archives()


def check(master: Node, standby: Node) -> None:
    """Both exchange at once and agree, also after a restart, as the oracle says."""
    assert not standby.client.keys("*temporary*")
    assert standby.reopened().snapshot == standby.store.snapshot
    exchange(master, standby)
    assert master.store.snapshot.digest == standby.store.snapshot.digest
    assert entries_of(master.store) == entries_of(standby.store)
    for origin in ORIGINS:
        assert master.stored(origin) == standby.stored(origin)
    known = [event for origin in ORIGINS for event in events(standby, origin)]
    expected = oracle.entries(known, prevailing=MASTER)
    assert {e.key: e.event for e in standby.store.entries()} == expected


@pytest.fixture
def apart(master: Node, standby: Node) -> dict[Origin, list[Event]]:
    """What each changed since replication was switched off."""
    master.put("users/a", 0)
    standby.put("users/b", 0)
    exchange(master, standby)
    ours = [standby.put("users/b", 1), standby.put("users/c", 1)]
    ours += standby.store.append([Delete("users/a")], actor="bob")
    theirs = [master.put("users/d", 1), master.put("users/b", 2)]
    return {MASTER: theirs, STANDBY: ours}


def test_what_would_leave_is_shown_and_nothing_is_changed(
    master: Node, standby: Node, apart: dict[Origin, list[Event]]
) -> None:
    before = everything(standby), everything(master), standby.store.snapshot
    found = look(standby, master, discard=True)
    assert found.against() == ()
    assert (found.own.event_count, found.own.change_count) == (3, 3)
    assert list(found.own.listed) == apart[STANDBY]
    assert found.changed == ("users/a", "users/b", "users/c", "users/d")
    assert found.changed_count == 4
    kept = look(standby, master)
    assert kept.changed == ("users/b", "users/d"), "what the master's merge changes"
    assert (everything(standby), everything(master), standby.store.snapshot) == before


def test_what_the_standby_alone_has_is_taken_over_first(
    master: Node, standby: Node, apart: dict[Origin, list[Event]]
) -> None:
    before = everything(standby)
    with pytest.raises(ResyncRefused, match="lacks 3 changes"):
        resync(standby, master)
    assert everything(standby) == before
    master.pull(standby)
    done = resync(standby, master)
    assert done.event is not None
    assert archived(standby) == {}
    assert standby.stored()[:-1] == master.stored(STANDBY)
    assert standby.stored(MASTER) == master.stored()
    assert standby.store.get("users/a") is None
    check(master, standby)


def test_what_is_discarded_is_archived_and_gone_from_the_entries(
    master: Node, standby: Node, apart: dict[Origin, list[Event]]
) -> None:
    branch = standby.stored()[1:]
    done = resync(standby, master, discard=True)
    assert archived(standby) == {STANDBY: branch}
    assert standby.stored()[:-1] == master.stored(STANDBY)
    assert {e.key: e.value for e in standby.store.entries()} == {
        "users/a": 0, "users/b": 2, "users/d": 1,
    }  # fmt: skip
    assert done.event is not None
    name = f"standby-resync-{done.event.id}"
    assert done.event.value == {
        "version": "2",
        "discard": True,
        "entries": 4,
        "replaced": {
            "standby": {
                "archive": name,
                "behind": str(standby.stored()[0][0]),
                "events": 3,
                "changes": 3,
            }
        },
    }
    assert (done.event.actor, done.event.reason) == ("jane", "update")
    assert [a.name for a in standby.streams.archives()] == [name]
    check(master, standby)


def test_ids_go_on_above_the_archived_ones(
    master: Node, standby: Node, clock: Clock, apart: dict[Origin, list[Event]]
) -> None:
    clock.ms += 1000
    last = standby.put("users/b", "late")
    clock.ms -= 3000
    resync(standby, master, discard=True)
    standby.restart()
    after = standby.put("users/e", 1)
    assert after.id > last.id
    assert after.id.n == 3, "and are counted without a gap"
    assert {i for i, _ in standby.stored()} & {
        i for i, _ in archived(standby)[STANDBY]
    } == set()
    check(master, standby)


def test_settings_of_the_node_are_said_again(
    master: Node, standby: Node, apart: dict[Origin, list[Event]]
) -> None:
    off: JsonValue = {"revision": 1, "enabled": False}
    standby.store.record(Kind.REPLICATION_CHANGED, off, actor="jane")
    resync(standby, master, discard=True)
    for store in (standby.store, standby.reopened()):
        newest = store.latest(Kind.REPLICATION_CHANGED)
        assert newest is not None
        assert newest.value == off
    count = len(standby.stored())
    standby.put("users/z", 1)
    resync(standby, master, discard=True)
    assert len(standby.stored()) == count
    check(master, standby)


@pytest.mark.parametrize("discard", [False, True])
def test_doing_it_twice_changes_nothing_more(
    master: Node,
    standby: Node,
    apart: dict[Origin, list[Event]],
    discard: bool,
) -> None:
    if not discard:
        master.pull(standby)
    resync(standby, master, discard=discard)
    before, snapshot = everything(standby), standby.store.snapshot
    told = list(standby.told)
    for again in (discard, False, True):
        assert resync(standby, master, discard=again).event is None
    standby.restart()
    assert resync(standby, master, discard=discard).event is None
    assert (everything(standby), standby.store.snapshot) == (before, snapshot)
    assert standby.told == told
    # For a new version of the software it is recorded all the same.
    assert resync(standby, master, anyway=True).event is not None
    assert standby.saved()[MASTER] == before[0][MASTER]  # type: ignore[index]
    check(master, standby)


def copied_by_hand(standby: Node) -> None:
    (_, blob) = standby.stored(MASTER)[-1]
    standby.client.xadd(standby.streams.key(MASTER), {"e": blob}, id="99999999999999-1")


def no_event(standby: Node) -> None:
    standby.client.xadd(standby.streams.key(MASTER), {"e": b"x"}, id="99999999999999-1")


def gap(standby: Node) -> None:
    standby.client.xdel(standby.streams.key(MASTER), str(standby.stored(MASTER)[1][0]))


def beyond_time(standby: Node) -> None:
    top = 2**64 - 1
    standby.client.xadd(standby.streams.key(MASTER), {"e": b"x"}, id=f"{top}-{top}")


@pytest.mark.parametrize("restarted", [False, True], ids=["running", "restarted"])
@pytest.mark.parametrize("spoil", [copied_by_hand, no_event, gap, beyond_time])
def test_a_copy_that_is_wrong_is_archived_and_made_anew(
    master: Node,
    standby: Node,
    spoil: Callable[[Node], None],
    restarted: bool,
) -> None:
    for n in range(4):
        master.put("users/a", n)
    standby.put("users/b", 1)
    exchange(master, standby)
    spoil(standby)
    wrong = standby.stored(MASTER)
    if restarted:
        standby.restart()
        assert standby.store.damage is not None
        assert standby.store.snapshot.heads[MASTER].id.n == (1 if spoil is gap else 4)
    done = resync(standby, master)
    assert standby.store.damage is None
    behind = next(n for n, s in enumerate(wrong) if [s] != master.stored()[n : n + 1])
    assert archived(standby) == {MASTER: wrong[behind:]}
    assert standby.stored(MASTER) == master.stored()
    assert done.event is not None
    standby.put("users/c", 1)
    standby.restart()
    assert standby.store.damage is None
    assert standby.put("users/c", 2).id.ms < 2_000_000_000_000, "no leap in time"
    check(master, standby)


def test_both_streams_have_archives_that_belong_together(
    master: Node, standby: Node, apart: dict[Origin, list[Event]]
) -> None:
    copied_by_hand(standby)
    done = resync(standby, master, discard=True)
    assert done.event is not None
    assert [a.name for a in standby.streams.archives()] == [
        f"{origin}-resync-{done.event.id}" for origin in (MASTER, STANDBY)
    ]
    value = done.event.value
    assert isinstance(value, dict)
    assert sorted(value["replaced"]) == ["master", "standby"]  # type: ignore[arg-type, type-var]
    check(master, standby)


def test_what_the_master_lost_is_not_replaced(
    master: Node, standby: Node, apart: dict[Origin, list[Event]]
) -> None:
    then = master.saved()
    master.put("users/lost", 1)
    standby.pull(master)
    master.put_back(then)
    master.restart()
    before = everything(standby)
    for discard in (False, True):
        with pytest.raises(ResyncRefused, match="the peer gets them back"):
            resync(standby, master, discard=discard)
        assert look(standby, master, discard=discard).against() != ()
    assert everything(standby) == before
    master.recover(standby)
    resync(standby, master, discard=True)
    assert standby.store.get("users/lost") is not None
    check(master, standby)


def test_what_only_memory_knows_of_the_master_is_not_replaced_either(
    master: Node, standby: Node
) -> None:
    master.put("users/a", 1)
    then = master.saved()
    master.put("users/a", 2)
    exchange(master, standby)
    master.put_back(then)
    standby.client.delete(standby.streams.key(MASTER))
    with pytest.raises(ResyncRefused, match="the peer gets them back"):
        resync(standby, master, discard=True)


def test_own_events_that_only_the_master_has_come_back_first(
    master: Node, standby: Node
) -> None:
    standby.put("users/b", 1)
    then = standby.saved()
    standby.put("users/b", 2)
    exchange(master, standby)
    standby.put_back(then)
    standby.restart()
    with pytest.raises(ResyncRefused, match="come back first"):
        resync(standby, master)
    standby.recover(master)
    resync(standby, master)
    check(master, standby)


def test_a_damaged_stream_of_the_master_is_not_taken(
    master: Node, standby: Node, apart: dict[Origin, list[Event]]
) -> None:
    master.client.xadd(master.streams.key(MASTER), {"e": b"x"}, id="99999999999999-9")
    before = everything(standby)
    with pytest.raises(ResyncRefused, match="at the peer is damaged"):
        resync(standby, master, discard=True)
    standby.restart()
    assert not standby.client.keys("*temporary*")
    assert everything(standby) == before


def test_listeners_hear_of_each_entry_that_is_another_once(
    master: Node, standby: Node, apart: dict[Origin, list[Event]]
) -> None:
    standby.told.clear()
    resync(standby, master, discard=True)
    changed = {
        event.key: (
            folded.before and folded.before.value,
            folded.after and folded.after.value,
        )
        for event, folded in standby.told
        if folded is not None
    }
    assert changed == {
        "users/a": (None, 0), "users/b": (1, 2), "users/c": (1, None), "users/d": (None, 1),
    }  # fmt: skip
    assert len(standby.told) == 4


def test_an_empty_standby_is_filled(master: Node, standby: Node) -> None:
    master.put("users/a", 1)
    resync(standby, master)
    assert standby.store.get("users/a") is not None
    check(master, standby)


def test_it_stops_when_it_may_not_go_on(
    master: Node,
    standby: Node,
    monkeypatch: pytest.MonkeyPatch,
    apart: dict[Origin, list[Event]],
) -> None:
    monkeypatch.setattr(mending, "PAGE_EVENT_COUNT", 1)
    counts: list[int] = []

    def up_to(limit: int) -> Callable[[int], bool]:
        def watch(count: int) -> bool:
            counts.append(count)
            return len(counts) < limit

        return watch

    before = everything(standby)
    left, call_count = None, 0
    while left is None:
        call_count += 1
        counts.clear()
        try:
            left = standby.store.resync(
                master.streams, order(discard=True), watch=up_to(call_count)
            )
        except StoreUnavailable as error:
            assert "given up" in str(error)
            assert everything(standby) == before
            standby.store.check()
    assert counts == sorted(counts)
    assert counts[-1] >= 10
    assert call_count > 10
    check(master, standby)


def test_it_may_be_stopped_at_the_last_moment(
    master: Node, standby: Node, apart: dict[Origin, list[Event]]
) -> None:
    before = everything(standby)
    with pytest.raises(StoreUnavailable, match="given up"):
        standby.store.resync(
            master.streams,
            order(discard=True),
            watch=lambda _count: not standby.client.keys("*temporary:archive*"),
        )
    assert everything(standby) == before
    assert standby.put("users/b", 3).id.n == 5


class UnansweredStreams(Streams):
    """Redis swaps, and nobody learns of it until `answers`."""

    answers = True

    def swap(self, swaps: Sequence[Swap]) -> None:
        super().swap(swaps)
        self.answers = False
        raise StoreUnavailable("no answer to the swap")

    def last(self, origin: Origin) -> Stored | None:
        if not self.answers:
            raise StoreUnavailable("no answer yet")
        return super().last(origin)


def test_a_swap_that_got_no_answer_is_found_out_before_anything_is_written(
    connect_to: Connect, clock: Clock, master: Node
) -> None:
    standby = Node(lambda: connect_to(1), STANDBY, clock, UnansweredStreams)
    streams = standby.streams
    assert isinstance(streams, UnansweredStreams)
    standby.put("users/b", 1)
    master.put("users/a", 1)
    with pytest.raises(StoreUnavailable, match="not known until Redis answers"):
        resync(standby, master, discard=True)
    with pytest.raises(StoreRefused, match="nothing was stored"):
        standby.put("users/b", 2)
    assert standby.store.get("users/b") is not None
    with pytest.raises(StoreUnavailable):
        standby.store.check()
    streams.answers = True
    standby.store.check()
    assert standby.store.get("users/b") is None
    assert standby.put("users/c", 1).id.n == 2
    check(master, standby)


class LateStreams(Streams):
    """A swap gets no answer, and reaches Redis only with `arrive`."""

    late: Sequence[Swap] | None = None

    def swap(self, swaps: Sequence[Swap]) -> None:
        self.late = swaps
        raise StoreUnavailable("no answer to the swap")

    def arrive(self) -> None:
        assert self.late is not None
        super().swap(self.late)


@pytest.mark.parametrize("discard", [False, True], ids=["kept", "discarded"])
def test_a_swap_that_arrives_after_it_was_given_up_changes_nothing(
    connect_to: Connect, clock: Clock, master: Node, discard: bool
) -> None:
    standby = Node(lambda: connect_to(1), STANDBY, clock, LateStreams)
    streams = standby.streams
    assert isinstance(streams, LateStreams)
    standby.put("users/b", 1)
    master.pull(standby)
    master.put("users/a", 1)
    with pytest.raises(StoreUnavailable, match="no answer to the swap"):
        resync(standby, master, discard=discard)
    before = everything(standby)
    with pytest.raises(StoreUnavailable, match="a stream ends with 0-0"):
        streams.arrive()
    assert everything(standby) == before
    standby.put("users/c", 1)
    check(master, standby)


def test_what_a_node_records_meanwhile_does_not_wait_for_its_end(
    master: Node, standby: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An order, such as a pause of takeovers, keeps nobody waiting who would end it."""
    monkeypatch.setattr("eventstore.store.TURN_LIMIT_S", 0.05)
    master.put("users/a", 1)
    refused: list[StoreRefused] = []

    def record(_count: int) -> bool:
        with pytest.raises(StoreRefused, match="nothing was stored") as error:
            standby.store.record(Kind.TAKEOVER_CHANGED, {"revision": 1}, actor="jane")
        refused.append(error.value)
        return True

    standby.store.resync(master.streams, order(), watch=record)
    assert refused
    standby.store.record(Kind.TAKEOVER_CHANGED, {"revision": 1}, actor="jane")
    check(master, standby)


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("page", [1, 500])
@pytest.mark.parametrize("discard", [False, True], ids=["kept", "discarded"])
def test_after_a_fault_at_any_call_to_redis_all_is_old_or_all_is_new(
    connect_to: Connect,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    fault: Fault,
    page: int,
    discard: bool,
) -> None:
    monkeypatch.setattr(mending, "PAGE_EVENT_COUNT", page)
    point, points, old_count, new_count = 0, None, 0, 0
    while points is None:
        point += 1
        for place in (0, 1):
            connect_to(place).flushdb()
        master = Node(lambda: connect_to(0), MASTER, clock)
        life = Life(fault)
        standby = Node(lambda: connect_to(1), STANDBY, clock, life.streams)
        master.put("users/a", 0)
        standby.put("users/b", 0)
        exchange(master, standby)
        standby.put("users/b", 1)
        standby.put("users/c", 1)
        master.put("users/a", 1)
        copied_by_hand(standby)
        if not discard:
            master.pull(standby)
        old = everything(standby)
        life.call_count, life.fault_at = 0, point
        try:
            resync(standby, master, discard=discard)
        except Killed:
            assert fault is not Fault.UNANSWERED
        except StoreUnavailable:
            assert fault is Fault.UNANSWERED
        if life.call_count < point:
            points = life.call_count
        life.fault_at = None
        standby.restart()
        assert not standby.client.keys("*temporary*")
        if everything(standby) == old:
            old_count += 1
        else:
            new_count += 1
            assert standby.stored(MASTER) == master.stored()
            assert len(standby.streams.archives()) == 1 + discard
            assert [e.kind for e in events(standby, STANDBY)][-1] == Kind.RESYNCHRONISED
            assert resync(standby, master, discard=discard).event is None
        resync(standby, master, discard=discard)
        assert len(standby.streams.archives()) == 1 + discard
        assert standby.store.get("users/c") is None or not discard
        check(master, standby)
    print(f"a resync has {points} calls to Redis; killed at each of them")
    assert points is not None
    assert points >= (20 if page == 1 else 10)
    assert old_count > 5
    assert new_count >= (1 if fault is Fault.DIES_BEFORE else 2)


def test_a_killed_node_archives_nothing_twice_under_two_names(
    master: Node, standby: Node, apart: dict[Origin, list[Event]]
) -> None:
    first = resync(standby, master, discard=True)
    standby.put("users/x", 1)
    second = resync(standby, master, discard=True)
    assert first.event is not None
    assert second.event is not None
    assert [a.name for a in standby.streams.archives()] == [
        f"standby-resync-{done.event.id}"
        for done in (first, second)
        if done.event is not None
    ]
    assert second.event.id > first.event.id
    check(master, standby)


def test_ids_that_were_archived_are_in_the_history_for_ever(
    master: Node, standby: Node, apart: dict[Origin, list[Event]]
) -> None:
    resync(standby, master, discard=True)
    (archive,) = standby.streams.archives()
    found = standby.streams.read_archive(archive.name, START, 100)
    assert [codec.decode(STANDBY, *stored) for stored in found] == apart[STANDBY]
    assert archive.last == EventId(*found[-1][0])
