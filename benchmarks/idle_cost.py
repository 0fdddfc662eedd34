"""What does an idle node cost? CPU share of one core, and memory.

    python benchmarks/idle_cost.py [--seconds 60]

Runs a whole pair with `python -m node pair` in a directory of its own, leaves it alone, and
looks at the two node processes once a second. Nobody asks the nodes anything meanwhile; the
pair itself looks at them ten times a second over HTTP, so that is switched off by a SIGSTOP
of the process that started them.
"""

from __future__ import annotations

import argparse
import math
import platform
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import attrs
import psutil
from this_machine import REPOSITORY, commit, machine

CPU_LIMIT_PERCENT = 2.0
RSS_LIMIT_MB = 90.0
START_LIMIT_S = 60.0
WARM_UP_S = 5.0
SAMPLE_S = 1.0
MB = 1024 * 1024


@attrs.define
class Measured:
    """One node process, and what was seen of it."""

    name: str
    process: psutil.Process
    cpu_percent: list[float] = attrs.Factory(list)
    """Of one core, per sample."""
    rss_mb: list[float] = attrs.Factory(list)
    thread_count: int = 0

    @property
    def mean_cpu_percent(self) -> float:
        return sum(self.cpu_percent) / len(self.cpu_percent)

    @property
    def is_within_limits(self) -> bool:
        return (
            self.mean_cpu_percent < CPU_LIMIT_PERCENT
            and max(self.rss_mb) < RSS_LIMIT_MB
        )


def percentile(values: Sequence[float], share: float) -> float:
    return sorted(values)[math.ceil(share * len(values)) - 1]


@contextmanager
def running_pair(directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`python -m node pair`, with both nodes settled."""
    output = directory / "output"
    base = random.SystemRandom().randrange(10_000, 31_000, 100)
    arguments = ["--directory", str(directory / "pair"), "--base-port", str(base)]
    with (
        output.open("wb") as file,
        subprocess.Popen(
            [sys.executable, "-m", "node", "pair", *arguments],
            cwd=REPOSITORY,
            stdout=file,
            stderr=subprocess.STDOUT,
        ) as pair,
    ):
        try:
            give_up_s = time.monotonic() + START_LIMIT_S
            while "Ctrl-C stops" not in output.read_text():
                if pair.poll() is not None or time.monotonic() > give_up_s:
                    sys.exit(f"the pair did not start:\n{output.read_text()}")
                time.sleep(0.1)
            yield pair
        finally:
            pair.send_signal(signal.SIGCONT)
            pair.terminate()
            pair.wait()


def nodes_of(pair: subprocess.Popen[bytes]) -> list[Measured]:
    found = []
    for child in psutil.Process(pair.pid).children(recursive=True):
        words = child.cmdline()
        if words[-3:-1] == ["run", "--config"]:
            found.append(Measured(Path(words[-1]).stem, child))
    return sorted(found, key=lambda node: node.name)


def measure(nodes: Sequence[Measured], seconds: float) -> None:
    """Look at `nodes` once a second."""

    def cpu_s(node: Measured) -> float:
        times = node.process.cpu_times()
        return times.user + times.system

    at_s, used_s = time.monotonic(), [cpu_s(node) for node in nodes]
    end_s = at_s + seconds
    while at_s < end_s:
        time.sleep(SAMPLE_S)
        before_s, at_s = at_s, time.monotonic()
        for number, node in enumerate(nodes):
            now_s = cpu_s(node)
            share = (now_s - used_s[number]) / (at_s - before_s)
            used_s[number] = now_s
            node.cpu_percent.append(100 * share)
            node.rss_mb.append(node.process.memory_info().rss / MB)
            node.thread_count = node.process.num_threads()


def main() -> int:
    parser = argparse.ArgumentParser(description="The cost of an idle node.")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to look")
    seconds = parser.parse_args().seconds
    with (
        tempfile.TemporaryDirectory() as directory,
        running_pair(Path(directory)) as pair,
    ):
        nodes = nodes_of(pair)
        assert len(nodes) == 2, nodes
        time.sleep(WARM_UP_S)
        pair.send_signal(signal.SIGSTOP)
        measure(nodes, seconds)
    libraries = ("redis", "apscheduler", "uvicorn", "fastapi")
    versions = ", ".join(f"{name} {version(name)}" for name in libraries)
    print(f"machine  {machine()}")
    print(f"versions Python {platform.python_version()}, {versions}")
    print(f"commit   {commit()}")
    print(f"{len(nodes[0].cpu_percent)} samples of {SAMPLE_S:.0f} s, no load\n")
    print("node     CPU mean   p50    p99    max   RSS max   threads")
    for node in nodes:
        p50, p99 = (percentile(node.cpu_percent, share) for share in (0.5, 0.99))
        print(
            f"{node.name:<8} {node.mean_cpu_percent:6.2f} % {p50:4.1f} % {p99:4.1f} % "
            f"{max(node.cpu_percent):4.1f} % {max(node.rss_mb):6.1f} MB {node.thread_count:5}"
        )
    kept = all(node.is_within_limits for node in nodes)
    limits = (
        f"CPU below {CPU_LIMIT_PERCENT} % of a core, RSS below {RSS_LIMIT_MB:.0f} MB"
    )
    print(f"\nlimits ({limits}): {'kept' if kept else 'NOT KEPT'}")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
