"""What a node cannot accept it refuses with one clear line, and goes on or ends at once."""

from __future__ import annotations

import re
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import attrs
import pytest

from eventstore import InvalidEntry
from node import NetPhoneNode, NodeConfig
from node.pair.directory import PairDirectory, settings_of
from node.pair.local import node_command
from node.pair.ports import HOST, PairPorts
from node.private_files import write_private_file
from node.roles import Role
from tests.support.admin_process import run_admin
from tests.support.ports import free_pair_ports, free_port
from tests.support.processes import FAST, NodeProcess, PairProcesses
from tests.support.redis_servers import RedisServer, require_redis
from tests.support.waiting import wait_until

pytestmark = pytest.mark.redis

END_LIMIT_S = 30.0
USAGE, REFUSED = 2, 3


# A node that cannot start.


@attrs.frozen
class Site:
    """The config of a master that would start, its directory and its Redis."""

    config: Path
    ports: PairPorts
    redis: RedisServer

    def change(self, pattern: str, replacement: str) -> None:
        text, count = re.subn(
            pattern, replacement, self.config.read_text(), count=1, flags=re.MULTILINE
        )
        assert count == 1, f"{pattern} is not in the config"
        self.config.write_text(text)

    def refused(self) -> tuple[int, str]:
        """Exit code and error line of a start that must fail by itself."""
        ended = subprocess.run(
            node_command(str(self.config)),
            capture_output=True,
            text=True,
            timeout=END_LIMIT_S,
        )
        assert "Traceback" not in ended.stderr
        assert ended.stdout == ""
        *before, line = ended.stderr.splitlines()
        assert line.startswith("error: ")
        assert not [earlier for earlier in before if not re.match(r"\d{4}-", earlier)]
        assert "secret-of-redis" not in ended.stderr
        return ended.returncode, line


@pytest.fixture
def site(tmp_path: Path, redis_server: RedisServer) -> Iterator[Site]:
    directory = PairDirectory(tmp_path / "node")
    directory.open()
    ports = free_pair_ports()
    settings = settings_of(Role.MASTER, ports)
    settings["redis"]["url"] = redis_server.url
    settings["redis"]["password_file"] = "redis.password"
    write_private_file(tmp_path / "node" / "redis.password", redis_server.password)
    yield Site(directory.write_config(Role.MASTER, settings), ports, redis_server)
    directory.close()


def test_an_unknown_key_is_named_with_the_nearest_known_one(site: Site) -> None:
    site.change(r"^peer_url", "peer_ulr")
    code, line = site.refused()
    assert code == USAGE
    assert "peer_ulr" in line
    assert "peer_url" in line.replace("peer_ulr", "")


@pytest.mark.parametrize("knob", ["node.listen", "http.listen"])
def test_a_port_in_use_is_named_with_its_knob(site: Site, knob: str) -> None:
    own = site.ports.of(Role.MASTER)
    port = own.link if knob == "node.listen" else own.http
    with socket.create_server((HOST, port)):
        code, line = site.refused()
    assert code == REFUSED
    assert f"{knob} {HOST}:{port}" in line


def no_redis(site: Site) -> str:
    site.redis.kill()
    return "cannot be reached"


def replica(site: Site) -> str:
    with site.redis.client() as client:
        client.replicaof(HOST, str(free_port()))
    return "read-only replica"


def evicting(site: Site) -> str:
    site.redis.set_config("maxmemory-policy", "allkeys-lru")
    return "maxmemory-policy allkeys-lru"


def wrong_password(site: Site) -> str:
    (site.config.parent / "redis.password").write_text("secret-of-redis-but-wrong")
    return "refuses us"


def no_password(site: Site) -> str:
    site.change("^password_file.*\n", "")
    return "refuses us"


@pytest.mark.parametrize(
    "spoil", [no_redis, replica, evicting, wrong_password, no_password]
)
def test_a_redis_that_would_lose_events_is_refused_by_name(
    site: Site, spoil: Any
) -> None:
    said = spoil(site)
    code, line = site.refused()
    assert code == REFUSED
    assert said in line
    assert f"redis://{HOST}:{site.redis.port}/0" in line


# Two nodes that are no pair.


class Misconfigured:
    """A pair whose standby is started with an altered config, and with the right one."""

    def __init__(self, directory: Path) -> None:
        self.pair = PairProcesses(directory)
        self._config = directory / "pair" / "standby.toml"
        self._right = self._config.read_text()
        write_private_file(
            directory / "pair" / "other.secret", "another secret, long\n"
        )

    def start_standby(self, *change: tuple[str, str]) -> None:
        """Start it anew, with each `pattern` of its config replaced."""
        text = self._right
        for before, after in change:
            assert before in text
            text = text.replace(before, after)
        self._config.write_text(text)
        self.pair.standby.terminate()
        self.pair.standby.start()


