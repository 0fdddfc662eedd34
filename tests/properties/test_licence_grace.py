"""Months of a standby in a moment, against an oracle that knows the true time (L2).

The standby runs, is killed, stopped and started, its machine rebooted and switched off; clocks are
set and leap, NTP comes and goes, its Redis loses the note; now and then the master is there.
"""

from __future__ import annotations

import json

from hypothesis import example, given, settings
from hypothesis import strategies as st

from node.licence_grace import (
    DAY_S,
    OFF_S_MAX,
    SAVE_S_MAX,
    Count,
    News,
    Reading,
    told,
)

GRACE_S = 28 * DAY_S
LOOK_S = 100.0
"""Real nodes look each second; between looks nothing is decided. Amid a long run: each hour."""
EARLY_S = SAVE_S_MAX + 2 * LOOK_S
"""Contact that a killed process had not noted yet."""
LATE_S = 2 * LOOK_S
NOON_S = 1_767_225_600.0


class Machine:
    """A standby's machine, and what is true."""

    def __init__(self) -> None:
        self.true_s = 0.0
        self.boot, self.booted_s = 1, -3600.0
        self.wall_ahead_s, self.synchronised = 0.0, False
        self.master_there = True
        self.reached_s = 0.0
        """When the master was reached, truly."""
        self.note: tuple[str, float] | None = None
        """With when it was made, truly."""
        self.opened: tuple[str, float] | None = None
        """What the event of the last start says."""
        self.excess_s = 0.0
        """So much may have been counted too much, since the last contact."""
        self.unproved_s = 0.0
        """So much may not have been counted."""
        self.lapsed = False
        self.news: list[tuple[News, float]] = []
        """What was told, and how long the master had been away, truly."""
        self.running = False
        self.start()

    @property
    def away_s(self) -> float:
        return self.true_s - self.reached_s

    def reading(self) -> Reading:
        up_s = self.true_s - self.booted_s
        wall_s = max(0.0, NOON_S + self.true_s + self.wall_ahead_s)
        return Reading(
            now_s=up_s,
            boot=str(self.boot),
            up_s=up_s,
            wall_ns=int(wall_s * 1e9),
            synchronised=self.synchronised,
        )

    # What the node does.

    def start(self) -> None:
        now = self.reading()
        stored = self.note or self.opened
        found = None if stored is None else Count.from_value(json.loads(stored[0]))
        if found is not None and self.note is None:
            # Whatever was reached since that start is not known any more.
            self.excess_s = float("inf")
        if found is not None and stored is not None:
            self._reckon(found, now, self.true_s - stored[1])
        self.count = (found or Count.begun(now)).at(now)
        self.opened = json.dumps(self.count.as_value()), self.true_s
        self.saved: Count | None = None
        self.contact_s: float | None = None
        self.running = True
        self.look()

    def _reckon(self, found: Count, now: Reading, gone_s: float) -> None:
        """What a clock that nobody vouches for can do, by the rule in words."""
        if found.reading.boot == now.boot or found.reading.synchronised:
            return
        told_s = (now.wall_ns - found.reading.wall_ns) / 1e9
        self.excess_s += max(0.0, min(told_s, OFF_S_MAX) - gone_s)
        self.unproved_s += max(0.0, gone_s - max(0.0, min(told_s, OFF_S_MAX)))

    def look(self) -> None:
        if self.master_there:
            self.reached_s, self.contact_s = self.true_s, self.reading().now_s
            self.excess_s = self.unproved_s = 0.0
        before = self.count
        self.count = self.count.at(self.reading(), self.contact_s)
        assert self.master_there or self.count.counted_s >= before.counted_s
        self.count, news = told(self.count, GRACE_S, lapsed=self.lapsed)
        if news is not None:
            self.lapsed = news is News.LAPSED
            self.news.append((news, self.away_s))
        if self.count.must_save(self.saved, GRACE_S):
            self.save()
        self.check()

    def save(self) -> None:
        self.note = json.dumps(self.count.as_value()), self.true_s
        self.saved = self.count

    def check(self) -> None:
        counted_s, away_s = self.count.counted_s, self.away_s
        assert counted_s <= away_s + EARLY_S + self.excess_s, "ends early"
        if self.count.unsettled is None:
            assert counted_s >= away_s - LATE_S - self.unproved_s, "ends late"
        if self.master_there:
            assert not self.count.is_over(GRACE_S)

    # What happens.

    def run(self, hours: int) -> None:
        fine = [LOOK_S] * 18
        for step_s in (*fine, *[3600.0] * (hours - 1), *fine):
            self.true_s += step_s
            self.look()

    def end(self, *, orderly: bool) -> None:
        if self.running and orderly:
            self.save()
        self.running = False

    def restart(self, off_s: float, *, orderly: bool) -> None:
        self.end(orderly=orderly)
        self.true_s += off_s
        self.start()

    def reboot(self, off_s: float, *, orderly: bool, ahead_s: float | None) -> None:
        self.end(orderly=orderly)
        self.true_s += off_s
        self.boot, self.booted_s = self.boot + 1, self.true_s
        if ahead_s is not None:
            self.wall_ahead_s = ahead_s
        # Right: NTP was heard before the node started.
        self.synchronised = ahead_s == 0.0
        self.true_s += 30.0
        self.start()

    def set_clock(self, by_s: float) -> None:
        """By hand: the kernel does not vouch for it any more."""
        self.wall_ahead_s += by_s
        self.synchronised = False

    def synchronise(self) -> None:
        self.wall_ahead_s, self.synchronised = 0.0, True
        self.look()


