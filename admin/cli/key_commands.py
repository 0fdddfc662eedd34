"""`key new`: a key of one's own, for signing licences and what auditors keep."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from admin.cli.session import session_of
from admin.key_files import write_new_key

_group = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.add_typer(_group, name="key", help="Keys that sign licences and audits.")


@_group.command("new")
def new(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="Where the private key is put.")],
) -> None:
    """Make an Ed25519 key: FILE is the private part, FILE.pub the public one."""
    output = session_of(context).output
    public = write_new_key(file)
    if output.json:
        output.record({"file": str(file), "fingerprint": public.fingerprint})
    else:
        output.line(
            f"wrote {file} (private: keep it off the pair) and {file}.pub, "
            f"fingerprint {public.fingerprint}"
        )