WRONG_SECRET = ('secret_file = "pair.secret"', 'secret_file = "other.secret"')
OTHER_PAIR = ('pair = "office"', 'pair = "factory"')
SAME_ROLE = ('role = "standby"', 'role = "master"')


@pytest.fixture
def misconfigured(tmp_path: Path) -> Iterator[Misconfigured]:
    require_redis()
    site = Misconfigured(tmp_path)
    with site.pair:
        site.pair.start_redis()
        yield site


def problem_of(node: NodeProcess) -> str:
    return str(node.status().get("peer", {}).get("problem"))


def wait_for_problem(node: NodeProcess, text: str) -> None:
    node.wait_until(lambda n: text in problem_of(n), f"the problem {text!r}")
    wait_until(
        lambda: re.search(f"ERROR the peer is not accepted: .*{text}", node.log()),
        END_LIMIT_S,
        "the same in its log",
    )


def assert_stay_passive(*nodes: NodeProcess) -> None:
    """For longer than any silence or start window that could make one activate."""
    limit_s = max(FAST["peer_lost_after_s"], FAST["start_window_s"])
    end_s = time.monotonic() + 2 * limit_s
    while time.monotonic() < end_s:
        assert all(node.is_passive for node in nodes)
        time.sleep(0.05)


def test_a_peer_with_a_wrong_secret_is_named_and_still_counts(
    misconfigured: Misconfigured,
) -> None:
    master, standby = misconfigured.pair.master, misconfigured.pair.standby
    master.start()
    master.wait_until(lambda n: n.is_active, "service")
    misconfigured.start_standby(WRONG_SECRET)
    for node in (master, standby):
        wait_for_problem(node, "wrong secret")
    # S18: it answers and says that it is active, so this node does not take over.
    assert_stay_passive(standby)
    assert master.is_active
    assert standby.status()["peer"]["connected"] is False
    # And no longer than it answers.
    master.kill()
    standby.wait_until(lambda n: n.is_active, "the takeover")
    master.start()
    wait_for_problem(master, "wrong secret")
    assert_stay_passive(master)
    # The right config heals it; the master, which hears a passive claim, serves meanwhile.
    misconfigured.start_standby()
    misconfigured.pair.wait_until_settled()
    for node in (master, standby):
        node.wait_until(lambda n: n.status()["peer"]["problem"] is None, "no problem")
    misconfigured.pair.wait_until_equal()


def test_a_node_of_another_pair_is_named_and_not_taken_over(
    misconfigured: Misconfigured,
) -> None:
    master, standby = misconfigured.pair.master, misconfigured.pair.standby
    master.start()
    master.wait_until(lambda n: n.is_active, "service")
    misconfigured.start_standby(OTHER_PAIR)
    wait_for_problem(master, "one is of pair 'office', the other of 'factory'")
    wait_for_problem(standby, "one is of pair 'factory', the other of 'office'")
    assert_stay_passive(standby)
    assert master.is_active


def test_two_nodes_of_one_role_stay_passive_and_say_so(
    misconfigured: Misconfigured,
) -> None:
    master, other = misconfigured.pair.master, misconfigured.pair.standby
    master.start()
    misconfigured.start_standby(SAME_ROLE)
    text = "both nodes have the role master"
    for node in (master, other):
        wait_for_problem(node, text)
    assert_stay_passive(master, other)
    assert [problem_of(node) for node in (master, other)] == [text, text]
    misconfigured.start_standby()
    misconfigured.pair.wait_until_settled()


# Entries that cannot be stored.

KEY_LIMIT, VALUE_LIMIT = 256, 64 * 1024


@pytest.fixture(scope="module")
def plain_pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PairProcesses]:
    require_redis()
    with PairProcesses(tmp_path_factory.mktemp("plain")) as pair:
        pair.start()
        yield pair


