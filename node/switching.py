"""The operator's side of a planned switch: order, wait, and be told the truth."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Literal, TypeVar

import attrs

from eventstore import ACTOR_BYTES_MAX, check_text
from node.clock import Clock
from node.config import NodeConfig
from node.core import Core
from node.errors import NotMaster, SwitchFailed, SwitchRefused, SwitchRolledBack
from node.roles import Role, State
from node.situation import Outcome, Report

_T = TypeVar("_T")
When = Literal["now", "idle"]
SWITCH_REASON_BYTES_MAX = 512
"""It becomes part of the reason of two events, which has a limit of its own."""


@attrs.frozen
class SwitchReport:
    """How a switch stands, or how it ended."""

    id: str
    """Empty for a dry run, which begins nothing."""
    outcome: str
    """`done`, `ready` (a dry run found nothing against it), `waiting` or `cancelled`."""
    text: str
    active: Role | None
    """The node that is active, as this one knows."""
    duration_s: float = 0.0


@attrs.frozen
class _Order:
    id: str
    when: When
    ordered_s: float
    future: Future[Report]


class Switching:
    """Takes the operator's orders to the loop, and its reports back. Thread-safe."""

    def __init__(
        self,
        config: NodeConfig,
        *,
        clock: Clock,
        ask: Callable[[Callable[[Core, float], None]], object],
        new_id: Callable[[], str],
        active: Callable[[], Role | None],
        answer_limit_s: float = 5.0,
    ) -> None:
        """`ask` has the loop do something, which it does within a turn; `answer_limit_s` is
        for one that is stuck.
        """
        self._config = config
        self._clock = clock
        self._ask = ask
        self._new_id = new_id
        self._active = active
        self._answer_limit_s = answer_limit_s
        self._lock = threading.Lock()
        self._order: _Order | None = None
        self._last: Report | None = None
        # Past its own deadline a switch ends by S4 or S6, at the latest after a silence.
        self._limit_s = (
            config.switch_timeout_s
            + config.switch_step_s
            + 2 * config.peer_lost_after_s
            + config.heartbeat_interval_s
        )

    def order(
        self, *, actor: str, when: When, reason: str, dry_run: bool, wait_s: float
    ) -> SwitchReport:
        """Order a switch and wait for its end; `idle` only begins to wait.

        Raises:
            NotMaster: this node is the standby (S8).
            InvalidEntry: actor or reason is over its limit.
            SwitchRefused: a pre-check failed; nothing was changed.
            SwitchRolledBack: it failed before the giver stepped down; all is as before.
            SwitchFailed: it failed after; the text says who is active, and why.
        """
        if self._config.role is not Role.MASTER:
            raise NotMaster(
                "this is the standby; a switch is ordered at the master, whose link is "
                f"{self._config.peer}"
            )
        check_text("actor", actor, ACTOR_BYTES_MAX)
        check_text("reason", reason, SWITCH_REASON_BYTES_MAX)
        if dry_run:
            if reasons := self._answer(lambda core, now_s: core.prechecks(now_s)):
                raise SwitchRefused(reasons)
            text = "nothing is against a switch now"
            return SwitchReport("", "ready", text, self._active())
        order = _Order(self._new_id(), when, self._clock.now_s(), Future())
        idle_s = wait_s if when == "idle" else None
        reasons = self._answer(
            lambda core, now_s: self._begin(core, now_s, order, actor, reason, idle_s)
        )
        if reasons:
            raise SwitchRefused(reasons)
        if when == "idle":
            text = "the switch begins as soon as no call is active"
            return SwitchReport(order.id, "waiting", text, self._active())
        return self._await_end(order)

    def cancel(self, *, actor: str) -> SwitchReport:
        """Give up a switch that waits for calls to end.

        Raises:
            SwitchRefused: none waits.
        """
        why = f"cancelled by {actor}"
        if not self._answer(lambda core, _now_s: core.cancel_waiting(why)):
            raise SwitchRefused(("no switch waits for calls to end",))
        number = self._order.id if self._order else ""
        return SwitchReport(number, Outcome.CANCELLED.value, why, self._active())

    def report(self, report: Report) -> None:
        """The loop says how a switch ended."""
        with self._lock:
            self._last = report
            order = self._order
        ours = order is not None and order.id == report.switch.id
        if order is not None and ours and not order.future.done():
            order.future.set_result(report)

    def view(self, step: str | None, calls: int) -> dict[str, object] | None:
        """The last switch ordered here, for `/status`; None: there was none."""
        order, last = self._order, self._last
        if order is None:
            return None
        ended = last is not None and last.switch.id == order.id
        return {
            "id": order.id,
            "when": order.when,
            "step": None if ended else step,
            "waiting_for_calls": calls,
            "outcome": last.outcome.value if last and ended else None,
            "text": last.text if last and ended else "",
        }

    def _begin(
        self,
        core: Core,
        now_s: float,
        order: _Order,
        actor: str,
        reason: str,
        idle_s: float | None,
    ) -> tuple[str, ...]:
        # Known before it begins: its report may come within this very call.
        with self._lock:
            before, self._order = self._order, order
        reasons = core.order_switch(
            switch_id=order.id,
            actor=actor,
            reason=_reason(reason, actor),
            now_s=now_s,
            idle_s=idle_s,
        )
        if reasons:
            with self._lock:
                self._order = before
        return reasons

    def _answer(self, work: Callable[[Core, float], _T]) -> _T:
        """What `work` gives in the loop's thread."""
        future: Future[_T] = Future()

        def run(core: Core, now_s: float) -> None:
            if not future.set_running_or_notify_cancel():
                return  # Refused meanwhile: it must not begin later.
            try:
                future.set_result(work(core, now_s))
            except Exception as error:  # noqa: BLE001 the asker gets it
                future.set_exception(error)

        self._ask(run)
        try:
            return future.result(self._answer_limit_s)
        except FutureTimeout:
            if not future.cancel():
                return future.result(self._answer_limit_s)
            raise SwitchRefused(
                (
                    "the decision loop of this node did not answer for "
                    f"{self._answer_limit_s:g} s; see /live and the log",
                )
            ) from None

    def _await_end(self, order: _Order) -> SwitchReport:
        try:
            report = order.future.result(self._limit_s)
        except FutureTimeout:
            raise SwitchFailed(
                f"no outcome after {self._limit_s:.0f} s; active now: "
                f"{self._active() or 'unknown'}"
            ) from None
        if report.outcome is Outcome.ROLLED_BACK:
            raise SwitchRolledBack(f"rolled back, all is as before: {report.text}")
        if report.outcome is not Outcome.DONE:
            raise SwitchFailed(report.text)
        duration_s = self._clock.now_s() - order.ordered_s
        return SwitchReport(
            order.id, "done", report.text, self._active(), round(duration_s, 4)
        )


def _reason(reason: str, actor: str) -> str:
    """What both nodes record as the reason: why, and who ordered it."""
    who = f"ordered by {actor}"
    if not reason:
        return who
    return f"{reason} ({who})"


def active_role(role: Role, own: State, peers: State | None) -> Role | None:
    """Which node is active, as `role` knows: its own state comes first."""
    if own is State.ACTIVE:
        return role
    return role.other if peers is State.ACTIVE else None
