"""A walk, and what it took."""

from __future__ import annotations

import resource
import time

import attrs

from tests.exploration.scenarios import Scenario
from tests.exploration.walk import Result, explore


@attrs.frozen
class Measured:
    scenario: Scenario
    result: Result
    took_s: float
    memory_mib: int
    """The most that its process has ever used."""


def measure(scenario: Scenario, state_count_max: int) -> Measured:
    began_s = time.perf_counter()
    result = explore(scenario, state_count_max=state_count_max)
    took_s = time.perf_counter() - began_s
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return Measured(scenario, result, took_s, used)
