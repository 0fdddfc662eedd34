"""Appends whose outcome Redis did not tell. Only a real Redis can be lost like that."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
import redis

from eventstore import (
    EventId,
    EventStore,
    Kind,
    Origin,
    Put,
    Replication,
    Replicator,
    SecondWriter,
    StoreRefused,
    StoreUnavailable,
    Streams,
    connect,
    replication,
)
from eventstore.memory import Stored
from tests.contracts.nodes import LIMIT_S, Clock, Node, entries_of
from tests.support.histories import MASTER, PAIR, STANDBY, Writer
from tests.support.redis_servers import RedisServer
from tests.support.reply_dropping import Loss, LossyProxy
from tests.support.waiting import wait_until

pytestmark = pytest.mark.redis

APPEND = "EVALSHA"
SHORT_TIMEOUT_S = 1.0


def client_of(
    server: RedisServer, port: int, *, timeout_s: float = LIMIT_S, database: int = 0
) -> redis.Redis:
    return connect(
        f"redis://127.0.0.1:{port}/{database}",
        password=server.password,
        timeout_s=timeout_s,
    )


@pytest.fixture
def proxy(redis_server: RedisServer) -> Iterator[LossyProxy]:
    with LossyProxy(redis_server.port) as proxy:
        yield proxy


@pytest.fixture
def node(redis_server: RedisServer, proxy: LossyProxy, clock: Clock) -> Iterator[Node]:
    """A master whose Redis is behind the proxy, and that has written one event."""
    clients: list[redis.Redis] = []

    def connected() -> redis.Redis:
        clients.append(client_of(redis_server, proxy.port))
        return clients[-1]

    node = Node(connected, MASTER, clock)
    node.put("users/first", 0)
    yield node
    for client in clients:
        client.close()


def stored_values(node: Node) -> list[object]:
    """What the own stream holds, by a fresh store that checks the chain."""
    assert [i.n for i in node.stored_ids()] == list(range(1, len(node.stored()) + 1))
    again = node.reopened()
    assert again.snapshot == node.store.snapshot
    assert entries_of(again) == entries_of(node.store)
    return [entry.value for entry in again.entries("users/")]


def test_done_but_unanswered_is_done_once(node: Node, proxy: LossyProxy) -> None:
    proxy.lose(APPEND, Loss.ANSWER)
    event = node.put("users/a", 1)
    assert proxy.pending_count == 0
    assert node.stored_ids()[-1] == event.id
    assert stored_values(node) == [1, 0]
    assert node.put("users/b", 2).id.n == 3


def test_a_batch_done_but_unanswered_is_done_once(
    node: Node, proxy: LossyProxy
) -> None:
    proxy.lose(APPEND, Loss.ANSWER)
    changes = [Put(f"users/{n:03}", "x" * 1000) for n in range(300)]
    events = node.store.append(changes, actor="jane")
    assert proxy.pending_count == 0
    assert node.stored_ids()[1:] == [event.id for event in events]
    assert [event for event, _ in node.told][1:] == events


def test_lost_on_its_way_is_sent_again(node: Node, proxy: LossyProxy) -> None:
    proxy.lose(APPEND, Loss.REQUEST)
    event = node.put("users/a", 1)
    assert proxy.pending_count == 0
    assert node.stored_ids()[1:] == [event.id]
    assert stored_values(node) == [1, 0]


@pytest.mark.parametrize(
    ("losses", "is_stored"),
    [
        ((Loss.REQUEST, Loss.REQUEST), False),
        ((Loss.REQUEST, Loss.ANSWER), True),
        ((Loss.ANSWER, Loss.REQUEST), True),
        ((Loss.ANSWER, Loss.ANSWER), True),
    ],
    ids=str,
)
def test_twice_without_an_answer_is_unknown_and_settled_by_the_next_change(
    node: Node, proxy: LossyProxy, losses: tuple[Loss, ...], is_stored: bool
) -> None:
    proxy.lose(APPEND, *losses)
    with pytest.raises(StoreUnavailable, match="is unknown: read it back") as outcome:
        node.put("users/a", 1)
    assert not isinstance(outcome.value, StoreRefused)
    assert proxy.pending_count == 0
    assert node.store.get("users/a") is None
    assert len(node.stored()) == 1 + is_stored

    assert node.put("users/b", 2).id.n == 2 + is_stored
    assert stored_values(node) == ([1, 2, 0] if is_stored else [2, 0])
    assert len(node.told) == 2 + is_stored
    assert node.store.broken is None


def test_an_unknown_change_can_be_repeated_with_its_condition(
    node: Node, proxy: LossyProxy
) -> None:
    first = node.store.get("users/first")
    assert first is not None
    proxy.lose(APPEND, Loss.ANSWER, Loss.ANSWER)
    change = [Put("users/first", 1)]
    with pytest.raises(StoreUnavailable, match="unknown"):
        node.store.append(change, actor="jane", expected=first.id)
    node.store.record(Kind.STATE_CHANGED, None, actor="node")
    entry = node.store.get("users/first")
    assert entry is not None
    assert (entry.id.n, entry.value) == (2, 1)


def test_several_unknown_changes_leave_the_one_that_is_stored(
    node: Node, proxy: LossyProxy
) -> None:
    for n in range(3):
        proxy.lose(APPEND, Loss.REQUEST, Loss.REQUEST)
        with pytest.raises(StoreUnavailable, match="unknown"):
            node.put("users/lost", n)
    proxy.lose(APPEND, Loss.ANSWER, Loss.ANSWER)
    with pytest.raises(StoreUnavailable, match="unknown"):
        node.put("users/kept", 3)
    assert node.put("users/b", 4).id.n == 3
    assert stored_values(node) == [4, 0, 3]


def test_without_end_of_losses_it_gives_up_and_says_so(
    node: Node, proxy: LossyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventstore.store._UNSETTLED_COUNT_MAX", 2)
    for n in range(3):
        proxy.lose(APPEND, Loss.REQUEST, Loss.REQUEST)
        with pytest.raises(StoreUnavailable, match="unknown"):
            node.put("users/lost", n)
    with pytest.raises(StoreUnavailable, match="restart this node"):
        node.put("users/a", 1)
    assert len(node.stored()) == 1


def test_an_event_of_a_stranger_after_an_unknown_change_is_a_second_writer(
    node: Node, proxy: LossyProxy
) -> None:
    proxy.lose(APPEND, Loss.REQUEST, Loss.REQUEST)
    with pytest.raises(StoreUnavailable, match="unknown"):
        node.put("users/a", 1)
    node.reopened().append([Put("users/stranger", 1)], actor="joe")
    with pytest.raises(SecondWriter):
        node.put("users/b", 2)
    assert isinstance(node.store.broken, SecondWriter)
    assert len(node.stored()) == 2


def test_losing_the_reading_back_is_unknown_too(node: Node, proxy: LossyProxy) -> None:
    proxy.lose(APPEND, Loss.ANSWER)
    proxy.lose("XRANGE", Loss.ANSWER)
    with pytest.raises(StoreUnavailable, match="unknown"):
        node.put("users/a", 1)
    assert proxy.pending_count == 0
    assert node.put("users/b", 2).id.n == 3
    assert stored_values(node) == [1, 2, 0]


class RepeatedStreams(Streams):
    """An append comes twice, so its answer is that of the second; reading back fails once."""

    repeats = False

    def append(
        self, origin: Origin, after: EventId, batch: Sequence[Stored]
    ) -> EventId | None:
        if self.repeats:
            super().append(origin, after, batch)
        return super().append(origin, after, batch)

    def read(self, origin: Origin, after: EventId, count: int) -> list[Stored]:
        if self.repeats:
            self.repeats = False
            raise StoreUnavailable("no answer")
        return super().read(origin, after, count)


def test_losing_the_reading_back_of_what_came_twice_is_unknown_too(
    redis_server: RedisServer, clock: Clock
) -> None:
    """Simulation, seed 5789: the next change took it for one of a second writer."""
    with client_of(redis_server, redis_server.port) as client:
        node = Node(lambda: client, MASTER, clock, RepeatedStreams)
        assert isinstance(node.streams, RepeatedStreams)
        node.put("users/first", 0)
        node.streams.repeats = True
        with pytest.raises(StoreUnavailable, match="unknown"):
            node.put("users/a", 1)
        assert node.put("users/b", 2).id.n == 3
        assert stored_values(node) == [1, 2, 0]


# A Redis that stands still, and later does what it was told.


@pytest.fixture
def hasty(redis_server: RedisServer, clock: Clock) -> Iterator[Node]:
    """A master that waits for Redis only shortly, and has written one event."""
    clients: list[redis.Redis] = []

    def connected() -> redis.Redis:
        port = redis_server.port
        clients.append(client_of(redis_server, port, timeout_s=SHORT_TIMEOUT_S))
        return clients[-1]

    node = Node(connected, MASTER, clock)
    node.put("users/first", 0)
    yield node
    redis_server.resume()
    for client in clients:
        client.close()


def test_what_a_paused_redis_does_later_is_adopted(
    hasty: Node, redis_server: RedisServer
) -> None:
    redis_server.pause()
    with pytest.raises(StoreUnavailable, match=r"did not answer in time; .* unknown"):
        hasty.put("users/late", 1)
    with pytest.raises(StoreUnavailable, match="did not answer in time"):
        hasty.put("users/never", 2)
    # Reading does not wait for Redis.
    assert [entry.key for entry in hasty.store.entries()] == ["users/first"]
    assert hasty.store.get("users/late") is None
    redis_server.resume()
    with client_of(redis_server, redis_server.port) as watcher:
        key = hasty.streams.key(MASTER)
        wait_until(lambda: watcher.xlen(key) == 2, LIMIT_S, "the straggler")
    assert hasty.put("users/next", 3).id.n == 3
    assert stored_values(hasty) == [0, 1, 3]
    assert [event.key for event, _ in hasty.told] == [
        "users/first", "users/late", "users/next",
    ]  # fmt: skip


def test_a_change_right_after_a_pause_neither_doubles_nor_loses(
    hasty: Node, redis_server: RedisServer
) -> None:
    redis_server.pause()
    with pytest.raises(StoreUnavailable, match="unknown"):
        hasty.put("users/late", 1)
    redis_server.resume()
    hasty.put("users/next", 2)
    keys = [event.key for event, _ in hasty.told]
    assert keys[0] == "users/first"
    assert keys[1:] in (["users/late", "users/next"], ["users/next"])
    assert len(hasty.stored()) == len(keys)
    assert stored_values(hasty)[-1] == 2


def test_a_redis_that_is_gone_refused_certainly(
    tmp_path_factory: pytest.TempPathFactory, clock: Clock
) -> None:
    server = RedisServer(tmp_path_factory.mktemp("gone"))
    with server, client_of(server, server.port) as client:
        # At `everysec` Redis may answer before it has written, while the disk is busy.
        server.set_config("appendfsync", "always")
        node = Node(lambda: client, MASTER, clock)
        first = node.put("users/a", 1)
        server.kill()
        for _ in range(2):
            with pytest.raises(StoreUnavailable):
                node.put("users/b", 2)
        with pytest.raises(StoreRefused, match="cannot be reached"):
            node.streams.last(MASTER)
        server.start()
        assert node.put("users/b", 3).id.n == first.id.n + 1
        assert stored_values(node) == [1, 3]


# The copy.


def store_of_standby(server: RedisServer, port: int) -> tuple[EventStore, Streams]:
    streams = Streams(client_of(server, port), PAIR, name="Redis")
    store = EventStore(
        streams, own=STANDBY, peer=MASTER, prevailing=MASTER, wall_ns=lambda: 0
    )
    store.open()
    return store, streams


@pytest.mark.parametrize("loss", [Loss.REQUEST, Loss.ANSWER])
def test_a_page_whose_outcome_was_lost_is_in_the_copy_once(
    redis_server: RedisServer, proxy: LossyProxy, loss: Loss
) -> None:
    writer = Writer(MASTER)
    for n in range(3):
        writer.put("users/a", n, ms=n + 1)
    store, streams = store_of_standby(redis_server, proxy.port)
    store.take(writer.blobs[:1])
    proxy.lose(APPEND, loss)
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        store.take(writer.blobs[1:2])
    assert store.snapshot.heads[MASTER].id.n == 1
    n = store.reload_copy().id.n
    assert n == (2 if loss is Loss.ANSWER else 1)
    store.take(writer.blobs[n:])
    assert streams.read(MASTER, EventId(0, 0), 10) == writer.blobs
    streams.close()


@pytest.mark.parametrize("loss", [Loss.REQUEST, Loss.ANSWER])
@pytest.mark.parametrize("command", [APPEND, "XREAD", "XRANGE"])
def test_the_replicator_goes_on_after_a_lost_answer(
    redis_server: RedisServer,
    proxy: LossyProxy,
    monkeypatch: pytest.MonkeyPatch,
    loss: Loss,
    command: str,
) -> None:
    monkeypatch.setattr(replication, "BLOCK_MS", 20)
    monkeypatch.setattr(replication, "RETRY_S", 0.02)
    writer = Writer(MASTER)
    for n in range(40):
        writer.put("users/a", n, ms=n + 1)
    store, own = store_of_standby(redis_server, proxy.port)
    peers = client_of(redis_server, proxy.port, database=1)
    source = Streams(peers, PAIR, name="the peer's Redis")
    source.append(MASTER, EventId(0, 0), writer.blobs[:20])
    store.take(writer.blobs[:1])
    steps = Replication(store, source, own=STANDBY, peer=MASTER, now_s=lambda: 0.0)
    puller = Replicator(steps, peer=MASTER)
    proxy.lose(command, loss)
    puller.set_enabled(True)
    puller.start()
    assert store.await_head(MASTER, writer.written[19].id, LIMIT_S)
    wait_until(lambda: puller.progress.connected, LIMIT_S, "replication")
    with client_of(redis_server, redis_server.port, database=1) as direct:
        for event_id, blob in writer.blobs[20:]:
            direct.xadd(source.key(MASTER), {"e": blob}, id=str(event_id))
    assert store.await_head(MASTER, writer.written[39].id, LIMIT_S)
    puller.stop(LIMIT_S)
    assert proxy.pending_count == 0
    assert own.read(MASTER, EventId(0, 0), 100) == writer.blobs
    own.close()
