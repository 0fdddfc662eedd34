"""Done but unanswered, for every command that a node sends: nothing is lost or doubled.

Each run makes a node do all that it does with Redis: it starts with a stream that lost its end
and was written to since, recovers, becomes active, writes, replicates, and ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

import attrs
import pytest
import redis

from eventstore import Event, Kind, StoreUnavailable, connect
from node import NetPhoneNode, NodeConfig, Role, State
from node.clock import SystemClock
from tests.contracts.convergence import check, events, exchange
from tests.contracts.nodes import Node
from tests.support.histories import MASTER, PAIR, STANDBY
from tests.support.ports import free_port
from tests.support.processes import FAST
from tests.support.redis_servers import RedisServer, require_redis
from tests.support.reply_dropping import HOST, Loss, LossyProxy
from tests.support.waiting import wait_until

pytestmark = pytest.mark.redis

LIMIT_S = 20.0
OWN, PEERS = "own", "peer's"
COMMANDS = {
    OWN: [
        "AUTH",
        "CLIENT SETINFO",
        "CONFIG GET",
        "DEL temporary:events:master",
        "DEL temporary:snapshot:newest",
        "EVALSHA append events:master",
        "EVALSHA append events:standby",
        "EVALSHA append temporary:archive:master",
        "EVALSHA append temporary:events:master",
        "EVALSHA append temporary:snapshot:newest",
        "EVALSHA put snapshot:newest",
        "EVALSHA swap archives",
        "HGETALL archives",
        "INFO",
        "PING",
        "SCRIPT LOAD",
        "SELECT",
        "SETRANGE probe",
        "XRANGE events:master",
        "XRANGE events:standby",
        "XRANGE snapshot:newest",
        "XREVRANGE events:master",
        "XREVRANGE events:standby",
        "XREVRANGE snapshot:newest",
    ],
    PEERS: [
        "AUTH",
        "CLIENT SETINFO",
        "SELECT",
        "XRANGE events:master",
        "XRANGE events:standby",
        "XREAD events:standby",
        "XREVRANGE events:master",
    ],
}
"""All that a node sends to its own Redis, and to the peer's: what is new must be added."""
EACH_COMMAND = pytest.mark.parametrize(
    ("place", "name"), [(place, name) for place in COMMANDS for name in COMMANDS[place]]
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    require_redis()
    with RedisServer(tmp_path_factory.mktemp("lost-replies")) as server:
        yield server


@attrs.frozen
class Scene:
    """A master whose way to either Redis is watched, and a standby that is always there."""

    config: NodeConfig
    proxies: dict[str, LossyProxy]
    master: Node
    """Straight at the master's Redis, for looking at it and before the node runs."""
    standby: Node
    acknowledged: list[Event]


@pytest.fixture
def scene(server: RedisServer) -> Iterator[Scene]:
    with ExitStack() as ends:
        proxies = {
            place: ends.enter_context(LossyProxy(server.port)) for place in COMMANDS
        }

        def connected(database: int) -> redis.Redis:
            client = connect(
                f"redis://{HOST}:{server.port}/{database}",
                password=server.password,
                timeout_s=LIMIT_S,
            )
            ends.callback(client.close)
            return client

        connected(0).flushall()
        connected(0).script_flush()
        wall_ns = SystemClock().wall_ns
        master = Node(lambda: connected(1), MASTER, wall_ns)
        standby = Node(lambda: connected(2), STANDBY, wall_ns)
        config = NodeConfig(
            pair=PAIR,
            role=Role.MASTER,
            listen=f"{HOST}:{free_port()}",
            peer=f"{HOST}:{free_port()}",
            secret="a secret of the pair",
            redis_url=f"redis://{HOST}:{proxies[OWN].port}/1",
            redis_password=server.password,
            peer_redis_url=f"redis://{HOST}:{proxies[PEERS].port}/2",
            peer_redis_password=server.password,
            **FAST,  # type: ignore[arg-type]
        )
        acknowledged = fork(master, standby)
        connected(0).script_flush()
        yield Scene(config, proxies, master, standby, acknowledged)


def fork(master: Node, standby: Node) -> list[Event]:
    """The master lost three events and wrote two others since."""
    made = [master.put("users/a", 0), standby.put("users/b", 0)]
    exchange(master, standby)
    then = master.saved()
    made += [master.put("users/a", n) for n in range(1, 4)]
    exchange(master, standby)
    master.put_back(then)
    master.restart()
    master.write_snapshot()
    return [*made, master.put("users/a", "mine"), master.put("users/c", 1)]


@contextmanager
def started(config: NodeConfig) -> Iterator[NetPhoneNode]:
    """A node that runs; a process that cannot start is started again, as by systemd."""
    node = NetPhoneNode(config)
    try:
        node.start()
    except StoreUnavailable:
        node = NetPhoneNode(config)
        node.start()
    try:
        yield node
    finally:
        node.stop()


def stored(change: Callable[[], Event]) -> Event:
    """Make a change, and again while nobody can say whether it is stored."""
    try:
        return change()
    except StoreUnavailable:
        return change()


def live(scene: Scene) -> None:
    """All that a node does with Redis."""
    made, standby = scene.acknowledged, scene.standby
    with started(scene.config) as node:
        wait_until(lambda: node.is_ready()[0], LIMIT_S, "the node to be ready")
        made.append(stored(lambda: node.put("users/d", 1, actor="jane")))
        standby.restart()
        made.append(standby.put("users/e", 1))
        wait_until(lambda: node.get("users/e"), LIMIT_S, "the standby's change")
        made.append(stored(lambda: node.delete("users/d", actor="jane")))
        wait_until(lambda: node.state is State.ACTIVE, LIMIT_S, "the node to be active")
        wait_until(lambda: changes_of_state(scene.master), LIMIT_S, "its event")
        write_snapshot(node)
        own = scene.proxies[OWN]
        wait_until(lambda: "SETRANGE probe" in own.names, LIMIT_S, "its look at Redis")


def write_snapshot(node: NetPhoneNode) -> None:
    """As the node does it by itself, but of a few events only; and again if it failed."""
    store = node._store
    with suppress(StoreUnavailable):
        store.write_snapshot(go_on=lambda: True)
    if store.unsaved_count:
        store.write_snapshot(go_on=lambda: True)


def changes_of_state(master: Node) -> list[Event]:
    return [e for e in events(master, MASTER) if e.kind == Kind.STATE_CHANGED]


def check_end(scene: Scene) -> None:
    for node in (scene.master, scene.standby):
        node.restart()
    check(scene.master, scene.standby, scene.acknowledged)
    assert len(changes_of_state(scene.master)) == 2, "active, and passive at the end"
    changed = [e for e in events(scene.master, MASTER) if e.key == "users/d"]
    assert [e.kind for e in changed] == [Kind.ENTRY_PUT, Kind.ENTRY_DELETED]
    assert scene.master.store.get("users/d") is None


def test_the_list_names_every_command_that_a_node_sends(scene: Scene) -> None:
    live(scene)
    check_end(scene)
    for place, proxy in scene.proxies.items():
        assert sorted(proxy.names) == COMMANDS[place], f"to the {place} Redis"


@pytest.mark.parametrize("loss", [Loss.ANSWER, Loss.SILENCE])
@EACH_COMMAND
def test_done_but_unanswered_nothing_is_lost_or_doubled(
    scene: Scene, place: str, name: str, loss: Loss
) -> None:
    scene.proxies[place].lose(name, loss)
    live(scene)
    assert scene.proxies[place].pending_count == 0
    check_end(scene)
