"""A service with a node in it and threads that keep the interpreter busy.

Run as `python -m tests.chaos.busy_service --config FILE`. How many threads compute, and
never wait, is the int64 at the start of the file that NETPHONE_CHAOS_BUSY names. The file
is mapped, so each thread sees by itself, in the middle of its work, when it is to end.
"""

from __future__ import annotations

import logging
import mmap
import os
import signal
import sys
import threading
from pathlib import Path

from node import NetPhoneNode, NodeConfig

LOOK_INTERVAL_S = 0.1
BUSY_FILE = "NETPHONE_CHAOS_BUSY"
_NUMBER_BYTES = 8


class BusyCount:
    """A number that other processes see when it is set; the file is made if need be."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(_NUMBER_BYTES))
        with path.open("r+b") as file:
            self._words = memoryview(mmap.mmap(file.fileno(), _NUMBER_BYTES)).cast("q")

    @property
    def count(self) -> int:
        return self._words[0]

    def set(self, count: int) -> None:
        self._words[0] = count


def busy_command(config: str) -> tuple[str, ...]:
    """The command that runs this service."""
    return (sys.executable, "-m", "tests.chaos.busy_service", "--config", config)


def compute(asked: BusyCount, count: int) -> None:
    """Compute until another count is asked for."""
    number = 1
    while asked.count == count:
        for _ in range(1000):
            number = number * 1_103_515_245 % 2_147_483_647


def main(config_path: str, busy_file: Path) -> None:
    """Serve until SIGTERM."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    ending = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ending.set())
    asked, count = BusyCount(busy_file), 0
    with NetPhoneNode(NodeConfig.from_file(config_path)):
        while not ending.wait(LOOK_INTERVAL_S):
            if asked.count != count:
                count = asked.count
                for _ in range(count):
                    threading.Thread(
                        target=compute, args=(asked, count), daemon=True
                    ).start()


if __name__ == "__main__":
    main(sys.argv[-1], Path(os.environ[BUSY_FILE]))
