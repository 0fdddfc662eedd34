"""Replication between two real nodes: how fast, how it is switched, and whom it delays."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from node.roles import Role
from tests.support.admin_process import done, run_admin
from tests.support.heartbeats import heartbeats_watched
from tests.support.processes import NodeProcess, PairProcesses
from tests.support.redis_servers import RedisServer, require_redis
from tests.support.waiting import wait_until

pytestmark = pytest.mark.redis

LIMIT_S = 15.0
SAMPLE_COUNT = 100
VISIBLE_MEDIAN_LIMIT_S = 0.05
PUT_P99_LIMIT_S = 0.5
HEARD_LIMIT_S = 1.6
"""Of an interval of 1 s: one heartbeat and what a busy machine may add."""
DISTURBED_S = 3.0
"""Longer than each timeout that a node has for a Redis."""
DEFAULT_TIMES = {
    "heartbeat_interval_s": 1.0,
    "peer_lost_after_s": 3.0,
    "start_window_s": 3.0,
}


@pytest.fixture(scope="module")
def calm_pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PairProcesses]:
    """A pair with proxies and the times that nodes have by default."""
    require_redis()
    directory = tmp_path_factory.mktemp("calm")
    with PairProcesses(directory, proxied=True, supervision=DEFAULT_TIMES) as pair:
        pair.start()
        yield pair


@pytest.fixture(scope="module")
def fast_pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PairProcesses]:
    """A pair whose nodes are killed and started again."""
    require_redis()
    with PairProcesses(tmp_path_factory.mktemp("fast")) as pair:
        pair.start()
        yield pair


@pytest.fixture(autouse=True)
def as_before(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whatever a test did to the shared pair is undone for the next one."""
    yield
    for name in {"calm_pair", "fast_pair"} & set(request.fixturenames):
        make_well(request.getfixturevalue(name))


def make_well(pair: PairProcesses) -> None:
    for proxy in pair.redis_proxies.values():
        proxy.delay_s = 0.0
    pair.restore()
    for node in pair.nodes.values():
        node.wait_until(follows, "replication")


def replication(node: NodeProcess) -> dict[str, Any]:
    return dict(node.status().get("replication", {}))


def follows(node: NodeProcess) -> bool:
    return bool(replication(node).get("connected"))


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[math.ceil(share * len(values)) - 1]


def told(values: list[float]) -> str:
    median, p95, p99 = (percentile(values, share) for share in (0.5, 0.95, 0.99))
    return (
        f"p50 {median * 1000:.1f} ms, p95 {p95 * 1000:.1f} ms, p99 {p99 * 1000:.1f} ms, "
        f"max {max(values) * 1000:.1f} ms of {len(values)}"
    )


# How fast.


def visible_after_s(writer: NodeProcess, reader: NodeProcess, key: str) -> float:
    """From the beginning of a put to the first answer of the other node that has it."""
    began_s = time.monotonic()
    writer.put(key, 1)
    while reader.http.get(f"/entries/{key}").status_code != 200:
        assert time.monotonic() - began_s < LIMIT_S, f"{key} did not arrive"
    return time.monotonic() - began_s


@pytest.mark.parametrize("role", Role)
def test_a_change_is_on_the_other_node_within_50_ms(
    calm_pair: PairProcesses, role: Role
) -> None:
    writer = calm_pair.nodes[role]
    reader = calm_pair.other(writer)
    visible_after_s(writer, reader, f"warm/{role}")
    found = [
        visible_after_s(writer, reader, f"{role}/{number}")
        for number in range(SAMPLE_COUNT)
    ]
    print(f"\nfrom the {role}, put until visible on the other: {told(found)}")
    assert statistics.median(found) < VISIBLE_MEDIAN_LIMIT_S


# How it is switched.


def wait_until_replication_is(node: NodeProcess, enabled: bool) -> None:
    node.wait_until(
        lambda n: replication(n).get("enabled") is enabled,
        f"replication {'on' if enabled else 'off'}",
    )


def wait_until_told(node: NodeProcess, origin: Role, event_id: str) -> None:
    """Until a heartbeat has told `node` of the event: it knows what it does not have."""

    def knows() -> bool:
        vector = dict(node.status().get("peer", {}).get("vector", {}))
        return vector.get(str(origin)) == event_id

    wait_until(knows, LIMIT_S, f"{node!r} to be told of {event_id}")


