"""The only reader of time.

Decisions use `now_s` alone: it never jumps, and it counts the time in which the machine
was suspended (rule S13). The wall clock is for people and for the ids of events.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Protocol

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_TIMEX_BYTES = 512
"""More than `struct timex` has anywhere."""
_TIME_ERROR = 5
"""adjtimex(2): the clock is not synchronised."""


class Clock(Protocol):
    """Where a node gets the time from."""

    def now_s(self) -> float:
        """Seconds since some start; never goes back, and goes on while suspended."""
        ...

    def wall_ns(self) -> int:
        """Wall clock, in nanoseconds since 1970; may jump either way."""
        ...


class SystemClock:
    """The clocks of this machine."""

    def __init__(self) -> None:
        # Linux; elsewhere the monotonic clock, which may stand still while suspended.
        self._clock_id = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

    def now_s(self) -> float:
        return time.clock_gettime(self._clock_id)

    def wall_ns(self) -> int:
        return time.time_ns()


def iso_utc(wall_ns: int) -> str:
    """`wall_ns` as ISO 8601 in UTC, with microseconds."""
    moment = datetime.fromtimestamp(wall_ns // 1_000_000_000, UTC)
    micros = wall_ns // 1000 % 1_000_000
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{micros:06d}Z"


def boot_id() -> str | None:
    """Names this boot of the machine; None where that cannot be told (not Linux)."""
    try:
        return _BOOT_ID.read_text("ascii").strip()[:64] or None
    except (OSError, ValueError):
        return None


def is_synchronised() -> bool:
    """Whether the kernel vouches for the wall clock, as NTP lets it; False: not known.

    Setting the clock by hand takes it back, until NTP has set it right.
    """
    adjtimex = _adjtimex()
    if adjtimex is None:
        return False
    # All zero: it only reads, which anybody may.
    state: int = adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    return 0 <= state < _TIME_ERROR


@cache
def _adjtimex() -> Callable[[object], int] | None:
    return getattr(ctypes.CDLL(None), "adjtimex", None)
