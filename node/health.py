"""Health checks, each in a thread of its own, so that a stuck one delays nobody."""

from __future__ import annotations

import threading
from collections.abc import Callable

import attrs

from node.clock import Clock

TEXT_BYTES_MAX = 200
NAME_BYTES_MAX = 64
CHECK_COUNT_MAX = 32


@attrs.define
class _Check:
    """One check and its last answer."""

    function: Callable[[], object]
    asked_s: float | None = None
    """When the running call began; None: none runs."""
    problem: str | None = "not checked yet"


class Health:
    """Calls every check once per interval and remembers the answers. Thread-safe.

    A check is well when it returns None or True. It is not when it returns False or a text,
    raises, or does not return within `stale_after_s`.
    """

    def __init__(
        self, clock: Clock, *, interval_s: float, stale_after_s: float
    ) -> None:
        self._clock = clock
        self._interval_s = interval_s
        self._stale_after_s = stale_after_s
        self._checks: dict[str, _Check] = {}
        self._stopping = threading.Event()
        self._started = False

    def add(self, name: str, function: Callable[[], object]) -> None:
        """Register a check.

        Raises:
            ValueError: the name is taken or over its limit, or there are too many.
        """
        if name in self._checks:
            raise ValueError(f"there is a health check {name!r} already")
        if len(self._checks) >= CHECK_COUNT_MAX:
            raise ValueError(f"there are {CHECK_COUNT_MAX} health checks, the limit")
        if not 0 < len(name.encode()) <= NAME_BYTES_MAX:
            raise ValueError(
                f"the name {name[:20]!r}… of a health check has {len(name.encode())} bytes; "
                f"the limits are 1 and {NAME_BYTES_MAX}"
            )
        check = self._checks[name] = _Check(function)
        if self._started:
            self._start(name, check)

    def start(self) -> None:
        self._started = True
        for name, check in self._checks.items():
            self._start(name, check)

    def stop(self) -> None:
        self._stopping.set()

    def problems(self) -> dict[str, str]:
        """Failing checks and what is wrong; empty: all is well."""
        now_s = self._clock.now_s()
        found = {}
        for name, check in list(self._checks.items()):
            asked_s = check.asked_s
            if asked_s is not None and now_s - asked_s > self._stale_after_s:
                found[name] = f"no answer for {now_s - asked_s:.0f} s"
            elif check.problem is not None:
                found[name] = check.problem
        return found

    def summary(self) -> dict[str, str]:
        """Every check with `ok` or what is wrong."""
        return dict.fromkeys(self._checks, "ok") | self.problems()

    def _start(self, name: str, check: _Check) -> None:
        # The first answer counts as well until it is there, for one stale period.
        check.problem = None
        threading.Thread(
            target=self._run, args=(check,), name=f"health {name}", daemon=True
        ).start()

    def _run(self, check: _Check) -> None:
        while not self._stopping.is_set():
            check.asked_s = self._clock.now_s()
            check.problem = _problem_of(check.function)
            check.asked_s = None
            self._stopping.wait(self._interval_s)


def _problem_of(function: Callable[[], object]) -> str | None:
    try:
        answer = function()
    except Exception as error:  # noqa: BLE001 whatever it raises, it is not well
        return _cut(str(error) or type(error).__name__)
    if answer is None or answer is True:
        return None
    return _cut(answer if isinstance(answer, str) else "failed")


def _cut(text: str) -> str:
    # Every heartbeat carries it.
    return text.encode(errors="replace")[:TEXT_BYTES_MAX].decode(errors="ignore")
