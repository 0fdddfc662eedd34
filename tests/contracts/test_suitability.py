"""Whether a Redis can be trusted with events, and how it is talked to."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import fakeredis
import pytest
import redis
from redis.connection import AbstractConnection
from redis.exceptions import NoPermissionError

from eventstore import (
    START,
    EventId,
    Put,
    StoreRefused,
    StoreUnavailable,
    Streams,
    UnsuitableStore,
    connect,
)
from tests.contracts.nodes import LIMIT_S, Clock, Node
from tests.support.histories import MASTER, PAIR
from tests.support.redis_servers import RedisServer

BATCH = [(EventId(1, 1), b"one")]

Connected = Callable[..., redis.Redis]


@pytest.fixture
def connected(redis_server: RedisServer) -> Iterator[Connected]:
    """Makes clients of the real Redis; parts of the URL and the password can differ."""
    clients: list[redis.Redis] = []

    def new(*, user: str = "", password: str | None = None) -> redis.Redis:
        url = f"redis://{user}127.0.0.1:{redis_server.port}/0"
        clients.append(
            connect(
                url,
                password=redis_server.password
                if password is None
                else password or None,
                timeout_s=LIMIT_S,
            )
        )
        return clients[-1]

    yield new
    for client in clients:
        client.close()


@pytest.fixture
def streams(connected: Connected) -> Streams:
    return Streams(connected(), PAIR, name="Redis")


@pytest.fixture
def setting(connected: Connected) -> Iterator[Callable[[str, str], None]]:
    """Sets what is put back after the test."""
    before: dict[str, str] = {}
    client = connected()

    def change(name: str, value: str) -> None:
        found = client.config_get(name)
        assert isinstance(found, dict)
        before.setdefault(name, str(found[name]))
        client.config_set(name, value)

    yield change
    for name, value in before.items():
        client.config_set(name, value)


@pytest.mark.parametrize(
    "url", ["redis://127.0.0.1:1/0", "rediss://127.0.0.1:1/0", "unix:///none?db=1"]
)
def test_clients_never_retry_and_never_wait_for_long(url: str) -> None:
    client = connect(url, password="secret", timeout_s=2.5, connect_timeout_s=0.5)
    connection = client.connection_pool.make_connection()
    assert isinstance(connection, AbstractConnection)
    assert connection.retry._retries == 0
    assert connection.socket_timeout == 2.5
    assert client.connection_pool.connection_kwargs["socket_connect_timeout"] == 0.5
    assert connection.password == "secret"
    assert str(connection.get_protocol()) == "2"
    client.close()


def test_a_redis_that_will_not_say_is_believed() -> None:
    streams = Streams(fakeredis.FakeRedis(), PAIR, name="Redis")
    found = streams.check()
    assert (found.version, found.appendonly, found.appendfsync) == (None, None, None)


def test_a_port_where_nothing_listens_refused_certainly() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    client = connect(f"redis://127.0.0.1:{port}/0", password=None, timeout_s=1)
    streams = Streams(client, PAIR, name="Redis of the master")
    with pytest.raises(StoreRefused, match="Redis of the master cannot be reached"):
        streams.check()


class FailingRedis(fakeredis.FakeRedis):
    """A Redis whose every command ends in `error`."""

    error: redis.RedisError = redis.RedisError()

    def execute_command(self, *args: object, **options: object) -> object:
        raise self.error


@pytest.mark.parametrize(
    ("error", "ours", "text"),
    [
        (redis.BusyLoadingError("LOADING"), StoreRefused, "is still loading its data"),
        (redis.TimeoutError("slow"), StoreUnavailable, "did not answer in time"),
        (redis.ConnectionError("gone"), StoreUnavailable, "cannot be reached: gone"),
        (OSError("no route"), StoreUnavailable, "cannot be reached: no route"),
        (redis.OutOfMemoryError("OOM"), StoreRefused, "refused: OOM"),
        (redis.ReadOnlyError("READONLY"), StoreRefused, "refused: READONLY"),
        (redis.ResponseError("MISCONF disk"), StoreRefused, "refused: MISCONF disk"),
        (redis.AuthenticationError("bad"), UnsuitableStore, "refuses us: bad"),
        (NoPermissionError("NOPERM"), UnsuitableStore, "refuses us: NOPERM"),
        (redis.ResponseError("NOAUTH x"), UnsuitableStore, "wants a password"),
        (redis.ResponseError("unknown command 'x'"), UnsuitableStore, "lacks it"),
    ],
    ids=repr,
)
def test_each_failure_is_told_by_what_can_be_done_about_it(
    error: redis.RedisError, ours: type[Exception], text: str
) -> None:
    client = FailingRedis()
    client.error = error
    with pytest.raises(ours, match=f"^Redis of the master {text}") as told:
        Streams(client, PAIR, name="Redis of the master").last(MASTER)
    assert type(told.value) is ours
    assert told.value.__cause__ is error


@pytest.mark.redis
def test_the_durability_of_redis_is_told(
    streams: Streams, setting: Callable[[str, str], None]
) -> None:
    found = streams.check()
    assert found.version is not None
    assert int(found.version.partition(".")[0]) >= 6
    assert (found.appendonly, found.appendfsync) == (True, "everysec")
    setting("appendfsync", "always")
    assert streams.check().appendfsync == "always"


@pytest.mark.redis
@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
def test_a_redis_that_evicts_is_unsuitable(
    streams: Streams, setting: Callable[[str, str], None], policy: str
) -> None:
    setting("maxmemory-policy", policy)
    with pytest.raises(UnsuitableStore, match=f"{policy}, .* set it to noeviction"):
        streams.check()


@pytest.mark.redis
def test_a_replica_is_unsuitable(streams: Streams, connected: Connected) -> None:
    client = connected()
    client.replicaof("127.0.0.1", "1")
    try:
        with pytest.raises(UnsuitableStore, match="read-only replica"):
            streams.check()
        with pytest.raises(StoreRefused, match="Redis refused"):
            streams.append(MASTER, START, BATCH)
    finally:
        client.replicaof("NO", "ONE")
    assert streams.read(MASTER, START, 10) == []


@pytest.mark.redis
@pytest.mark.parametrize(
    ("password", "why"),
    [("wrong", "refuses us"), ("", "(wants a password|refuses us)")],
)
def test_a_wrong_password_is_told_without_naming_it(
    connected: Connected, password: str, why: str
) -> None:
    streams = Streams(connected(password=password), PAIR, name="Redis of the master")
    for call in (streams.check, lambda: streams.append(MASTER, START, BATCH)):
        with pytest.raises(
            UnsuitableStore, match=f"^Redis of the master {why}"
        ) as told:
            call()
        assert "wrong" not in str(told.value) or "WRONGPASS" in str(told.value)


@pytest.mark.redis
def test_a_user_who_may_not_ask_is_believed_and_one_who_may_not_write_is_told(
    connected: Connected,
) -> None:
    admin = connected()
    admin.acl_setuser(
        "shy", enabled=True, passwords=["+p"], keys=["*"],
        commands=["+ping", "+xrange", "+evalsha", "+script|load", "-xadd"],
    )  # fmt: skip
    try:
        streams = Streams(connected(user="shy:p@", password=""), PAIR, name="Redis")
        found = streams.check()
        assert (found.version, found.appendonly, found.appendfsync) == (None,) * 3
        with pytest.raises((UnsuitableStore, StoreRefused)):
            streams.append(MASTER, START, BATCH)
        with pytest.raises(UnsuitableStore, match="refuses us"):
            streams.follow(MASTER, START, 10, 1)
    finally:
        admin.acl_deluser("shy")
    assert Streams(admin, PAIR, name="Redis").last(MASTER) is None


@pytest.mark.redis
def test_a_full_redis_refuses_and_stores_nothing(
    connected: Connected, setting: Callable[[str, str], None], clock: Clock
) -> None:
    node = Node(connected, MASTER, clock)
    first = node.put("users/a", 1)
    setting("maxmemory", "1mb")
    changes = [Put(f"users/{n}", "x" * 50_000) for n in range(100)]
    with pytest.raises(StoreRefused, match="Redis of master refused"):
        node.store.append(changes, actor="jane")
        node.store.append(changes, actor="jane")
    full = node.store.snapshot
    assert node.stored_ids()[-1] == full.heads[MASTER].id
    assert len(node.stored()) in (1, 101)
    setting("maxmemory", "0")
    assert node.put("users/b", 2).id.n == full.heads[MASTER].id.n + 1
    assert node.reopened().snapshot == node.store.snapshot
    assert node.stored_ids()[0] == first.id
