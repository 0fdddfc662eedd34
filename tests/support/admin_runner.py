"""Runs the operators' command line in this process, against a fake node."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from admin.cli.main import main
from tests.support.fake_node import CHANGE_TOKEN, URL, FakeNode


class Terminal(io.StringIO):
    """A text stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@attrs.frozen
class Run:
    """How a command ended."""

    exit_code: int
    out: str
    err: str

    @property
    def records(self) -> list[Any]:
        """The lines of standard output, as JSON."""
        return [json.loads(line) for line in self.out.splitlines()]


def run_admin(
    node: FakeNode,
    *arguments: str,
    token: str | None = CHANGE_TOKEN,
    environ: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    terminal: bool = False,
    sleep: Callable[[float], None] = lambda _: None,
) -> Run:
    """One command. The node and the token come from the environment, as for people."""
    out, err = (Terminal(), Terminal()) if terminal else (io.StringIO(), io.StringIO())
    given = {"NETPHONE_NODE": URL, **({"NETPHONE_TOKEN": token} if token else {})}
    exit_code = main(
        arguments,
        environ=given if environ is None else environ,
        stdin=io.BytesIO(stdin),
        stdout=out,
        stderr=err,
        sleep=sleep,
        transport=node.transport,
    )
    return Run(exit_code, out.getvalue(), err.getvalue())
