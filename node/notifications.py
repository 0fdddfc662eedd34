"""What a node tells its host: the types that callbacks are given."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from functools import partial

import attrs

from eventstore import Entry, Event, Folded
from node.roles import State
from node.service import Counts, Worker

_log = logging.getLogger("netphone.service")


@attrs.frozen
class StateChange:
    """This node became active or passive."""

    number: int
    """Counts the changes of this process from 1.

    A switch that is rolled back gives the number of the change that did not come about,
    and then the last one again.
    """
    state: State
    reason: str
    rule: str
    evidence: Mapping[str, str | float]
    wall_ns: int


@attrs.frozen
class EntryChange:
    """An entry is not what it was; `event` is what was folded."""

    key: str
    before: Entry | None
    after: Entry | None
    """None: there is no entry any more."""
    event: Event


@attrs.frozen
class Conflict:
    """A change was overridden by a concurrent one of the master (D2)."""

    key: str
    winner: Entry | None
    """None: the master deleted the entry."""
    loser: Event


@attrs.frozen
class LicenceWarning:
    """The master was not reached for long, or is reached again (L2); on the standby only."""

    valid: bool
    """Whether licences hold here, as far as the master's absence is concerned."""
    days_left: float
    """How long they still will, if the master stays away; 0: they do not."""
    text: str
    """The same in words, as in the log."""


class Listeners:
    """Callbacks for what happens; each in a thread of its own, in order.

    A callback that falls behind by a whole queue misses something; that is counted.
    """

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._started = False
        self._on_change: list[tuple[Worker, Callable[[EntryChange], object]]] = []
        self._on_conflict: list[tuple[Worker, Callable[[Conflict], object]]] = []
        self._on_licence_warning: list[
            tuple[Worker, Callable[[LicenceWarning], object]]
        ] = []

    def start(self) -> None:
        """Begin to call; what is registered later is called from then on."""
        self._started = True
        for worker in self._workers():
            worker.start()

    def on_change(self, function: Callable[[EntryChange], object]) -> None:
        self._on_change.append((self._worker(), function))

    def on_conflict(self, function: Callable[[Conflict], object]) -> None:
        self._on_conflict.append((self._worker(), function))

    def on_licence_warning(self, function: Callable[[LicenceWarning], object]) -> None:
        self._on_licence_warning.append((self._worker(), function))

    def licences_warned(self, warning: LicenceWarning) -> None:
        """Tell everybody; returns at once."""
        for worker, listener in self._on_licence_warning:
            self._submit(worker, partial(listener, warning))

    def folded(self, event: Event, folded: Folded | None) -> None:
        """Tell everybody; returns at once."""
        if folded is None:
            return
        if folded.before is not folded.after:
            change = EntryChange(event.key, folded.before, folded.after, event)
            for worker, listener in self._on_change:
                self._submit(worker, partial(listener, change))
        if folded.loser is not None:
            conflict = Conflict(event.key, folded.after, folded.loser)
            for worker, told in self._on_conflict:
                self._submit(worker, partial(told, conflict))

    def stop(self) -> None:
        for worker in self._workers():
            worker.stop(limit_s=0.0)

    def _workers(self) -> Iterator[Worker]:
        for worker, _ in self._on_change:
            yield worker
        for worker, _ in self._on_conflict:
            yield worker
        for worker, _ in self._on_licence_warning:
            yield worker

    def _worker(self) -> Worker:
        worker = Worker("listener")
        if self._started:
            worker.start()
        return worker

    def _submit(self, worker: Worker, call: Callable[[], object]) -> None:
        def run() -> None:
            try:
                call()
            except Exception:  # noqa: BLE001 whatever the host's code raises is its own
                self._counts.failed += 1
                _log.exception("a callback failed")

        if not worker.submit(run):
            self._counts.dropped += 1
