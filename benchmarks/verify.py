"""How fast is a verification, and how much memory does it take?

    python benchmarks/verify.py [--events 1000000]

Starts a redis-server of its own, lets a process write events into it, and reads them three
times: a bare loop that reads and hashes, `verify` of one copy, and `verify` of two copies against
each other (the same Redis twice, so each event is read twice). Each runs in a process of its
own, so that the memory is its own.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import platform
import random
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from own_redis import running_redis
from this_machine import commit, machine

from eventstore import (
    START,
    EventStore,
    Origin,
    Put,
    Streams,
    connect,
    verify,
)

PAIR = "benchmark"
MASTER, STANDBY = Origin("master"), Origin("standby")
BATCH_COUNT = 1000
PAGE_COUNT = 500
ENTRY_COUNT = 10_000
SHARE_MIN = 0.6
"""Of the rate of the bare loop."""
MB = 1024 * 1024


def streams(url: str) -> Streams:
    return Streams(
        connect(url, password=None, timeout_s=30.0), PAIR, name="the benchmark's Redis"
    )


def write(url: str, count: int) -> float:
    """Let the master write `count` events, 1000 at once."""
    chance = random.Random(1)
    store = EventStore(
        streams(url),
        own=MASTER,
        peer=STANDBY,
        prevailing=MASTER,
        wall_ns=time.time_ns,
        on_folded=lambda _event, _folded: None,
    )
    store.open()
    for start in range(0, count, BATCH_COUNT):
        changes = [
            Put(
                f"users/{chance.randrange(ENTRY_COUNT)}",
                {"extension": str(n), "name": "Alice Example", "forward": None},
            )
            for n in range(start, min(count, start + BATCH_COUNT))
        ]
        store.append(changes, actor="jane", reason="moved to another room")
    return 0.0


def bare_loop(url: str, _: int) -> float:
    """Read everything and hash it, nothing else."""
    source, after, began_s = streams(url), START, time.perf_counter()
    while page := source.read(MASTER, after, PAGE_COUNT):
        for _id, blob in page:
            hashlib.sha256(blob).digest()
        after = page[-1][0]
    return time.perf_counter() - began_s


def verify_one(url: str, count: int) -> float:
    began_s = time.perf_counter()
    report = verify(streams(url))
    took_s = time.perf_counter() - began_s
    assert report.is_whole
    assert report.event_count == count
    return took_s


def verify_two(url: str, count: int) -> float:
    began_s = time.perf_counter()
    report = verify(streams(url), streams(url))
    took_s = time.perf_counter() - began_s
    assert report.is_whole
    assert report.event_count == count
    return took_s


WORK = {
    "write": write,
    "bare loop": bare_loop,
    "verify one copy": verify_one,
    "verify two copies": verify_two,
}


def apart(work: str, url: str, count: int) -> tuple[float, float, float]:
    """In a process of its own: seconds, those of CPU, and the highest memory in MB."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(measured, (work, url, count))


def measured(work: str, url: str, count: int) -> tuple[float, float, float]:
    before_s = time.process_time()
    took_s = WORK[work](url, count)
    memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MB
    return took_s, time.process_time() - before_s, memory_mb


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="The rate of a verification.")
    parser.add_argument("--events", type=int, default=1_000_000, help="how many")
    count = parser.parse_args(arguments).events
    libraries = ("redis", "hiredis", "msgpack")
    versions = ", ".join(f"{name} {version(name)}" for name in libraries)
    print(f"machine  {machine()}")
    print(f"versions Python {platform.python_version()}, {versions}")
    print(f"commit   {commit()}\n")
    rates: dict[str, float] = {}
    with (
        tempfile.TemporaryDirectory() as directory,
        running_redis(Path(directory)) as url,
    ):
        apart("write", url, count)
        print("                   seconds  of CPU  events/s  highest memory")
        for work in list(WORK)[1:]:
            took_s, cpu_s, memory_mb = apart(work, url, count)
            rates[work] = count / took_s
            print(
                f"{work:<18} {took_s:7.1f} {cpu_s:7.1f} {rates[work]:9.0f} "
                f"{memory_mb:8.0f} MB"
            )
    share = rates["verify one copy"] / rates["bare loop"]
    kept = share >= SHARE_MIN
    print(f"\n{share:.2f} of the bare loop (limit {SHARE_MIN}): ", end="")
    print("kept" if kept else "NOT KEPT")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
