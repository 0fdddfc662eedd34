"""Everything the command line reports, split by exit code: what a script can do about it.

AdminError             1  internal error
├── UsageProblem       2  correct the command, the file or the setting
│   └── FileBroken     2  correct these lines of the file; nothing was stored
├── Refused            3  the node says no; the reasons are given
├── Unreachable        4  no node answers there
├── ReplyUnclear       4  what answers there does not answer as a node does
├── TimedOut           5  a switch or a resync ran out of time and was rolled back
├── NotAuthorised      6  no token, an unknown one, or one that may only read
└── DataUnverified     7  the data failed verification
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """Exit codes of `python -m admin`. Scripts rely on them: never change one."""

    DONE = 0
    INTERNAL = 1
    USAGE = 2
    REFUSED = 3
    UNREACHABLE = 4
    TIMED_OUT = 5
    NOT_AUTHORISED = 6
    UNVERIFIED = 7
    INTERRUPTED = 130
    """Ctrl-C, as shells count it."""


class AdminError(Exception):
    """Base of every error of this package; carries the exit code of the command."""

    exit_code: ClassVar[ExitCode] = ExitCode.INTERNAL

    def __init__(
        self, text: str, *, code: str = "", reasons: Sequence[str] = ()
    ) -> None:
        super().__init__(text)
        self.text = text
        """One line: the value, the limit, the remedy."""
        self.code = code
        """The node's own code, such as `entry-changed`; empty if it did not come from one."""
        self.reasons = tuple(reasons)
        """Every failed check, if the node gave several."""

    def lines(self) -> list[str]:
        """What a person reads on standard error."""
        more = [reason for reason in self.reasons if reason not in self.text]
        return [f"error: {self.text}", *(f"  - {reason}" for reason in more)]


class UsageProblem(AdminError):
    """The command, a file or a setting is wrong. Nothing was changed."""

    exit_code = ExitCode.USAGE


class FileBroken(UsageProblem):
    """A file has lines that cannot be imported; `reasons` names each. Nothing was stored."""

    def lines(self) -> list[str]:
        """The broken lines first, then what it means."""
        return [*self.reasons, f"error: {self.text}"]


class Refused(AdminError):
    """The node understood and says no."""

    exit_code = ExitCode.REFUSED


class Unreachable(AdminError):
    """No answer. Whether a change was made is unknown if the text says so."""

    exit_code = ExitCode.UNREACHABLE


class ReplyUnclear(AdminError):
    """An answer that no node gives: another service, or a version that is too different."""

    exit_code = ExitCode.UNREACHABLE


class TimedOut(AdminError):
    """A switch or a resync failed on the way; the text says what is so now."""

    exit_code = ExitCode.TIMED_OUT


class NotAuthorised(AdminError):
    """The node knows no such token, or the token may only read."""

    exit_code = ExitCode.NOT_AUTHORISED


class DataUnverified(AdminError):
    """Stored data does not match its digests."""

    exit_code = ExitCode.UNVERIFIED
