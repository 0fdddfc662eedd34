"""The order to resynchronise: it waits for the master, and gives up without a trace."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import pytest

from eventstore import EventId, Kind, ResyncRefused
from node.errors import ResyncRolledBack
from node.link_messages import Head
from node.resyncing import Resyncing
from node.roles import Role, State
from node.runtime import View
from tests.contracts.convergence import exchange
from tests.contracts.nodes import LIMIT_S, Node, Running
from tests.contracts.test_resync import check, everything
from tests.support.histories import STANDBY
from tests.support.links import HEARTBEAT
from tests.support.waiting import wait_until

HEARD = attrs.evolve(HEARTBEAT, replication_enabled=False, problems={})


class Clock:
    """Goes on by as much as is waited for."""

    now = 0.0

    def now_s(self) -> float:
        return self.now

    def wall_ns(self) -> int:
        return 0


class Standby:
    """A node's order, with a master that does what a test tells it."""

    def __init__(self, standby: Node, master: Node) -> None:
        self.node, self.master = standby, master
        self.clock = Clock()
        self.view = View(state=State.PASSIVE, connected=True, peer=HEARD)
        self.on_wait: Callable[[], object] = self.take_over
        self.asked: list[EventId] = []
        self.announced: list[EventId] = []
        self.resyncing = Resyncing(
            Role.STANDBY,
            store=standby.store,
            source=master.streams,
            replicates=lambda: False,
            unreadable=lambda: None,
            await_replicated=self._await_replicated,
            view=lambda: self.view,
            announce=lambda: self.announced.append(self.resyncing.wanted),
            clock=self.clock,
            take_over_limit_s=10.0,
        )

    def order(self, *, discard: bool = False, dry_run: bool = False) -> str:
        report = self.resyncing.order(
            actor="jane", reason="update", discard=discard, dry_run=dry_run
        )
        return f"{report.outcome}: {report.text}"

    def take_over(self) -> None:
        self.master.pull(self.node)

    def _await_replicated(self, event_id: EventId, limit_s: float) -> bool:
        self.asked.append(event_id)
        self.clock.now += limit_s
        self.on_wait()
        return self.master.store.snapshot.heads[STANDBY].id >= event_id


@pytest.fixture
def ordering(master: Node, standby: Node) -> Standby:
    master.put("users/a", 1)
    standby.put("users/b", 1)
    exchange(master, standby)
    master.put("users/a", 2)
    standby.put("users/b", 2)
    return Standby(standby, master)


def test_the_master_is_asked_for_exactly_what_the_standby_has(
    ordering: Standby, master: Node, standby: Node
) -> None:
    head = standby.stored_ids()[-1]
    text = ordering.order()
    assert text == (
        "done: the master took over 1 changes that only this node had; no event left, 1 "
        "entries changed"
    )
    assert ordering.asked == [head]
    assert ordering.announced == [head, EventId(0, 0)], "and no longer than that"
    assert ordering.resyncing.progress is None
    standby.put("users/c", 1)  # Changes are let through again.
    check(master, standby)


def test_what_the_master_takes_over_may_be_all_that_is_to_be_done(
    ordering: Standby, master: Node, standby: Node
) -> None:
    standby.pull(master)
    assert ordering.order() == (
        "done: the master took over 1 changes that only this node had; this node has the "
        "master's data already; nothing leaves"
    )
    assert ordering.order().startswith("nothing: this node has")
    assert standby.store.recent(Kind.RESYNCHRONISED) == []
    check(master, standby)


def test_a_dry_run_changes_nothing_and_asks_nobody(
    ordering: Standby, standby: Node
) -> None:
    before = everything(standby)
    assert ordering.order(dry_run=True) == (
        "ready: the master would take over 1 changes that only this node has; no "
        "event would leave, 1 entries would change"
    )
    assert ordering.order(dry_run=True, discard=True) == (
        "ready: 1 events of stream 'standby' would leave, 2 entries would change"
    )
    assert everything(standby) == before
    assert ordering.asked == []


def test_with_discard_nobody_is_asked(
    ordering: Standby, master: Node, standby: Node
) -> None:
    text = ordering.order(discard=True)
    assert text == "done: 1 events of stream 'standby' left, 2 entries changed"
    assert ordering.asked == []
    assert ordering.order(discard=True) == (
        "nothing: this node has the master's data already; nothing leaves"
    )
    check(master, standby)


