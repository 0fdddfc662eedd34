"""A Redis that takes no writes, and one that lost events: the node says so by itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.processes import PairProcesses
from tests.support.waiting import wait_until

LIMIT_S = 15.0


@pytest.mark.redis
def test_a_node_whose_redis_is_full_or_lost_events_is_not_ready(tmp_path: Path) -> None:
    with PairProcesses(tmp_path / "pair") as pair:
        pair.start()
        active = pair.wait_until_settled()
        other = pair.other(active)
        client = pair.redis[active.role].client()
        client.config_set("maxmemory", "100kb")
        active.wait_until(
            lambda n: not n.is_ready, "it to say that it takes no changes"
        )
        assert "maxmemory" in " ".join(active.status()["not_ready"])
        client.config_set("maxmemory", "0")
        active.wait_until(lambda n: n.is_ready, "it to be ready again")
        wait_until(lambda: "ready again" in active.log(), LIMIT_S, "its log to say so")

        other.terminate()
        pair.redis[other.role].client().flushall()
        other.start()
        other.wait_until(
            lambda n: "it lost events" in " ".join(n.status().get("not_ready", [])),
            "it to refuse changes",
        )
        assert active.is_active
