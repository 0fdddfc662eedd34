"""`GET /metrics` of real nodes, and what it costs their Redis: nothing."""

from __future__ import annotations

import time

import httpx
import pytest
from prometheus_client import parser

from tests.support.processes import NodeProcess, PairProcesses

pytestmark = pytest.mark.redis

SCRAPE_COUNT = 50
SCRAPES_LIMIT_S = 5.0


def metrics(pair: PairProcesses, node: NodeProcess) -> dict[str, float]:
    """The metrics without labels, and the checks of the node's health by their names."""
    headers = {"Authorization": f"Bearer {pair.read_token}"}
    reply = node.http.get("/metrics", headers=headers)
    assert reply.status_code == 200
    return {
        sample.labels.get("check", sample.name): sample.value
        for family in parser.text_string_to_metric_families(reply.text)
        for sample in family.samples
        if set(sample.labels) <= {"check"}
    }


def test_metrics_say_what_the_status_says_even_without_redis(
    pair: PairProcesses,
) -> None:
    pair.standby.put("users/alice", {"extension": "101"})
    pair.wait_until_equal()
    for node in pair.nodes.values():
        found = metrics(pair, node)
        assert found["netphone_entries"] == 1
        assert found["netphone_active"] == node.is_active
        assert found["netphone_ready"] == found["netphone_peer_connected"] == 1
        assert found["netphone_peer_active"] == (not node.is_active)
        assert 0 <= found["netphone_peer_heard_age_seconds"] < 5
        assert found["redis"] == 1
        none = httpx.get(f"{node.url}/metrics", trust_env=False)
        assert (none.status_code, none.json()["code"]) == (401, "not-authorised")

    pair.redis[pair.standby.role].pause()
    pair.standby.wait_until(
        lambda n: metrics(pair, n)["redis"] == 0, "the check of Redis to fail"
    )
    began_s = time.monotonic()
    several = [metrics(pair, pair.standby) for _ in range(SCRAPE_COUNT)]
    # Each wait for a Redis that does not answer would take a second or two.
    assert time.monotonic() - began_s < SCRAPES_LIMIT_S
    found = several[-1]
    assert (found["netphone_ready"], found["netphone_not_ready_reasons"]) == (0, 1)
    assert found["netphone_entries"] == 1, "from memory"
    pair.master.wait_until(
        lambda n: metrics(pair, n)["netphone_replication_problem"] == 1,
        "that it cannot read the standby's Redis",
    )
