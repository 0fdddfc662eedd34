"""`archive`: old events leave the streams of both nodes for a file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated

import attrs
import typer

from admin.bundle_files import opened_bundle, writing
from admin.cli.progress import shown_progress
from admin.cli.session import Session, session_of
from admin.client import NodeClient
from admin.errors import DataUnverified, ReplyUnclear, UsageProblem
from admin.fields import Fields
from admin.json_text import JsonValue
from admin.key_files import read_private_key
from admin.node_source import NodeSource
from admin.offline import ORIGINS
from eventstore import (
    SEGMENT,
    Chain,
    EventId,
    Head,
    Header,
    Origin,
    PrivateKey,
    Stored,
    chain_pages,
    check_bundle,
    write_bundle,
)

_READ_BYTES = 1024 * 1024


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("archive")(archive)


@attrs.frozen
class _Segment:
    """What is to leave."""

    pair: str
    after: Mapping[Origin, Head]
    until: Mapping[Origin, Head]

    @property
    def count(self) -> int:
        return sum(self.until[o].id.n - self.after[o].id.n for o in self.until)


def archive(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="The file to be made.")],
    before: Annotated[
        str,
        typer.Option(metavar="TIME", help="2026-01-31, 2026-01-31T10:00 (UTC) or ms."),
    ],
    key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Your private key: signs it.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would leave.")
    ] = False,
    reason: Annotated[str, typer.Option(help="Why, for the history.")] = "",
) -> None:
    """Move events from before TIME to a new file, which history, replay and verify read.

    Asks the master. Only what both nodes have leaves. First the file is written and verified,
    then both nodes are told to forget what is in it: keep it, there is no other copy.
    """
    session = session_of(context)
    signing = None if key is None else read_private_key(key)
    client = session.client()
    segment = _segment(client, before)
    if segment.count == 0:
        session.output.note("no event that may leave is that old; nothing was done")
        return
    if dry_run:
        _show(session, segment, file, None)
        return
    _write(session, NodeSource(client), segment, file, signing)
    order: JsonValue = {
        "before": before,
        "file": file.name,
        "sha256": _verified(file, segment),
        "streams": {
            str(origin): {"id": str(head.id), "digest": head.digest.hex()}
            for origin, head in segment.until.items()
            if head.id.n
        },
    }
    event_id = client.archive(order, reason=reason)
    _show(session, segment, file, event_id)


def _segment(client: NodeClient, before: str) -> _Segment:
    fields = client.archivable(before)
    after, until = (_heads(fields.inner(name)) for name in ("after", "until"))
    for origin in ORIGINS:
        if origin not in after or origin not in until:
            raise ReplyUnclear(f"GET /archive: stream {origin!r} is missing")
    return _Segment(client.status().pair, after, until)


def _heads(fields: Fields) -> dict[Origin, Head]:
    found = {}
    for origin in fields.raw:
        place = fields.inner(origin)
        try:
            digest = bytes.fromhex(place.text("digest"))
            found[Origin(origin)] = Head(EventId.parse(place.text("id")), digest)
        except ValueError as error:
            raise ReplyUnclear(f"GET /archive: {error}") from None
    return found


def _write(
    session: Session,
    events: NodeSource,
    segment: _Segment,
    file: Path,
    key: PrivateKey | None,
) -> None:
    header = Header(
        kind=SEGMENT,
        pair=segment.pair,
        created_ns=session.world.now_ns(),
        by=session.actor_name,
        chains=tuple(
            Chain(origin=o, after=segment.after[o], until=segment.until[o].id)
            for o in ORIGINS
        ),
    )
    with (
        writing(file),
        shown_progress(session.output, "archiving", segment.count) as steps,
    ):

        def pages(chain: Chain) -> Iterator[Sequence[Stored]]:
            for page in chain_pages(events, chain):
                yield page
                steps.advance(len(page))

        write_bundle(file, header, pages, key)


def _verified(file: Path, segment: _Segment) -> str:
    """The SHA-256 of the file, which has all that is to leave."""
    with opened_bundle(file) as bundle:
        found = {checked.chain.origin: checked for checked in check_bundle(bundle)}
    for origin, head in segment.until.items():
        held = found[origin].held.last or segment.after[origin]
        if held != head:
            raise DataUnverified(
                f"{file} ends with {held.id} of stream {origin!r}, not with what the node "
                f"told, {head.id}; nothing leaves the streams: remove the file, try again"
            )
    digest = hashlib.sha256()
    try:
        with closing(file.open("rb")) as opened:
            while data := opened.read(_READ_BYTES):
                digest.update(data)
    except OSError as error:
        raise UsageProblem(f"cannot read {file}: {error.strerror}") from error
    return digest.hexdigest()


def _show(
    session: Session, segment: _Segment, file: Path, event_id: str | None
) -> None:
    output = session.output
    until = {str(origin): str(head.id) for origin, head in segment.until.items()}
    if output.json:
        output.record(
            {
                "file": str(file),
                "events": segment.count,
                "until": until,
                "id": event_id,
            }
        )
        return
    places = ", ".join(f"{origin} up to {place}" for origin, place in until.items())
    if event_id is None:
        output.line(f"{segment.count} events would leave: {places}")
        return
    output.line(f"{file}: {segment.count} events, {places} (event {event_id})")
    output.note("both nodes forget them now: this file has the only copy; keep it safe")
