"""Verification of real streams: what somebody did to either Redis is found, and where."""

from __future__ import annotations

import attrs
import pytest
import redis

from eventstore import (
    EventId,
    Head,
    ResyncOrder,
    StoreUnavailable,
    Streams,
    Verification,
    VerifyReport,
    Witness,
    connect,
    verify,
    verify_on,
)
from eventstore.memory import Stored
from node.roles import Role, State
from node.runtime import View
from node.verifying import Verifying
from tests.contracts.conftest import Connect
from tests.contracts.convergence import exchange
from tests.contracts.nodes import Clock, Node
from tests.support import tampering
from tests.support.histories import MASTER, ORIGINS, PAIR, STANDBY
from tests.support.tampering import Tamper, history, put_into

COUNT = 1003
"""So that borders of pages of 500 lie inside."""
NAMES = "A", "B"
TAMPERINGS: list[tuple[Tamper, int]] = [
    (tampering.one_bit, 1),
    (tampering.changed, 500),
    (tampering.removed, 1),
    (tampering.removed, 501),
    (tampering.inserted, 501),
    (tampering.inserted, 1000),
    (tampering.swapped, 500),
    (tampering.re_signed, 999),
    (tampering.emptied, 1001),
    (tampering.one_bit, COUNT - 1),
]


@pytest.fixture
def clients(connect_to: Connect) -> list[redis.Redis]:
    return [connect_to(place) for place in (0, 1)]


@pytest.fixture
def pair(clients: list[redis.Redis]) -> list[Streams]:
    """Both copies of a history, in a Redis each."""
    made = [Streams(c, PAIR, name="Redis") for c in clients]
    for streams in made:
        for origin in ORIGINS:
            put_into(streams, origin, history(COUNT).of(origin).blobs)
    return made


def rewrite(client: redis.Redis, streams: Streams, stored: list[Stored]) -> None:
    """The stream of the master holds `stored` instead."""
    client.delete(streams.key(MASTER))
    put_into(streams, MASTER, stored)


def verified(pair: list[Streams], *witnesses: Witness) -> VerifyReport:
    return verify(*pair, names=NAMES, remembered=lambda: witnesses)


def whole() -> list[Stored]:
    return history(COUNT).master.blobs


def test_a_whole_pair_is_whole(pair: list[Streams]) -> None:
    report = verified(pair)
    assert report.is_whole
    assert [s.event_count for s in report.streams] == [COUNT, COUNT]


@pytest.mark.parametrize("bad", [0, 1], ids=NAMES)
@pytest.mark.parametrize(
    ("tamper", "n"), TAMPERINGS, ids=lambda t: getattr(t, "__name__", str(t))
)
def test_every_kind_of_tampering_is_found_with_its_copy(
    clients: list[redis.Redis], pair: list[Streams], tamper: Tamper, n: int, bad: int
) -> None:
    rewrite(clients[bad], pair[bad], tamper(whole(), n))
    master, standby = verified(pair).streams
    assert standby.is_whole
    assert master.verdict.startswith(f"the copy in {NAMES[bad]} is bad; the one in")
    assert [(b.copy, b.id and b.id.n) for b in master.bad] == [(NAMES[bad], n)]


@pytest.mark.parametrize("bad", [0, 1], ids=NAMES)
@pytest.mark.parametrize("n", [1, 500, 501, COUNT])
def test_a_tail_made_anew_is_found_and_told_by_a_witness(
    clients: list[redis.Redis], pair: list[Streams], n: int, bad: int
) -> None:
    rewrite(clients[bad], pair[bad], tampering.re_made(whole(), n))
    master = verified(pair).streams[0]
    assert "one of the two was re-made" in master.verdict
    newest = history(COUNT).master.written[-1]
    witness = Witness(MASTER, Head(newest.id, newest.digest), "the checkpoint")
    master = verified(pair, witness).streams[0]
    assert [(b.copy, b.id and b.id.n) for b in master.bad] == [(NAMES[bad], n)]