SHIFTS_S = st.sampled_from(
    [-400 * DAY_S, -DAY_S, -3600.0, 3600.0, DAY_S, 40 * DAY_S, 1e9]
)
OFFS_S = st.sampled_from([1.0, 60.0, 3600.0, 16 * 3600.0, 3 * DAY_S, 20 * DAY_S])
RUNS = st.tuples(st.just("run"), st.integers(1, 120))
RESTARTS = st.tuples(st.just("restart"), OFFS_S, st.booleans())
REBOOTS = st.tuples(
    st.just("reboot"), OFFS_S, st.booleans(), st.none() | SHIFTS_S | st.just(0.0)
)
STEPS = st.tuples(st.just("set clock"), SHIFTS_S)
NTP = st.tuples(st.just("ntp"))
MASTERS = st.tuples(st.just("master"), st.booleans())
LOSSES = st.tuples(st.just("note lost"))


def live(happenings: list[tuple[object, ...]]) -> Machine:
    """A machine after all that, its invariants checked at every look."""
    machine = Machine()
    for happening in happenings:
        match happening:
            case ("run", int(hours)):
                machine.run(hours)
            case ("restart", float(off_s), bool(orderly)):
                machine.restart(off_s, orderly=orderly)
            case ("reboot", float(off_s), bool(orderly), ahead_s):
                assert ahead_s is None or isinstance(ahead_s, float)
                machine.reboot(off_s, orderly=orderly, ahead_s=ahead_s)
            case ("set clock", float(by_s)):
                machine.set_clock(by_s)
            case ("ntp",):
                machine.synchronise()
            case ("master", bool(there)):
                machine.master_there = there
            case ("note lost",):
                machine.note = machine.saved = None
            case _:
                raise AssertionError(happening)
    return machine


@settings(max_examples=150)
@given(
    st.lists(RUNS | RESTARTS | REBOOTS | STEPS | NTP | MASTERS | LOSSES, max_size=25)
)
def test_it_never_ends_early_nor_late_whatever_the_clocks_say(
    happenings: list[tuple[object, ...]],
) -> None:
    live(happenings)


