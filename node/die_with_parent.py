"""Becomes another program that is killed when the process that started it ends.

A script, not an import: `python -I -S die_with_parent.py PARENT_PID PROGRAM [ARGUMENT ...]`
replaces itself by PROGRAM, so the process id stays the same. Setting the parent-death
signal between fork and exec of a process with threads is not safe in Python; setting it
here is, and exec keeps it. Linux only; elsewhere PROGRAM just runs, and its parent must
stop it.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>

PARENT_GONE = 125
"""Exit code when the parent had ended before the signal was set."""

NOT_RUN = 127
"""Exit code when there is no such program, as of a shell."""


def ask_for_parent_death_signal() -> None:
    """Have the kernel send SIGKILL to this process when the starting thread ends."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")


def main(arguments: list[str]) -> int:
    parent_pid, program = int(arguments[0]), arguments[1:]
    if sys.platform == "linux":
        ask_for_parent_death_signal()
    if os.getppid() != parent_pid:
        return PARENT_GONE
    try:
        os.execv(program[0], program)  # noqa: S606  a shell is not wanted here
    except OSError as error:
        sys.stderr.write(f"{program[0]} cannot be run: {error.strerror}\n")
        return NOT_RUN


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
