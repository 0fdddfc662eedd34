"""`import`: entries from a file, JSON Lines or a FreePBX Bulk Handler export."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import attrs
import typer

from admin.cli.output import plain
from admin.cli.progress import shown_progress
from admin.cli.session import Session, session_of
from admin.client import Batch, NodeClient
from admin.errors import AdminError, FileBroken, UsageProblem
from admin.importing.comparison import Comparison, batches, compare
from admin.importing.formats import FileFormat, detected_format
from admin.importing.freepbx import parse_extensions, realm_problem
from admin.importing.json_lines import parse_json_lines
from admin.importing.parsed import PROBLEM_COUNT_SHOWN_MAX, BrokenLines, ParsedFile
from admin.json_text import JsonValue


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("import")(import_file)


def import_file(
    context: typer.Context,
    file: Annotated[str, typer.Argument(help="The file, or - for input")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the numbers, store nothing.")
    ] = False,
    format: Annotated[  # noqa: A002 - the name of the option
        FileFormat, typer.Option(help="What FILE is.")
    ] = FileFormat.AUTO,
    realm: Annotated[
        str | None, typer.Option(help="Realm of the digests; else the node's.")
    ] = None,
    reason: Annotated[
        str | None, typer.Option(help='For the history; else "import of FILE".')
    ] = None,
) -> None:
    """Store the entries of a file, JSON Lines or FreePBX.

    JSON Lines are what export writes. The whole file is checked first; if a line is
    broken, nothing is stored. Only what differs from the node is sent, so a second import
    changes nothing. An entry that is in the file is replaced as a whole, fields that were
    added on the node included; entries that are not in the file are left alone.

    Extensions of FreePBX (CSV with commas, semicolons or tabs) become users/EXTENSION.
    Passwords are never stored: the secret becomes the digests that SIP needs, for one
    realm; voicemail passwords are left out.
    """
    session = session_of(context)
    name = "standard input" if file == "-" else file
    parse = _checked_file(session.read(file), name, format, realm)
    client = session.client()
    parsed = parse(lambda: realm or _realm_of(client))
    comparison = compare(parsed.entries, _present(client, parsed.entries))
    if not dry_run:
        wanted = reason or f"import of {plain(Path(name).name)}"
        _store(session, client, parsed.entries, comparison, wanted)
    _show(session, name, parsed, comparison, dry_run)


_Parse = Callable[[Callable[[], str]], ParsedFile]
"""Gives the entries of a checked file; asks for the realm only if it needs one."""


def _checked_file(
    data: bytes, name: str, file_format: FileFormat, realm: str | None
) -> _Parse:
    """Check the whole file and the realm before any node is asked.

    Raises:
        FileBroken: lines are broken.
        UsageProblem: the realm cannot be one.
    """
    if realm is not None and (problem := realm_problem(realm)):
        raise UsageProblem(problem)
    if file_format is FileFormat.AUTO:
        file_format = detected_format(data)
    try:
        if file_format is FileFormat.JSONL:
            parsed = parse_json_lines(data)
            return lambda _: parsed
        extensions = parse_extensions(data)
        return lambda find_realm: extensions.parsed(find_realm())
    except BrokenLines as broken:
        raise _file_broken(broken, name) from None


def _file_broken(broken: BrokenLines, name: str) -> FileBroken:
    problems = broken.problems
    shown = [f"{name} line {n}: {reason}" for n, reason in problems.items()]
    count = f"{len(problems)} broken line" + ("s" if len(problems) > 1 else "")
    hidden = len(problems) - PROBLEM_COUNT_SHOWN_MAX
    more = f", {hidden} more not shown" if hidden > 0 else ""
    return FileBroken(
        f"{name} has {count}{more}; nothing was stored",
        code="broken-file",
        reasons=shown[:PROBLEM_COUNT_SHOWN_MAX],
    )


def _realm_of(client: NodeClient) -> str:
    realm = client.status().realm
    if realm is None:
        raise UsageProblem("the node does not tell its realm; give it with --realm")
    if problem := realm_problem(realm):
        raise UsageProblem(f"{problem}; give another with --realm")
    return realm


def _present(
    client: NodeClient, wanted: Mapping[str, JsonValue]
) -> dict[str, JsonValue]:
    prefixes = sorted({key.partition("/")[0] + "/" for key in wanted})
    return {
        entry.key: entry.value
        for prefix in prefixes
        for entry in client.entries(prefix)
        if entry.key in wanted
    }


def _store(
    session: Session,
    client: NodeClient,
    entries: Mapping[str, JsonValue],
    comparison: Comparison,
    reason: str,
) -> None:
    keys = comparison.to_send
    stored_count = 0
    with shown_progress(session.output, "storing", len(keys)) as steps:
        for batch in batches(keys, entries):
            try:
                client.store(Batch(batch), reason=reason)
            except AdminError as error:
                raise _interrupted(error, stored_count, len(keys)) from error
            stored_count += len(batch)
            steps.advance(len(batch))


def _interrupted(error: AdminError, stored_count: int, count: int) -> AdminError:
    """The same kind of error, saying how far the import came."""
    return type(error)(
        f"{error.text}; {stored_count} of {count} entries were stored before that: the "
        "same import again sends the rest",
        code=error.code,
        reasons=error.reasons,
    )


@attrs.frozen
class _Summary:
    file: str
    dry_run: bool
    new: int
    changed: int
    unchanged: int
    left_out: dict[str, int]
    realm: str | None
    without_secret: int


def _show(
    session: Session,
    name: str,
    parsed: ParsedFile,
    comparison: Comparison,
    dry_run: bool,
) -> None:
    summary = _Summary(
        file=name,
        dry_run=dry_run,
        new=len(comparison.new),
        changed=len(comparison.changed),
        unchanged=len(comparison.unchanged),
        left_out=dict(parsed.left_out),
        realm=parsed.realm,
        without_secret=parsed.without_secret_count,
    )
    if session.output.json:
        session.output.record(attrs.asdict(summary))
        return
    for line in _summary_lines(summary):
        session.output.line(line)


def _summary_lines(summary: _Summary) -> list[str]:
    start = "dry run, nothing stored: " if summary.dry_run else ""
    lines = [
        f"{start}{summary.file}: {summary.new} new, {summary.changed} changed, "
        f"{summary.unchanged} unchanged"
    ]
    if summary.left_out:
        columns = ", ".join(f"{k} ({n} values)" for k, n in summary.left_out.items())
        lines.append(f"passwords are not stored; columns left out: {columns}")
    if summary.realm is not None:
        lines.append(f"digests made from the secrets, for the realm {summary.realm}")
    if summary.without_secret:
        lines.append(
            f"{summary.without_secret} users have no secret in the file: they cannot "
            "log on"
        )
    return lines
