"""Sets the wall clock of a running process forward and back, and of no other.

Only what reads the time is shifted. A wait *until* a wall-clock time is not, so a Python
whose locks wait by the wall clock (built without `sem_clockwait`) would see false waits.
"""

from __future__ import annotations

import mmap
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("clock_step.c")
COMPILE_LIMIT_S = 60.0


def require_clock_step() -> None:
    """Skip the test where the shim cannot be built; in CI on Linux it fails."""
    if sys.platform != "linux":
        pytest.skip("stepping the clock of a process needs Linux")
    if shutil.which("cc") is None:
        problem = "no C compiler: install one that is called cc"
        if os.environ.get("CI"):
            pytest.fail(problem)
        pytest.skip(problem)


class ClockStep:
    """The wall clock of every process that was started with `environment`."""

    def __init__(self, directory: Path) -> None:
        """Compile the shim into `directory`."""
        library = directory / "clock_step.so"
        file = directory / "clock_step.shift"
        subprocess.run(
            ["cc", "-O2", "-shared", "-fPIC", "-o", str(library), str(SOURCE)],
            check=True,
            timeout=COMPILE_LIMIT_S,
        )
        file.write_bytes(bytes(8))
        with file.open("r+b") as opened:
            self._map = mmap.mmap(opened.fileno(), 8)
        self.environment = {
            "LD_PRELOAD": str(library),
            "NETPHONE_CLOCK_STEP_FILE": str(file),
        }

    def __enter__(self) -> ClockStep:
        return self

    def __exit__(self, *details: object) -> None:
        self._map.close()

    def set(self, shift_s: float) -> None:
        """Make the wall clock wrong by `shift_s` seconds from now on; 0: right again."""
        # One store of eight bytes: a reader never sees half a shift.
        with memoryview(self._map) as view, view.cast("q") as words:
            words[0] = round(shift_s * 1_000_000_000)
