"""`history`: who changed what, when and why."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated

import typer

from admin.cli.output import brief_value
from admin.cli.session import session_of
from admin.client import HistoryFilter
from admin.errors import UsageProblem
from admin.fields import shortened
from admin.replies import HistoryEvent

_TITLES = ("time", "origin", "id", "kind", "key", "actor", "reason", "value")
_LIMIT_DEFAULT = 1000


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("history")(history)


def history(
    context: typer.Context,
    key: Annotated[str | None, typer.Option(help="Only this entry.")] = None,
    prefix: Annotated[
        str | None, typer.Option(help="Only entries whose key starts so.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="2026-01-31, 2026-01-31T10:00 (UTC) or ms."),
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="The same forms.")
    ] = None,
    actor: Annotated[str | None, typer.Option(help="Only changes by this one.")] = None,
    origin: Annotated[
        str | None, typer.Option(help="Only events of the master or the standby.")
    ] = None,
    limit: Annotated[
        int, typer.Option(min=0, help="At most so many, the oldest; 0: all.")
    ] = _LIMIT_DEFAULT,
) -> None:
    """Show events in causal order, oldest first."""
    session = session_of(context)
    wanted = HistoryFilter(
        key=key,
        prefix=prefix,
        since=_checked_time("--since", since),
        until=_checked_time("--until", until),
        actor=actor,
        origin=origin,
    )
    found = session.client().history(wanted)
    shown = itertools.islice(found, limit) if limit else found
    if session.output.json:
        for event in shown:
            session.output.record(dict(event.raw))
    else:
        session.output.table(_TITLES, _rows(shown))
    if limit and next(found, None) is not None:
        session.output.note(
            f"only the first {limit} events; for more use --limit, or --since"
        )


def _rows(events: Iterator[HistoryEvent]) -> Iterator[tuple[str, ...]]:
    for event in events:
        yield (
            event.time,
            event.origin,
            event.id,
            event.kind + (" (overridden)" if event.overridden_by else ""),
            event.key,
            event.actor,
            event.reason,
            _value(event),
        )


def _value(event: HistoryEvent) -> str:
    value = event.value
    if event.kind == "state-changed" and isinstance(value, dict):
        # What matters of it, in the words of the nodes' logs; --json gives the rest.
        moved = f"{value.get('from')} -> {value.get('to')}, rule {value.get('rule')}"
        return shortened(moved)
    return "" if value is None else brief_value(value)


def _checked_time(option: str, text: str | None) -> str | None:
    """`text` as the node takes it. Without a zone it means UTC, as history shows times.

    Raises:
        UsageProblem: it is neither ISO 8601 nor milliseconds since 1970.
    """
    if text is None or _is_milliseconds(text):
        return text
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise UsageProblem(
            f"{option} is {shortened(text)!r}; give a time such as 2026-01-31, "
            "2026-01-31T10:00:00+01:00, or milliseconds since 1970"
        ) from None
    return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).isoformat()


def _is_milliseconds(text: str) -> bool:
    # A date without separators has 8 digits; as milliseconds it would be in 1970.
    return text.isascii() and text.isdigit() and 8 < len(text) <= 15
