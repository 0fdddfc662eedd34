"""The data of a Redis that is not running, or runs on: copied, taken away, put back."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from pathlib import Path

from eventstore import START, EventId, Origin
from node.pair.directory import PAIR_NAME
from tests.support.redis_servers import RedisServer

DATA = ("appendonly.aof", "appendonlydir", "dump.rdb")
"""Of Redis 6.2 and of those after it."""
BALLAST = "ballast"
DISK_BYTES = 256 * 1024 * 1024
COMMAND_LIMIT_S = 10.0


def remove_data(server: RedisServer) -> None:
    """Take everything away; it must not run."""
    for name in DATA:
        path = server.directory / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def copy_data(server: RedisServer, copy: Path) -> None:
    """Copy what there is, as a backup does; it may run: its file only grows."""
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir(parents=True)
    _copy(server.directory, copy)


def put_data_back(server: RedisServer, copy: Path) -> None:
    """Replace the data by a copy; it must not run."""
    remove_data(server)
    _copy(copy, server.directory)


def head_of(server: RedisServer, origin: Origin) -> EventId:
    """The newest event of `origin` in a Redis."""
    with server.client() as client:
        newest = client.xrevrange(f"netphone:{{{PAIR_NAME}}}:events:{origin}", count=1)
    return EventId.parse(newest[0][0].decode()) if newest else START


def mount_disk(directory: Path) -> None:
    """Put a small disk of its own under a directory."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=700", "tmpfs",
         str(directory)],
        check=True,
        timeout=COMMAND_LIMIT_S,
    )  # fmt: skip


def unmount_disk(directory: Path) -> None:
    """Take it away: nothing can remove a directory that is one."""
    subprocess.run(
        ["umount", "--lazy", str(directory)], check=True, timeout=COMMAND_LIMIT_S
    )


def fill_disk(directory: Path) -> None:
    """Leave no byte free."""
    with (directory / BALLAST).open("wb", buffering=0) as ballast:
        block = bytes(1024 * 1024)
        with contextlib.suppress(OSError):
            while True:
                ballast.write(block)
    assert os.statvfs(directory).f_bavail == 0, "the disk is not full"


def free_disk(directory: Path) -> None:
    (directory / BALLAST).unlink(missing_ok=True)


def _copy(source: Path, target: Path) -> None:
    for name in DATA:
        if (source / name).is_dir():
            shutil.copytree(source / name, target / name)
        elif (source / name).exists():
            shutil.copy2(source / name, target / name)