@settings(max_examples=150)
@given(st.lists(RUNS | RESTARTS | STEPS, max_size=25))
def test_within_one_boot_the_count_is_the_truth(
    happenings: list[tuple[object, ...]],
) -> None:
    machine = live([("run", 1), ("master", False), *happenings])
    assert abs(machine.count.counted_s - machine.away_s) <= EARLY_S
    assert machine.count.is_over(GRACE_S) is (machine.count.counted_s > GRACE_S)
    if machine.away_s > GRACE_S + LATE_S:
        assert [news for news, _ in machine.news][-1] is News.LAPSED


@settings(max_examples=150)
@given(st.lists(RUNS | RESTARTS | REBOOTS | STEPS, max_size=20))
def test_where_ntp_is_heard_the_count_is_the_truth_over_reboots_too(
    happenings: list[tuple[object, ...]],
) -> None:
    """However wrong the clock is at each boot, NTP sets it right an hour after."""
    heard: list[tuple[object, ...]] = [("ntp",), ("run", 1), ("master", False)]
    for happening in happenings:
        heard.append(happening)
        if happening[0] in ("reboot", "set clock"):
            heard += [("run", 1), ("ntp",)]
    machine = live(heard)
    assert machine.count.counted_s <= machine.away_s + EARLY_S
    assert machine.count.counted_s >= machine.away_s - LATE_S


@settings(max_examples=150)
@given(st.lists(RUNS | RESTARTS | REBOOTS | STEPS, max_size=25))
@example([("run", 100), *[("reboot", 60.0, True, -400 * DAY_S)] * 20])
@example([("run", 100), *[("restart", 60.0, False), ("set clock", -DAY_S)] * 20])
def test_restarts_with_the_clock_set_back_give_no_time_back(
    happenings: list[tuple[object, ...]],
) -> None:
    machine = live([("run", 1), ("master", False), ("run", 100)])
    counted_s = machine.count.counted_s
    machine_after = live(
        [("run", 1), ("master", False), ("run", 100), *happenings, ("run", 1)]
    )
    assert machine_after.count.counted_s >= counted_s + 3600.0


@settings(max_examples=30)
@given(st.lists(SHIFTS_S, min_size=1, max_size=20))
def test_a_clock_that_is_set_while_it_runs_changes_nothing(
    shifts_s: list[float],
) -> None:
    def counted(happenings: list[tuple[object, ...]]) -> tuple[float, list[News]]:
        machine = live([("master", False), *happenings])
        return machine.count.counted_s, [news for news, _ in machine.news]

    runs: list[tuple[object, ...]] = [("run", 40)] * len(shifts_s)
    steps = [("set clock", shift_s) for shift_s in shifts_s]
    between = [part for both in zip(runs, steps, strict=True) for part in both]
    assert counted(between) == counted(runs)


def test_each_warning_comes_once_over_restarts_reboots_and_steps() -> None:
    machine = live([("ntp",), ("run", 1), ("master", False)])
    while machine.away_s < 30 * DAY_S:
        machine.run(7)
        machine.restart(60.0, orderly=False)
        machine.run(7)
        machine.reboot(3600.0, orderly=False, ahead_s=1e9)
        machine.run(1)
        machine.synchronise()
    kinds = [news for news, _ in machine.news]
    assert kinds == [News.WARNING] * 4 + [News.LAPSED]
    days_left = [28 - away_s / DAY_S for _, away_s in machine.news]
    for found, wanted in zip(days_left, (14, 7, 3, 1, 0), strict=True):
        assert wanted - 0.1 <= found <= wanted, days_left


def test_the_note_being_lost_gives_no_time_back() -> None:
    machine = live([("run", 1), ("master", False), ("run", 13 * 24)])
    for _ in range(3):
        machine.note = None
        machine.restart(60.0, orderly=False)
        machine.run(5 * 24)
    assert machine.count.is_over(GRACE_S)
    machine.master_there = True
    machine.run(1)
    assert machine.news[-1][0] is News.RESTORED
