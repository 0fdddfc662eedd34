"""A service that brings its own calls and its own health: a node runs in it and is told.

Run as `python -m tests.support.calls_service --config FILE`. How many calls there are is
the entry `calls/<role>`, what is wrong with its SIP the entry `sick/<role>`, so a test sets
both with a change of configuration at that node.
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

    def check_sip() -> None:
        problem = node.get(f"sick/{config.role}")
        if problem is not None:
            raise RuntimeError(problem)

    node.on_change(follow)
    node.add_health_check("sip", check_sip)
    with node:
        node.set_calls(int(str(node.get(key, 0))))
        while not ending.wait(0.1):
            pass


if __name__ == "__main__":
    main(sys.argv[-1])
