"""A process ends, or gets no answer, at any call to Redis: nothing is lost or doubled.

`SCENARIOS` names what a node does with Redis. Each is done again and again, and each time
the fault is one call later. Whoever adds a call to Redis that none of them reaches makes
this test fail, and adds a scenario.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import attrs
import pytest

from eventstore import (
    Bundle,
    Change,
    Delete,
    EntryChanged,
    EventId,
    EventStore,
    Export,
    Filter,
    JsonValue,
    Kind,
    NoSuchEntry,
    Put,
    Replication,
    ResyncOrder,
    StoreUnavailable,
    Streams,
    check_bundle,
    closed_cut,
    closed_ends,
    export_events,
    mending,
    read_archived,
    read_blame,
    read_history,
    replay,
    replication,
    streams,
)
from eventstore.trimming import anchor_of
from tests.contracts.conftest import Connect
from tests.contracts.convergence import check, events, exchange, written
from tests.contracts.nodes import Clock, Node
from tests.support.archive_files import Files, archive
from tests.support.crash_points import (
    Fault,
    Killed,
    Life,
    Point,
    points_in_code,
    points_of,
)
from tests.support.histories import MASTER, ORIGINS, STANDBY


class World:
    """A master that may end at any call to Redis, a standby, and what was acknowledged."""

    def __init__(self, connect_to: Connect, fault: Fault) -> None:
        for place in (0, 1):
            connect_to(place).flushdb()
        clock = self.clock = Clock()
        self.life = Life(fault)
        self.master = Node(lambda: connect_to(0), MASTER, clock, self.life.streams)
        self.standby = Node(lambda: connect_to(1), STANDBY, clock)
        self.acknowledged = [
            self.master.put("users/a", 0), self.standby.put("users/b", 0),
        ]  # fmt: skip
        self.source = Node(
            lambda: connect_to(1), STANDBY, clock, self.life.streams
        ).streams
        """The standby's Redis, as the master's process reaches it."""
        self.files = Files()
        self._tried: dict[str, int] = {}
        exchange(self.master, self.standby)

    def write(self, *changes: Change, expected: EventId | None = None) -> None:
        """Let the master try to write something; it is acknowledged, or unknown."""
        reason = f"try {len(self._tried)}"
        self._tried[reason] = len(changes)
        self.acknowledged += self.master.store.append(
            changes, actor="jane", reason=reason, expected=expected
        )

    def lose_answers(self, count: int) -> None:
        """The next calls get no answer; but not when it is done again."""
        if self.life.fault_at is not None:
            self.life.unanswered_count = count

    def replicate(self) -> None:
        """Let the master's process take what the standby wrote."""
        steps = Replication(
            self.master.store, self.source, own=MASTER, peer=STANDBY, now_s=lambda: 0.0
        )
        while self.lag or not steps.progress.connected:
            steps.turn(None, allowed)

    @property
    def lag(self) -> int:
        """Events of the standby that the master's memory has not got."""
        heads = self.standby.store.snapshot.heads, self.master.store.snapshot.heads
        return heads[0][STANDBY].id.n - heads[1][STANDBY].id.n

    def recover(self) -> None:
        self.master.store.recover(self.source, go_on=lambda: True)

    def lose(self) -> None:
        """The master's Redis loses three events that only the standby has."""
        then = self.master.saved()
        for n in range(1, 4):
            self.acknowledged.append(self.master.put("users/a", n))
        exchange(self.master, self.standby)
        self.master.put_back(then)
        self.master.restart()

    def check(self) -> None:
        self.recover()
        self.master.store.reload_copy()
        for node in (self.master, self.standby):
            node.store.trim(go_on=lambda: True)
        check(self.master, self.standby, self.acknowledged, self.files)
        found = events(self.standby, MASTER, self.files)
        stored = [event.reason for event in found]
        for reason, count in self._tried.items():
            assert stored.count(reason) in (0, count), "all of it once, or nothing"


@contextmanager
def allowed() -> Iterator[bool]:
    yield True


@attrs.frozen
class Scenario:
    """Something that a node does: what was before, and how it is done.

    After a fault it is done again, and must not mind that it was done already.
    """

    act: Callable[[World], None]
    prepare: Callable[[World], None] = lambda world: None


def append_a_batch(world: World) -> None:
    with suppress(NoSuchEntry):  # When it is done again.
        world.write(Put("users/a", 1), Put("users/c", 1), Delete("users/b"))


