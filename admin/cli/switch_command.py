"""`switch`: let the other node of the pair become active."""

from __future__ import annotations

import contextlib
from enum import StrEnum
from typing import Annotated

import typer

from admin.cli.session import Session, session_of
from admin.cli.status_view import calls_text
from admin.client import NodeClient
from admin.errors import (
    AdminError,
    Refused,
    ReplyUnclear,
    TimedOut,
    Unreachable,
    UsageProblem,
)
from admin.replies import Status, SwitchProgress, SwitchReport

_POLL_INTERVAL_S = 1.0
_LOST_POLL_COUNT_MAX = 30
"""Looks in vain, one per interval, after which the node is given up."""
_WAIT_S_DEFAULT = 3600.0
_WAIT_S_MAX = 7 * 86400.0

_FAILURES: dict[str, type[AdminError]] = {
    "cancelled": Refused,
    "refused": Refused,
    "rolled-back": TimedOut,
    "timed-out": TimedOut,
    "switch-failed": TimedOut,
}


class When(StrEnum):
    """When to switch."""

    NOW = "now"
    IDLE = "idle"


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("switch")(switch)


def switch(
    context: typer.Context,
    when: Annotated[
        When, typer.Option(help="At once, or as soon as no call is active.")
    ] = When.NOW,
    wait_s: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS", help="With idle: give up after this [default: 3600]."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only check whether it would be done.")
    ] = False,
    reason: Annotated[str, typer.Option(help="Why, for the history.")] = "",
) -> None:
    """Make the passive node active and the active one passive. Ask the master.

    Nothing is lost and never are both active. With --when idle, Ctrl-C cancels the
    waiting switch.
    """
    session = session_of(context)
    wait_s = _checked_wait_s(when, wait_s)
    client = session.client()
    if when is When.NOW or dry_run:
        report = client.switch(when=when, dry_run=dry_run, reason=reason, wait_s=wait_s)
        _show(session, report)
        return
    _switch_when_idle(session, client, reason, wait_s)


def _checked_wait_s(when: When, wait_s: float | None) -> float:
    if wait_s is None:
        return _WAIT_S_DEFAULT
    if when is When.NOW:
        raise UsageProblem("--wait-s goes with --when idle; now does not wait")
    if not 0 < wait_s <= _WAIT_S_MAX:
        raise UsageProblem(
            f"--wait-s is {wait_s:g}; it must be above 0 and at most {_WAIT_S_MAX:g}"
        )
    return wait_s


def _show(session: Session, report: SwitchReport) -> None:
    if report.outcome not in ("done", "ready"):
        _raise_failure(report.outcome, report.text)
    if session.output.json:
        session.output.record(dict(report.raw))
        return
    text = report.text
    active = f"the {report.active} is active"
    if report.outcome == "done" and report.active and active not in text:
        text = f"{text}; {active}" if text else active
    session.output.line(f"{report.outcome}: {text}")


def _switch_when_idle(
    session: Session, client: NodeClient, reason: str, wait_s: float
) -> None:
    switch_id: str | None = None
    try:
        report = client.switch(
            when=When.IDLE, dry_run=False, reason=reason, wait_s=wait_s
        )
        if report.outcome != "waiting":
            _show(session, report)
            return
        switch_id = report.id
        ended = _follow(session, client, switch_id)
    except KeyboardInterrupt:
        ended = _cancel(session, client, switch_id)
    _show_end(session, client, ended)


def _cancel(
    session: Session, client: NodeClient, switch_id: str | None
) -> SwitchProgress:
    """Cancel at the node; if it is too late for that, see how the switch ends.

    Without `switch_id` the node had not answered the order yet.

    Raises:
        Refused: the waiting switch was cancelled, or perhaps there never was one.
    """
    try:
        report = client.cancel_switch()
    except Refused as error:
        if switch_id is None:
            raise Refused(
                f"interrupted: {error.text}; see status for whether a switch ran"
            ) from error
        session.output.note(f"too late to cancel: {error.text}")
        return _follow(session, client, switch_id)
    except Unreachable as error:
        raise Unreachable(
            f"{error.text}; the switch may still wait there: cancel it with a new "
            "switch command and Ctrl-C once the node answers"
        ) from error
    raise Refused(
        f"cancelled the waiting switch {report.id or ''}: the states are as before",
        code="cancelled",
    )


def _follow(
    session: Session, client: NodeClient, switch_id: str | None
) -> SwitchProgress:
    """Poll until the switch has an outcome.

    Raises:
        Unreachable: the node did not answer for `_LOST_POLL_COUNT_MAX` looks.
        Refused: the node knows the switch no more.
    """
    lost_count = 0
    told = ""
    while True:
        try:
            status = client.status()
            lost_count = 0
        except Unreachable as error:
            lost_count += 1
            if lost_count >= _LOST_POLL_COUNT_MAX:
                raise Unreachable(
                    f"{error.text}; how the switch ended is unknown: see status"
                ) from error
            status = None
        text = "the node does not answer; still trying"
        if status is not None:
            progress = _progress(status, switch_id)
            if progress.outcome not in (None, "waiting"):
                return progress
            text = _waiting_text(status, progress)
        if text != told:
            told = text
            session.output.note(f"{text} (Ctrl-C cancels)")
        session.world.sleep(_POLL_INTERVAL_S)


def _progress(status: Status, switch_id: str | None) -> SwitchProgress:
    progress = status.switch
    if progress is None or progress.id != switch_id:
        raise Refused(
            "the node no longer knows the switch, perhaps because it was restarted; it "
            f"is {status.state} since {status.since} ({status.reason})"
        )
    return progress


def _waiting_text(status: Status, progress: SwitchProgress) -> str:
    count = progress.waiting_for_calls
    count = status.call_count if count is None else count
    if count:
        return f"waiting for {calls_text(count)} to end"
    return f"switching: {progress.step or progress.text or 'under way'}"


def _show_end(session: Session, client: NodeClient, ended: SwitchProgress) -> None:
    if ended.outcome != "done":
        _raise_failure(ended.outcome or "", ended.text)
    if session.output.json:
        record = {"outcome": "done", "id": ended.id, "text": ended.text}
        session.output.record({**record, "active": _active_role(client)})
        return
    session.output.line(f"done: {ended.text}")


def _active_role(client: NodeClient) -> str | None:
    with contextlib.suppress(AdminError):
        status = client.status()
        if status.state == "active":
            return status.role
        return status.peer.role if status.peer.state == "active" else None
    return None


def _raise_failure(outcome: str, text: str) -> None:
    kind = _FAILURES.get(outcome)
    if kind is None:
        raise ReplyUnclear(
            f"the node reports the outcome {outcome[:40]!r} for a switch, which this "
            f"version does not know: {text}"
        )
    raise kind(f"{outcome}: {text}", code=outcome)
