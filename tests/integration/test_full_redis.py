"""A Redis that takes no writes or may lose them: the node says so, and when it is over."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.processes import PairProcesses
from tests.support.waiting import wait_until

LIMIT_S = 15.0


@pytest.mark.redis
def test_a_node_whose_redis_is_full_is_not_ready_until_it_is_not(
    tmp_path: Path,
) -> None:
    with PairProcesses(tmp_path / "pair") as pair:
        pair.start()
        active = pair.wait_until_settled()
        client = pair.redis[active.role].client()
        client.config_set("maxmemory", "100kb")
        active.wait_until(
            lambda n: not n.is_ready, "it to say that it takes no changes"
        )
        assert "maxmemory" in " ".join(active.status()["not_ready"])
        client.config_set("maxmemory", "0")
        active.wait_until(lambda n: n.is_ready, "it to be ready again")
        wait_until(lambda: "ready again" in active.log(), LIMIT_S, "its log to say so")


@pytest.mark.redis
def test_settings_of_redis_that_lose_events_are_seen_while_the_node_runs(
    tmp_path: Path,
) -> None:
    with PairProcesses(tmp_path / "pair") as pair:
        pair.start()
        active = pair.wait_until_settled()
        client = pair.redis[active.role].client()
        client.config_set("appendonly", "no")
        active.wait_until(
            lambda n: n.status()["durability"]["appendonly"] is False,
            "its status to say that a crash of Redis loses changes",
        )
        client.config_set("appendonly", "yes")
        client.config_set("maxmemory-policy", "allkeys-lru")
        active.wait_until(lambda n: not n.is_ready, "it to say what Redis may do")
        assert "set it to noeviction" in " ".join(active.status()["not_ready"])
        client.config_set("maxmemory-policy", "noeviction")
        active.wait_until(lambda n: n.is_ready, "it to be ready again")
        assert active.status()["durability"]["appendonly"] is True
