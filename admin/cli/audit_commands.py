"""`audit export` and `audit verify`: the history of a pair in a file for somebody else."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import attrs
import typer

from admin.bundle_files import opened_bundle, writing
from admin.cli.offline_options import PairName, PasswordFile, RedisUrl, offline
from admin.cli.progress import shown_progress
from admin.cli.session import Session, session_of
from admin.errors import UsageProblem
from admin.key_files import read_private_key, read_public_key
from admin.node_source import NodeSource
from admin.offline import ORIGINS, as_told_to_operators
from eventstore import (
    Bundle,
    CheckedChain,
    Export,
    Head,
    KeepingSource,
    Trailer,
    check_bundle,
    closed_ends,
    export_events,
    format_time,
)

_group = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
_TITLES = "chain", "events", "first", "last", "digest of the last", "from", "to"
_DIGITS_SHOWN = 16


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.add_typer(_group, name="audit", help="The history in a file, and its proof.")


@_group.command("export")
def export(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="The file to be made.")],
    key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Your private key: signs it.")
    ] = None,
    redis: RedisUrl = None,
    pair: PairName = None,
    redis_password_file: PasswordFile = None,
) -> None:
    """Write all events of the pair, and what was replaced, to a new file.

    It needs nothing else to be verified, and holds all that users were, with the digests they
    log on with: only its owner can read it.
    """
    session = session_of(context)
    signing = None if key is None else read_private_key(key)
    streams = offline(redis, pair, redis_password_file)
    order = Export(
        by=session.actor_name, created_ns=session.world.now_ns(), key=signing
    )
    with streams or nullcontext() as found, as_told_to_operators():
        source: KeepingSource = found or NodeSource(session.client())
        trailer = _exported(session, source, file, order)
    _show_exported(session, file, trailer, order)


def _exported(
    session: Session,
    source: KeepingSource,
    file: Path,
    order: Export,
) -> Trailer:
    ends = closed_ends(source, ORIGINS)
    count = sum(last.n for last in ends.values())
    if count == 0:
        raise UsageProblem(
            f"there are no events of pair {source.pair!r}; check its name"
        )
    with writing(file), shown_progress(session.output, "exporting", count) as steps:
        return export_events(
            source, ends, file, attrs.evolve(order, told=steps.advance)
        )


def _show_exported(
    session: Session, file: Path, trailer: Trailer, order: Export
) -> None:
    output, count = session.output, sum(held.count for held in trailer.held)
    fingerprint = None if order.key is None else order.key.public.fingerprint
    if output.json:
        output.record({"file": str(file), "events": count, "signer": fingerprint})
        return
    signed = f"signed with the key {fingerprint}" if fingerprint else "not signed"
    output.line(f"{file}: {count} events, {signed}")
    if fingerprint is None:
        output.note("anybody could have made an unsigned file: sign it with --key")


@_group.command("verify")
def verify(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="What `audit export` made.")],
    public_key: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="It must be signed with this one's key."),
    ] = None,
) -> None:
    """Check a file: signature, digests, chains, gaps, vectors. Needs neither node nor Redis."""
    session = session_of(context)
    trusted = None if public_key is None else read_public_key(public_key)
    with opened_bundle(file, trusted) as bundle:
        count = sum(held.count for held in bundle.trailer.held)
        with shown_progress(session.output, "verifying", count) as steps:
            chains = check_bundle(bundle, steps.advance)
        if session.output.json:
            session.output.record(_record(bundle, chains))
            return
        _show_verified(session, bundle, chains)
    if trusted is None and bundle.signer is not None:
        session.output.note("whose key that is, only --public-key tells")


def _show_verified(
    session: Session, bundle: Bundle, chains: Sequence[CheckedChain]
) -> None:
    output, header = session.output, bundle.header
    output.line(
        f"{bundle.path}: {header.kind} of pair {header.pair}, made "
        f"{_time(header.created_ns)} by {header.by}"
    )
    if bundle.signer is None:
        output.line("NOT SIGNED: it fits itself, but anybody could have made it so")
    else:
        output.line(f"signed with the key {bundle.signer.fingerprint}")
    output.table(_TITLES, (_row(checked) for checked in chains))
    for checked in chains:
        if checked.break_at is not None:
            output.note(
                f"{checked.chain.name} is not one unbroken history, from "
                f"{checked.break_at} on: it was replaced as it was found"
            )
        if checked.unread_count:
            output.note(
                f"{checked.chain.name} has {checked.unread_count} events that this "
                "version does not understand"
            )
    output.line("whole: every digest, chain, number and vector fits")


def _row(checked: CheckedChain) -> tuple[str, ...]:
    held = checked.held
    return (
        checked.chain.archive or str(checked.chain.origin),
        str(held.count),
        "" if held.first is None else str(held.first.id),
        "" if held.last is None else str(held.last.id),
        "" if held.last is None else held.last.digest.hex()[:_DIGITS_SHOWN],
        _time(checked.since_ns) or "",
        _time(checked.until_ns) or "",
    )


def _record(bundle: Bundle, chains: Sequence[CheckedChain]) -> dict[str, object]:
    header, signer = bundle.header, bundle.signer
    return {
        "file": str(bundle.path),
        "kind": header.kind,
        "pair": header.pair,
        "created": _time(header.created_ns),
        "by": header.by,
        "signer": None if signer is None else signer.fingerprint,
        "chains": [
            {
                "origin": checked.chain.origin,
                "archive": checked.chain.archive,
                "events": checked.held.count,
                "after": _place(checked.chain.after),
                "first": _place(checked.held.first),
                "last": _place(checked.held.last),
                "from": _time(checked.since_ns),
                "to": _time(checked.until_ns),
                "not_understood": checked.unread_count,
                "broken_at": None
                if checked.break_at is None
                else str(checked.break_at),
            }
            for checked in chains
        ],
    }


def _place(head: Head | None) -> dict[str, str] | None:
    if head is None:
        return None
    return {"id": str(head.id), "digest": head.digest.hex()}


def _time(wall_ns: int | None) -> str | None:
    """ISO 8601 in UTC; a number where no calendar has it."""
    if wall_ns is None:
        return None
    return format_time(wall_ns, "seconds") or str(wall_ns)
