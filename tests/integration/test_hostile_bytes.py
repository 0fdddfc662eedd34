"""Whatever strangers send to the ports of a pair, its nodes go on watching each other."""

from __future__ import annotations

import contextlib
import random
import socket
import ssl
import struct
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import attrs
import psutil
import pytest

from node import NodeConfig
from node.addresses import Address
from node.link_protocol import (
    FRAME_BYTES_MAX,
    HANDSHAKE_FRAME_BYTES_MAX,
    Connection,
    Greeting,
    Identity,
    Unacceptable,
)
from node.pair.ports import HOST
from node.roles import Role, State
from tests.support.heartbeats import heartbeats_watched
from tests.support.processes import NodeProcess, PairProcesses
from tests.support.redis_servers import require_redis

pytestmark = pytest.mark.redis

DEFAULT_TIMES = {
    "heartbeat_interval_s": 1.0,
    "peer_lost_after_s": 3.0,
    "start_window_s": 3.0,
}
HEARD_LIMIT_S = 2.0
"""Of an interval of 1 s and a loss after 3 s."""
CLOSED_LIMIT_S = 5.0
HOLD_S = 3.0
"""Longer than what a node grants to somebody who does not introduce himself."""
CROWD_COUNT = 50
CONNECT_COUNT = 1000
LOG_LINE_COUNT_MAX = 20
"""A stranger must not be able to fill a disk."""
SEED = 5060


@attrs.frozen
class Target:
    """A pair, and the ports of its nodes."""

    pair: PairProcesses
    links: tuple[int, ...]
    webs: tuple[int, ...]

    @property
    def nodes(self) -> tuple[NodeProcess, ...]:
        return self.pair.master, self.pair.standby

    @property
    def ports(self) -> tuple[int, ...]:
        return self.links + self.webs


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    require_redis()
    directory = tmp_path_factory.mktemp("hostile")
    with PairProcesses(directory, supervision=DEFAULT_TIMES) as pair:
        pair.start()
        files = [directory / "pair" / f"{role}.toml" for role in Role]
        configs = [NodeConfig.from_file(file) for file in files]
        yield Target(
            pair,
            links=tuple(Address.parse(config.listen).port for config in configs),
            webs=tuple(
                Address.parse(config.http_listen or "").port for config in configs
            ),
        )


@pytest.fixture(autouse=True)
def unharmed(target: Target) -> Iterator[None]:
    """Around each attack: both nodes heartbeat, answer, keep their states, replicate."""
    before = [facts_of(node) for node in target.nodes]
    with heartbeats_watched(target.pair) as longest_silence_s:
        yield
        ended_s = time.monotonic()
        for node in target.nodes:
            node.wait_until(lambda n: heard_since(n, ended_s), "word of the peer")
        silence_s = longest_silence_s()
    print(f"\nlongest silence {silence_s:.2f} s")
    assert silence_s < HEARD_LIMIT_S
    for node, was in zip(target.nodes, before, strict=True):
        node.wait_until(was.hold_for, f"what was before, {was},")
        assert "Traceback" not in node.log()
        node.put(f"after/{node.role}", time.time_ns())
    target.pair.wait_until_equal()


@attrs.frozen
class Facts:
    """What an attack must leave as it was."""

    active: bool
    pid: int
    state_change_count: int
    log_line_count: int
    connection_count: int

    def hold_for(self, node: NodeProcess) -> bool:
        """Some connections are our own clients', and a stranger may have a few lines."""
        now = facts_of(node)
        return (
            attrs.astuple(now)[:3] == attrs.astuple(self)[:3]
            and now.log_line_count <= self.log_line_count + LOG_LINE_COUNT_MAX
            and now.connection_count <= self.connection_count + 4
        )


def facts_of(node: NodeProcess) -> Facts:
    log = node.log()
    process = psutil.Process(node.process.pid)
    return Facts(
        active=node.is_active,
        pid=process.pid,
        state_change_count=log.count(" -> "),
        log_line_count=log.count("\n"),
        connection_count=len(process.net_connections()),
    )


def heard_since(node: NodeProcess, moment_s: float) -> bool:
    asked_s = time.monotonic()
    return bool(node.status()["peer"]["heard_ago_s"] < asked_s - moment_s)


# Attacks.


def connected(port: int) -> socket.socket:
    return socket.create_connection((HOST, port), timeout=CLOSED_LIMIT_S)


def send(connection: socket.socket, data: bytes) -> bool:
    """False: the other side has closed it."""
    try:
        connection.sendall(data)
    except OSError:
        return False
    return True


def answer_until_closed(connection: socket.socket) -> bytes:
    """All that comes until the other side closes, which must be soon."""
    found = b""
    with contextlib.suppress(ConnectionError):
        while data := connection.recv(65_536):
            found += data
    return found


def tls_hello() -> bytes:
    sent = ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), sent, False, HOST)
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return sent.read()