def append_if_unchanged(world: World) -> None:
    first = world.acknowledged[0]
    with suppress(EntryChanged):  # When it is done again.
        world.write(Put("users/a", "mine"), expected=first.id)


def append_without_answers(world: World) -> None:
    world.lose_answers(2)
    with suppress(StoreUnavailable):
        world.write(Put("users/a", "unknown"))
    world.write(Put("users/c", 1))


def append_once_without_answer(world: World) -> None:
    world.lose_answers(1)
    world.write(Put("users/a", 1), Put("users/c", 1))


def record(world: World) -> None:
    value: JsonValue = {"to": "active", "number": 1}
    world.acknowledged.append(
        world.master.store.record(Kind.STATE_CHANGED, value, actor="node")
    )
    assert len([e for e in events(world.master, MASTER) if e.value == value]) == 1


def start(world: World) -> None:
    """As `NetPhoneNode.start` does it."""
    world.master.streams.check()
    world.master.restart()
    world.recover()
    world.master.store.record(Kind.STREAM_OPENED, {"instance": "x"}, actor="node")
    world.master.streams.probe()


def peer_writes(world: World) -> None:
    for n in range(1, 3):
        world.acknowledged.append(world.standby.put("users/a", f"theirs {n}"))
    world.acknowledged += world.standby.store.append([Delete("users/b")], actor="joe")


def write_in_ignorance(world: World) -> None:
    world.lose()
    world.write(Put("users/a", "mine"), Put("users/c", 1))
    world.write(Delete("users/c"))


def lose_all_but_memory(world: World) -> None:
    """Memory and the standby's copy have the rest, but neither has all of it.

    What only memory has is lost with the process.
    """
    world.lose()
    world.write(Put("users/c", 2))
    world.acknowledged.pop()
    world.master.client.flushdb()


def delete_by_hand(world: World) -> None:
    world.write(Put("users/a", 1))
    world.write(Put("users/c", 1))
    exchange(world.master, world.standby)
    world.master.client.xdel(
        world.master.streams.key(MASTER), str(world.acknowledged[-1].id)
    )


def lose_all(world: World) -> None:
    world.master.client.flushdb()


def look(world: World) -> None:
    """What the health check and the peer's heartbeats ask for."""
    world.master.store.check()
    head = world.standby.store.snapshot.heads[MASTER]
    world.master.store.compare_own(head.id, head.digest)


def read(world: World) -> None:
    found = {written(e) for e in read_history(world.master.streams, ORIGINS, Filter())}
    assert found >= {event.digest for event in world.acknowledged}
    assert list(read_archived(world.master.streams, Filter()))
    first = world.acknowledged[0]
    assert world.master.store.event(first.origin, first.id) == first


def look_back(world: World) -> None:
    streams, seen = world.master.streams, list[int]()
    past = partial(replay, streams, prevailing=MASTER, other=STANDBY)
    now = past(watch=seen.append)
    assert sum(seen) >= len(world.acknowledged)
    for until in (now.cut, 2**62):
        again = past(until)
        assert again.cut == now.cut
        assert again.configuration.digest == now.configuration.digest
    key = world.acknowledged[0].key
    told = read_blame(streams, key, now.cut, prevailing=MASTER, other=STANDBY, limit=1)
    assert told.key == key


def note(world: World) -> None:
    world.master.streams.put_note("grace", b"new")
    assert world.master.streams.note("grace") == b"new"


def export(world: World) -> None:
    """To a file that is whole, or not there."""
    streams = world.master.streams
    with TemporaryDirectory() as name:
        path = Path(name) / "bundle"
        try:
            order = Export(by="jane", created_ns=1, key=None)
            export_events(streams, closed_ends(streams, ORIGINS), path, order)
        except BaseException:
            assert not list(Path(name).iterdir())
            raise
        with Bundle(path) as bundle:
            check_bundle(bundle)
            found = {written(e) for e in read_history(bundle, ORIGINS, Filter())}
    assert found >= {event.digest for event in world.acknowledged}


def see_what_may_leave(world: World) -> None:
    snapshot = world.master.store.snapshot
    ends = closed_cut(
        world.master.streams, ORIGINS, limits=snapshot.vector, before_ms=2**60
    )
    assert ends == snapshot.vector


def write_what_may_leave(world: World) -> None:
    """The master alone has it, and nobody was told that it is kept."""
    peer_writes(world)
    world.master.put("users/c", "leaves")


