"""What was archived leaves the streams; nothing else does, and a node lives on without it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgpack
import pytest

from eventstore import (
    START,
    Archived,
    ArchiveRefused,
    Archiving,
    Bundle,
    DamagedEvent,
    Delete,
    EventId,
    Head,
    Joined,
    Kind,
    NoSuchPoint,
    Origin,
    ResyncOrder,
    ResyncRefused,
    StreamForked,
    begin_verification,
    beginning,
    check_bundle,
    read_blame,
    replay,
    verify,
    write_bundle,
)
from eventstore.bundle_format import SEGMENT, Chain, Header
from eventstore.export import chain_pages
from eventstore.snapshots import BASE, NEWEST
from tests.contracts.convergence import check, exchange
from tests.contracts.nodes import Clock, Node, entries_of
from tests.support.archive_files import Files, archive
from tests.support.histories import MASTER, ORIGINS, PAIR, STANDBY

Pair = tuple[Node, Node]


@pytest.fixture
def files() -> Files:
    return Files()


@pytest.fixture
def pair(master: Node, standby: Node) -> Pair:
    """Both have changed the same entries, and one was deleted."""
    for number in range(3):
        master.put("users/a", number)
        standby.put("users/b", number)
        exchange(master, standby)
    standby.put("users/gone")
    standby.store.append([Delete("users/gone")], actor="joe")
    exchange(master, standby)
    return master, standby


def order_all(files: Files, pair: Pair, clock: Clock) -> None:
    """What there is now may leave; then both write on."""
    master, standby = pair
    before_ns = (clock.ms + 1000) * 1_000_000
    assert archive(files, master.store, master.streams, standby, before_ns)
    exchange(master, standby)
    clock.ms += 2000
    master.put("users/c", "behind")
    standby.put("users/a", "behind")
    exchange(master, standby)


def trim_both(files: Files, pair: Pair, clock: Clock) -> None:
    order_all(files, pair, clock)
    for node in pair:
        assert node.store.trim(go_on=lambda: True)


def test_a_trimmed_stream_begins_with_the_last_archived_event(
    pair: Pair, files: Files, clock: Clock
) -> None:
    before = [entries_of(node.store) for node in pair]
    trim_both(files, pair, clock)
    archived = pair[0].store.archived
    assert archived is not None
    for node in pair:
        for origin in ORIGINS:
            first = node.streams.first(origin)
            assert first is not None
            assert first[0] == archived.cut[origin]
            assert first[0].n > 1
        assert not node.store.trim(go_on=lambda: True), "it was done"
    assert before[0] != entries_of(pair[0].store)
    check(*pair, [], files)


def test_a_start_needs_only_what_is_kept(
    pair: Pair, files: Files, clock: Clock
) -> None:
    trim_both(files, pair, clock)
    for node in pair:
        node.client.delete(f"netphone:{{{PAIR}}}:snapshot:{NEWEST}")
        assert node.reopened().snapshot == node.store.snapshot
        assert entries_of(node.reopened()) == entries_of(node.store)


def test_without_its_base_a_node_does_not_start_with_half_of_its_entries(
    pair: Pair, files: Files, clock: Clock
) -> None:
    trim_both(files, pair, clock)
    node = pair[0]
    node.client.delete(f"netphone:{{{PAIR}}}:snapshot:{BASE}")
    with pytest.raises(DamagedEvent, match="empty its Redis"):
        node.reopened()


@pytest.mark.parametrize("lost", ORIGINS)
def test_an_empty_machine_is_filled_from_a_trimmed_peer(
    pair: Pair, files: Files, clock: Clock, lost: Origin
) -> None:
    trim_both(files, pair, clock)
    mine, peer = pair if lost == MASTER else pair[::-1]
    mine.client.flushdb()
    mine.restart()
    mine.recover(peer)
    exchange(*pair)
    check(*pair, [], files)
    assert mine.stored(lost)[0] == peer.stored(lost)[0]
    mine.put("users/d", "goes on")
    exchange(*pair)
    check(*pair, [], files)


def test_what_an_empty_machine_wrote_alone_comes_behind(
    pair: Pair, files: Files, clock: Clock
) -> None:
    trim_both(files, pair, clock)
    master, standby = pair
    master.client.flushdb()
    master.restart()
    alone = master.put("users/alone", 1)
    master.recover(standby)
    exchange(*pair)
    check(*pair, [alone], files)
    assert standby.store.get("users/alone") is not None


def test_a_redis_from_before_the_archive_takes_no_changes(
    pair: Pair, files: Files, clock: Clock
) -> None:
    master, standby = pair
    old = master.saved()
    standby.put("users/b", "later")
    master.put("users/b", "later")
    exchange(*pair)
    trim_both(files, pair, clock)
    master.put_back(old)
    master.restart()
    before = master.saved()
    with pytest.raises(StreamForked, match="empty its Redis"):
        master.recover(standby)
    assert "empty its Redis" in str(master.store.hindrance)
    assert master.saved() == before, "nothing was changed"
    # The peer goes on, and is not told that it has lost something.
    standby.store.recover(master.streams, go_on=lambda: True)
    head = master.store.snapshot.heads[STANDBY]
    assert standby.store.compare_own(head.id, head.digest)
    standby.put("users/b", "goes on")
    # As the operator is told.
    master.client.flushdb()
    master.restart()
    master.recover(standby)
    exchange(*pair)
    check(*pair, [], files)


def test_what_one_node_has_trimmed_and_the_other_not_yet_is_no_loss(
    pair: Pair, files: Files, clock: Clock
) -> None:
    order_all(files, pair, clock)
    master, standby = pair
    assert standby.store.trim(go_on=lambda: True)
    for one, other in (pair, pair[::-1]):
        one.recover(other)
        assert one.store.hindrance is None
    master.put("users/d", 1)
    exchange(*pair)
    assert len(master.stored(MASTER)) > len(standby.stored(MASTER))
    assert entries_of(master.store) == entries_of(standby.store)
    assert master.store.trim(go_on=lambda: True)
    check(*pair, [], files)


def test_the_events_before_are_archived_a_second_time_from_there_on(
    pair: Pair, files: Files, clock: Clock
) -> None:
    trim_both(files, pair, clock)
    clock.ms += 5000
    trim_both(files, pair, clock)
    check(*pair, [], files)


def test_nothing_leaves_that_the_peer_has_not(pair: Pair, clock: Clock) -> None:
    master, standby = pair
    heads = standby.store.snapshot.heads
    late = master.put("users/a", "only here")
    archiving = Archiving(master.store, master.streams, standby.streams)
    found = archiving.find((clock.ms + 10) * 1_000_000, heads)
    assert found[MASTER] == heads[MASTER]
    too_far = Archived(
        {**found, MASTER: Head(late.id, late.digest)}, "segment", "0" * 64
    )
    with pytest.raises(ArchiveRefused, match="not at both nodes"):
        archiving.order(too_far, heads, actor="jane", reason="")
    assert master.store.archived is None


@pytest.mark.parametrize("what", ["digest", "id"])
def test_nothing_leaves_that_is_not_as_in_the_file(
    pair: Pair, clock: Clock, what: str
) -> None:
    master, standby = pair
    archiving = Archiving(master.store, master.streams, standby.streams)
    heads = standby.store.snapshot.heads
    found = archiving.find((clock.ms + 10) * 1_000_000, heads)
    head = found[MASTER]
    wrong = (
        Head(head.id, bytes(32))
        if what == "digest"
        else Head(EventId(head.id.ms - 1, head.id.n), head.digest)
    )
    archived = Archived({**found, MASTER: wrong}, "segment", "0" * 64)
    with pytest.raises(ArchiveRefused, match="is not here as it is in the"):
        archiving.order(archived, heads, actor="jane", reason="")


def test_nothing_leaves_that_the_peer_has_otherwise(pair: Pair, clock: Clock) -> None:
    """Such as a Redis that was put back and written to, and has not recovered yet."""
    master, standby = pair
    archiving = Archiving(master.store, master.streams, standby.streams)
    heads = standby.store.snapshot.heads
    found = archiving.find((clock.ms + 10) * 1_000_000, heads)
    standby.client.xdel(standby.streams.key(MASTER), str(found[MASTER].id))
    with pytest.raises(ArchiveRefused, match="is not at the peer as it is in the"):
        archiving.order(
            Archived(found, "segment", "0" * 64), heads, actor="jane", reason=""
        )


def test_young_events_and_what_knew_them_stay(pair: Pair, clock: Clock) -> None:
    master, standby = pair
    old = {o: h.id for o, h in master.store.snapshot.heads.items()}
    clock.ms += 1000
    master.put("users/young")
    exchange(*pair)
    archiving = Archiving(master.store, master.streams, standby.streams)
    found = archiving.find(clock.ms * 1_000_000, standby.store.snapshot.heads)
    assert {origin: head.id for origin, head in found.items()} == old


def test_a_resync_waits_until_both_have_trimmed(
    pair: Pair, files: Files, clock: Clock
) -> None:
    order_all(files, pair, clock)
    master, standby = pair
    order = ResyncOrder(
        actor="jane", reason="", discard=True, anyway=False, note={}, kept=()
    )
    assert master.store.trim(go_on=lambda: True)
    with pytest.raises(ResyncRefused, match="both nodes trim first"):
        standby.store.resync(master.streams, order, watch=lambda _: True)
    assert standby.store.trim(go_on=lambda: True)
    standby.put("users/leaves", 1)
    standby.store.resync(master.streams, order, watch=lambda _: True)
    assert standby.store.get("users/leaves") is None
    exchange(*pair)
    check(*pair, [], files)


def segment(path: Path, node: Node, after: dict[Origin, Head]) -> Bundle:
    """The file of what the last order names, as `admin archive` writes it."""
    archived = node.store.archived
    assert archived is not None
    chains = [Chain(origin=o, after=after[o], until=archived.cut[o]) for o in ORIGINS]
    header = Header(
        kind=SEGMENT, pair=PAIR, created_ns=0, by="jane", chains=tuple(chains)
    )
    write_bundle(path, header, lambda chain: chain_pages(node.streams, chain))
    bundle = Bundle(path)
    check_bundle(bundle)
    return bundle


def test_file_and_stream_are_one_history(
    pair: Pair, files: Files, clock: Clock, tmp_path: Path
) -> None:
    master, standby = pair
    begins = Archiving(master.store, master.streams, standby.streams).begins()
    then = {o: h.id for o, h in master.store.snapshot.heads.items()}
    first = replay(master.streams, then, prevailing=MASTER, other=STANDBY)
    order_all(files, pair, clock)
    bundle = segment(tmp_path / "segment", master, begins)
    whole = replay(master.streams, prevailing=MASTER, other=STANDBY)
    for node in pair:
        assert node.store.trim(go_on=lambda: True)
        joined = Joined([bundle], node.streams)
        found = replay(joined, then, prevailing=MASTER, other=STANDBY)
        assert found.configuration.digest == first.configuration.digest
        now = replay(
            node.streams,
            prevailing=MASTER,
            other=STANDBY,
            base=partial(beginning, node.streams, ORIGINS, prevailing=MASTER),
        )
        assert now.cut == whole.cut
        assert now.configuration.digest == whole.configuration.digest
        assert verify(joined).is_whole
        blamed = read_blame(
            joined, "users/a", prevailing=MASTER, other=STANDBY, limit=9
        )
        assert blamed.change_count == 4
        with pytest.raises(NoSuchPoint, match="--archive FILE"):
            read_blame(
                node.streams, "users/a", prevailing=MASTER, other=STANDBY, limit=9
            )
        with pytest.raises(NoSuchPoint, match="before what is kept"):
            replay(
                node.streams,
                0,
                prevailing=MASTER,
                other=STANDBY,
                base=partial(beginning, node.streams, ORIGINS, prevailing=MASTER),
            )
    bundle.close()


def test_a_trimmed_stream_is_verified_from_what_the_history_says_was_archived(
    pair: Pair, files: Files, clock: Clock
) -> None:
    order_all(files, pair, clock)
    master, standby = pair
    master.store.trim(go_on=lambda: True)
    assert verify(master.streams).is_whole
    assert verify(master.streams, standby.streams).is_whole
    now = begin_verification([master.streams], archives=True)
    archived = master.store.archived
    assert archived is not None
    assert [now.archived_n(o) for o in ORIGINS] == [archived.cut[o].n for o in ORIGINS]


def test_events_that_somebody_removed_from_the_beginning_are_missed(
    pair: Pair, files: Files, clock: Clock
) -> None:
    trim_both(files, pair, clock)
    master, standby = pair
    first = master.stored(MASTER)[0][0]
    master.client.xdel(master.streams.key(MASTER), str(first))
    report = verify(master.streams, standby.streams)
    assert not report.is_whole
    (bad,) = report.streams[0].bad
    assert bad.copy == "the first copy"


def test_the_order_is_an_event_of_who_gave_it(
    pair: Pair, files: Files, clock: Clock
) -> None:
    order_all(files, pair, clock)
    for node in pair:
        (event,) = node.store.recent(Kind.HISTORY_ARCHIVED, MASTER)
        assert (event.actor, event.reason, event.key) == ("jane", "old", "")


def test_a_node_that_lost_events_does_not_trim(
    pair: Pair, files: Files, clock: Clock
) -> None:
    order_all(files, pair, clock)
    master, _ = pair
    end = master.store.snapshot.heads[MASTER]
    assert not master.store.compare_own(EventId(end.id.ms, end.id.n + 1), bytes(32))
    assert not master.store.trim(go_on=lambda: True)
    first = master.streams.first(MASTER)
    assert first is not None
    assert first[0].n == 1


def with_rules(parts: list[bytes], change: Callable[[list[Any]], None]) -> list[bytes]:
    """A snapshot as another version would have made it."""
    tag, head = msgpack.unpackb(parts[0])
    change(head[0])
    changed = [msgpack.packb([tag, head]), *parts[1:-1]]
    end = hashlib.sha256(b"".join(changed)).digest()
    return [*changed, msgpack.packb(["end", end])]


def other_kinds(rules: list[Any]) -> None:
    rules[-1] = ["of-another-version"]


def other_fold(rules: list[Any]) -> None:
    rules[1] += 1


@pytest.mark.parametrize(
    ("change", "starts"),
    [(other_kinds, True), (other_fold, False)],
    ids=["kinds", "fold"],
)
def test_a_version_that_folds_alike_goes_on_with_the_base_of_another_one(
    pair: Pair,
    files: Files,
    clock: Clock,
    change: Callable[[list[Any]], None],
    starts: bool,
) -> None:
    trim_both(files, pair, clock)
    node, streams = pair[0], pair[0].streams
    node.client.delete(f"netphone:{{{PAIR}}}:snapshot:{NEWEST}")
    stored = streams.snapshot_parts(BASE, START, 99)
    parts = with_rules([part for _, part in stored], change)
    for (part_id, _), part in zip(stored, parts, strict=True):
        last = EventId(part_id.ms, part_id.n - 1) if part_id.n > 1 else START
        streams.make_snapshot(BASE, last, [(part_id, part)])
    end = stored[-1][0]
    streams.put_snapshot(BASE, last=end, made=end)
    if starts:
        assert node.reopened().snapshot == node.store.snapshot
    else:
        with pytest.raises(DamagedEvent, match="does not fit"):
            node.reopened()
