"""`status` and `watch`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Group
from rich.live import Live
from rich.text import Text

from admin.cli.session import Session, session_of
from admin.cli.status_view import headline, status_lines, unreachable_line
from admin.client import NodeClient
from admin.errors import AdminError, NotAuthorised, UsageProblem
from admin.replies import Status

_INTERVAL_S_MIN = 0.1
_INTERVAL_S_MAX = 3600.0

Seen = Status | AdminError
"""What one look at the node gave: its status, or why there is none."""


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("status")(status)
    app.command("watch")(watch)


def status(context: typer.Context) -> None:
    """Show how a node and its view of the peer are now."""
    session = session_of(context)
    seen = session.client().status()
    if session.output.json:
        session.output.record(dict(seen.raw))
    else:
        session.output.text(status_lines(seen))


def watch(
    context: typer.Context,
    interval_s: Annotated[
        float, typer.Option(metavar="SECONDS", help="Time between two looks.")
    ] = 1.0,
) -> None:
    """Show the status as it changes, until Ctrl-C.

    Goes on while the node is unreachable, and says so. Elsewhere than on a terminal, and
    with --json, a line is written per change.
    """
    session = session_of(context)
    if not _INTERVAL_S_MIN <= interval_s <= _INTERVAL_S_MAX:
        raise UsageProblem(
            f"--interval-s is {interval_s:g}; it must be {_INTERVAL_S_MIN:g} to "
            f"{_INTERVAL_S_MAX:g}"
        )
    client = session.client()
    try:
        if session.output.is_terminal:
            _watch_live(session, client, interval_s)
        else:
            _watch_lines(session, client, interval_s)
    except KeyboardInterrupt:
        return  # The way to end it.


def _look(client: NodeClient) -> Seen:
    """One look. A wrong token or URL will not mend itself, so that is raised."""
    try:
        return client.status()
    except (NotAuthorised, UsageProblem):
        raise
    except AdminError as error:
        return error


def _watch_live(session: Session, client: NodeClient, interval_s: float) -> None:
    console = session.output.terminal()
    with Live(console=console, auto_refresh=False) as live:
        while True:
            seen = _look(client)
            lines = (
                [unreachable_line(seen.text)]
                if isinstance(seen, AdminError)
                else status_lines(seen)
            )
            live.update(Group(*lines, Text("Ctrl-C ends", style="dim")), refresh=True)
            session.world.sleep(interval_s)


def _watch_lines(session: Session, client: NodeClient, interval_s: float) -> None:
    shown: str | None = None
    while True:
        seen = _look(client)
        is_lost = isinstance(seen, AdminError)
        line = (
            f"unreachable: {seen.text}"
            if isinstance(seen, AdminError)
            else headline(seen)
        )
        # Why a node is unreachable may vary from look to look; that it is, is the news.
        sign = "unreachable" if is_lost else line
        if sign != shown:
            shown = sign
            _write_change(session, seen, line)
        session.world.sleep(interval_s)


def _write_change(session: Session, seen: Seen, line: str) -> None:
    if not session.output.json:
        session.output.line(line)
    elif isinstance(seen, AdminError):
        session.output.record({"reachable": False, "error": seen.text})
    else:
        session.output.record({"reachable": True, "status": dict(seen.raw)})
