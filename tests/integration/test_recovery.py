"""D9 with real processes: what a Redis lost comes back, whatever was written meanwhile."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import attrs
import pytest

from node import NetPhoneNode, NodeConfig
from node.pair.ports import HOST
from node.roles import Role
from tests.support.ports import free_port
from tests.support.processes import NodeProcess, PairProcesses
from tests.support.redis_servers import RedisServer
from tests.support.waiting import wait_until

pytestmark = pytest.mark.redis

LIMIT_S = 30.0
STOPPED_LIMIT_S = 2.0
"""Less than one read of the replicator waits; the first question waits for a second."""


def events(node: NodeProcess) -> list[dict[str, object]]:
    reply = node.http.get("/history", params={"limit": "10000"})
    assert reply.status_code == 200, reply.text
    found: list[dict[str, object]] = reply.json()["events"]
    return found


def ids(node: NodeProcess) -> set[tuple[object, object]]:
    """Origin and id of every event, and of what it was before a recovery."""
    found = {(event["origin"], event["id"]) for event in events(node)}
    return found | {
        (event["origin"], event["recovered"]["id"])  # type: ignore[index]
        for event in events(node)
        if event.get("recovered")
    }


def put(node: NodeProcess, key: str, value: object) -> tuple[object, object]:
    reply = node.http.put(f"/entries/{key}", json=value)
    assert reply.status_code == 200, reply.text
    return node.role.value, reply.json()["id"]


def empty(pair: PairProcesses, role: Role) -> None:
    with pair.redis[role].client() as client:
        client.flushall()


@pytest.mark.parametrize("role", Role)
def test_a_redis_that_is_emptied_under_a_running_node_has_everything_again(
    pair: PairProcesses, role: Role
) -> None:
    node = pair.nodes[role]
    made = [put(node, f"users/{n}", n) for n in range(20)]
    made += [put(pair.other(node), f"others/{n}", n) for n in range(20)]
    pair.wait_until_equal()
    empty(pair, role)
    wait_until(lambda: ids(node) >= set(made), LIMIT_S, "the events to be back")
    made.append(put(node, "users/after", 1))
    pair.wait_until_equal()
    for both in pair.nodes.values():
        assert ids(both) >= set(made)
    assert "written again from memory" in node.log()


@pytest.mark.parametrize("role", Role)
def test_an_emptied_node_that_starts_gets_its_events_back_before_it_writes(
    pair: PairProcesses, role: Role
) -> None:
    node = pair.nodes[role]
    made = [put(node, f"users/{n}", n) for n in range(20)]
    pair.wait_until_equal()
    node.kill()
    pair.other(node).wait_until(lambda n: n.is_active, "service")
    made.append(put(pair.other(node), "users/1", "changed meanwhile"))
    empty(pair, role)
    node.start()
    pair.wait_until_settled()
    pair.wait_until_equal()
    for both in pair.nodes.values():
        assert ids(both) >= set(made)
        assert both.value("users/1") == "changed meanwhile"
    assert pair.active() is not node, "an empty node takes nothing over"
    assert "was recovered" in node.log()


def test_an_old_file_from_while_replication_was_off_stops_nobody(
    pair: PairProcesses,
) -> None:
    node = pair.master
    made = [put(node, "users/a", 1)]
    pair.wait_until_equal()
    assert node.http.post("/replication", json={"enabled": False}).status_code == 200
    with pair.redis[node.role].client() as client:
        keys = client.keys("*:events:*")
        saved = {key: client.xrange(key) for key in keys}
    assert node.http.post("/replication", json={"enabled": True}).status_code == 200
    made.append(put(node, "users/b", 2))
    pair.wait_until_equal()
    node.kill()
    with pair.redis[node.role].client() as client:
        client.flushall()
        for key, stored in saved.items():
            for event_id, fields in stored:
                client.xadd(key, fields, id=event_id)
    node.start()
    pair.wait_until_settled()
    pair.wait_until_equal()
    for both in pair.nodes.values():
        assert ids(both) >= set(made)


@pytest.mark.parametrize("role", Role)
def test_an_old_file_that_was_put_back_and_written_to_is_joined(
    proxied_pair: PairProcesses, tmp_path: Path, role: Role
) -> None:
    pair = proxied_pair
    node, other = pair.nodes[role], pair.other(pair.nodes[role])
    made = [put(node, "users/old", 1)]
    pair.wait_until_equal()
    server = pair.redis[role]
    server.kill()
    shutil.copytree(server.directory, tmp_path / "old")
    server.start()
    node.wait_until(lambda n: n.is_ready, "ready")
    made += [put(node, f"users/{n}", n) for n in range(5)]
    pair.wait_until_equal()

    node.kill()
    server.kill()
    shutil.rmtree(server.directory)
    shutil.copytree(tmp_path / "old", server.directory)
    server.start()
    pair.cut()
    node.start()
    node.wait_until(lambda n: n.is_active and n.is_ready, "service, alone")
    assert node.value("users/1") is None
    made += [put(node, f"users/{n}", "in ignorance") for n in range(3)]
    pair.heal()
    pair.wait_until_settled()
    pair.wait_until_equal()
    for both in pair.nodes.values():
        assert ids(both) >= set(made)
    assert other.value("users/0") == "in ignorance"
    assert other.value("users/4") == 4
    recovered = [e for e in events(other) if e["kind"] == "stream-recovered"]
    assert [e["value"]["anew"] > 0 for e in recovered][-1:] == [True]  # type: ignore[index]


def test_a_redis_of_the_peer_that_stands_still_hardly_holds_up_the_start(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    with RedisServer(tmp_path / "peers") as peers:
        config = NodeConfig(
            pair="office",
            role=Role.MASTER,
            listen=f"{HOST}:{free_port()}",
            peer=f"{HOST}:{free_port()}",
            secret="a secret of the pair",
            redis_url=f"redis://{HOST}:{redis_server.port}/0",
            redis_password=redis_server.password,
            peer_redis_url=f"redis://{HOST}:{peers.port}/0",
            peer_redis_password=peers.password,
        )
        peers.pause()
        began_s = time.monotonic()
        with NetPhoneNode(config) as node:
            took_s = time.monotonic() - began_s
            assert node.put("users/a", 1, actor="jane").id.n == 2
        peers.resume()
    assert took_s < STOPPED_LIMIT_S


@pytest.mark.parametrize("role", Role)
def test_an_active_node_beside_a_second_one_of_its_role_ends_and_is_taken_over(
    pair: PairProcesses, tmp_path: Path, role: Role
) -> None:
    node = pair.nodes[role]
    if not node.is_active:
        assert pair.master.http.post("/switch", json={}).status_code == 200
        node.wait_until(lambda n: n.is_active, "service")
    config = NodeConfig.from_file(tmp_path / "pair" / f"{role}.toml")
    listen, http = (f"{HOST}:{free_port()}" for _ in range(2))
    second = attrs.evolve(config, listen=listen, http_listen=http)
    with NetPhoneNode(second):
        assert node.process.wait(LIMIT_S), "it goes on beside a second one"
    assert node.process.exit_code == 3
    assert "was not written by this process" in node.log()
    pair.other(node).wait_until(lambda n: n.is_active, "the takeover")
