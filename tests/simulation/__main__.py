"""Simulates many pairs, or one again: `python -m tests.simulation --help`."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence

from tests.simulation.campaign import Summary, account, results
from tests.simulation.seeds import run_seed
from tests.support.commands import at_least_one, exit_code, whole_number

FAILED_COUNT_MAX = 5
"""Enough to look at; the rest would only scroll them away."""
PROGRESS_EACH_S = 5.0


def main(arguments: Sequence[str] | None = None) -> int:
    """0: all seeds are well. 1: not all; their traces were printed."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    add = parser.add_argument
    add("--seeds", type=at_least_one, default=300, help="how many (300)")
    add("--first", type=whole_number, default=0, help="the first of them (0)")
    add("--jobs", type=at_least_one, default=os.cpu_count() or 1,
        help="processes at once")  # fmt: skip
    add("--seed", type=whole_number, help="one again, with its whole trace")
    chosen = parser.parse_args(arguments)
    if chosen.seed is not None:
        return _replay(chosen.seed)
    return _run(range(chosen.first, chosen.first + chosen.seeds), chosen.jobs)


def _replay(seed: int) -> int:
    result = run_seed(seed)
    print("\n".join(account(result, whole=True)))
    print(f"seed {seed}: {'failed' if result.problems else 'well'}")
    return int(bool(result.problems))


def _run(seeds: range, jobs: int) -> int:
    summary, began_s = Summary(), time.monotonic()
    told_s = began_s
    for result in results(seeds, jobs):
        summary.add(result)
        if result.problems:
            print(f"seed {result.seed} failed")
            print("\n".join(account(result, whole=False)), flush=True)
        if len(summary.failed) >= FAILED_COUNT_MAX:
            print(f"{FAILED_COUNT_MAX} seeds failed; the others are left out")
            break
        if time.monotonic() - told_s >= PROGRESS_EACH_S:
            told_s = time.monotonic()
            text = (
                f"{summary.seed_count} of {len(seeds)} seeds, {told_s - began_s:.0f} s"
            )
            print(text, file=sys.stderr)
    _print_summary(summary, time.monotonic() - began_s)
    return int(bool(summary.failed))


def _print_summary(summary: Summary, took_s: float) -> None:
    for name, count in sorted(summary.counts.items()):
        print(f"{count:10} {name}")
    print(
        f"{summary.seed_count} seeds, {summary.counts['events']} events, "
        f"{summary.simulated_s:.0f} simulated seconds, "
        f"{summary.takeover_count} takeovers, in {took_s:.0f} s "
        f"({summary.simulated_s / took_s:.0f} times real time); "
        f"failed: {sorted(result.seed for result in summary.failed) or 'none'}"
    )


if __name__ == "__main__":
    sys.exit(exit_code(main))
