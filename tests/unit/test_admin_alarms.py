"""What is wrong with a node stands in its status, in words."""

from __future__ import annotations

from tests.support.admin_runner import run_admin
from tests.support.fake_node import FakeNode


def test_status_says_why_a_node_is_not_ready_and_how_data_differ() -> None:
    node = FakeNode()
    node.status |= {"ready": False, "not_ready": ["redis: full", "stream lost"]}
    node.status["replication"]["divergence"] = "the peer has 5 events of ours"
    shown = run_admin(node, "status").out
    assert "no: redis: full: stream lost" in shown
    assert "the peer has 5 events of ours" in shown
