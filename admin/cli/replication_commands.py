"""`replication status|on|off`."""

from __future__ import annotations

from typing import Annotated

import typer

from admin.cli.session import Session, session_of
from admin.replies import Replication

Reason = Annotated[str, typer.Option(help="Why, for the history.")]

_group = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.add_typer(
        _group, name="replication", help="Show replication, switch it on or off."
    )


@_group.command("status")
def show(context: typer.Context) -> None:
    """Show whether changes of the peer arrive here."""
    session = session_of(context)
    _show(session, session.client().replication())


@_group.command("on")
def switch_on(context: typer.Context, reason: Reason = "") -> None:
    """Replicate again; both nodes catch up."""
    _set(session_of(context), True, reason)


@_group.command("off")
def switch_off(context: typer.Context, reason: Reason = "") -> None:
    """Stop replicating, for an update of the software. Supervision goes on."""
    _set(session_of(context), False, reason)


def _set(session: Session, enabled: bool, reason: str) -> None:
    _show(session, session.client().set_replication(enabled, reason=reason))


def _show(session: Session, replication: Replication) -> None:
    if session.output.json:
        session.output.record(dict(replication.raw))
        return
    lag = "not known"
    if replication.lag_events is not None:
        lag = f"{replication.lag_events} events"
    if replication.lag_s is not None:
        lag += f", {replication.lag_s:.1f} s"
    facts = {
        "replication": "on" if replication.enabled else "off",
        "connected": "yes" if replication.connected else "no",
        "behind": lag,
        "conflicts": str(replication.conflict_count),
    }
    if replication.problem:
        facts["problem"] = replication.problem
    for name, text in facts.items():
        session.output.line(f"{name:<13} {text}")