def test_off_stops_replication_and_nothing_else(fast_pair: PairProcesses) -> None:
    pair, active = fast_pair, fast_pair.active()
    master, standby = pair.master, pair.standby
    done(pair, standby, "replication", "off", "--reason", "an update")
    for node in (master, standby):
        wait_until_replication_is(node, False)
    change_count = 5
    for number in range(change_count):
        for node in (master, standby):
            event_id = node.put(f"{node.role}/{number}", number)
            # A heartbeat came, behind the event; the event itself did not.
            wait_until_told(pair.other(node), node.role, event_id)
            assert pair.other(node).value(f"{node.role}/{number}") is None
    for node in (master, standby):
        status = node.status()
        assert status["peer"]["connected"]
        assert status["peer"]["hears_us"]
        assert replication(node)["lag_events"] >= change_count
        assert replication(node)["problem"] is None
    assert pair.wait_until_settled() is active
    refused = run_admin(pair, master, "switch", "--reason", "too early")
    assert (refused.exit_code, refused.out) == (3, "")
    assert "replication is off" in refused.err
    assert pair.wait_until_settled() is active
    done(pair, master, "replication", "on")


def test_the_setting_survives_restarts_and_either_node_ends_it(
    fast_pair: PairProcesses,
) -> None:
    pair = fast_pair
    master, standby = pair.master, pair.standby
    done(pair, master, "replication", "off")
    wait_until_replication_is(standby, False)
    master.put("users/early", 1)
    master.kill()
    standby.kill()
    for node in (master, standby):  # Alone, so that no peer can tell it.
        node.start()
        node.wait_until(lambda n: n.is_active, "service")
        assert replication(node)["enabled"] is False
        if node is master:
            node.kill()
    master.start()
    pair.wait_until_settled()
    assert [replication(node)["enabled"] for node in (master, standby)] == [False] * 2
    standby.put("users/late", 2)
    assert standby.value("users/early") is None
    assert master.value("users/late") is None
    done(pair, standby, "replication", "on", "--reason", "updated")
    for node in (master, standby):
        wait_until_replication_is(node, True)
    pair.wait_until_equal()
    assert (standby.value("users/early"), master.value("users/late")) == (1, 2)
    for node in (master, standby):
        node.wait_until(lambda n: replication(n)["lag_events"] == 0, "no lag")


def test_an_order_given_while_the_peer_is_away_reaches_it_later(
    fast_pair: PairProcesses,
) -> None:
    pair = fast_pair
    pair.master.kill()
    done(pair, pair.standby, "replication", "off")
    pair.master.start()
    pair.wait_until_settled()
    wait_until_replication_is(pair.master, False)
    done(pair, pair.master, "replication", "on")
    wait_until_replication_is(pair.standby, True)
    pair.master.put("users/after", 1)
    pair.wait_until_equal()


# Whom it delays.


PUT_LIMIT_S = 10.0
"""When the operators' command line gives up on a node."""
WRITER_COUNT = 12


def put_during(node: NodeProcess, seconds: float, prefix: str) -> list[float]:
    """Put entries one after the other, all of which must succeed; how long each took."""
    took: list[float] = []
    end_s = time.monotonic() + seconds
    while (began_s := time.monotonic()) < end_s:
        path = f"/entries/{prefix}/{len(took)}"
        assert node.http.put(path, content="1").status_code == 200
        took.append(time.monotonic() - began_s)
    return took


def kill_redis(pair: PairProcesses, role: Role) -> None:
    pair.redis[role].kill()


def stop_redis(pair: PairProcesses, role: Role) -> None:
    pair.redis[role].pause()


def slow_redis(pair: PairProcesses, role: Role) -> None:
    """Answers come to the other node 2 s later; this one's own path is as it was."""
    pair.redis_proxies[Role.STANDBY if role is Role.MASTER else Role.MASTER].delay_s = 2


@pytest.mark.parametrize(
    ("disturb", "role"),
    [
        (kill_redis, Role.MASTER),
        (stop_redis, Role.MASTER),
        (slow_redis, Role.MASTER),
        (stop_redis, Role.STANDBY),
    ],
)
def test_the_peers_redis_delays_no_put_and_no_heartbeat(
    calm_pair: PairProcesses,
    disturb: Callable[[PairProcesses, Role], None],
    role: Role,
) -> None:
    node = calm_pair.nodes[role]
    states = node.is_active, calm_pair.other(node).is_active
    prefix = f"{disturb.__name__}-{role}"
    baseline = put_during(node, 0.5, f"{prefix}-calm")
    with heartbeats_watched(calm_pair) as longest_silence_s:
        disturb(calm_pair, calm_pair.other(node).role)
        disturbed = put_during(node, DISTURBED_S, prefix)
        silence_s = longest_silence_s()
    print(
        f"\n{prefix}: calm {told(baseline)}; disturbed {told(disturbed)}; "
        f"longest silence {silence_s:.2f} s"
    )
    assert percentile(disturbed, 0.99) < PUT_P99_LIMIT_S
    assert silence_s < HEARD_LIMIT_S
    assert (node.is_active, calm_pair.other(node).is_active) == states


