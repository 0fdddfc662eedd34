"""A hook command that stops a planned switch in its middle, until the test goes on.

The giver runs its passive hook when the taker has confirmed every event, and before it
asks for the promise: writes are frozen, and to the outside it is still active.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from node.roles import Role
from tests.support.waiting import wait_until

ENTERED_LIMIT_S = 10.0

_SCRIPT = """\
#!/bin/sh
[ -e "$1/hold" ] || exit 0
: > "$1/entered-$NETPHONE_ROLE"
while [ -e "$1/hold" ]; do sleep 0.02; done
"""


class HoldingHook:
    """Does nothing, unless it is told to hold the next switch."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True)
        self._directory = directory
        self._script = directory / "hook"
        self._script.write_text(_SCRIPT)

    @property
    def command(self) -> list[str]:
        """For `[hooks] on_passive`."""
        return ["/bin/sh", str(self._script), str(self._directory)]

    @contextmanager
    def held(self) -> Iterator[None]:
        """While the block runs, a hook that is called does not end."""
        for left in self._directory.glob("entered-*"):
            left.unlink()
        hold = self._directory / "hold"
        hold.touch()
        try:
            yield
        finally:
            hold.unlink()

    def wait_until_entered(self, role: Role) -> None:
        """Wait until the hook of the node of `role` runs, within `held`."""
        wait_until(
            (self._directory / f"entered-{role}").exists,
            ENTERED_LIMIT_S,
            f"the hook of the {role}",
        )
