"""Replication without its thread: each step is a job of the node."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore import Origin, Replication, Replicator
from eventstore.replication import BLOCK_MS, RETRY_S
from tests.simulation.network import LATENCY_S

if TYPE_CHECKING:
    from tests.simulation.stored_node import StoredNode


class Following(Replicator):
    """Takes what the peer's Redis has as soon as that has grown, or after one block."""

    def __init__(self, node: StoredNode, replication: Replication) -> None:
        self._node = node
        self._due_s: float | None = None
        super().__init__(replication, peer=Origin(node.role.other.value))

    def start(self) -> None:
        """Nothing to start: `set_enabled` wakes it."""

    def stop(self, limit_s: float) -> None:
        self._stopping = True
        self._replication.stop()

    def set_enabled(self, enabled: bool, *, problem: str | None = None) -> None:
        super().set_enabled(enabled, problem=problem)
        self.wake()

    def wake(self) -> None:
        """There may be something new."""
        self._step_in(LATENCY_S)

    def _step_in(self, wait_s: float) -> None:
        world = self._node.world
        due_s = world.now_s + wait_s
        if self._due_s is not None and world.now_s <= self._due_s <= due_s:
            return
        self._due_s = due_s

        def due() -> None:
            if self._due_s == due_s:
                self._node.submit(self._step_now)

        world.later(wait_s, due)

    def _step_now(self) -> None:
        """As a turn of the product's thread."""
        self._due_s = None
        if self._stopping:
            return
        if not self._enabled:
            self._replication.pause(self._problem)
            if not self._replication.needs_recovery:
                self._step_in(RETRY_S)
                return
        went_well = self.step()
        self._step_in(BLOCK_MS / 1000 if went_well else RETRY_S)