def resynchronise_without_answer(world: World) -> None:
    """Redis swaps, and does not say so."""
    asked_at = [-1]

    def watch(count: int) -> bool:
        if count == asked_at[-1]:  # Nothing was read since: the last question.
            world.lose_answers(1)
        asked_at.append(count)
        return True

    resynchronise(world, watch)


def resynchronise(
    world: World, watch: Callable[[int], bool] = lambda _count: True
) -> None:
    """With a standby's right to let its own changes go; a store knows no roles."""
    order = ResyncOrder(
        actor="jane", reason="", discard=True, anyway=False, note={}, kept=()
    )
    store = world.master.store
    for with_entries in (False, True):
        store.look_at_resync(
            world.source, discard=True, with_entries=with_entries, watch=watch
        )
    store.resync(world.source, order, watch=watch)
    assert store.get("users/c") is None
    assert len(world.master.streams.archives()) == 1


def recover_a_branch(world: World) -> None:
    write_in_ignorance(world)
    world.recover()


def write_a_snapshot(world: World) -> None:
    world.master.write_snapshot()
    reopened = world.master.reopened()
    assert reopened.unsaved_count == 0, "what was written is used"


def write_a_snapshot_without_answer(world: World) -> None:
    world.lose_answers(1)
    with suppress(StoreUnavailable):
        world.master.write_snapshot()
    write_a_snapshot(world)


def keep_foreign_bytes(world: World) -> None:
    world.standby.put_otherwise("users/f", 1)
    exchange(world.master, world.standby)
    world.master.write_snapshot()
    world.write(Put("users/a", 1))


@attrs.frozen
class Peer:
    """The standby, as the master reaches it."""

    store: EventStore
    streams: Streams


def archive_all(world: World) -> None:
    """What is older than now, and was not archived yet, may leave the master's Redis."""
    exchange(world.master, world.standby)
    ordered = archive(
        world.files,
        world.master.store,
        world.master.streams,
        Peer(world.standby.store, world.source),
        (world.clock.ms + 1000) * 1_000_000,
    )
    exchange(world.master, world.standby)
    assert ordered is None or ordered.kind == Kind.HISTORY_ARCHIVED


def write_and_archive(world: World) -> None:
    world.write(Put("users/a", 1), Put("users/c", 1))
    archive_all(world)


def trim(world: World) -> None:
    world.master.store.trim(go_on=lambda: True)
    anchors = [anchor_of(world.master.streams, origin) for origin in ORIGINS]
    assert any(anchors)


def trim_both(world: World) -> None:
    write_and_archive(world)
    for node in (world.master, world.standby):
        assert node.store.trim(go_on=lambda: True)
    world.write(Put("users/d", 1))
    exchange(world.master, world.standby)


def trim_again(world: World) -> None:
    trim_both(world)
    write_and_archive(world)


def empty_what_was_trimmed(world: World) -> None:
    """The process lives on, and its Redis is empty; memory begins behind what was archived."""
    trim_both(world)
    world.master.streams.clear_snapshot("newest")
    world.master.restart()
    world.master.client.flushdb()


def begin_anew(world: World) -> None:
    """The master starts with an empty Redis, and writes before it reaches the standby."""
    trim_both(world)
    world.clock.ms += 1000
    world.master.client.flushdb()
    world.master.restart()
    world.write(Put("users/a", "mine"))


def lose_a_copy(world: World) -> None:
    """The standby has trimmed, the master not yet, and lost its copy of the other stream."""
    world.acknowledged.append(world.standby.put("users/e", 1))
    write_and_archive(world)
    world.standby.store.trim(go_on=lambda: True)
    world.master.client.delete(world.master.streams.key(STANDBY))
    world.master.restart()


def begin_anew_with_a_snapshot(world: World) -> None:
    """Of a start that knew nothing of the standby."""
    world.master.client.flushdb()
    world.master.restart()
    world.write(Put("users/a", "mine"))
    world.master.write_snapshot()


def fill(world: World) -> None:
    world.recover()
    world.replicate()


