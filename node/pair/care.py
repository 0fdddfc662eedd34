"""Looks after the children of a pair: a child that ends is reported and started again."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from node.child_process import ChildProcess
from node.errors import NodeError
from node.pair.local import LocalPair

RESTART_AFTER_S = 3.0
RESTART_AFTER_MAX_S = 30.0
LIVED_LONG_S = 10.0
LINE_CHARACTERS_MAX = 160
READ_BYTES_MAX = 1_000_000
_CHANGE_OF_STATE = re.compile(r"\b(active|passive) -> (active|passive)\b.*")

Say = Callable[[str], None]


def restart_delay_s(last_delay_s: float, lived_s: float) -> float:
    """How long to wait before a child that lived for `lived_s` is started again.

    Long enough to watch a takeover. It doubles while the child ends soon after each start.
    """
    if lived_s >= LIVED_LONG_S:
        return RESTART_AFTER_S
    return min(max(2 * last_delay_s, RESTART_AFTER_S), RESTART_AFTER_MAX_S)


class Care:
    """The attention that one child gets; `look` is called often and returns soon."""

    def __init__(
        self, name: str, child: ChildProcess, start: Callable[[], None], say: Say
    ) -> None:
        self._name = name
        self._child = child
        self._start = start
        self._say = say
        self._started_s = 0.0
        self._delay_s = 0.0
        self._due_s: float | None = None

    def look(self, now_s: float) -> None:
        """Report an end, or start the child again when it is time for that."""
        if self._child.is_running:
            return
        if self._due_s is None:
            self._delay_s = restart_delay_s(self._delay_s, now_s - self._started_s)
            self._due_s = now_s + self._delay_s
            self._say(
                f"{self._name} ended {self._child.ending}; it is started again in "
                f"{self._delay_s:g} s, as a supervisor would"
            )
        elif now_s >= self._due_s:
            self._restart(now_s)

    def _restart(self, now_s: float) -> None:
        self._started_s, self._due_s = now_s, None
        try:
            self._start()
        except (NodeError, OSError) as error:
            self._say(f"{self._name} could not be started: {error}")
        else:
            self._say(f"{self._name} was started again, as process {self._child.pid}")


class ChangesOfState:
    """The lines of a node's log that tell a change of state, each given once."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._read_bytes = log.stat().st_size if log.exists() else 0
        self._rest = b""

    def new(self) -> list[str]:
        """What was written since the last call, without time and other decoration."""
        *lines, self._rest = (self._rest + self._written()).split(b"\n")
        found = [
            _CHANGE_OF_STATE.search(line.decode("utf-8", "replace")) for line in lines
        ]
        return [match[0][:LINE_CHARACTERS_MAX] for match in found if match]

    def _written(self) -> bytes:
        try:
            if self._log.stat().st_size < self._read_bytes:
                self._read_bytes = 0  # It was set aside, and a new one begun.
            with self._log.open("rb") as log:
                log.seek(self._read_bytes)
                written = log.read(READ_BYTES_MAX)
        except FileNotFoundError:
            return b""
        self._read_bytes += len(written)
        return written


class PairCare:
    """Looks after all four children, and repeats what the nodes say of their states."""

    def __init__(self, pair: LocalPair, say: Say) -> None:
        nodes = pair.nodes.values()
        self._say = say
        self._changes = {node.role: ChangesOfState(node.process.log) for node in nodes}
        self._cares: Sequence[Care] = [
            care
            for node in nodes
            for care in (
                Care(
                    f"the {node.role}'s Redis",
                    node.redis.process,
                    node.redis.start,
                    say,
                ),
                Care(f"the {node.role}'s node", node.process, node.process.start, say),
            )
        ]

    def look(self, now_s: float) -> None:
        """Look once at everything."""
        self.repeat_changes_of_state()
        for care in self._cares:
            care.look(now_s)

    def repeat_changes_of_state(self) -> None:
        for role, changes in self._changes.items():
            for line in changes.new():
                self._say(f"{role}: {line}")