@pytest.mark.parametrize("bad", [0, 1], ids=NAMES)
@pytest.mark.parametrize("place", [0, 500, 700])
def test_an_entry_that_is_no_event_is_found(
    clients: list[redis.Redis], pair: list[Streams], place: int, bad: int
) -> None:
    stored = whole()
    rewrite(clients[bad], pair[bad], stored[:place])
    more = {b"e": b"", b"more": b""}
    clients[bad].xadd(pair[bad].key(MASTER), more, id=str(stored[place][0]))  # type: ignore[arg-type]
    master = verified(pair).streams[0]
    (wrong,) = master.bad
    assert wrong.copy == NAMES[bad]
    assert str(stored[place][0]) in wrong.what
    assert "is no event" in wrong.what


def test_pages_that_come_in_between_changes_are_gone_on_with(
    pair: list[Streams],
) -> None:
    now = Verification.start(PAIR, 2)
    now = verify_on(now, pair, originals={}, remembered=tuple)
    last, writer = history(COUNT).master.written[-1], history(COUNT + 4).master
    for streams in pair:
        assert streams.append(MASTER, last.id, writer.blobs[COUNT:]) is None
    while not now.is_over:
        now = verify_on(now, pair, originals={}, remembered=tuple)
    report = now.report(PAIR, NAMES)
    assert report.is_whole
    assert report.streams[0].event_count == COUNT + 4


# Archives.


@pytest.fixture
def replaced(master: Node, standby: Node, clock: Clock) -> Node:
    """A master whose branch was replaced by a recovery, with three events archived."""
    master.put("users/a", 0)
    exchange(master, standby)
    then = master.saved()
    master.put("users/a", 1)
    exchange(master, standby)
    master.put_back(then)
    master.restart()
    for n in range(3):
        clock.ms += 1
        master.put("users/b", n)
    master.recover(standby)
    exchange(master, standby)
    assert len(master.streams.archives()) == 1
    return master


def test_what_a_recovery_leaves_is_whole(replaced: Node, standby: Node) -> None:
    report = verify(replaced.streams, standby.streams)
    assert report.is_whole, report
    assert (report.archive_count, report.archived_count) == (1, 3)


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize(
    "tamper",
    [
        tampering.removed,
        tampering.truncated,
        lambda stored, n: [
            *stored[: n - 1],
            tampering.with_bit_flipped(stored[n - 1], 60, 0),
            *stored[n:],
        ],
    ],
    ids=["removed", "truncated", "one bit"],
)
def test_archives_are_verified_too(replaced: Node, tamper: Tamper, n: int) -> None:
    (archive,) = replaced.streams.archives()
    stored = replaced.streams.read_archive(archive.name, EventId(0, 0), 10)
    key = f"netphone:{{{PAIR}}}:archive:{archive.name}"
    replaced.client.delete(key)
    for event_id, blob in tamper(stored, n):
        replaced.client.xadd(key, {b"e": blob}, id=str(event_id))
    report = verify(replaced.streams)
    assert not report.is_whole
    assert list(report.bad_archives) == [archive.name]
    assert report.bad_archive_count == 1
    assert verify(replaced.streams, archives=False).is_whole


def test_a_list_of_archives_that_is_none_is_told(replaced: Node) -> None:
    replaced.client.hset(f"netphone:{{{PAIR}}}:archives", "master-x", "no id")
    report = verify(replaced.streams)
    assert list(report.bad_archives) == ["the list of archives"]


@pytest.mark.parametrize("last", ["0-0", "1-1"])
def test_an_archive_that_is_listed_and_holds_nothing_is_bad(
    replaced: Node, last: str
) -> None:
    replaced.client.hset(f"netphone:{{{PAIR}}}:archives", "master-x", last)
    report = verify(replaced.streams)
    assert list(report.bad_archives) == ["master-x"]


def test_archives_of_nobody_are_told_and_do_not_hold_up_the_walk(
    replaced: Node,
) -> None:
    names = "other-x", "master", "\x1b[2J", "z-1"
    for name in names:
        replaced.client.hset(f"netphone:{{{PAIR}}}:archives", name, "1-1")
    now, count = Verification.start(PAIR, 1), 0
    while not now.is_over:
        now = verify_on(
            now, [replaced.streams], originals={}, remembered=tuple, bytes_max=1
        )
        count += 1
        assert count < 50, "it goes on"
    report = now.report(PAIR, ("the copy",))
    assert set(report.bad_archives) == set(names)
    assert report.archive_count == 5