def test_a_master_that_takes_nothing_over_is_waited_for_with_a_limit(
    ordering: Standby, master: Node, standby: Node
) -> None:
    ordering.on_wait = lambda: None
    before = everything(standby)
    with pytest.raises(ResyncRolledBack, match=r"nothing was changed here.* 10 s"):
        ordering.order()
    assert everything(standby) == before
    assert 10.0 <= ordering.clock.now < 11.0
    assert ordering.announced[-1] == EventId(0, 0)
    standby.put("users/c", 1)
    ordering.on_wait = ordering.take_over
    assert ordering.order().startswith("done: ")
    check(master, standby)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"state": State.ACTIVE}, "this node is active"),
        ({"connected": False}, "the master is not connected"),
        (
            {"peer": attrs.evolve(HEARD, replication_enabled=True)},
            "still on at the master",
        ),
    ],
)
def test_it_is_given_up_when_it_may_not_go_on(
    ordering: Standby, standby: Node, change: dict[str, object], why: str
) -> None:
    def meanwhile() -> None:
        ordering.view = attrs.evolve(ordering.view, **change)  # type: ignore[arg-type]

    ordering.on_wait = meanwhile
    before = everything(standby)
    with pytest.raises(ResyncRolledBack, match=why):
        ordering.order()
    # The master has it all, but meanwhile something has happened: the copying stops.
    ordering.view = attrs.evolve(
        ordering.view, state=State.PASSIVE, connected=True, peer=HEARD
    )

    def at_last() -> None:
        ordering.take_over()
        meanwhile()

    ordering.on_wait = at_last
    with pytest.raises(ResyncRolledBack, match=f"nothing was changed: .*{why}"):
        ordering.order()
    assert everything(standby) == before
    assert standby.put("users/c", 1).id > before[0][STANDBY][-1][0]  # type: ignore[index]


def test_a_node_that_stops_gives_it_up(ordering: Standby, standby: Node) -> None:
    ordering.on_wait = ordering.resyncing.stop
    before = everything(standby)
    with pytest.raises(ResyncRolledBack, match="this node is stopping"):
        ordering.order()
    assert everything(standby) == before


def test_a_node_that_stops_looks_no_further(ordering: Standby) -> None:
    ordering.resyncing.stop()
    with pytest.raises(ResyncRefused) as refused:
        ordering.order(dry_run=True)
    assert refused.value.reasons == (
        "this node is stopping",
        "the resync was given up, because it may not go on; nothing was changed",
    )
    assert ordering.resyncing.progress is None


def test_nothing_that_the_master_has_applied_is_discarded(
    ordering: Standby, master: Node, standby: Node
) -> None:
    """Its Redis lost it, and it has not written it again from memory yet."""
    applied = standby.stored_ids()[-1]
    heads = {"standby": Head(str(applied), "ab")}
    ordering.view = attrs.evolve(ordering.view, peer=attrs.evolve(HEARD, heads=heads))
    with pytest.raises(ResyncRefused, match=f"has applied our event {applied}"):
        ordering.order(discard=True)
    assert ordering.order().startswith("done: "), "without, it is taken over"
    check(master, standby)


def test_changes_wait_while_the_master_takes_over_and_only_one_order_is_carried_out(
    ordering: Standby, master: Node, standby: Node
) -> None:
    changes: list[Running[object]] = []

    def meanwhile() -> None:
        if not changes:
            changes.append(Running(lambda: standby.put("users/late", 1)))
            wait_until(changes[0].is_waiting, LIMIT_S, "the change to be held back")
            with pytest.raises(ResyncRefused, match="a resync is under way: waiting"):
                ordering.order()
        ordering.take_over()

    ordering.on_wait = meanwhile
    assert ordering.order().startswith("done: ")
    changes[0].result(LIMIT_S)
    entry = standby.store.get("users/late")
    assert entry is not None
    assert [e.kind for e in standby.store.recent(Kind.RESYNCHRONISED)] == [
        Kind.RESYNCHRONISED
    ]
    check(master, standby)


def test_it_is_refused_with_the_reasons_of_the_node_and_of_the_data(
    ordering: Standby, master: Node, standby: Node
) -> None:
    then = master.saved()
    master.put("users/lost", 1)
    standby.pull(master)
    master.put_back(then)
    ordering.view = attrs.evolve(ordering.view, state=State.ACTIVE)
    with pytest.raises(ResyncRefused) as refused:
        ordering.order(discard=True)
    assert len(refused.value.reasons) == 2
    assert "this node is active" in refused.value.reasons[0]
    assert "the peer gets them back" in refused.value.reasons[1]
