"""The operator's side of a switch: what is ordered, and what is told of its end."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import attrs
import pytest

from node.errors import NotMaster, SwitchFailed, SwitchRefused, SwitchRolledBack
from node.roles import Role
from node.situation import Outcome, Report, Switch
from node.switching import Switching, SwitchReport
from tests.simulation.world import config_of

SWITCH = Switch("one", "m", "s", Role.MASTER, "jane", "why (ordered by jane)")


@attrs.define
class Loop:
    """A loop that is stuck, or does at once what it is asked; a core that says yes."""

    stuck: bool = False
    asked: list[Callable[[Any, float], None]] = attrs.Factory(list)
    ordered: list[str] = attrs.Factory(list)
    on_order: Callable[[], None] = lambda: None

    def ask(self, work: Callable[[Any, float], None]) -> None:
        self.asked.append(work)
        if not self.stuck:
            work(self, self.now_s())

    def order_switch(self, *, switch_id: str, **_rest: object) -> tuple[str, ...]:
        self.ordered.append(switch_id)
        self.on_order()
        return ()

    def now_s(self) -> float:
        return 1.0

    def wall_ns(self) -> int:
        return 1


def switching_of(loop: Loop, role: Role = Role.MASTER) -> Switching:
    return Switching(
        config_of(role),
        clock=loop,
        ask=loop.ask,
        new_id=lambda: SWITCH.id,
        active=lambda: Role.STANDBY,
        answer_limit_s=0.01,
    )


def ordered(switching: Switching) -> SwitchReport:
    return switching.order(
        actor="jane", when="now", reason="why", dry_run=False, wait_s=60.0
    )


def ended(outcome: Outcome, text: str) -> SwitchReport:
    """The report of an order whose switch ends like that."""
    loop = Loop()
    switching = switching_of(loop)
    loop.on_order = lambda: switching.report(Report(SWITCH, outcome, text))
    return ordered(switching)


def test_s8_the_standby_refuses_and_says_where_to_go() -> None:
    loop = Loop()
    with pytest.raises(NotMaster, match="whose link is"):
        ordered(switching_of(loop, Role.STANDBY))
    assert loop.asked == []


def test_a_switch_that_is_done_says_who_is_active() -> None:
    report = ended(Outcome.DONE, "the standby is active")
    assert (report.id, report.outcome) == ("one", "done")
    assert (report.text, report.active) == ("the standby is active", Role.STANDBY)


def test_s14_whether_all_is_as_before_is_told() -> None:
    with pytest.raises(SwitchRolledBack, match="all is as before: it was late"):
        ended(Outcome.ROLLED_BACK, "it was late")
    with pytest.raises(SwitchFailed, match="the master is active: peer lost"):
        ended(Outcome.FAILED, "the master is active: peer lost")


def test_the_end_of_another_switch_is_not_taken_for_that_of_ours() -> None:
    loop = Loop()
    switching = switching_of(loop)
    other = attrs.evolve(SWITCH, id="another")
    with ThreadPoolExecutor(1) as pool:

        def both() -> None:
            switching.report(Report(other, Outcome.FAILED, "not ours"))
            pool.submit(switching.report, Report(SWITCH, Outcome.DONE, "ours"))

        loop.on_order = both
        assert ordered(switching).text == "ours"


def test_an_order_that_a_stuck_loop_did_not_answer_never_begins() -> None:
    loop = Loop(stuck=True)
    with pytest.raises(SwitchRefused, match="did not answer for"):
        ordered(switching_of(loop))
    (work,) = loop.asked
    work(loop, 2.0)
    assert loop.ordered == []
