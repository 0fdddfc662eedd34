"""Everything that a memory holds, to be compared with another one."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from eventstore import Origin, Streams
from eventstore.configuration import Configuration
from eventstore.memory import Memory, Tail
from eventstore.mending import read_pages
from tests.support.histories import MASTER, ORIGINS


def everything_in(value: object) -> object:
    """All attributes, whatever they are called: a new one that a snapshot forgets shows."""
    if isinstance(value, Configuration):
        assert value.digest  # What waits for the first look at it is no difference.
    if isinstance(value, Memory | Configuration | Tail):
        return everything_in(vars(value))
    if isinstance(value, Mapping):
        return {key: everything_in(inner) for key, inner in value.items()}
    return list(value) if isinstance(value, deque) else value


def folded(streams: Streams, until: Mapping[Origin, int] | None = None) -> Memory:
    """What both streams fold to; of each only the first events, where it is in `until`."""
    memory = Memory(streams.pair, ORIGINS, prevailing=MASTER)
    for origin in ORIGINS:
        for page in read_pages(streams, origin):
            kept = [s for s in page if until is None or s[0].n <= until[origin]]
            if kept:
                memory.fold(origin, kept, memory.chained(origin, kept))
    return memory
