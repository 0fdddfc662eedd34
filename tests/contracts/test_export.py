"""A pair's Redis, exported and read back."""

from __future__ import annotations

from pathlib import Path

import pytest

from eventstore import (
    START,
    Bundle,
    DamagedEvent,
    Export,
    Filter,
    check_bundle,
    closed_ends,
    export_events,
    read_archived,
    read_history,
)
from tests.contracts.nodes import MANY, Node
from tests.support.histories import MASTER, ORIGINS, STANDBY

EXPORT = Export(by="jane", created_ns=1, key=None)


@pytest.fixture
def both(master: Node, standby: Node) -> Node:
    """The master, of whose events some were replaced by a recovery."""
    for n in range(3):
        master.put("users/a", n)
        standby.pull(master)
        standby.put("users/b", n)
        master.pull(standby)
    saved = master.saved()
    master.put("users/a", "lost")
    standby.pull(master)
    master.put_back(saved)
    master.restart()
    master.put("users/a", "in ignorance")
    master.recover(standby)
    master.pull(standby)
    return master


def test_all_that_a_redis_has_comes_back(both: Node, tmp_path: Path) -> None:
    streams = both.streams
    export_events(streams, closed_ends(streams, ORIGINS), tmp_path / "b", EXPORT)
    with Bundle(tmp_path / "b") as bundle:
        for origin in ORIGINS:
            assert bundle.read(origin, START, MANY) == both.stored(origin)
        archives = streams.archives()
        assert len(archives) == 1
        assert bundle.archives() == archives
        for archive in archives:
            kept = streams.read_archive(archive.name, START, MANY)
            assert bundle.read_archive(archive.name, START, MANY) == kept
        expected = list(read_history(streams, ORIGINS, Filter()))
        assert list(read_history(bundle, ORIGINS, Filter())) == expected
        assert len(list(read_archived(streams, Filter()))) == 1
        assert all(checked.break_at is None for checked in check_bundle(bundle))


def test_of_a_copy_that_lags_only_what_it_has_is_exported(
    master: Node, standby: Node, tmp_path: Path
) -> None:
    master.put("users/a", 1)
    standby.pull(master)
    standby.put("users/b", 1)
    master.put("users/a", 2)
    streams = standby.streams
    export_events(streams, closed_ends(streams, ORIGINS), tmp_path / "b", EXPORT)
    with Bundle(tmp_path / "b") as bundle:
        counts = {c.chain.origin: c.held.count for c in check_bundle(bundle)}
    assert counts == {MASTER: len(standby.stored(MASTER)), STANDBY: counts[STANDBY]}


def test_a_stream_altered_by_hand_is_not_exported(both: Node, tmp_path: Path) -> None:
    first = both.stored(STANDBY)[0][0]
    both.client.xdel(both.streams.key(STANDBY), str(first))
    ends = closed_ends(both.streams, ORIGINS)
    with pytest.raises(
        DamagedEvent, match="it does not continue the begin of this stream"
    ):
        export_events(both.streams, ends, tmp_path / "b", EXPORT)
    assert list(tmp_path.iterdir()) == []