SCENARIOS = {
    "append one": Scenario(lambda world: world.write(Put("users/a", 1))),
    "append a batch": Scenario(append_a_batch),
    "append if unchanged": Scenario(append_if_unchanged),
    "append, one answer lost": Scenario(append_once_without_answer),
    "append, two answers lost": Scenario(append_without_answers),
    "record a change of state": Scenario(record),
    "open": Scenario(start),
    "apply": Scenario(World.replicate, peer_writes),
    "write again from memory": Scenario(look, lose_all),
    "recover the end": Scenario(World.recover, World.lose),
    "recover a branch": Scenario(World.recover, write_in_ignorance),
    "recover from memory too": Scenario(World.recover, lose_all_but_memory),
    "recover what was deleted": Scenario(World.recover, delete_by_hand),
    "start and recover": Scenario(start, write_in_ignorance),
    "resynchronise": Scenario(resynchronise, write_what_may_leave),
    "resynchronise, one answer lost": Scenario(
        resynchronise_without_answer, write_what_may_leave
    ),
    "write a snapshot": Scenario(write_a_snapshot, keep_foreign_bytes),
    "write a snapshot, one answer lost": Scenario(write_a_snapshot_without_answer),
    "start with a snapshot": Scenario(start, keep_foreign_bytes),
    "read": Scenario(read, recover_a_branch),
    "start anew with a snapshot": Scenario(start, begin_anew_with_a_snapshot),
    "order to archive": Scenario(write_and_archive),
    "trim": Scenario(trim, write_and_archive),
    "trim again": Scenario(trim, trim_again),
    "start with trimmed streams": Scenario(start, trim_both),
    "fill an empty Redis": Scenario(fill, empty_what_was_trimmed),
    "fill one that was begun anew": Scenario(fill, begin_anew),
    "fill an empty copy": Scenario(fill, lose_a_copy),
    "look back": Scenario(look_back, recover_a_branch),
    "note": Scenario(note),
    "export": Scenario(export, recover_a_branch),
    "see what may leave": Scenario(see_what_may_leave),
}


def disturbed_everywhere(
    connect_to: Connect, scenario: Scenario, known: set[Point], fault: Fault
) -> Iterator[set[Point]]:
    """At each call in turn; gives where in the code that is."""
    number = 0
    while True:
        number += 1
        world = World(connect_to, fault)
        scenario.prepare(world)
        life = world.life
        life.fault_at = life.call_count + number
        dead = False
        try:
            scenario.act(world)
        except Killed:
            dead = True
        except StoreUnavailable:
            assert fault is Fault.UNANSWERED
        if life.call_count < life.fault_at:
            return
        found = points_of(life, known)
        assert found, f"this call is not found in the code: {life.places}"
        try:
            go_on(world, scenario, dead=dead)
        except BaseException as error:
            where = ", ".join(map(str, found))
            error.add_note(f"{fault.value} at call {number}: {where}")
            raise
        yield found


def go_on(world: World, scenario: Scenario, *, dead: bool) -> None:
    """Do it again, in a new process if the old one ended, and see that all is well."""
    world.life.fault_at, world.life.unanswered_count = None, 0
    if dead:
        world.master.restart()
    world.recover()
    scenario.act(world)
    world.check()


@pytest.mark.parametrize("fault", Fault)
def test_a_fault_at_any_call_loses_and_doubles_nothing(
    connect_to: Connect, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    for module in (mending, replication):
        monkeypatch.setattr(module, "PAGE_EVENT_COUNT", 1)
    known, reached, fault_count = points_in_code(), set[Point](), 0
    for name, scenario in SCENARIOS.items():
        for found in disturbed_everywhere(connect_to, scenario, known, fault):
            reached |= found
            fault_count += 1
        print(f"{name}: {fault_count} so far")
    print(
        f"{fault.value}: {len(known)} points in the code, {len(reached)} reached, "
        f"{fault_count} times"
    )
    missed = ", ".join(map(str, sorted(known - reached)))
    assert not missed, f"no scenario reaches {missed}"


def test_no_call_to_redis_goes_past_the_counted_ones() -> None:
    tree = ast.parse(Path(streams.__file__).read_text())
    (body,) = (
        p for p in tree.body if isinstance(p, ast.ClassDef) and p.name == "Streams"
    )
    counted = {
        id(inner)
        for call in ast.walk(body)
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "self._call"
        for inner in ast.walk(call)
    }
    past = {
        ast.unparse(found)
        for found in ast.walk(body)
        if isinstance(found, ast.Attribute)
        and ast.unparse(found).startswith(
            ("self._client.", "self._append", "self._swap", "self._put", "self._trim")
        )
        and id(found) not in counted
    }
    assert past == {
        "self._client.close",
        "self._append", "self._swap", "self._put", "self._trim",  # As they are made, in `__init__`.
        "self._append_to",
    }  # fmt: skip