def test_a_stopped_own_redis_refuses_changes_and_delays_no_heartbeat(
    calm_pair: PairProcesses,
) -> None:
    node, role = calm_pair.master, Role.MASTER
    node.put("users/known", 1)
    with heartbeats_watched(calm_pair) as longest_silence_s:
        calm_pair.redis[role].pause()
        refused = node.http.put("/entries/users/new", content="1", timeout=PUT_LIMIT_S)
        node.wait_until(lambda n: not n.is_ready, "it to say that it is not ready")
        silence_s = longest_silence_s()
    print(f"\nown Redis of the {role} stopped: longest silence {silence_s:.2f} s")
    assert (refused.status_code, refused.json()["code"]) == (503, "store-unavailable")
    (line,) = refused.json()["error"].splitlines()
    assert f"127.0.0.1:{calm_pair.redis[role].port}" in line
    assert node.value("users/known") == 1
    assert node.http.get("/live").status_code == 200
    assert silence_s < HEARD_LIMIT_S
    # Redis still did what it was told: both nodes show that, without another change.
    calm_pair.redis[role].resume()
    wait_until(
        lambda: (
            node.value("users/new") == 1 == calm_pair.other(node).value("users/new")
        ),
        LIMIT_S,
        "the change that got no answer",
    )
    calm_pair.wait_until_equal()


def test_changes_do_not_queue_up_behind_a_stopped_redis(
    calm_pair: PairProcesses,
) -> None:
    node = calm_pair.standby

    def refused_after_s(number: int) -> float:
        began_s = time.monotonic()
        path = f"/entries/queued/{number}"
        refused = node.http.put(path, content="1", timeout=60.0)
        assert (refused.status_code, refused.json()["code"]) == (
            503,
            "store-unavailable",
        )
        return time.monotonic() - began_s

    calm_pair.redis[Role.STANDBY].pause()
    with ThreadPoolExecutor(WRITER_COUNT) as pool:
        took_s = list(pool.map(refused_after_s, range(WRITER_COUNT)))
    print(f"\nrefused after {min(took_s):.1f} to {max(took_s):.1f} s")
    assert max(took_s) < PUT_LIMIT_S


def stopped(server: RedisServer) -> None:
    server.pause()


def killed(server: RedisServer) -> None:
    server.kill()


@pytest.mark.parametrize("disturb", [stopped, killed])
def test_a_takeover_does_not_wait_for_redis_and_is_recorded_later(
    fast_pair: PairProcesses, disturb: Callable[[RedisServer], None]
) -> None:
    pair, active = fast_pair, fast_pair.active()
    taker = pair.other(active)
    active.put("users/known", {"extension": "1"})
    pair.wait_until_equal()
    redis = pair.redis[taker.role]
    disturb(redis)
    taker.wait_until(lambda n: not n.is_ready, "it to notice that Redis is away")
    began_s, began = time.monotonic(), datetime.now(UTC).isoformat()
    active.kill()
    taker.wait_until(lambda n: n.is_active, "the takeover")
    took_s = time.monotonic() - began_s
    print(f"\ntakeover with Redis {disturb.__name__} took {took_s:.2f} s")
    assert (
        took_s < 2.0
    )  # The peer's process is gone: at once, and never after a timeout.
    assert taker.value("users/known") == {"extension": "1"}
    refused = taker.http.put("/entries/users/new", content="1", timeout=PUT_LIMIT_S)
    assert refused.status_code == 503
    assert taker.is_active
    redis.resume()
    redis.start()

    def takeover_stored() -> dict[str, Any] | None:
        reply = taker.http.get("/history", params={"origin": str(taker.role)})
        for event in reply.json().get("events", []):
            if event["kind"] == "state-changed" and event["value"]["decided"] > began:
                return dict(event)
        return None

    change = wait_until(takeover_stored, LIMIT_S, "the takeover in the history")
    assert change is not None
    assert change["actor"] == f"{taker.role} node"
    assert (change["value"]["from"], change["value"]["to"]) == ("passive", "active")
    assert change["value"]["decided"] < change["time"]
    taker.wait_until(lambda n: n.is_ready, "it to be ready again")
    taker.put("users/new", 2)
