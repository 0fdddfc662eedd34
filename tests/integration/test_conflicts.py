"""Conflicts of a real pair: made during a cut, listed on both nodes, and restored (D7)."""

from __future__ import annotations

from typing import Any

import pytest

from eventstore import Origin
from node.roles import Role
from tests.support import oracle
from tests.support.admin_process import done, run_admin
from tests.support.processes import NodeProcess, PairProcesses
from tests.support.told import entries_told, events_told
from tests.support.waiting import wait_until

pytestmark = pytest.mark.redis

BOTH_ACTIVE_LIMIT_S = 15.0


def conflicts(pair: PairProcesses, node: NodeProcess, *options: str) -> list[Any]:
    return done(pair, node, "--json", "conflicts", *options).records


def value(node: NodeProcess, key: str) -> object:
    return entries_told(node)[key][0]


def make_conflicts(pair: PairProcesses) -> None:
    """Cut; change on both sides; heal. The standby changes two entries, deletes one."""
    for key in ("users/put", "users/deleted", "users/settled", "users/untouched"):
        pair.master.put(key, "before")
    pair.wait_until_equal()
    pair.cut()
    wait_until(
        lambda: pair.master.is_active and pair.standby.is_active,
        BOTH_ACTIVE_LIMIT_S,
        "both nodes to be active",
    )
    pair.standby.put("users/put", "draft")
    pair.standby.put("users/put", "standby")
    pair.standby.client.ask("DELETE", "/entries/users/deleted")
    pair.standby.put("users/settled", "standby")
    pair.standby.put("users/untouched", "standby")
    for key in ("users/settled", "users/deleted", "users/put"):
        pair.master.put(key, "master")
    pair.heal()
    pair.wait_until_settled()
    pair.wait_until_equal()


def test_what_lost_in_a_cut_is_listed_on_both_nodes_and_restored(
    proxied_pair: PairProcesses,
) -> None:
    pair = proxied_pair
    make_conflicts(pair)
    decided = pair.standby.put("users/settled", "decided")
    pair.wait_until_equal()

    # Open ones: the same on both nodes, and what the oracle says.
    found = conflicts(pair, pair.master)
    assert conflicts(pair, pair.standby) == found
    assert [conflict["key"] for conflict in found] == ["users/put", "users/deleted"]
    events = events_told(pair.master)
    expected = oracle.open_losses(events, prevailing=Origin(Role.MASTER))
    assert {c["key"]: (c["id"], c["winner"]["id"]) for c in found} == {
        key: (str(loser.id), str(winner.id))
        for key, (loser, winner) in expected.items()
    }
    assert all(c["winner"]["origin"] == "master" for c in found)

    # Settled ones too.
    everything = conflicts(pair, pair.standby, "--all")
    assert conflicts(pair, pair.master, "--all") == everything
    (settled,) = [c for c in everything if c["settled_by"]]
    assert (settled["key"], settled["settled_by"]["id"]) == ("users/settled", decided)

    # The history marks them all.
    marked = told_overridden(pair)
    assert [e["id"] for e in marked if not e["settled_by"]] == [c["id"] for c in found]
    (told,) = [e for e in marked if e["settled_by"]]
    assert (told["id"], told["settled_by"]["id"]) == (settled["id"], decided)

    # One is restored on each node.
    put, deleted = (str(conflict["id"]) for conflict in found)
    reason = ("--reason", "the standby was right")
    done(pair, pair.master, "conflicts", "restore", put, *reason)
    done(pair, pair.standby, "conflicts", "restore", deleted)
    pair.wait_until_equal()
    for node in pair.nodes.values():
        assert value(node, "users/put") == "standby"
        assert "users/deleted" not in entries_told(node)
        assert conflicts(pair, node) == []
        assert node.status()["replication"]["conflicts"] == 0
    last = [e for e in events_told(pair.standby) if e.key == "users/put"][-1]
    assert (last.origin, last.reason) == ("master", "the standby was right")

    # Nothing is restored twice, nor what never lost.
    for lost, words in {
        put: f"entry 'users/put' is now {last.id}",
        str(settled["id"]): f"entry 'users/settled' is now {decided}",
        "5-5": "no change with the id 5-5 has lost",
    }.items():
        refused = run_admin(pair, pair.master, "conflicts", "restore", lost)
        assert (refused.exit_code, refused.out) == (3, "")
        assert words in refused.err
        assert len(refused.err.splitlines()) == 1
    assert run_admin(pair, pair.master, "conflicts", "restore", "x").exit_code == 2


def told_overridden(pair: PairProcesses) -> list[Any]:
    events = done(pair, pair.master, "--json", "history").records
    return [event for event in events if event["overridden_by"]]
