"""300 seeds: whatever fails, nothing is lost and the pair comes to rest."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import pytest

from tests.simulation.campaign import Summary, account, results
from tests.simulation.seeds import run_seed

SEED_COUNT = 300
FAULT_COUNT = 26
LIMIT_S = 120.0


@pytest.fixture(scope="module")
def summary() -> Summary:
    found = Summary()
    for result in results(range(SEED_COUNT), os.cpu_count() or 1):
        found.add(result)
    return found


def test_a_pair_of_which_everything_fails_loses_nothing_and_comes_to_rest(
    summary: Summary,
) -> None:
    assert summary.seed_count == SEED_COUNT
    told = [line for r in summary.failed[:2] for line in account(r, whole=False)]
    assert not summary.failed, "\n".join(told)


def test_what_can_happen_does_happen(summary: Summary) -> None:
    """Otherwise the rule above is shown of nothing."""
    often = {
        "both active": 30,
        "conflicts": 100,
        "switch done": 200,
        "switch rolled-back": 10,
        "switch switch-failed": 1,
        "write acknowledged": 5000,
        "write unknown": 20,
        "recoveries": 100,
        "events taken by recovery": 500,
        "events anew by recovery": 100,
        "events lost by Redis": 1000,
        "events lost for good": 10,
        "starts with a snapshot": 200,
    }
    often |= {f"standby became active by {rule}": 5 for rule in ("S6", "S11", "S12")}
    seldom = {name for name, least in often.items() if summary.counts[name] < least}
    assert not seldom
    faults = {n: c for n, c in summary.counts.items() if n.startswith("fault: ")}
    assert len(faults) == FAULT_COUNT
    assert min(faults.values()) >= 30


def test_the_same_seed_gives_the_same_trace_in_any_process() -> None:
    program = (
        "import hashlib; from tests.simulation.seeds import run_seed; "
        "print(hashlib.sha256(repr(run_seed(7).trace).encode()).hexdigest())"
    )
    wanted = hashlib.sha256(repr(run_seed(7).trace).encode()).hexdigest()
    for hash_seed in ("1", "2"):
        found = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=True,
        )
        assert found.stdout.strip() == wanted
