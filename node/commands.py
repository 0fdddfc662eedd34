"""Runs an operator's command with a deadline."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence

import attrs

_OUTPUT_BYTES_MAX = 2000


@attrs.frozen
class Ended:
    """How a command ended."""

    code: int | None
    """Its exit code; None: it was killed at the deadline."""
    output: str
    """The end of what it printed, on one line."""


def run_command(
    command: Sequence[str], variables: Mapping[str, str], limit_s: float
) -> Ended:
    """Run `command` with `variables` added to the environment.

    It is killed with its children after `limit_s`.

    Raises:
        OSError: it cannot be run.
    """
    # A file, not a pipe: a child that stays in the background must not hold us up.
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(  # noqa: S603 the operator's own command
                list(command),
                env={**os.environ, **variables},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except ValueError as error:  # NUL in a variable.
            raise OSError(str(error)) from error
        try:
            code: int | None = process.wait(limit_s)
        except subprocess.TimeoutExpired:
            code = None
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        output.seek(max(0, output.seek(0, os.SEEK_END) - _OUTPUT_BYTES_MAX))
        text = output.read().decode(errors="replace")
    return Ended(code, " ".join(text.split()))
