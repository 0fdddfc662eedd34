"""How long the master was not reached, by clocks that may say anything (L2)."""

from __future__ import annotations

import json

import attrs
import pytest

from node.licence_grace import DAY_S, OFF_S_MAX, Count, News, Reading, told

GRACE_S = 28 * DAY_S
NOON_NS = 1_767_225_600_000_000_000
HERE = Reading(
    now_s=1000.0, boot="one", up_s=1000.0, wall_ns=NOON_NS, synchronised=False
)
VOUCHED = attrs.evolve(HERE, synchronised=True)
BEGUN = Count.begun(HERE)


def later(
    seconds: float, *, wall_s: float | None = None, since: Reading = HERE
) -> Reading:
    """In the same boot; `wall_s` is what the wall clock says has passed."""
    gone_s = seconds if wall_s is None else wall_s
    return attrs.evolve(
        since,
        now_s=since.now_s + seconds,
        up_s=since.up_s + seconds,
        wall_ns=since.wall_ns + int(gone_s * 1e9),
    )


def rebooted(
    up_s: float, *, wall_s: float, since: Reading = HERE, synchronised: bool = False
) -> Reading:
    """In another boot, `up_s` after it."""
    return Reading(
        now_s=up_s,
        boot="two",
        up_s=up_s,
        wall_ns=since.wall_ns + int(wall_s * 1e9),
        synchronised=synchronised,
    )


@pytest.mark.parametrize("wall_s", [100.0, -1e8, 1e9], ids=["right", "back", "ahead"])
def test_within_one_boot_the_wall_clock_has_no_say(wall_s: float) -> None:
    assert BEGUN.at(later(100.0, wall_s=wall_s)).counted_s == 100.0


def test_contact_makes_it_smaller_and_nothing_else_does() -> None:
    count = BEGUN.at(later(500.0))
    assert count.at(later(600.0), contact_s=1550.0).counted_s == 50.0
    assert count.at(later(600.0), contact_s=None).counted_s == 600.0
    assert count.at(later(400.0)).counted_s == 500.0, "a clock that went back"


def test_an_old_contact_is_no_news() -> None:
    count = BEGUN.at(later(10.0), contact_s=1005.0)
    assert count.at(later(20.0), contact_s=1005.0).counted_s == 15.0


def test_contact_from_before_the_count_began_makes_it_no_larger() -> None:
    assert BEGUN.at(later(10.0), contact_s=900.0).counted_s == 10.0


def test_a_contact_after_this_moment_counts_as_now() -> None:
    assert BEGUN.at(later(10.0), contact_s=1010.1).counted_s == 0.0


class TestOverAReboot:
    def test_a_clock_that_is_vouched_for_counts_in_full(self) -> None:
        now = rebooted(60.0, wall_s=20 * DAY_S, synchronised=True)
        count = Count.begun(VOUCHED).at(now)
        assert count.counted_s == 20 * DAY_S
        assert count.unsettled is None

    def test_what_is_vouched_for_later_is_counted_later_and_once(self) -> None:
        """The clock leaps ahead at the boot, and NTP sets it right an hour after."""
        early = rebooted(60.0, wall_s=5000 * DAY_S)
        count = Count.begun(VOUCHED).at(early)
        assert count.counted_s == 60.0, "only what the machine is up is proved"
        right = rebooted(3660.0, wall_s=2 * DAY_S + 3600, synchronised=True)
        count = count.at(right)
        assert count.counted_s == 2 * DAY_S + 3600
        assert count.at(later(10.0, since=right)).counted_s == 2 * DAY_S + 3610

    def test_further_reboots_add_to_what_is_unsettled(self) -> None:
        count = Count.begun(VOUCHED).at(rebooted(60.0, wall_s=DAY_S))
        third = attrs.evolve(
            rebooted(60.0, wall_s=9 * DAY_S, synchronised=True), boot="three"
        )
        assert count.at(third).counted_s == 9 * DAY_S

    def test_what_was_wrong_in_between_has_no_say(self) -> None:
        """As a machine without a battery: 1970 until NTP is heard, later a fast one."""
        begun = Count.begun(VOUCHED)
        count = begun.at(attrs.evolve(rebooted(60.0, wall_s=0.0), wall_ns=0))
        third = rebooted(60.0, wall_s=7200.0, synchronised=True)
        assert count.at(attrs.evolve(third, boot="three")).counted_s == 7200.0

    def test_contact_settles_it(self) -> None:
        count = Count.begun(VOUCHED).at(rebooted(60.0, wall_s=DAY_S))
        count = count.at(rebooted(61.0, wall_s=DAY_S), contact_s=61.0)
        assert (count.counted_s, count.unsettled) == (0.0, None)

    def test_a_clock_that_nobody_vouches_for_counts_up_to_a_day(self) -> None:
        def counted(wall_s: float) -> float:
            return BEGUN.at(rebooted(60.0, wall_s=wall_s)).counted_s

        assert counted(8 * 3600.0) == 8 * 3600.0
        assert counted(5000 * DAY_S) == OFF_S_MAX

    def test_set_back_it_gives_nothing_back(self) -> None:
        count = BEGUN.at(later(500.0))
        assert count.at(rebooted(60.0, wall_s=-1e6)).counted_s == 560.0

    def test_set_back_it_gives_nothing_back_although_it_is_vouched_for(self) -> None:
        """The clock was ahead before, by the word of a server that has been set right."""
        count = Count.begun(VOUCHED).at(later(500.0, since=VOUCHED))
        count = count.at(rebooted(60.0, wall_s=0.0))
        settled = count.at(rebooted(120.0, wall_s=-1e6, synchronised=True))
        assert (settled.counted_s, settled.unsettled) == (620.0, None)

    def test_a_clock_that_becomes_right_only_now_does_not_count_from_1970(self) -> None:
        wrong = attrs.evolve(HERE, wall_ns=0)
        now = rebooted(60.0, wall_s=0, synchronised=True)
        assert Count.begun(wrong).at(now).counted_s == OFF_S_MAX


