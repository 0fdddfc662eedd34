"""`replication status|on|off|resync`."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated

import typer

from admin.cli.output import plain
from admin.cli.session import Session, session_of
from admin.errors import AdminError, Refused
from admin.replies import Replication, ResyncReport

_CHANGE_TITLES = ("time", "id", "kind", "key", "actor")
_POLL_INTERVAL_S = 1.0
Reason = Annotated[str, typer.Option(help="Why, for the history.")]

_group = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.add_typer(
        _group,
        name="replication",
        help="Show replication, switch it on or off, resynchronise.",
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


@_group.command("resync")
def resync(
    context: typer.Context,
    discard: Annotated[
        bool,
        typer.Option(
            "--discard", help="Let go what only the standby has; it is archived."
        ),
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="With --discard: changes may leave.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would leave.")
    ] = False,
    reason: Reason = "",
) -> None:
    """Replace the data of the standby by the master's. Ask the standby.

    Replication must be off. First the master takes over what only the standby has, unless
    --discard is given.
    """
    session = session_of(context)
    client = session.client()
    client.replication()  # A node that hangs is told now: for a resync one waits for hours.
    with _progress(session):
        found = client.resync(discard=discard, dry_run=True, reason=reason)
    if dry_run:
        _show_resync(session, found)
        return
    if not session.output.json:
        _show_resync(session, found)
    if discard and found.change_count and not yes:
        raise Refused(
            f"{found.change_count} changes that only the standby has would leave; give "
            "--yes as well, or leave out --discard to keep them"
        )
    try:
        with _progress(session):
            done = client.resync(discard=discard, dry_run=False, reason=reason)
    except KeyboardInterrupt:
        session.output.note(
            "the node goes on; `replication status` shows how far it is"
        )
        raise
    if session.output.json:
        session.output.record(dict(done.raw))
    else:
        session.output.line(f"{done.outcome}: {done.text}")


def _show_resync(session: Session, found: ResyncReport) -> None:
    output = session.output
    if output.json:
        output.record(dict(found.raw))
        return
    output.line(f"{found.outcome}: {found.text}")
    if found.changes:
        output.line(f"only the standby has {_first(found.changes, found.change_count)}")
        rows = ((c.time, c.id, c.kind, c.key, c.actor) for c in found.changes)
        output.table(_CHANGE_TITLES, rows)
    if found.keys:
        output.line(f"entries that change: {_first(found.keys, found.entry_count)}")
        for key in found.keys:
            output.line(f"  {key}")


def _first(listed: Sequence[object], count: int) -> str:
    return f"{count}" if len(listed) == count else f"{count}, the first are"


@contextmanager
def _progress(session: Session) -> Iterator[None]:
    """Tell a terminal what the node is doing, while it does it."""
    if not session.output.stderr_is_terminal:
        yield
        return
    ended = threading.Event()
    with session.output.error_terminal().status("resync") as shown:

        def follow() -> None:
            client = session.client()
            while not ended.wait(_POLL_INTERVAL_S):
                with contextlib.suppress(AdminError):
                    shown.update(f"resync: {plain(client.replication().resync or '')}")

        thread = threading.Thread(target=follow, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


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
    notes = {
        "problem": replication.problem,
        "resync": replication.resync,
        "resync due": replication.resync_due,
    }
    facts |= {name: text for name, text in notes.items() if text}
    for name, text in facts.items():
        session.output.line(f"{name:<13} {text}")
