"""Clients of both nodes: what they write, and what each write came to."""

from __future__ import annotations

from enum import StrEnum
from random import Random

import attrs

from eventstore import (
    START,
    Change,
    Delete,
    EntryChanged,
    Event,
    EventId,
    EventStoreError,
    InvalidEntry,
    NoSuchEntry,
    Origin,
    Put,
    StoreRefused,
    WritesFrozen,
)
from node.roles import Role
from tests.simulation.failing_redis import KilledHere
from tests.simulation.ledger import identity_of
from tests.simulation.pair_world import PairWorld
from tests.simulation.stored_node import StoredNode

KEYS = [f"users/{name}" for name in ("alice", "bob", "carol", "dave", "erin", "frank")]
BATCH_COUNT_MAX = 5
FROZEN_RETRY_S = 0.25
NOTHING_STORED = (EntryChanged, InvalidEntry, NoSuchEntry, StoreRefused, WritesFrozen)


class Outcome(StrEnum):
    """What a client knows of its write."""

    NOTHING_STORED = "nothing stored"
    UNKNOWN = "unknown"
    ACKNOWLEDGED = "acknowledged"


@attrs.define
class Write:
    """One order of a client, all or none."""

    number: int
    role: Role
    changes: list[Change]
    conditional: bool
    until_s: float
    """When the client gives up a write that is held back."""
    outcome: Outcome = Outcome.NOTHING_STORED
    events: list[Event] = attrs.field(factory=list)
    """As acknowledged."""

    @property
    def reason(self) -> str:
        """By which its events are known again in a history."""
        return f"write {self.number}"


class Workload:
    """Random writes on both nodes."""

    def __init__(self, world: PairWorld, rng: Random) -> None:
        self.writes: list[Write] = []
        self._world = world
        self._rng = rng
        self._pause_s = rng.choice([0.3, 0.7, 1.5])
        self._going_on = True

    def start(self) -> None:
        self._next()

    def stop(self) -> None:
        self._going_on = False

    def write(self, role: Role, changes: list[Change] | None = None) -> Write:
        """One write at the node `role`, a random one unless given."""
        rng = self._rng
        write = Write(
            number=len(self.writes),
            role=role,
            changes=changes or self._random_changes(),
            conditional=changes is None and rng.random() < 0.2,
            until_s=self._world.now_s + 5.0,
        )
        self.writes.append(write)
        self._try(write)
        return write

    def _next(self) -> None:
        if not self._going_on:
            return
        self.write(self._rng.choice(list(Role)))
        self._world.later(self._rng.expovariate(1 / self._pause_s), self._next)

    def _random_changes(self) -> list[Change]:
        rng = self._rng
        if rng.random() < 0.2:
            keys = rng.sample(KEYS, rng.randint(2, BATCH_COUNT_MAX))
            return [self._random_change(key) for key in keys]
        return [self._random_change(rng.choice(KEYS))]

    def _random_change(self, key: str) -> Change:
        if self._rng.random() < 0.2:
            return Delete(key)
        return Put(key, {"number": len(self.writes)})

    def _try(self, write: Write) -> None:
        if self._world.is_running(write.role):
            node = self._world.nodes[write.role]
            node.submit(lambda: self._append(node, write))

    def _append(self, node: StoredNode, write: Write) -> None:
        expected = self._expected(node, write) if write.conditional else None
        write.outcome = Outcome.UNKNOWN
        known = node.store.snapshot.vector.get(Origin(node.role.other.value), START)
        try:
            write.events = node.append(write.changes, write.reason, expected)
            write.outcome = Outcome.ACKNOWLEDGED
            self._check_vectors(node, write, known)
            self._world.acknowledged[node.role] += map(identity_of, write.events)
            self._note(node, f"wrote {write.number}: {_named(write.events)}")
        except NOTHING_STORED as error:
            write.outcome = Outcome.NOTHING_STORED
            if isinstance(error, WritesFrozen) and self._world.now_s < write.until_s:
                self._world.later(FROZEN_RETRY_S, lambda: self._try(write))
            elif not isinstance(error, NoSuchEntry | EntryChanged):
                self._note(node, f"refused write {write.number}: {error}")
        except EventStoreError as error:
            self._note(node, f"write {write.number} may be stored: {error}")
        except KilledHere:
            self._note(node, f"write {write.number} was under way")
            raise

    def _check_vectors(self, node: StoredNode, write: Write, known: EventId) -> None:
        """D6: an event says which of the peer's events its writer knew."""
        peer = Origin(node.role.other.value)
        for event in write.events:
            if event.vector.get(peer, START) < known:
                self._world.fail(
                    f"{event.id} of {node.role} hides that it knew {known}"
                )

    def _expected(self, node: StoredNode, write: Write) -> EventId | None:
        """The version that the client believes in; sometimes an old one."""
        entry = node.store.get(write.changes[0].key)
        if entry is None or self._rng.random() < 0.3:
            return EventId(1, 1)
        return entry.id

    def _note(self, node: StoredNode, text: str) -> None:
        self._world.note(f"{node.role}: {text}")


def _named(events: list[Event]) -> str:
    return ", ".join(f"{event.id} {event.key}" for event in events)
