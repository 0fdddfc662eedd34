"""The tools of the tests do what the tests rely on."""

from __future__ import annotations

import json
import queue
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from node.child_process import ChildProcess
from node.roles import Role
from tests.support.clock_step import ClockStep
from tests.support.ports import free_pair_ports, free_port
from tests.support.processes import PairProcesses
from tests.support.proxies import TcpProxy
from tests.support.redis_servers import RedisServer, require_redis
from tests.support.waiting import wait_until

LIMIT_S = 5.0
PAIR_LIMIT_S = 30.0


@pytest.fixture
def echo() -> Iterator[TcpProxy]:
    """A proxy before a server that sends back what it gets."""
    program = (
        "import socketserver\n"
        "class Echo(socketserver.BaseRequestHandler):\n"
        "    def handle(self):\n"
        "        while data := self.request.recv(1000): self.request.sendall(data)\n"
        "socketserver.ThreadingTCPServer.allow_reuse_address = True\n"
        "server = socketserver.ThreadingTCPServer(('127.0.0.1', %d), Echo)\n"
        "print(flush=True)\n"
        "server.serve_forever()\n"
    )
    port = free_port()
    with subprocess.Popen(
        [sys.executable, "-c", program % port], stdout=subprocess.PIPE
    ) as server:
        assert server.stdout is not None
        assert server.stdout.readline()
        with TcpProxy(port) as proxy:
            yield proxy
        server.kill()


def connected(proxy: TcpProxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=LIMIT_S)


def answer(connection: socket.socket, data: bytes) -> bytes:
    connection.sendall(data)
    return connection.recv(1000)


def hears_nothing(connection: socket.socket) -> bool:
    connection.settimeout(0.2)
    try:
        return connection.recv(1000) is None
    except TimeoutError:
        return True
    finally:
        connection.settimeout(LIMIT_S)


def is_refused(proxy: TcpProxy) -> bool:
    try:
        connected(proxy).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_proxy_carries_both_ways_and_passes_the_end_on(echo: TcpProxy) -> None:
    with connected(echo) as connection:
        assert answer(connection, b"one") == b"one"
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1000) == b""
    wait_until(lambda: echo.connection_count == 0, LIMIT_S, "the connection to end")


def test_a_black_hole_keeps_connections_and_gives_back_what_it_held(
    echo: TcpProxy,
) -> None:
    with connected(echo) as old:
        assert answer(old, b"one") == b"one"
        echo.black_hole()
        with connected(echo) as new:
            old.sendall(b"two")
            new.sendall(b"three")
            assert hears_nothing(old)
            assert hears_nothing(new)
            echo.heal()
            assert old.recv(1000) == b"two"
            assert new.recv(1000) == b"three"


def test_reset_ends_old_connections_and_carries_new_ones(echo: TcpProxy) -> None:
    with connected(echo) as connection:
        assert answer(connection, b"one") == b"one"
        echo.reset()
        with pytest.raises(ConnectionResetError):
            connection.recv(1000)
    with connected(echo) as connection:
        assert answer(connection, b"two") == b"two"


def test_refuse_resets_and_refuses_until_healed(echo: TcpProxy) -> None:
    with connected(echo) as connection:
        assert answer(connection, b"one") == b"one"
        echo.refuse()
        with pytest.raises(ConnectionResetError):
            connection.recv(1000)
    assert is_refused(echo)
    echo.heal()
    with connected(echo) as connection:
        assert answer(connection, b"two") == b"two"


def test_a_target_that_is_gone_looks_gone_and_comes_back() -> None:
    port = free_port()
    with TcpProxy(port) as proxy:
        with pytest.raises(ConnectionResetError), connected(proxy) as connection:
            connection.recv(1000)
        assert is_refused(proxy)
        with socket.create_server(("127.0.0.1", port)):
            wait_until(lambda: not is_refused(proxy), LIMIT_S, "the proxy to listen")


def test_delay_holds_each_direction_back(echo: TcpProxy) -> None:
    echo.delay_s = 0.1
    with connected(echo) as connection:
        sent_s = time.monotonic()
        assert answer(connection, b"one") == b"one"
        assert time.monotonic() - sent_s >= 0.2


@pytest.mark.redis
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        pytest.param(TcpProxy.drop_replies, redis.TimeoutError, id="dropped"),
        pytest.param(TcpProxy.reset_at_reply, redis.ConnectionError, id="reset"),
    ],
)
def test_a_command_without_its_reply_was_executed(
    redis_server: RedisServer, fault: object, error: type[Exception]
) -> None:
    assert callable(fault)
    with TcpProxy(redis_server.port) as proxy, redis_server.client() as direct:
        through = redis_server.client()
        through.connection_pool.connection_kwargs |= {
            "port": proxy.port,
            "socket_timeout": 0.3,
        }
        assert through.ping()
        fault(proxy)
        with pytest.raises(error):
            through.incr("counter")
        proxy.heal()
        through.close()
        assert direct.get("counter") == b"1"


