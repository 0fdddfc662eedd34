"""Replication without its thread: each step is a job of the node."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import attrs

from eventstore import EventStoreError, Origin, Progress, Replicator, Streams
from eventstore.replication import BLOCK_MS, RETRY_S
from eventstore.streams import PAGE_EVENT_COUNT
from tests.simulation.network import LATENCY_S

if TYPE_CHECKING:
    from tests.simulation.stored_node import StoredNode

_log = logging.getLogger("netphone.replication")


class Following(Replicator):
    """Takes what the peer's Redis has as soon as that has grown, or after one block."""

    def __init__(self, node: StoredNode, source: Streams) -> None:
        self._node = node
        self._due_s: float | None = None
        peer = Origin(node.role.other.value)
        super().__init__(node.store, source, peer=peer, now_s=lambda: node.now_s)

    def start(self) -> None:
        """Nothing to start: `set_enabled` wakes it."""

    def stop(self, limit_s: float) -> None:
        self._stopping = True

    def set_enabled(self, enabled: bool) -> None:
        super().set_enabled(enabled)
        self.wake()

    def wake(self) -> None:
        """There may be something new."""
        self._step_in(LATENCY_S)

    @property
    def _may_take(self) -> bool:
        return self._enabled and not self._stopping

    def _step_in(self, wait_s: float) -> None:
        world = self._node.world
        due_s = world.now_s + wait_s
        if self._due_s is not None and world.now_s <= self._due_s <= due_s:
            return
        self._due_s = due_s

        def due() -> None:
            if self._due_s == due_s:
                self._node.submit(self._step)

        world.later(wait_s, due)

    def _step(self) -> None:
        self._due_s = None
        if not self._may_take:
            self._progress = attrs.evolve(self._progress, connected=False, problem=None)
            return
        try:
            self._step_in(LATENCY_S if self._take_page() else BLOCK_MS / 1000)
        except EventStoreError as error:
            self._progress = attrs.evolve(
                self._progress, connected=False, problem=str(error)
            )
            _log.warning("replication stands still: %s", error)
            self._step_in(RETRY_S)

    def _take_page(self) -> bool:
        """As `Replicator._follow`, once; whether there was anything."""
        if not self._progress.connected:
            self._check_common_head()
        head = self._store.snapshot.heads[self._peer].id
        page = self._source.follow(self._peer, head, PAGE_EVENT_COUNT, BLOCK_MS)
        if page and self._may_take:
            self._store.take(page)
        self._progress = Progress(True, None, self._now_s())
        return bool(page)
