"""Ports for servers of tests, each given out once in a run, whichever worker asks.

They lie below the range from which the kernel picks ports for outgoing connections, so a
port found free is still free when its server starts. Runs at the same time begin at
different places.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from typing import TypeVar

from node.pair.ports import PairPorts, is_free

_SINGLE = range(10_000, 20_000)
_PAIRS = range(20_000, 31_900, 100)

T = TypeVar("T")


def _share(candidates: Sequence[T], first: int) -> Iterator[T]:
    """All `candidates` round and round, but none that another worker of this run gets."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    worker_count = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    mine = candidates[worker::worker_count]
    return itertools.islice(itertools.cycle(mine), first % len(mine), None)


_singles = _share(_SINGLE, os.getpid() * 331)
_bases = _share(_PAIRS, os.getpid())


def free_port() -> int:
    """A port of 127.0.0.1 that no server uses, and no earlier call returned."""
    return next(port for port in itertools.islice(_singles, 10_000) if is_free(port))


def free_pair_ports() -> PairPorts:
    """The ports of a pair, likewise."""
    candidates = (PairPorts(base) for base in itertools.islice(_bases, 100))
    return next(ports for ports in candidates if ports.first_in_use() is None)
