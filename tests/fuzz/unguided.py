"""One target under hypothesis, blind to coverage: where atheris does not install.

python -m tests.fuzz.unguided TARGET CORPUS SECONDS FOUND
"""

from __future__ import annotations

import resource
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from types import FrameType

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import INPUT_LIMIT_S, TARGETS, Target

BATCH_COUNT = 500


def inputs(seeds: list[bytes], bytes_max: int) -> st.SearchStrategy[bytes]:
    """Any bytes, and seeds with a few pieces cut out, doubled or replaced."""
    edits = st.lists(
        st.tuples(st.integers(0, 2**20), st.integers(0, 64), st.binary(max_size=16)),
        max_size=4,
    )

    def edited(seed: bytes, changes: list[tuple[int, int, bytes]]) -> bytes:
        for place, cut, new in changes:
            at = place % (len(seed) + 1)
            seed = seed[:at] + new + seed[at + cut :]
        return seed[:bytes_max]

    changed = st.builds(edited, st.sampled_from(seeds), edits)
    return st.binary(max_size=300) | changed


def search(
    target: Target, seeds: list[bytes], seconds: float
) -> tuple[int, bytes | None]:
    """How many inputs were tried, and the smallest that is a finding."""
    ends_s, count, last = monotonic() + seconds, 0, b""
    profile = settings(
        max_examples=BATCH_COUNT,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )

    @profile
    @given(inputs(seeds, target.bytes_max))
    def check(data: bytes) -> None:
        nonlocal count, last
        count, last = count + 1, data
        with _limited():
            target.check(data)

    while monotonic() < ends_s:
        try:
            check()
        except Exception:  # noqa: BLE001 whatever it is, it is a finding
            # Hypothesis has made it as small as it can, and ran that one last.
            traceback.print_exc()
            return count, last
    return count, None


@contextmanager
def _limited() -> Iterator[None]:
    before = signal.signal(signal.SIGALRM, _out_of_time)
    signal.alarm(INPUT_LIMIT_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _out_of_time(_number: int, _frame: FrameType | None) -> None:
    raise TimeoutError(f"one input took over {INPUT_LIMIT_S} s")


def main() -> int:
    name, corpus, seconds, found = sys.argv[1:]
    resource.setrlimit(resource.RLIMIT_AS, (4 * 2**30, 4 * 2**30))
    seeds = [path.read_bytes() for path in sorted(Path(corpus).iterdir())]
    count, finding = search(TARGETS[name], seeds, float(seconds))
    print(f"{count} inputs")
    if finding is None:
        return 0
    (Path(found) / "finding").write_bytes(finding)
    return 1


if __name__ == "__main__":
    sys.exit(main())
