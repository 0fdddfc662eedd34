"""Health checks: what is well, what is not, and what a stuck one does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from node.health import CHECK_COUNT_MAX, Health
from tests.support.waiting import wait_until

LIMIT_S = 20.0


class Clock:
    """A clock that stands where it is put."""

    def __init__(self) -> None:
        self.at_s = 100.0

    def now_s(self) -> float:
        return self.at_s

    def wall_ns(self) -> int:
        return 0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> Iterator[Health]:
    found = Health(clock, interval_s=0.01, stale_after_s=3.0)
    yield found
    found.stop()


def failing() -> None:
    raise OSError("disk is full")


def failing_silently() -> None:
    raise OSError


@pytest.mark.parametrize("answer", [None, True])
def test_none_and_true_are_well(health: Health, answer: object) -> None:
    called = threading.Event()

    def check() -> object:
        called.set()
        return answer

    health.add("sip", check)
    health.start()
    assert called.wait(LIMIT_S)
    assert health.problems() == {}
    assert health.summary() == {"sip": "ok"}


@pytest.mark.parametrize(
    ("check", "problem"),
    [
        (lambda: False, "failed"),
        (lambda: 0, "failed"),
        (lambda: "no answer", "no answer"),
        (failing, "disk is full"),
        (failing_silently, "OSError"),
        (lambda: "x" * 999, "x" * 200),
        (lambda: "é" * 999, "é" * 100),
    ],
)
def test_everything_else_is_not_and_says_why(
    health: Health, check: Callable[[], object], problem: str
) -> None:
    health.add("sip", check)
    health.start()
    wait_until(lambda: health.problems() == {"sip": problem}, LIMIT_S, problem)
    assert health.summary() == {"sip": problem}


def test_a_check_is_made_again_and_again(health: Health) -> None:
    calls = threading.Semaphore(0)
    health.add("sip", calls.release)
    health.start()
    for _ in range(3):
        assert calls.acquire(timeout=LIMIT_S)


def test_a_stuck_check_is_a_problem_and_delays_no_other(
    health: Health, clock: Clock
) -> None:
    begun, release, others = (
        threading.Event(),
        threading.Event(),
        threading.Semaphore(0),
    )

    def stuck() -> None:
        begun.set()
        release.wait(LIMIT_S)

    health.add("stuck", stuck)
    health.add("well", others.release)
    health.start()
    assert begun.wait(LIMIT_S)
    assert health.problems() == {}
    clock.at_s += 3.5
    assert health.problems()["stuck"] == "no answer for 4 s"
    while others.acquire(blocking=False):
        pass
    assert others.acquire(timeout=LIMIT_S)
    release.set()
    wait_until(lambda: "stuck" not in health.problems(), LIMIT_S, "it to be well again")


def test_before_the_start_nothing_is_known(health: Health) -> None:
    health.add("sip", lambda: None)
    assert health.problems() == {"sip": "not checked yet"}


def test_a_check_added_while_running_is_made(health: Health) -> None:
    health.start()
    health.add("sip", lambda: "no answer")
    wait_until(lambda: "sip" in health.problems(), LIMIT_S, "the new check")


def test_names_are_unique_limited_and_bounded_in_number(health: Health) -> None:
    health.add("sip", lambda: None)
    with pytest.raises(ValueError, match="'sip'"):
        health.add("sip", lambda: None)
    for name in ("", "x" * 65):
        with pytest.raises(ValueError, match="64"):
            health.add(name, lambda: None)
    for number in range(CHECK_COUNT_MAX - 1):
        health.add(str(number), lambda: None)
    with pytest.raises(ValueError, match=str(CHECK_COUNT_MAX)):
        health.add("one too many", lambda: None)
