"""Many seeds, on several processor cores, and what came of them as a whole."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from collections.abc import Iterable, Iterator

import attrs

from node.roles import Role
from node.takeover_gate import TAKEOVER_RULES
from tests.simulation.seeds import Result, run_seed
from tests.support.commands import leave_interrupts_to_parent

TRACE_TAIL_COUNT = 40
_CHUNK_SEED_COUNT = 10


def results(seeds: Iterable[int], jobs: int) -> Iterator[Result]:
    """Run `seeds` in `jobs` processes; the results come in any order."""
    if jobs == 1:
        yield from map(run_briefly, seeds)
        return
    # Not forked: a process of pytest or of a debugger has threads.
    spawning = multiprocessing.get_context("spawn")
    with spawning.Pool(jobs, leave_interrupts_to_parent) as pool:
        yield from pool.imap_unordered(run_briefly, seeds, _CHUNK_SEED_COUNT)


def run_briefly(seed: int) -> Result:
    """`run_seed`; without a trace when nothing was found."""
    result = run_seed(seed)
    return result if result.problems else attrs.evolve(result, trace=())


@attrs.define
class Summary:
    """What came of many seeds."""

    seed_count: int = 0
    simulated_s: float = 0.0
    counts: Counter[str] = attrs.field(factory=Counter)
    """What happened, by name."""
    failed: list[Result] = attrs.field(factory=list)

    def add(self, result: Result) -> None:
        self.seed_count += 1
        self.simulated_s += result.simulated_s
        self.counts.update(result.counts)
        if result.problems:
            self.failed.append(result)

    @property
    def takeover_count(self) -> int:
        """How often a node became active by itself."""
        rules = (*TAKEOVER_RULES, "S11")
        found = (f"{role} became active by {rule}" for role in Role for rule in rules)
        return sum(self.counts[name] for name in found)


def account(result: Result, *, whole: bool) -> Iterator[str]:
    """What was found with a seed, line by line, and what led to it."""
    lines = result.trace if whole else result.trace[-TRACE_TAIL_COUNT:]
    hidden = len(result.trace) - len(lines)
    if hidden:
        yield f"  … {hidden} lines; all: python -m tests.simulation --seed {result.seed}"
    yield from (f"{at_s:10.3f} {text}" for at_s, text in lines)
    yield from (f"PROBLEM {text}" for text in result.problems)
