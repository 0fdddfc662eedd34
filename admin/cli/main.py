"""`python -m admin`: the whole command line, and how it ends."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, BinaryIO, TextIO

import httpx
import typer

from admin.cli import (
    archive_command,
    audit_commands,
    conflicts_commands,
    entry_commands,
    export_command,
    history_command,
    import_command,
    key_commands,
    licence_commands,
    past_commands,
    replication_commands,
    status_commands,
    switch_command,
    takeover_commands,
    verify_command,
)
from admin.cli.global_options import options_first
from admin.cli.output import Output, OutputClosed
from admin.cli.session import TIMEOUT_S, Session, World, session_of
from admin.errors import AdminError, ExitCode, UsageProblem

_PROGRAM = "python -m admin"

_HELP = """Operate a NetPhone Standby pair through one of its nodes.

\b
Examples:
  export NETPHONE_NODE=http://10.0.0.1:7480
  python -m admin status --token-file read.token
  python -m admin watch
  python -m admin switch --dry-run
  python -m admin switch --when idle --reason "new fan"
  python -m admin put users/alice '{"extension": "101"}'
  python -m admin import extensions.csv --dry-run
  python -m admin export backup.jsonl
  python -m admin history --key users/alice
  python -m admin licence install licence.json
  python -m admin replay --until 2026-01-31T10:00 --json > then.jsonl

The options below work before and after the command. The token comes from --token-file (a
file only you can read) or from NETPHONE_TOKEN.

\b
Exit codes: 0 done, 1 internal error, 2 usage, 3 refused, 4 node unreachable,
5 timed out and rolled back, 6 not authorised, 7 data failed verification.
"""

app = typer.Typer(
    help=_HELP,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
archive_command.add_to(app)
status_commands.add_to(app)
switch_command.add_to(app)
takeover_commands.add_to(app)
entry_commands.add_to(app)
import_command.add_to(app)
export_command.add_to(app)
replication_commands.add_to(app)
history_command.add_to(app)
conflicts_commands.add_to(app)
key_commands.add_to(app)
licence_commands.add_to(app)
audit_commands.add_to(app)
verify_command.add_to(app)
past_commands.add_to(app)

_COMMAND_LINE_PROBLEM: type[Exception] = next(
    kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException"
)
"""Base of what the command line library raises; its public name changed over versions."""


@app.callback()
def _options(
    context: typer.Context,
    node: Annotated[
        str | None,
        typer.Option(metavar="URL", help="The node; else NETPHONE_NODE."),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="File with the token; else NETPHONE_TOKEN."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Write JSON lines.")] = False,
    actor: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Who acts; else your login name."),
    ] = None,
    timeout_s: Annotated[
        float,
        typer.Option(metavar="SECONDS", help="How long to wait for the node."),
    ] = TIMEOUT_S,
) -> None:
    session = session_of(context)
    session.node = node
    session.token_file = token_file
    session.output.json = json
    session.actor = actor
    session.timeout_s = timeout_s


def main(
    arguments: Sequence[str] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    stdin: BinaryIO | None = None,
    stdout: TextIO | None = None,
    stderr: TextIO | None = None,
    sleep: Callable[[float], None] = time.sleep,
    now_ns: Callable[[], int] = time.time_ns,  # noqa: TID251 - no decision of a node
    transport: httpx.BaseTransport | None = None,
) -> int:
    """Run one command and return its exit code; never raises, never shows a traceback.

    `NETPHONE_DEBUG=1` shows the traceback of an internal error.
    """
    world = World(
        environ=os.environ if environ is None else environ,
        stdin=stdin or (sys.stdin.buffer if sys.stdin else io.BytesIO()),
        stdout=stdout or sys.stdout or _nobody(),
        stderr=stderr or sys.stderr or _nobody(),
        sleep=sleep,
        now_ns=now_ns,
        transport=transport,
    )
    for stream in (world.stdout, world.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that cannot show a name must not end the command.
            stream.reconfigure(errors="backslashreplace")
    given = list(sys.argv[1:] if arguments is None else arguments)
    output = Output(json="--json" in given, stdout=world.stdout, stderr=world.stderr)
    return _ended(given, Session(world=world, output=output))


def _nobody() -> TextIO:
    """In place of an output that whoever started us closed, such as with `>&-`."""
    return Path(os.devnull).open("w", encoding="utf-8")


def _ended(arguments: list[str], session: Session) -> int:
    output = session.output
    try:
        ended = _run(arguments, session)
        output.flush()
    except AdminError as error:
        output.failure(error)
        return error.exit_code
    except _COMMAND_LINE_PROBLEM as error:
        output.failure(_usage_problem(error))
        return ExitCode.USAGE
    except OutputClosed:
        # What is still buffered would raise once more when the interpreter ends.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), session.world.stdout.fileno())
        return ExitCode.DONE
    except KeyboardInterrupt:
        ended = ExitCode.INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last resort: one line, exit code 1
        output.failure(_internal_error(error, session.world))
        return ExitCode.INTERNAL
    if ended == ExitCode.INTERRUPTED:
        output.note("interrupted")
    return ended


def _run(arguments: list[str], session: Session) -> int:
    for position, argument in enumerate(arguments, start=1):
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise UsageProblem(f"argument {position} is not valid UTF-8") from None
    ended = app(
        args=options_first(arguments),
        prog_name=_PROGRAM,
        standalone_mode=False,
        obj=session,
    )
    return ended if isinstance(ended, int) else ExitCode.DONE


def _usage_problem(error: Exception) -> UsageProblem:
    format_message = getattr(error, "format_message", error.__str__)
    text = " ".join(str(format_message()).split()).rstrip(".")
    context = getattr(error, "ctx", None)
    command = getattr(context, "command_path", _PROGRAM)
    return UsageProblem(f"{text}; see {command} --help")


def _internal_error(error: Exception, world: World) -> AdminError:
    if world.environ.get("NETPHONE_DEBUG") == "1":
        traceback.print_exception(error, file=world.stderr)
    text = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    return AdminError(
        f"internal error: {text}; NETPHONE_DEBUG=1 shows where it happened"
    )
