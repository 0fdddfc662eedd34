"""How long does a node take to read a long history at its start, and what does it then hold?

    python benchmarks/start.py [--events 1000000] [--keys 10000]

Fills a redis-server of its own with events of both origins, through the public store, then
opens the store in fresh processes: without a snapshot, with one, and with as many events
behind it as a node lets come before it writes the next one. Notes what a snapshot costs to
write, and for how long another thread was held up meanwhile.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import threading
import time
from importlib.metadata import version
from pathlib import Path

import psutil
import redis
from own_redis import running_redis
from this_machine import REPOSITORY, commit, machine

from eventstore import EventStore, JsonValue, Origin, Put, Streams, connect

START_LIMIT_S = 2.0
BEHIND_COUNT = 50_000
OPEN_COUNT = 3
BATCH_COUNT = 1000
MB = 1024 * 1024
PAIR = "office"
MASTER, STANDBY = Origin("master"), Origin("standby")


def new_store(url: str, own: Origin) -> EventStore:
    streams = Streams(connect(url, password=None, timeout_s=10.0), PAIR, name="Redis")
    return EventStore(
        streams,
        own=own,
        peer=STANDBY if own == MASTER else MASTER,
        prevailing=MASTER,
        wall_ns=time.time_ns,
    )


def entry(n: int) -> JsonValue:
    """An extension as the importer makes it, about 200 bytes packed."""
    return {
        "extension": str(1000 + n % 9000),
        "display_name": f"Person number {n}",
        "password_digest": {"md5": f"{n:032x}", "sha256": f"{n:064x}"},
        "ring_s": n % 60,
    }


class Writers:
    """Both nodes of a pair over one Redis: a fifth of the changes is made on the standby."""

    def __init__(self, url: str, key_count: int) -> None:
        self._rng = random.Random(1)
        self._key_count = key_count
        self._made = 0
        self.stores = {origin: new_store(url, origin) for origin in (MASTER, STANDBY)}
        for store in self.stores.values():
            store.open()

    def write(self, count: int) -> None:
        for _ in range(count // BATCH_COUNT):
            origin = STANDBY if self._made % 5 == 4 else MASTER
            store = self.stores[origin]
            store.reload_copy()
            store.append([self._change() for _ in range(BATCH_COUNT)], actor="jane")
            self._made += 1

    def _change(self) -> Put:
        n = self._rng.randrange(self._key_count)
        return Put(f"users/{n}", entry(self._rng.randrange(10**6)))


def open_here(url: str) -> None:
    """In a process of its own: open the store, and say what that took."""
    before_mb = psutil.Process().memory_info().rss / MB
    store = new_store(url, MASTER)
    gc.set_threshold(100_000)  # As `python -m node` does while it starts.
    began_s, used_s = time.perf_counter(), time.process_time()
    store.open()
    took_s, used_s = time.perf_counter() - began_s, time.process_time() - used_s
    snapshot = store.snapshot
    told = {
        "took_s": took_s,
        "used_s": used_s,
        "mb": psutil.Process().memory_info().rss / MB - before_mb,
        "events": snapshot.event_count,
        "entries": snapshot.entry_count,
        "folded": store.unsaved_count,
        "digest": snapshot.digest,
    }
    print(json.dumps(told))


def opened(url: str, name: str, count: int) -> float:
    """Open the store `count` times and print what that took; the median."""
    found = [
        json.loads(
            subprocess.run(
                [sys.executable, __file__, "--open", url],
                check=True, capture_output=True, text=True, cwd=REPOSITORY,
                env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            ).stdout
        )
        for _ in range(count)
    ]  # fmt: skip
    took_s, used_s = (
        sorted(float(one[what]) for one in found) for what in ("took_s", "used_s")
    )
    middle = count // 2
    last = found[-1]
    print(
        f"{name:<28} {last['events']:>9,} events, {last['folded']:>9,} folded  "
        f"{took_s[middle]:6.2f} s, of that CPU {used_s[middle]:6.2f} s (the median of "
        f"{count}; the slowest {took_s[-1]:.2f} s)  {last['mb']:6.0f} MB  "
        f"{last['entries']:,} entries {last['digest'][:8]}",
        flush=True,
    )
    return took_s[middle]


def written(url: str, store: EventStore) -> None:
    """Write a snapshot, and look how long a thread that wants to run each ms has to wait."""
    store.reload_copy()
    gaps_s, ended = [0.0], threading.Event()

    def watch() -> None:
        at_s = time.perf_counter()
        while not ended.wait(0.001):
            before_s, at_s = at_s, time.perf_counter()
            gaps_s.append(at_s - before_s)

    watcher = threading.Thread(target=watch)
    watcher.start()
    began_s = time.perf_counter()
    store.write_snapshot(go_on=lambda: True)
    took_s = time.perf_counter() - began_s
    ended.set()
    watcher.join()
    with redis.Redis.from_url(url) as client:
        key = f"netphone:{{{PAIR}}}:snapshot:newest"
        size_mb, part_count = client.memory_usage(key, 0) / MB, client.xlen(key)
    print(
        f"a snapshot: written in {took_s:.2f} s, {size_mb:.1f} MB in Redis, {part_count} "
        f"parts; another thread waited for {1000 * max(gaps_s):.0f} ms at most",
        flush=True,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description="The start with a long history.")
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--keys", type=int, default=10_000)
    parser.add_argument("--open", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.open:
        open_here(chosen.open)
        return 0
    versions = ", ".join(f"{name} {version(name)}" for name in ("redis", "msgpack"))
    print(f"machine  {machine()}")
    print(f"versions Python {platform.python_version()}, {versions}")
    print(f"commit   {commit()}\n", flush=True)
    with (
        tempfile.TemporaryDirectory() as directory,
        running_redis(Path(directory), "--appendonly", "yes") as url,
    ):
        writers = Writers(url, chosen.keys)
        writers.write(chosen.events)
        opened(url, "without a snapshot", 1)
        written(url, writers.stores[MASTER])
        median_s = opened(url, "with one", OPEN_COUNT)
        writers.write(BEHIND_COUNT)
        opened(url, f"with {BEHIND_COUNT:,} behind it", OPEN_COUNT)
    kept = median_s <= START_LIMIT_S
    print(f"\nlimit (with one, {START_LIMIT_S} s): {'kept' if kept else 'NOT KEPT'}")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