def link_hello(role: Role = Role.STANDBY) -> bytes:
    """What a node says first; it needs no secret."""
    return stranger(role).take_outbox()


def stranger(role: Role) -> Connection:
    return Connection(
        Identity(
            pair="office",
            role=role,
            instance="0123456789abcdef",
            version="0.1.0",
            event_format=1,
            secrets=("a secret that is not theirs",),
        ),
        dialled=True,
        greeting=lambda: Greeting(State.ACTIVE, None, 0),
        rng=random.Random(SEED),
    )


def test_a_frame_over_its_limit_ends_the_connection_at_once(target: Target) -> None:
    for size in (HANDSHAKE_FRAME_BYTES_MAX + 1, FRAME_BYTES_MAX + 1, 2**31, 2**32 - 1):
        for port in target.links:
            with connected(port) as connection:
                began_s = time.monotonic()
                send(connection, size.to_bytes(4) + b"x")
                assert answer_until_closed(connection) == b""
                assert time.monotonic() - began_s < 1.0
    said = f"bytes; the limit is {HANDSHAKE_FRAME_BYTES_MAX}"
    for node in target.nodes:
        node.wait_until(lambda n: said in n.log(), "the reason in the log")


HTTP_REQUEST = b"GET /status HTTP/1.1\r\nHost: node\r\n\r\n"
ZEROS = b"\0" * 10_000


def test_another_protocol_on_the_link_port_is_dropped(target: Target) -> None:
    damaged = link_hello()[:-1] + b"\xff"
    for port in target.links:
        for data in (HTTP_REQUEST, tls_hello(), ZEROS, damaged):
            with connected(port) as connection:
                send(connection, data)
                assert b"HTTP" not in answer_until_closed(connection)


def test_another_protocol_on_the_http_port_is_refused(target: Target) -> None:
    unknown, newlines = b"GET / HTTP/9.9\r\n\r\n", b"\r\n" * 9999
    for port in target.webs:
        for data in (link_hello(), tls_hello(), ZEROS, unknown, newlines):
            with connected(port) as connection:
                send(connection, data)
                connection.shutdown(socket.SHUT_WR)
                said = answer_until_closed(connection)
                assert said == b"" or said.startswith(b"HTTP/1.1 4")


def test_random_bytes_on_every_port(target: Target) -> None:
    rng = random.Random(SEED)
    for _ in range(CROWD_COUNT):
        for port in target.ports:
            with connected(port) as connection:
                send(connection, rng.randbytes(rng.randrange(1, 20_000)))
                if rng.random() < 0.5:
                    with contextlib.suppress(OSError):
                        connection.shutdown(socket.SHUT_WR)


def test_a_stranger_without_the_secret_changes_nothing(target: Target) -> None:
    """It knows the protocol, says it is the active peer, and cannot prove it."""
    for port, role in zip(target.links, Role, strict=True):
        with connected(port) as connection:
            protocol = stranger(role.other)
            send(connection, protocol.take_outbox())
            with pytest.raises(Unacceptable, match="wrong secret"):
                while True:
                    list(protocol.receive(connection.recv(65_536)))
                    send(connection, protocol.take_outbox())
            assert answer_until_closed(connection) == b""
    for node in target.nodes:
        assert node.status()["peer"]["problem"] is None


def slowly(connection: socket.socket, data: bytes) -> None:
    """One byte at a time, for as long as it is held, or until it is closed."""
    pause_s = HOLD_S / len(data)
    for place in range(len(data)):
        if not send(connection, data[place : place + 1]):
            return
        time.sleep(pause_s)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("links", ZEROS[:3]),
        ("links", link_hello()),
        ("webs", b"\r\n\r"),
        ("webs", HTTP_REQUEST[:-2] + b"X-Slow: " + b"x" * 40),
    ],
    ids=["link-silent", "link-hello", "http-silent", "http-head"],
)
def test_a_crowd_that_holds_connections_keeps_nobody_out(
    target: Target, kind: str, data: bytes
) -> None:
    ports = target.links if kind == "links" else target.webs
    with ExitStack() as crowd, ThreadPoolExecutor(2 * CROWD_COUNT) as pool:
        for port in ports:
            for _ in range(CROWD_COUNT):
                connection = crowd.enter_context(connected(port))
                pool.submit(slowly, connection, data)


def test_half_handshakes_are_given_up(target: Target) -> None:
    """A hello, and then nothing: the node does not wait for ever."""
    for port in target.links:
        with ExitStack() as crowd:
            connections = [
                crowd.enter_context(connected(port)) for _ in range(CROWD_COUNT)
            ]
            for connection in connections:
                send(connection, link_hello())
            for connection in connections:
                answer_until_closed(connection)


def test_many_connections_in_a_row(target: Target) -> None:
    for port in target.ports:
        for number in range(CONNECT_COUNT // len(target.ports)):
            connection = connected(port)
            if number % 2:
                linger = struct.pack("ii", 1, 0)  # Reset instead of an orderly end.
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            connection.close()