@pytest.mark.parametrize("n", [1, 2, 3])
def test_what_a_resync_archived_is_as_much_as_it_told(
    master: Node, standby: Node, n: int
) -> None:
    exchange(master, standby)
    for k in range(3):
        standby.put("users/a", k)
    standby.store.resync(
        master.streams,
        ResyncOrder(
            actor="jane", reason="", discard=True, anyway=False, note={}, kept=()
        ),
        watch=lambda _: True,
    )
    exchange(master, standby)
    report = verify(master.streams, standby.streams)
    assert report.is_whole, report
    assert (report.archive_count, report.archived_count) == (1, 3)
    (archive,) = standby.streams.archives()
    key = f"netphone:{{{PAIR}}}:archive:{archive.name}"
    stored = standby.streams.read_archive(archive.name, EventId(0, 0), 10)
    standby.client.xdel(key, str(stored[n - 1][0]))
    report = verify(master.streams, standby.streams)
    assert list(report.bad_archives) == [archive.name]


# What nodes do by themselves is whole.


def test_a_node_that_lost_its_memory_may_know_less(master: Node, standby: Node) -> None:
    for n in range(5):
        master.put("users/a", n)
        exchange(master, standby)
        standby.put("users/b", n)
        exchange(master, standby)
    assert verify(master.streams, standby.streams).is_whole
    assert verify(master.streams).streams[1].origin == STANDBY


# With what a running node remembers.


def verifying(master: Node, standby: Node) -> Verifying:
    return Verifying(
        pair=PAIR,
        role=Role.MASTER,
        store=master.store,
        streams=master.streams,
        connect_to_peers=standby.source,
        view=lambda: View(state=State.PASSIVE),
    )


def looked_at(found: Verifying) -> VerifyReport:
    return found.report(compare=True, archives=True, watch=lambda _: None)


@pytest.fixture
def written(master: Node, standby: Node) -> list[Stored]:
    """What the master wrote; both have it, and no event of the standby knew the last."""
    for n in range(6):
        master.put("users/a", {"extension": str(n)})
        exchange(master, standby)
    return master.stored()


def test_what_a_node_remembers_tells_that_its_redis_was_changed(
    master: Node, standby: Node, written: list[Stored]
) -> None:
    assert looked_at(verifying(master, standby)).is_whole
    rewrite(master.client, master.streams, tampering.re_made(written, 3))
    found = looked_at(verifying(master, standby)).streams[0]
    assert found.verdict == (
        "the copy in the master's Redis is bad; the one in the standby's Redis is whole"
    )
    assert [(b.copy, b.id) for b in found.bad] == [
        ("the master's Redis", written[2][0])
    ]
    assert "the running master has it with another digest" in found.bad[0].what


def test_a_redis_that_lost_its_end_is_told_by_the_copy_of_it(
    master: Node, standby: Node, written: list[Stored]
) -> None:
    rewrite(master.client, master.streams, written[:4])
    found = looked_at(verifying(master, standby)).streams[0]
    assert found.verdict.startswith("the copy in the master's Redis is bad")
    rewrite(master.client, master.streams, written)
    rewrite(standby.client, standby.streams, written[:4])
    found = looked_at(verifying(master, standby)).streams[0]
    assert (found.is_whole, found.lag) == (
        True,
        "the copy in the standby's Redis is 2 events behind",
    )


def test_a_peer_that_cannot_be_asked_is_told_and_the_own_copy_is_verified(
    master: Node, standby: Node, written: list[Stored]
) -> None:
    def nobody() -> Streams:
        client = connect("redis://127.0.0.1:1/0", password=None, timeout_s=1.0)
        return Streams(client, PAIR, name="the peer's Redis")

    alone = attrs.evolve(verifying(master, standby), connect_to_peers=nobody)
    report = looked_at(alone)
    assert report.is_whole
    assert "the peer's Redis cannot be reached" in report.problem
    assert list(report.streams[0].heads) == ["the master's Redis"]
    begun = verifying(master, standby).page(None, compare=True, archives=True)
    with pytest.raises(StoreUnavailable, match="cannot go on"):
        alone.page(begun.now, compare=True, archives=True)
    assert alone.heads([], compare=True).heads[MASTER].id == written[-1][0]
