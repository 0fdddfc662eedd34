"""What does it cost to export a long history, and to verify the file? Time, size, memory.

    python benchmarks/export.py [--events 1000000]

Writes that many events to a Redis of its own, a quarter of them by the standby, which know each
other; runs `python -m admin audit export` straight from that Redis and `audit verify`, each
as a process of its own; and reads the history of the file once in this process.
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import attrs
import psutil
from own_redis import running_redis
from this_machine import REPOSITORY, commit, machine

from eventstore import (
    BATCH_EVENT_COUNT_MAX,
    Bundle,
    EventStore,
    Filter,
    Origin,
    Put,
    Streams,
    connect,
    read_history,
)

MB = 1024 * 1024
PAIR = "office"
MASTER, STANDBY = Origin("master"), Origin("standby")
ENTRY_COUNT = 10_000
STANDBY_EVERY = 4
RSS_LIMIT_MB = 150.0
SAMPLE_S = 0.05


@attrs.frozen
class Cost:
    """Of one process."""

    seconds: float
    rss_mb: float
    """The highest."""
    out: str


def streams_at(url: str) -> Streams:
    client = connect(url, password=None, timeout_s=60.0)
    return Streams(client, PAIR, name="the Redis of this benchmark")


def write(url: str, count: int) -> None:
    """Both nodes write in turn; their Redis is one, so each knows at once what is there."""
    now_ns = 1_767_225_600_000_000_000

    def wall_ns() -> int:
        nonlocal now_ns
        now_ns += 1_000_000
        return now_ns

    def store(own: Origin, peer: Origin) -> EventStore:
        made = EventStore(
            streams_at(url), own=own, peer=peer, prevailing=MASTER, wall_ns=wall_ns
        )
        made.open()
        return made

    master, standby = store(MASTER, STANDBY), store(STANDBY, MASTER)
    written = 0
    while written < count:
        turn = written // BATCH_EVENT_COUNT_MAX
        writer = standby if turn % STANDBY_EVERY == STANDBY_EVERY - 1 else master
        size = min(BATCH_EVENT_COUNT_MAX, count - written)
        changes = [
            Put(
                f"users/{(written + n) % ENTRY_COUNT}",
                {"extension": str(written + n), "display_name": f"User {written + n}"},
            )
            for n in range(size)
        ]
        writer.append(changes, actor="benchmark", reason="")
        written += size
        for reader in (master, standby):
            reader.reload_copy()


def measured(*arguments: str) -> Cost:
    """`python -m admin ARGUMENTS`, which must end well."""
    start_s, rss = time.monotonic(), 0
    with subprocess.Popen(
        [sys.executable, "-m", "admin", *arguments],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        seen = psutil.Process(process.pid)
        while process.poll() is None:
            try:
                rss = max(rss, seen.memory_info().rss)
            except psutil.NoSuchProcess:
                break
            time.sleep(SAMPLE_S)
        assert process.stdout is not None
        out = process.stdout.read()
    if process.returncode:
        sys.exit(f"{arguments} ended with {process.returncode}")
    return Cost(time.monotonic() - start_s, rss / MB, out)


def main() -> int:
    parser = argparse.ArgumentParser(description="The cost of an export.")
    parser.add_argument("--events", type=int, default=1_000_000, help="how many")
    count = parser.parse_args().events
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        file, key = directory / "office.events", directory / "audit.key"
        measured("key", "new", str(key))
        with running_redis(directory) as url:
            write(url, count)
            straight = ("--redis", url, "--pair", PAIR, "--key", str(key))
            exported = measured("audit", "export", str(file), *straight)
        verified = measured("audit", "verify", str(file), "--public-key", f"{key}.pub")
        start_s = time.monotonic()
        with Bundle(file) as bundle:
            stored_bytes = sum(
                len(blob) for _, page in bundle.walk() for _, blob in page
            )
            start_s = time.monotonic()
            read_count = sum(
                1 for _ in read_history(bundle, (MASTER, STANDBY), Filter())
            )
        read_s = time.monotonic() - start_s
        size = file.stat().st_size
    print(f"machine  {machine()}")
    print(f"versions Python {platform.python_version()}, redis {version('redis')}")
    print(f"commit   {commit()}\n")
    print(
        f"{count} events, {stored_bytes / MB:.0f} MB as stored; file {size / MB:.0f} MB"
    )
    print(f"\n{'':8}     time        rate      RSS max")
    for what, cost in (("export", exported), ("verify", verified)):
        rate = count / cost.seconds
        print(f"{what:8} {cost.seconds:6.1f} s {rate:8.0f} /s {cost.rss_mb:8.0f} MB")
    print(f"{'history':8} {read_s:6.1f} s {read_count / read_s:8.0f} /s")
    kept = max(exported.rss_mb, verified.rss_mb) < RSS_LIMIT_MB and read_count == count
    limits = f"RSS below {RSS_LIMIT_MB:.0f} MB, every event read back"
    print(f"\nlimits ({limits}): {'kept' if kept else 'NOT KEPT'}")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
