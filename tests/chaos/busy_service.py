"""A service with a node in it and threads that keep the interpreter busy.

Run as `python -m tests.chaos.busy_service --config FILE`. How many threads compute, and
never wait, is the number in the file that NETPHONE_CHAOS_BUSY names.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from pathlib import Path

from node import NetPhoneNode, NodeConfig

LOOK_INTERVAL_S = 0.1
BUSY_FILE = "NETPHONE_CHAOS_BUSY"


def busy_command(config: str) -> tuple[str, ...]:
    """The command that runs this service."""
    return (sys.executable, "-m", "tests.chaos.busy_service", "--config", config)


class BusyThreads:
    """Threads that compute until there are to be none."""

    def __init__(self) -> None:
        self.count = 0

    def set(self, count: int) -> None:
        """Let there be `count` of them; those of before end."""
        if count != self.count:
            self.count = count
            for _ in range(count):
                threading.Thread(
                    target=self._compute, args=(count,), daemon=True
                ).start()

    def _compute(self, count: int) -> None:
        number = 1
        while self.count == count:
            number = number * 1_103_515_245 % 2_147_483_647


def main(config_path: str, busy_file: Path) -> None:
    """Serve until SIGTERM."""
    logging.basicConfig(level=logging.INFO)
    ending = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ending.set())
    busy = BusyThreads()
    with NetPhoneNode(NodeConfig.from_file(config_path)):
        while not ending.wait(LOOK_INTERVAL_S):
            busy.set(int(busy_file.read_text() or 0) if busy_file.exists() else 0)


if __name__ == "__main__":
    main(sys.argv[-1], Path(os.environ[BUSY_FILE]))
