"""`licence install|list|remove` for operators, `licence issue` for vendors."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from admin.cli.output import Output
from admin.cli.session import session_of
from admin.client import NodeClient
from admin.errors import AdminError, UsageProblem
from admin.json_text import JsonValue
from admin.key_files import read_private_key
from admin.licence_files import parsed_licence, write_licence
from admin.licence_replies import InstalledLicence
from eventstore import LICENCE_BYTES_MAX, InvalidLicence, sign_licence

_PRODUCT = "netphone-standby"
_TITLES = (
    "id",
    "valid",
    "seats",
    "option",
    "holder",
    "not before",
    "ends",
    "signature",
    "why not",
)
_FIELDS = ("seats", "option", "holder", "not_before", "ends")

_group = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.add_typer(_group, name="licence", help="Install, list, remove, issue licences.")


@_group.command("install")
def install(
    context: typer.Context,
    file: Annotated[str, typer.Argument(help="The licence; - for standard input.")],
    reason: Annotated[str, typer.Option(help="Why, for the history.")] = "",
) -> None:
    """Install a licence at the master; the standby has it a moment later."""
    session = session_of(context)
    name = "standard input" if file == "-" else file
    document = parsed_licence(name, session.read(file, LICENCE_BYTES_MAX))
    client = session.client()
    event_id = client.install_licence(document, reason=reason)
    if session.output.json:
        session.output.record({"id": event_id, "licence": document["id"]})
        return
    session.output.line(f"installed licence {document['id']} (event {event_id})")
    _tell_totals(session.output, client)


@_group.command("list")
def list_(context: typer.Context) -> None:
    """List the licences that are installed, and what they are worth now."""
    session = session_of(context)
    found = session.client().licences()
    if session.output.json:
        session.output.record(dict(found.raw))
        return
    if found.installed:
        session.output.table(_TITLES, map(_row, found.installed))
    session.output.line(f"licences: {found.totals.text}")


@_group.command("remove")
def remove(
    context: typer.Context,
    licence_id: Annotated[
        str, typer.Argument(metavar="ID", help="Of the licence, as `list` shows it.")
    ],
    reason: Annotated[str, typer.Option(help="Why, for the history.")] = "",
) -> None:
    """Remove a licence at the master; users that are logged on stay."""
    session = session_of(context)
    client = session.client()
    event_id = client.remove_licence(licence_id, reason=reason)
    if session.output.json:
        session.output.record({"id": event_id, "licence": licence_id})
        return
    session.output.line(f"removed licence {licence_id} (event {event_id})")
    _tell_totals(session.output, client)


@_group.command("issue")
def issue(
    context: typer.Context,
    key: Annotated[
        Path, typer.Option(metavar="FILE", help="The vendor's private key.")
    ],
    holder: Annotated[str, typer.Option(help="Who may use it.")],
    seats: Annotated[int, typer.Option(help="How many users may be logged on.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where it is written.")],
    product: Annotated[str, typer.Option(help="What it is for.")] = _PRODUCT,
    option: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only for this add-on.")
    ] = None,
    not_before: Annotated[
        str | None, typer.Option(metavar="DATE", help="Valid from then on.")
    ] = None,
    ends: Annotated[
        str | None, typer.Option(metavar="DATE", help="Its last day; else no end.")
    ] = None,
    licence_id: Annotated[
        str | None, typer.Option("--id", metavar="ID", help="Else a new one.")
    ] = None,
) -> None:
    """Issue a licence, signed. For vendors: needs no node.

    A DATE is 2026-12-31, or 2026-12-31T12:00:00Z; all are UTC.
    """
    given: dict[str, JsonValue] = {
        "id": f"L-{secrets.token_hex(8)}" if licence_id is None else licence_id,
        "product": product,
        "holder": holder,
        "seats": seats,
        "issued": _now(),
        "not_before": not_before,
        "ends": ends,
        "option": option,
    }
    private = read_private_key(key)
    try:
        document = sign_licence(
            {field: value for field, value in given.items() if value is not None},
            private,
        )
    except InvalidLicence as error:
        raise UsageProblem(f"no licence was issued: {error}") from None
    write_licence(out, document)
    output, fingerprint = session_of(context).output, private.public.fingerprint
    if output.json:
        told = {"file": str(out), "licence": document["id"], "key": fingerprint}
        output.record(told)
    else:
        output.line(
            f"wrote {out}: licence {document['id']} for {holder}, {seats} seats, signed "
            f"with the key {fingerprint}"
        )


def _tell_totals(output: Output, client: NodeClient) -> None:
    try:
        output.line(f"licences: {client.licences().totals.text}")
    except AdminError as error:  # The change is made all the same.
        output.note(f"what all are worth now is not known: {error.text}")


def _row(found: InstalledLicence) -> list[str]:
    said = [str(found.document.get(field) or "") for field in _FIELDS]
    valid = "yes" if found.valid else "no"
    return [found.id, valid, *said, found.signature, found.reason or ""]


def _now() -> str:
    # A vendor's machine is no node: nothing else here goes by its clock.
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")  # noqa: TID251
