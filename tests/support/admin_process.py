"""The operators' command line as a process of its own, against a real node."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import attrs

from tests.support.processes import NodeProcess, PairProcesses

COMMAND_LIMIT_S = 60.0


@attrs.frozen
class AdminRun:
    """How `python -m admin` ended, and what it printed."""

    exit_code: int
    out: str
    err: str

    @property
    def printed(self) -> str:
        """Everything, wherever it went."""
        return self.out + self.err

    @property
    def records(self) -> list[Any]:
        """The lines of standard output, as JSON."""
        return [json.loads(line) for line in self.out.splitlines()]


def run_admin(pair: PairProcesses, node: NodeProcess, *arguments: object) -> AdminRun:
    """`python -m admin ARGUMENTS` with the change token of `pair`, asked of `node`."""
    ended = subprocess.run(
        [sys.executable, "-m", "admin", *map(str, arguments)],
        env={
            **os.environ,
            "NETPHONE_NODE": node.url,
            "NETPHONE_TOKEN": pair.change_token,
            "PYTHONUTF8": "1",
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=COMMAND_LIMIT_S,
    )
    return AdminRun(ended.returncode, ended.stdout.decode(), ended.stderr.decode())


def done(pair: PairProcesses, node: NodeProcess, *arguments: object) -> AdminRun:
    """The same for a command that must end well."""
    run = run_admin(pair, node, *arguments)
    assert run.exit_code == 0, run.printed
    return run
