"""What lost, read from memory and from Redis, and restored under a condition (D7)."""

from __future__ import annotations

import pytest

from eventstore import (
    Delete,
    EntryChanged,
    Event,
    EventId,
    Loss,
    NoSuchConflict,
    NoSuchEntry,
    Put,
)
from node.conflicts import Conflicts
from tests.contracts.nodes import Node

KEYS = ["users/a", "users/b", "scripts/c"]


def conflicts_of(node: Node) -> Conflicts:
    return Conflicts(node.store, node.streams)


def listed(
    node: Node,
    *,
    settled: bool = False,
    key: str | None = None,
    prefix: str | None = None,
    after: EventId | None = None,
    limit: int | None = None,
) -> list[Loss]:
    return conflicts_of(node).listed(
        settled=settled, key=key, prefix=prefix, after=after, limit=limit
    )


def restore(node: Node, lost: EventId) -> Event:
    loss = conflicts_of(node).open(lost)
    return node.store.append([loss.change], actor="ann", expected=loss.winner.id)[0]


def heal(master: Node, standby: Node) -> None:
    master.pull(standby)
    standby.pull(master)


@pytest.fixture
def losers(master: Node, standby: Node) -> list[Event]:
    """Each key changed on both nodes at the same time; both know it now."""
    found = [standby.put(key, "standby") for key in KEYS]
    for key in reversed(KEYS):
        master.put(key, "master")
    heal(master, standby)
    return found


def test_both_nodes_list_the_same_by_the_id_of_the_loser(
    master: Node, standby: Node, losers: list[Event]
) -> None:
    found = listed(master)
    assert [loss.loser for loss in found] == losers
    assert [loss.winner.value for loss in found] == ["master"] * 3
    assert listed(standby) == found
    for node in (master, standby):
        assert listed(node, settled=True) == found


def test_a_list_is_filtered_and_goes_on_behind_an_id(
    master: Node, losers: list[Event]
) -> None:
    for settled in (False, True):

        def keys(settled: bool = settled, **wanted: object) -> list[str]:
            found = listed(master, settled=settled, **wanted)  # type: ignore[arg-type]
            return [loss.key for loss in found]

        assert keys(prefix="users/") == KEYS[:2]
        assert keys(key="scripts/c") == KEYS[2:]
        assert keys(limit=2) == KEYS[:2]
        assert keys(after=losers[0].id, limit=1) == KEYS[1:2]
        assert keys(after=losers[2].id) == []


@pytest.mark.parametrize("where", ["master", "standby"])
def test_a_restored_change_stands_on_both_nodes_and_settles_the_conflict(
    master: Node, standby: Node, losers: list[Event], where: str
) -> None:
    node = master if where == "master" else standby
    restored = restore(node, losers[0].id)
    assert restored.origin == node.origin
    heal(master, standby)
    for each in (master, standby):
        entry = each.store.get("users/a")
        assert entry is not None
        assert (entry.event, entry.value) == (restored, "standby")
        assert [loss.key for loss in listed(each)] == KEYS[1:]
        assert listed(each, settled=True)[0].settled_by == restored
    assert master.store.snapshot.digest == standby.store.snapshot.digest


def test_a_restored_delete_deletes(master: Node, standby: Node) -> None:
    master.put("users/a", 1)
    standby.pull(master)
    lost = standby.store.append([Delete("users/a")], actor="bob")[0]
    master.put("users/a", 2)
    heal(master, standby)
    assert standby.store.get("users/a") is not None
    restore(standby, lost.id)
    heal(master, standby)
    assert (master.store.get("users/a"), standby.store.get("users/a")) == (None, None)
    assert listed(master) == []


def test_a_change_that_lost_to_a_delete_is_restored(
    master: Node, standby: Node
) -> None:
    master.put("users/a", 1)
    standby.pull(master)
    lost = standby.put("users/a", "kept")
    master.store.append([Delete("users/a")], actor="jane")
    heal(master, standby)
    assert master.store.get("users/a") is None
    restore(master, lost.id)
    heal(master, standby)
    entry = standby.store.get("users/a")
    assert entry is not None
    assert entry.value == "kept"


def test_a_delete_that_lost_to_a_delete_has_nothing_to_delete(
    master: Node, standby: Node
) -> None:
    master.put("users/a", 1)
    standby.pull(master)
    lost = standby.store.append([Delete("users/a")], actor="bob")[0]
    master.store.append([Delete("users/a")], actor="jane")
    heal(master, standby)
    with pytest.raises(NoSuchEntry, match="no entry 'users/a'"):
        restore(master, lost.id)


def test_what_was_changed_since_is_not_overwritten(
    master: Node, losers: list[Event]
) -> None:
    before = conflicts_of(master).open(losers[0].id)
    now = master.put("users/a", "decided")
    with pytest.raises(EntryChanged, match=f"it is now {now.id}"):
        master.store.append([before.change], actor="ann", expected=before.winner.id)
    with pytest.raises(NoSuchConflict, match=f"entry 'users/a' is now {now.id}"):
        conflicts_of(master).open(losers[0].id)
    master.store.append([Delete("users/b")], actor="jane")
    with pytest.raises(NoSuchConflict, match="entry 'users/b' is gone"):
        conflicts_of(master).open(losers[1].id)


def test_it_is_restored_once(master: Node, losers: list[Event]) -> None:
    restored = restore(master, losers[0].id)
    with pytest.raises(NoSuchConflict, match=f"is now {restored.id}"):
        restore(master, losers[0].id)


def test_an_id_of_no_change_of_the_standby_is_refused(
    master: Node, losers: list[Event]
) -> None:
    for unknown in (EventId(5, 5), EventId(losers[0].id.ms, 99)):
        with pytest.raises(NoSuchConflict, match=f"no change with the id {unknown}"):
            conflicts_of(master).open(unknown)


def test_an_entry_that_a_delete_left_is_expected_by_the_id_of_the_delete(
    master: Node,
) -> None:
    put = master.put("users/a", 1)
    deleted = master.store.append([Delete("users/a")], actor="jane")[0]
    for wrong in (put.id, EventId(5, 5)):
        with pytest.raises(EntryChanged, match="it is gone"):
            master.store.append([Put("users/a", 2)], actor="jane", expected=wrong)
    again = master.store.append([Put("users/a", 2)], actor="j", expected=deleted.id)
    with pytest.raises(EntryChanged, match=f"it is now {again[0].id}"):
        master.store.append([Put("users/a", 3)], actor="j", expected=deleted.id)