@pytest.mark.parametrize(
    ("key", "body", "code", "text"),
    [
        ("users/" + "k" * KEY_LIMIT, b"1", "invalid-entry", str(KEY_LIMIT)),
        ("nokind", b"1", "invalid-entry", "collection/name"),
        ("users/a", b'"%s"' % (b"v" * VALUE_LIMIT), "invalid-entry", str(VALUE_LIMIT)),
        ("users/a", b"[" * 40 + b"]" * 40, "invalid-entry", "32"),
        ("users/a", b"NaN", "invalid-json", "NaN"),
        ("users/a", b'{"x": -Infinity}', "invalid-json", "Infinity"),
        ("users/a", b"1e999", "invalid-json", "1e999"),
        ("users/a", b'"\\ud800"', "invalid-json", "surrogate"),
        ("users/a", b'"\xff"', "invalid-json", "UTF-8"),
        ("users/a", b"[18446744073709551616]", "invalid-entry", "64 bits"),
        ("users/a", b"[-9223372036854775809]", "invalid-entry", "64 bits"),
        ("users/a", b"9" * 5000, "invalid-json", "digits"),
        ("users/a", b'{"a": 1, "a": 2}', "invalid-json", "twice"),
    ],
    ids=[
        "long-key",
        "no-name",
        "large-value",
        "deep-value",
        "nan",
        "infinity",
        "too-large-float",
        "half-surrogate",
        "no-utf-8",
        "above-64-bits",
        "below-64-bits",
        "many-digits",
        "a-name-twice",
    ],
)
def test_http_refuses_what_cannot_be_stored_and_says_which_part(
    plain_pair: PairProcesses, key: str, body: bytes, code: str, text: str
) -> None:
    node = plain_pair.master
    before = node.status()["vector"]
    reply = node.http.put(f"/entries/{key}", content=body)
    said = reply.json()
    assert (reply.status_code, said["code"]) == (422, code)
    assert text in said["error"]
    assert len(said["error"].splitlines()) == 1
    assert len(said["error"]) < 500
    assert node.status()["vector"] == before
    assert node.is_active


def test_the_largest_key_and_value_are_taken(plain_pair: PairProcesses) -> None:
    key = "users/" + "k" * (KEY_LIMIT - len("users/"))
    value = "v" * (VALUE_LIMIT - 3)  # Its length needs three bytes before it.
    plain_pair.master.put(key, [2**64 - 1, -(2**63)])
    plain_pair.master.put("users/largest", value)
    plain_pair.wait_until_equal()
    assert plain_pair.standby.value(key) == [2**64 - 1, -(2**63)]
    assert plain_pair.standby.value("users/largest") == value


@pytest.mark.parametrize(
    ("arguments", "exit_code", "text"),
    [
        (("put", "users/" + "k" * KEY_LIMIT, "1"), USAGE, str(KEY_LIMIT)),
        (("put", "users/a", '"%s"' % ("v" * VALUE_LIMIT)), USAGE, str(VALUE_LIMIT)),
        (("put", "users/a", "NaN"), USAGE, "NaN"),
        (("put", "users/a", '"\\ud800"'), USAGE, "surrogate"),
        (("put", "users/a", "18446744073709551616"), USAGE, "64 bits"),
        (("get", "users/nobody"), REFUSED, "users/nobody"),
        (("switch",), REFUSED, "master"),
    ],
    ids=[
        "long-key",
        "large-value",
        "nan",
        "half-surrogate",
        "above-64-bits",
        "no-entry",
        "switch-at-the-standby",
    ],
)
def test_the_command_line_refuses_with_one_line_and_its_exit_code(
    plain_pair: PairProcesses,
    arguments: tuple[str, ...],
    exit_code: int,
    text: str,
) -> None:
    run = run_admin(plain_pair, plain_pair.standby, *arguments)
    assert (run.exit_code, run.out) == (exit_code, ""), run.err
    (line,) = run.err.splitlines()
    assert line.startswith("error: ")
    assert text in line
    assert len(line) < 500


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"bytes", "bytes"),
        ({"a": (1, 2)}, "tuple"),
        ({"a": [1, {2, 3}]}, "set"),
        ({1: "a"}, "int"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        ("\ud800", "surrogate"),
        ([2**64], "64 bits"),
    ],
    ids=["bytes", "tuple", "set", "int-name", "nan", "inf", "surrogate", "65-bits"],
)
def test_python_refuses_what_cannot_be_stored_and_says_which_part(
    embedded: NetPhoneNode, value: Any, text: str
) -> None:
    before = embedded.status()["vector"]
    with pytest.raises(InvalidEntry) as refused:
        embedded.put("users/a", value, actor="test")
    assert text in str(refused.value)
    assert "\n" not in str(refused.value)
    with pytest.raises(InvalidEntry):
        embedded.put_many({"users/good": 1, "users/bad": value}, actor="test")
    assert embedded.get("users/good") is None
    assert embedded.status()["vector"] == before


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NetPhoneNode]:
    """A node in this process, without a peer."""
    require_redis()
    with ExitStack() as ended:
        directory = tmp_path_factory.mktemp("embedded")
        server = ended.enter_context(RedisServer(directory / "redis"))
        config = NodeConfig(
            pair="office",
            role=Role.MASTER,
            listen=f"{HOST}:{free_port()}",
            peer=f"{HOST}:{free_port()}",
            secret="a secret for tests only",
            redis_url=server.url,
            redis_password=server.password,
            peer_redis_url=f"redis://{HOST}:{free_port()}/0",
        )
        yield ended.enter_context(NetPhoneNode(config))
