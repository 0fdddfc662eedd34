"""What must hold of a pair after whatever happened: nothing lost, nothing doubled, one truth."""

from __future__ import annotations

from collections.abc import Sequence

from eventstore import Event, Origin, codec, verify
from tests.contracts.nodes import Node, entries_of
from tests.support import oracle
from tests.support.archive_files import Files, Whole
from tests.support.histories import MASTER, ORIGINS, STANDBY


def events(node: Node, origin: Origin, files: Files | None = None) -> list[Event]:
    """A whole stream, out of Redis, and of the files with what was archived."""
    stored = (files or Files()).completed(origin, node.stored(origin))
    found = [codec.decode(origin, *one) for one in stored]
    return [event for event in found if isinstance(event, Event)]


def written(event: Event) -> bytes:
    """The digest of what was written first: a recovery may have made it anew since."""
    return event.digest if event.recovered is None else event.recovered.digest


def exchange(master: Node, standby: Node) -> None:
    """Let each take what the other has."""
    for _ in range(2):
        master.pull(standby)
        standby.pull(master)


def check(
    master: Node,
    standby: Node,
    acknowledged: Sequence[Event],
    files: Files | None = None,
    *,
    is_whole: bool | None = True,
) -> None:
    """Both have everything once, agree, and hold what the oracle says, also after a restart.

    `is_whole`: whether a verification finds nothing; it does where events are lost for good that
    another one knew; None: it may.
    """
    exchange(master, standby)
    for node in (master, standby):
        for origin in ORIGINS:
            stored = events(node, origin, files)
            assert [e.id.n for e in stored] == list(range(1, len(stored) + 1))
            firsts = [written(event) for event in stored]
            assert len(set(firsts)) == len(firsts), "an event is there twice"
            for event in acknowledged:
                assert event.origin != origin or written(event) in firsts, event
        known = [event for origin in ORIGINS for event in events(node, origin, files)]
        expected = oracle.entries(known, prevailing=MASTER)
        assert {e.key: e.event for e in node.store.entries()} == expected
        assert node.reopened().snapshot == node.store.snapshot
        assert node.store.hindrance is None
        assert not node.client.keys("*temporary*")
    assert master.store.snapshot.digest == standby.store.snapshot.digest
    assert entries_of(master.store) == entries_of(standby.store)
    sources = [Whole(node.streams, files or Files()) for node in (master, standby)]
    report = verify(*sources, originals={MASTER: 0, STANDBY: 1})
    assert is_whole is None or report.is_whole is is_whole, report
    for origin in ORIGINS:
        assert master.stored(origin) == standby.stored(origin)
