"""A real redis-server for tests."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from node.child_process import ChildProcess
from node.embedded_redis import EmbeddedRedis, RedisMissing, redis_server_program
from tests.support.places import HERE, Place
from tests.support.ports import free_port

PASSWORD = "a-password-for-tests"
ANSWER_LIMIT_S = 5.0


def require_redis() -> None:
    """Skip the test where there is no redis-server to run; in CI it fails."""
    try:
        redis_server_program()
    except RedisMissing as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))


class RedisServer(EmbeddedRedis):
    """A redis-server with a port and password of its own, and what can happen to it."""

    def __init__(
        self,
        directory: Path,
        *,
        port: int | None = None,
        password: str = PASSWORD,
        place: Place = HERE,
    ) -> None:
        super().__init__(directory, port or free_port(), password)
        self._place = place
        if place != HERE:
            program = str(redis_server_program())
            self.process = ChildProcess(
                (*place.within, program, "redis.conf", "--bind", place.listen),
                log=self.process.log,
                directory=directory,
            )

    def __enter__(self) -> RedisServer:
        self.start()
        return self

    def __exit__(self, *details: object) -> None:
        self.process.kill()

    def pause(self) -> None:
        """It stays there, accepts connections, and answers nothing (SIGSTOP)."""
        self.process.send(signal.SIGSTOP)

    def resume(self) -> None:
        self.process.send(signal.SIGCONT)

    def restart(self) -> None:
        """Kill it, if it runs, and start it again with its data."""
        self.kill()
        self.start()

    def answers(self) -> bool:
        """Whether this very server answers, wherever it is."""
        if self._place == HERE:
            return super().answers()
        try:
            with self.client() as client:
                client.ping()  # Refused while it loads its data; INFO is not.
                return bool(client.info("server")["process_id"] == self.process.pid)
        except redis.RedisError:
            return False

    def client(self) -> redis.Redis:
        """A client that never repeats a command by itself; the caller closes it."""
        return redis.Redis(
            host=self._place.address,
            port=self.port,
            password=self.password,
            socket_timeout=ANSWER_LIMIT_S,
            socket_connect_timeout=ANSWER_LIMIT_S,
            retry=Retry(NoBackoff(), 0),
        )

    def set_config(self, name: str, value: str) -> None:
        """Change a setting of the running server, until it is started again."""
        with self.client() as client:
            client.config_set(name, value)
