"""Redis of either make, for one suite: what holds on the fake must hold on the real."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import fakeredis
import pytest
import redis

from eventstore import connect
from tests.contracts.nodes import Clock, Node
from tests.support.histories import MASTER, STANDBY
from tests.support.redis_servers import RedisServer, require_redis

TIMEOUT_S = 10.0

Connect = Callable[[int], redis.Redis]
"""Gives a new client of the first node's Redis (0) or of the second one's (1)."""


@pytest.fixture(scope="session")
def session_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    require_redis()
    directory: Path = tmp_path_factory.mktemp("redis")
    with RedisServer(directory) as server:
        yield server


@pytest.fixture
def redis_server(session_server: RedisServer) -> Iterator[RedisServer]:
    """A real and empty redis-server."""
    yield session_server
    with session_server.client() as client:
        client.flushall()


@pytest.fixture(
    params=["fakeredis", pytest.param("redis", marks=pytest.mark.redis)],
)
def connect_to(request: pytest.FixtureRequest) -> Iterator[Connect]:
    clients: list[redis.Redis] = []
    if request.param == "fakeredis":
        servers = [fakeredis.FakeServer(version=(7,)) for _ in range(2)]

        def new(place: int) -> redis.Redis:
            return fakeredis.FakeRedis(server=servers[place])
    else:
        server: RedisServer = request.getfixturevalue("redis_server")

        def new(place: int) -> redis.Redis:
            return connect(
                f"redis://127.0.0.1:{server.port}/{place}",
                password=server.password,
                timeout_s=TIMEOUT_S,
            )

    def connected(place: int) -> redis.Redis:
        clients.append(new(place))
        return clients[-1]

    yield connected
    for client in clients:
        client.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def master(connect_to: Connect, clock: Clock) -> Node:
    return Node(lambda: connect_to(0), MASTER, clock)


@pytest.fixture
def standby(connect_to: Connect, clock: Clock) -> Node:
    return Node(lambda: connect_to(1), STANDBY, clock)
