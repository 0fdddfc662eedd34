"""A node that has written much leaves a snapshot when it ends, and starts with it."""

from __future__ import annotations

import logging

import pytest

from eventstore import Put
from node import NetPhoneNode, NodeConfig, Role
from node.snapshotting import EVENT_COUNT_MIN_AT_END
from tests.support.ports import free_port
from tests.support.processes import FAST
from tests.support.redis_servers import RedisServer

pytestmark = pytest.mark.redis

HOST = "127.0.0.1"
BATCH_COUNT = 1000


def test_a_node_that_wrote_much_starts_with_a_snapshot(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    config = NodeConfig(
        pair="office",
        role=Role.MASTER,
        listen=f"{HOST}:{free_port()}",
        peer=f"{HOST}:{free_port()}",
        secret="a secret of the pair",
        redis_url=f"redis://{HOST}:{redis_server.port}/0",
        redis_password=redis_server.password,
        peer_redis_url=f"redis://{HOST}:{free_port()}/0",
        **FAST,  # type: ignore[arg-type]
    )
    caplog.set_level(logging.INFO, "netphone.snapshots")
    with NetPhoneNode(config) as node:
        for n in range(EVENT_COUNT_MIN_AT_END // BATCH_COUNT):
            changes = [Put(f"users/{key}", n) for key in range(BATCH_COUNT)]
            node.change_many(changes, actor="jane")
        entries = node.list()
    assert not [r for r in caplog.records if r.name == "netphone.snapshots"]
    with NetPhoneNode(config) as node:
        assert node.list() == entries
    (said,) = [r for r in caplog.records if r.name == "netphone.snapshots"]
    assert said.getMessage().startswith("snapshot 'newest' spares the folding of 100")
