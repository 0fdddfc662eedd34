"""`pause` and `resume` of automatic takeover."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from admin.cli.session import Session, session_of
from admin.cli.status_view import takeover_texts
from admin.errors import UsageProblem
from admin.replies import Takeover

_DURATION = re.compile(r"([0-9]{1,7})([smhd])")
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DAYS_MAX = 7


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("pause")(pause)
    app.command("resume")(resume)


def pause(
    context: typer.Context,
    duration: Annotated[
        str, typer.Option("--for", metavar="TIME", help="Such as 90s, 30m, 2h or 1d.")
    ],
    reason: Annotated[str, typer.Option(help="Why, for everybody who looks.")],
) -> None:
    """Let neither node take over by itself for a while; a switch still works."""
    session = session_of(context)
    for_s = seconds_of(duration)
    _show(session, session.client().pause_takeover(for_s, reason=reason))


def resume(
    context: typer.Context,
    reason: Annotated[str, typer.Option(help="Why, for the history.")] = "",
) -> None:
    """Let the nodes take over by themselves again, at once where it is due."""
    session = session_of(context)
    _show(session, session.client().pause_takeover(0.0, reason=reason))


def seconds_of(text: str) -> float:
    """The seconds in `text`, such as `90s`, `30m`, `2h` or `1d`.

    Raises:
        UsageProblem: it is none, or outside 1 second to 7 days.
    """
    found = _DURATION.fullmatch(text)
    seconds = int(found[1]) * _UNIT_S[found[2]] if found else 0
    if not 0 < seconds <= _DAYS_MAX * _UNIT_S["d"]:
        raise UsageProblem(
            f"--for is {text[:40]!r}, not a time from 1s to {_DAYS_MAX}d such as 90s, "
            "30m, 2h or 1d"
        )
    return float(seconds)


def _show(session: Session, takeover: Takeover) -> None:
    if session.output.json:
        session.output.record(dict(takeover.raw))
        return
    texts = takeover_texts(takeover) or ["on"]
    for text in texts:
        session.output.line(f"automatic takeover: {text}")
