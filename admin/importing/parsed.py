"""What reading a file gives: entries, and the lines that are broken. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from admin.json_text import JsonValue

PROBLEM_COUNT_SHOWN_MAX = 20


class BrokenLines(Exception):
    """The file cannot be imported. Reasons never quote a value that may be a password."""

    def __init__(self, problems: Mapping[int, str]) -> None:
        super().__init__(f"{len(problems)} broken lines")
        self.problems = dict(sorted(problems.items()))
        """Line number, from 1 -> what is wrong there."""


class Problems:
    """Collects what is wrong, the first reason of each line."""

    def __init__(self) -> None:
        self._by_line: dict[int, str] = {}

    def add(self, line: int, reason: str) -> None:
        """Note that `line` is broken."""
        self._by_line.setdefault(line, reason)

    def raise_if_any(self) -> None:
        """End here if a line is broken.

        Raises:
            BrokenLines: at least one is.
        """
        if self._by_line:
            raise BrokenLines(self._by_line)


@attrs.frozen
class ParsedFile:
    """The entries of a file."""

    entries: Mapping[str, JsonValue] = attrs.field(repr=False)
    left_out: Mapping[str, int] = attrs.field(factory=dict)
    """Password columns that are not stored -> how many rows had a value there."""
    realm: str | None = None
    """What the digests in the entries are for; None: there are none."""
    without_secret_count: int = 0
    """Users that cannot log on, because the file has no secret for them."""
