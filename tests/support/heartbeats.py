"""Watches whether two nodes go on hearing each other, whatever is done to them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx

from tests.support.processes import NodeProcess, PairProcesses

INTERVAL_S = 0.1
ANSWER_LIMIT_S = 2.0


def hears_and_is_heard(node: NodeProcess) -> bool:
    peer = node.status().get("peer", {})
    return bool(peer.get("connected") and peer.get("hears_us"))


@contextmanager
def heartbeats_watched(pair: PairProcesses) -> Iterator[Callable[[], float]]:
    """Ask both nodes all the time, on new connections, as a load balancer does.

    Gives a function that ends it and returns the longest silence that either knew of, in
    seconds; it fails if a node was not live, not connected to its peer, or did not answer
    within 2 s.
    """
    for node in pair.nodes.values():
        node.wait_until(hears_and_is_heard, "a link in both directions")
    over = threading.Event()

    def longest_silence_s(node: NodeProcess) -> float:
        longest_s = 0.0
        headers = {"Authorization": f"Bearer {pair.read_token}"}
        while not over.wait(INTERVAL_S):
            with httpx.Client(
                base_url=node.url, timeout=ANSWER_LIMIT_S, trust_env=False
            ) as client:
                assert client.get("/live").status_code == 200, f"{node!r} is not live"
                peer = client.get("/status", headers=headers).json()["peer"]
            assert peer["connected"], f"{node!r} has lost its peer"
            assert peer["hears_us"], f"{node!r} is not heard by its peer"
            longest_s = max(longest_s, peer["heard_ago_s"])
        return longest_s

    with ThreadPoolExecutor() as pool:
        watchers = [pool.submit(longest_silence_s, n) for n in pair.nodes.values()]

        def end() -> float:
            over.set()
            return max(watcher.result() for watcher in watchers)

        try:
            yield end
        finally:
            over.set()
