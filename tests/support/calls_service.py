"""A service that brings its own calls: runs a node in it and says how many there are.

Run as `python -m tests.support.calls_service --config FILE`. The count is the entry
`calls/<role>`, so a test sets it with a change of configuration at that node.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading

from node import EntryChange, NetPhoneNode, NodeConfig


def main(config_path: str) -> None:
    """Serve until SIGTERM."""
    logging.basicConfig(level=logging.INFO)
    ending = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ending.set())
    config = NodeConfig.from_file(config_path)
    node = NetPhoneNode(config)
    key = f"calls/{config.role}"

    def follow(change: EntryChange) -> None:
        if change.key == key:
            node.set_calls(int(str(node.get(key, 0))))

    node.on_change(follow)
    with node:
        node.set_calls(int(str(node.get(key, 0))))
        while not ending.wait(0.1):
            pass


if __name__ == "__main__":
    main(sys.argv[-1])
