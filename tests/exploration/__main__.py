"""`python -m tests.exploration`: explore all scenarios, and say what was found."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from functools import partial
from multiprocessing import Pool

from tests.exploration.invariants import Invariant
from tests.exploration.measured import Measured, measure
from tests.exploration.scenarios import LARGE, SMALL
from tests.support.commands import at_least_one, exit_code, leave_interrupts_to_parent


def main() -> int:
    """Returns 1 when an invariant was violated, 2 when not every state was seen."""
    scenarios = (*SMALL, *LARGE)
    names = [scenario.name for scenario in scenarios]
    parser = argparse.ArgumentParser(prog="python -m tests.exploration")
    parser.add_argument("--only", action="append", choices=names, metavar="SCENARIO")
    parser.add_argument("--small", action="store_true", help="what the tests explore")
    parser.add_argument("--states", type=at_least_one, default=2_000_000, metavar="N",
                        help="give a scenario up there (default %(default)s)")  # fmt: skip
    parser.add_argument("--processes", type=at_least_one, default=2, metavar="N",
                        help="at once (default %(default)s)")  # fmt: skip
    options = parser.parse_args()
    asked = SMALL if options.small else scenarios
    chosen = [one for one in asked if one.name in (options.only or names)]
    if not chosen:
        parser.error("none of --only is among the scenarios of --small")
    began_s = time.perf_counter()
    print(f"{'scenario':22} {'states':>10} {'transitions':>12} {'depth':>6} {'s':>6}")
    found = []
    explore = partial(measure, state_count_max=options.states)
    with Pool(options.processes, leave_interrupts_to_parent) as pool:
        for explored in pool.imap(explore, chosen):
            found.append(explored)
            _print_line(explored)
    _print_sum(found, time.perf_counter() - began_s)
    if any(one.result.violation is not None for one in found):
        return 1
    return 0 if all(one.result.complete for one in found) else 2


def _print_line(explored: Measured) -> None:
    result = explored.result
    rest = "" if result.complete or result.violation else "  not all"
    print(
        f"{explored.scenario.name:22} {result.state_count:10} "
        f"{result.transition_count:12} {result.depth:6} {explored.took_s:6.1f}{rest}",
        flush=True,
    )
    if result.violation is not None:
        print(result.violation, flush=True)


def _print_sum(found: list[Measured], took_s: float) -> None:
    states = sum(one.result.state_count for one in found)
    transitions = sum(one.result.transition_count for one in found)
    depth = max(one.result.depth for one in found)
    print(f"{'all':22} {states:10} {transitions:12} {depth:6} {took_s:6.1f}")
    memory_mib = max(one.memory_mib for one in found)
    print(
        f"{states / took_s:.0f} states a second, {memory_mib} MiB a process at most\n"
    )
    checks: Counter[Invariant] = Counter()
    for one in found:
        checks.update(one.result.check_counts)
    print(f"{'checks':>10} invariant")
    for invariant in Invariant:
        print(f"{checks[invariant]:10} {invariant.value}")


if __name__ == "__main__":
    sys.exit(exit_code(main))
