"""`put`, `get`, `list` and `delete`: one entry, or what there is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import typer

from admin.cli.output import brief_value
from admin.cli.session import Session, session_of
from admin.errors import UsageProblem
from admin.json_text import JsonValue, NotJson, parsed_json
from admin.replies import Entry

Key = Annotated[str, typer.Argument(help="collection/name, such as users/alice")]
Expected = Annotated[
    str | None,
    typer.Option(metavar="ID", help="Only if the entry is still this version."),
]
Reason = Annotated[str, typer.Option(help="Why, for the history.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("put")(put)
    app.command("get")(get)
    app.command("list")(list_entries)
    app.command("delete")(delete)


def put(
    context: typer.Context,
    key: Key,
    value: Annotated[str, typer.Argument(help="JSON, or @FILE, or - for input")],
    expected: Expected = None,
    reason: Reason = "",
) -> None:
    """Store VALUE under KEY.

    A text is JSON in quotes: '"text"'. A negative number comes after --.
    """
    session = session_of(context)
    stored = _value(session, value)
    event_id = session.client().put(key, stored, expected=expected, reason=reason)
    if session.output.json:
        session.output.record({"key": key, "id": event_id})
    else:
        session.output.line(f"stored {key} (id {event_id})")


def get(context: typer.Context, key: Key) -> None:
    """Show the value under KEY.

    Its id and origin go to standard error.
    """
    session = session_of(context)
    entry = session.client().get(key)
    if session.output.json:
        session.output.record(_record(entry))
        return
    session.output.record(entry.value, indent=2)
    session.output.note(f"id {entry.id}, origin {entry.origin}")


def list_entries(
    context: typer.Context,
    prefix: Annotated[str, typer.Argument(help="Only keys that start so")] = "",
) -> None:
    """List entries, in the order of their keys."""
    session = session_of(context)
    entries = session.client().entries(prefix)
    if session.output.json:
        for entry in entries:
            session.output.record(_record(entry))
        return
    session.output.table(("key", "id", "origin", "value"), _rows(entries))


def delete(
    context: typer.Context, key: Key, expected: Expected = None, reason: Reason = ""
) -> None:
    """Delete the entry KEY. The history keeps it."""
    session = session_of(context)
    event_id = session.client().delete(key, expected=expected, reason=reason)
    if session.output.json:
        session.output.record({"key": key, "id": event_id})
    else:
        session.output.line(f"deleted {key} (id {event_id})")


def _value(session: Session, text: str) -> JsonValue:
    source = "VALUE"
    if text == "-" or text.startswith("@"):
        source = "standard input" if text == "-" else text[1:]
        try:
            text = session.read("-" if text == "-" else source).decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise UsageProblem(
                f"{source} is not UTF-8: byte 0x{error.object[error.start]:02x} at "
                f"{error.start + 1}"
            ) from None
    try:
        return parsed_json(text)
    except NotJson as error:
        raise UsageProblem(
            f"{source} is not JSON: {error}; a text needs quotes, such as '\"text\"'"
        ) from None


def _record(entry: Entry) -> dict[str, JsonValue]:
    return {
        "key": entry.key,
        "value": entry.value,
        "id": entry.id,
        "origin": entry.origin,
    }


def _rows(entries: Iterator[Entry]) -> Iterator[tuple[str, str, str, str]]:
    for entry in entries:
        yield entry.key, entry.id, entry.origin, brief_value(entry.value)