def test_licences_end_after_more_than_the_grace() -> None:
    count = BEGUN.at(later(GRACE_S))
    assert not count.is_over(GRACE_S)
    assert count.left_s(GRACE_S) == 0.0
    assert BEGUN.at(later(GRACE_S + 1)).is_over(GRACE_S)


class TestTelling:
    def news(self, count: Count, *, lapsed: bool = False) -> tuple[Count, News | None]:
        return told(count, GRACE_S, lapsed=lapsed)

    def test_warnings_come_at_14_7_3_and_1_days_each_once(self) -> None:
        given = []
        count = BEGUN
        for hour in range(29 * 24):
            count, news = self.news(count.at(later(hour * 3600.0)))
            if news is News.LAPSED:
                break
            if news is not None:
                given.append((news, count.left_s(GRACE_S) / DAY_S))
        assert given == [(News.WARNING, days) for days in (14, 7, 3, 1)]

    def test_of_several_that_are_due_the_last_is_given(self) -> None:
        count, news = self.news(BEGUN.at(later(26 * DAY_S)))
        assert (news, count.warned_count) == (News.WARNING, 3)
        assert self.news(count)[1] is None

    def test_after_contact_all_begins_anew(self) -> None:
        count, _ = self.news(BEGUN.at(later(26 * DAY_S)))
        now = later(26 * DAY_S + 60)
        count, news = self.news(count.at(now, contact_s=now.now_s))
        assert (news, count.warned_count) == (None, 0)
        count, news = self.news(count.at(later(14 * DAY_S, since=now)))
        assert (news, count.warned_count) == (News.WARNING, 1)

    def test_the_end_and_the_return_are_told_once(self) -> None:
        count, news = self.news(BEGUN.at(later(GRACE_S + 1)))
        assert news is News.LAPSED
        assert self.news(count, lapsed=True) == (count, None)
        now = later(GRACE_S + 2)
        count, news = self.news(count.at(now, contact_s=now.now_s), lapsed=True)
        assert news is News.RESTORED
        assert self.news(count)[1] is None


class TestSaving:
    def test_it_is_saved_every_few_minutes(self) -> None:
        assert BEGUN.must_save(None, GRACE_S)
        assert not BEGUN.at(later(299.0)).must_save(BEGUN, GRACE_S)
        assert BEGUN.at(later(300.0)).must_save(BEGUN, GRACE_S)
        assert BEGUN.at(later(0.1)).must_save(BEGUN, 10.0), "a grace of seconds"

    def test_what_says_too_much_is_replaced_at_once(self) -> None:
        away = BEGUN.at(later(DAY_S))
        now = later(DAY_S + 1)
        assert away.at(now, contact_s=now.now_s).must_save(away, GRACE_S)
        assert not away.at(now).must_save(away, GRACE_S)

    def test_a_warning_is_saved_at_once(self) -> None:
        warned = attrs.evolve(BEGUN, warned_count=1)
        assert warned.must_save(BEGUN, GRACE_S)

    def test_that_the_clock_is_vouched_for_is_saved_at_once(self) -> None:
        assert Count.begun(VOUCHED).must_save(BEGUN, GRACE_S)
        assert not BEGUN.must_save(Count.begun(VOUCHED), GRACE_S)

    def test_what_another_boot_saved_is_replaced(self) -> None:
        assert BEGUN.at(rebooted(1.0, wall_s=0.0)).must_save(BEGUN, GRACE_S)


class TestStored:
    @pytest.mark.parametrize(
        "count",
        [
            BEGUN,
            Count.begun(VOUCHED).at(rebooted(60.0, wall_s=DAY_S)),
            attrs.evolve(BEGUN, warned_count=4, counted_s=1e7),
        ],
        ids=["begun", "unsettled", "warned"],
    )
    def test_it_comes_back_as_it_was(self, count: Count) -> None:
        text = json.dumps(count.as_value())
        assert len(text) < 512
        found = Count.from_value(json.loads(text))
        assert found is not None
        assert attrs.evolve(found, reading=count.reading) == count
        assert found.at(count.reading) == count

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("counted_s", float("nan")),
            ("counted_s", -1.0),
            ("counted_s", "7"),
            ("counted_s", True),
            ("counted_s", 10**400),
            ("now_s", float("inf")),
            ("boot", None),
            ("boot", "x" * 65),
            ("wall_ns", 1.5),
            ("wall_ns", 2**63),
            ("synchronised", 1),
            ("unsettled", []),
            ("unsettled", {"wall_ns": 1}),
            ("warned", 5),
            ("warned", -1),
        ],
    )
    def test_what_is_no_count_is_not_taken_for_one(
        self, name: str, value: object
    ) -> None:
        stored = {**BEGUN.as_value(), name: value}
        assert Count.from_value(stored) is None  # type: ignore[arg-type]
        del stored[name]
        assert Count.from_value(stored) is None  # type: ignore[arg-type]

    @pytest.mark.parametrize("value", [None, [], "x", 7])
    def test_nor_what_is_no_object(self, value: object) -> None:
        assert Count.from_value(value) is None  # type: ignore[arg-type]