@pytest.mark.redis
def test_a_paused_redis_answers_nothing_until_it_is_resumed(
    redis_server: RedisServer,
) -> None:
    redis_server.pause()
    assert not redis_server.answers()
    redis_server.resume()
    wait_until(redis_server.answers, LIMIT_S, "an answer")


@pytest.mark.redis
def test_a_changed_setting_is_refused_writes_for_instance(
    redis_server: RedisServer,
) -> None:
    redis_server.set_config("maxmemory", "1")
    with redis_server.client() as client, pytest.raises(redis.OutOfMemoryError):
        client.set("key", "value")
    redis_server.restart()
    with redis_server.client() as client:
        assert client.set("key", "value")


def test_ports_are_given_out_once() -> None:
    ports = [free_port() for _ in range(50)]
    assert len(set(ports)) == len(ports)
    assert len({free_pair_ports().base for _ in range(10)}) == 10


def test_what_never_comes_true_is_named_with_the_last_answer() -> None:
    with pytest.raises(AssertionError, match=r"waited 0\.05 s for rain.*\[\]"):
        wait_until(list, 0.05, "rain")


def test_a_stepped_clock_moves_the_wall_clock_of_its_process_only(
    clock_step: ClockStep, tmp_path: Path
) -> None:
    program = """
import json, sys, time, datetime
for line in sys.stdin:
    print(json.dumps({
        "wall": time.time(), "now": datetime.datetime.now().timestamp(),
        "monotonic": time.monotonic(), "boot": time.clock_gettime(time.CLOCK_BOOTTIME),
    }), flush=True)
"""
    with subprocess.Popen(
        [sys.executable, "-c", program],
        env=clock_step.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:

        def read(name: str) -> float:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write("\n")
            process.stdin.flush()
            return float(json.loads(process.stdout.readline())[name])

        for shift_s in (0, 3600.5, -86400, 0):
            clock_step.set(shift_s)
            assert read("wall") - time.time() == pytest.approx(shift_s, abs=1)
            assert read("now") - time.time() == pytest.approx(shift_s, abs=1)
            assert read("monotonic") == pytest.approx(time.monotonic(), abs=1)
            boot_s = time.clock_gettime(time.CLOCK_BOOTTIME)
            assert read("boot") == pytest.approx(boot_s, abs=1)
        process.kill()


def test_a_child_that_ended_can_be_started_again(tmp_path: Path) -> None:
    ends: queue.SimpleQueue[int] = queue.SimpleQueue()
    child = ChildProcess(
        (sys.executable, "-c", "print('hello'); raise SystemExit(3)"),
        log=tmp_path / "child.log",
        on_end=lambda: ends.put(1),
    )
    for _ in range(2):
        child.start()
        assert child.wait(LIMIT_S)
        assert child.ending == "with exit code 3"
        assert ends.get(timeout=LIMIT_S)
    assert child.log.read_text() == "hello\nhello\n"
    assert child.last_line() == "hello"


def test_a_program_that_is_missing_ends_at_once_and_says_why(tmp_path: Path) -> None:
    child = ChildProcess((str(tmp_path / "missing"),), log=tmp_path / "child.log")
    child.start()
    assert child.wait(LIMIT_S)
    assert child.exit_code == 127
    assert "missing" in child.log.read_text()


@pytest.mark.redis
def test_a_cut_leaves_both_nodes_active_until_it_is_healed(
    proxied_pair: PairProcesses,
) -> None:
    nodes = proxied_pair.nodes.values()
    proxied_pair.cut()
    wait_until(
        lambda: all(node.is_active for node in nodes), PAIR_LIMIT_S, "both active"
    )
    proxied_pair.standby.put("users/cut", {"extension": "1"})
    assert proxied_pair.master.value("users/cut") is None
    proxied_pair.heal()
    assert proxied_pair.wait_until_settled() is proxied_pair.master
    proxied_pair.wait_until_equal()
    assert proxied_pair.master.value("users/cut") == {"extension": "1"}


@pytest.mark.redis
def test_a_node_can_be_killed_paused_and_ended_orderly(pair: PairProcesses) -> None:
    pair.master.kill()
    pair.standby.wait_until(lambda node: node.is_active, "takeover")
    pair.master.start()
    assert pair.wait_until_settled() is pair.standby
    pair.standby.pause()
    pair.master.wait_until(lambda node: node.is_active, "takeover")
    pair.standby.resume()
    assert pair.wait_until_settled() is pair.master
    assert pair.master.terminate() == 0
    assert "passive -> active" in pair.standby.log()


@pytest.mark.redis
def test_a_wall_clock_stepped_in_a_node_is_the_time_of_its_events(
    clock_step: ClockStep, tmp_path: Path
) -> None:
    require_redis()
    stepped = {Role.STANDBY: clock_step.environment}
    with PairProcesses(tmp_path, environments=stepped) as pair:
        pair.start()
        clock_step.set(86_400)
        event_id = pair.standby.put("users/tomorrow", {"extension": "1"})
        ahead_s = int(event_id.partition("-")[0]) / 1000 - time.time()
        assert ahead_s == pytest.approx(86_400, abs=5)
