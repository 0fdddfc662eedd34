"""`conflicts` and `conflicts restore`: changes that lost against a concurrent one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import typer

from admin.cli.output import brief_value
from admin.cli.session import Session, session_of
from admin.replies import ChangeMade, LostChange

_TITLES = (
    "id",
    "time",
    "key",
    "actor",
    "reason",
    "wanted",
    "why it lost",
    "overridden by",
    "settled by",
)

_group = typer.Typer(
    rich_markup_mode=None, pretty_exceptions_enable=False, invoke_without_command=True
)


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.add_typer(
        _group, name="conflicts", help="List changes that lost, or restore one."
    )


@_group.callback()
def conflicts(
    context: typer.Context,
    all_: Annotated[
        bool,
        typer.Option("--all", help="Also those that a later change has settled."),
    ] = False,
    key: Annotated[str | None, typer.Option(help="Only this entry.")] = None,
    prefix: Annotated[
        str | None, typer.Option(help="Only entries whose key starts so.")
    ] = None,
) -> None:
    """List changes that a concurrent one of the master overrode."""
    if context.invoked_subcommand is not None:
        return
    session = session_of(context)
    found = session.client().conflicts(settled=all_, key=key, prefix=prefix)
    if session.output.json:
        for lost in found:
            session.output.record(dict(lost.raw))
        return
    _show(session, found)


@_group.command("restore")
def restore(
    context: typer.Context,
    lost: Annotated[str, typer.Argument(metavar="ID", help="Of the change that lost")],
    reason: Annotated[str, typer.Option(help="Why, for the history.")] = "",
) -> None:
    """Make a change that lost again, as a new one.

    Refused if its entry was changed since by somebody who could know of it.
    """
    session = session_of(context)
    event_id = session.client().restore(lost, reason=reason)
    if session.output.json:
        session.output.record({"restored": lost, "id": event_id})
    else:
        session.output.line(f"restored {lost} (id {event_id})")


def _show(session: Session, found: Iterator[LostChange]) -> None:
    first = next(found, None)
    if first is None:
        session.output.note("no change has lost")
        return

    def rows() -> Iterator[tuple[str, ...]]:
        yield _row(first)
        yield from map(_row, found)

    session.output.table(_TITLES, rows())


def _row(lost: LostChange) -> tuple[str, ...]:
    change = lost.change
    deletes = change.kind == "entry-deleted"
    return (
        change.id,
        change.time,
        lost.key,
        change.actor,
        lost.reason,
        "deleted" if deletes else brief_value(lost.value),
        lost.why,
        _named(lost.winner),
        "open" if lost.settled_by is None else _named(lost.settled_by),
    )


def _named(change: ChangeMade) -> str:
    return f"{change.id} by {change.actor} at {change.time}"
