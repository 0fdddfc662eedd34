"""How fast is a long history replayed, and in how much memory?

    python benchmarks/replay.py [--events 1000000] [--entries 10000]

Fills a redis-server of its own with the events of two nodes that change entries at random and
copy each other. Then it asks of them what an audit asks, each question in a process of its
own, so that the memory is that of the question.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from own_redis import running_redis
from this_machine import REPOSITORY, commit, machine

from eventstore import (
    START,
    EventStore,
    Origin,
    Put,
    Streams,
    connect,
    read_blame,
    read_explanation,
    replay,
)

PAIR = "benchmark"
MASTER, STANDBY = Origin("master"), Origin("standby")
ORIGINS: dict[str, Any] = {"prevailing": MASTER, "other": STANDBY}
SEED = 1
BATCH_COUNT = 500
FIRST_MS = 1_767_225_600_000
KEY = "users/00042"
MB = 1024 * 1024


def streams(url: str, place: int) -> Streams:
    place_url = f"{url}?db={place}"
    return Streams(
        connect(place_url, password=None, timeout_s=60.0), PAIR, name="Redis"
    )


def store(url: str, own: Origin, now_ms: Callable[[], int]) -> EventStore:
    found = EventStore(
        streams(url, (MASTER, STANDBY).index(own)),
        own=own,
        peer=STANDBY if own == MASTER else MASTER,
        prevailing=MASTER,
        wall_ns=lambda: now_ms() * 1_000_000,
    )
    found.open()
    return found


def fill(url: str, event_count: int, entry_count: int) -> None:
    """Two of three changes on the master; each node takes what the other one has now and then."""
    chance, made = random.Random(SEED), 0
    nodes = {o: store(url, o, lambda: FIRST_MS + made) for o in (MASTER, STANDBY)}
    read = {o: streams(url, place) for place, o in enumerate((MASTER, STANDBY))}
    taken = dict.fromkeys(nodes, START)
    while made < event_count:
        own, peer = (MASTER, STANDBY) if chance.random() < 2 / 3 else (STANDBY, MASTER)
        if chance.random() < 0.8:
            while page := read[peer].read(peer, taken[own], BATCH_COUNT):
                nodes[own].take(page)
                taken[own] = page[-1][0]
        keys = chance.sample(
            range(entry_count), min(BATCH_COUNT, entry_count, event_count - made)
        )
        changes = [Put(f"users/{key:05d}", value(key, chance)) for key in keys]
        nodes[own].append(changes, actor="jane", reason="benchmark")
        made += len(changes)
        told(f"filling: {made} events")
    for own, peer in ((MASTER, STANDBY), (STANDBY, MASTER)):
        while page := read[peer].read(peer, taken[own], BATCH_COUNT):
            nodes[own].take(page)
            taken[own] = page[-1][0]


def value(key: int, chance: random.Random) -> dict[str, Any]:
    return {
        "extension": str(key),
        "display_name": f"User number {key}",
        "forward": f"+4930{chance.randrange(10**6):06d}",
        "ring_s": chance.randrange(10, 60),
    }


def told(line: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{line}   ")


QUESTIONS: dict[str, Callable[[Streams, int], object]] = {
    "replay, now": lambda source, _: replay(source, **ORIGINS),
    "replay, a time in the middle": lambda source, count: replay(
        source, (FIRST_MS + count // 2) * 1_000_000, **ORIGINS
    ),
    "blame": lambda source, _: read_blame(source, KEY, limit=1000, **ORIGINS),
    "explain": lambda source, _: read_explanation(source, KEY, **ORIGINS),
}


def ask(url: str, question: str, event_count: int) -> None:
    """Answer one question and print what it took, as JSON."""
    source = streams(url, 1)
    before_mb = peak_mb()
    started_s, used_s = time.perf_counter(), time.process_time()
    QUESTIONS[question](source, event_count)
    took_s, used_s = time.perf_counter() - started_s, time.process_time() - used_s
    print(json.dumps([took_s, used_s, before_mb, peak_mb()]))


def peak_mb() -> float:
    """The most that this process had; `ru_maxrss` would be its parent's at first."""
    status = Path("/proc/self/status").read_text()
    line = next(li for li in status.splitlines() if li.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024 / MB


def asked(url: str, question: str, event_count: int) -> str:
    """The answer as a line of the table."""
    words = ["--ask", question, "--url", url, "--events", str(event_count)]
    done = subprocess.run(
        [sys.executable, __file__, *words],
        cwd=REPOSITORY,
        capture_output=True,
        check=True,
    )
    took_s, used_s, before_mb, highest_mb = json.loads(done.stdout)
    memory = f"{before_mb:.0f} MB, {highest_mb:.0f} MB"
    return (
        f"{question:<30} {took_s:6.1f} s {used_s:6.1f} s {event_count / used_s:9.0f} "
        f"{memory:>23}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description="Replay of a long history.")
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--entries", type=int, default=10_000)
    parser.add_argument("--ask", choices=sorted(QUESTIONS), help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.ask:
        ask(given.url, given.ask, given.events)
        return 0
    print(f"machine  {machine()}")
    libraries = ", ".join(f"{n} {version(n)}" for n in ("redis", "msgpack"))
    print(f"versions Python {platform.python_version()}, {libraries}")
    print(f"commit   {commit()}")
    print(f"{given.events} events, {given.entries} entries, seed {SEED}\n", flush=True)
    with (
        tempfile.TemporaryDirectory() as directory,
        running_redis(Path(directory)) as url,
    ):
        fill(url, given.events, given.entries)
        told("")
        print(
            f"{'question':<30} {'took':>8} {'CPU':>8} {'per CPU s':>9} "
            f"{'memory before, highest':>23}"
        )
        for question in QUESTIONS:
            print(asked(url, question, given.events), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
