"""What must hold once everything is mended and quiet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from eventstore import START, Event, EventId, Origin, codec
from node.roles import Role, State
from tests.simulation.ledger import identity_of
from tests.simulation.pair_world import ORIGINS, PairWorld
from tests.simulation.workload import Outcome, Workload
from tests.support import oracle
from tests.support.histories import PAIR

MASTER = Origin(Role.MASTER.value)


def differences(world: PairWorld) -> Iterator[str]:
    """Why the pair has not come to rest yet; nothing: it has."""
    if len(world.active) != 1:
        yield f"active: {sorted(world.active)}"
    if world.serving() != world.active:
        yield f"serving: {sorted(world.serving())}, active: {sorted(world.active)}"
    snapshots = [node.store.snapshot for node in world.nodes.values()]
    if snapshots[0].vector != snapshots[1].vector:
        yield f"vectors differ: {[s.vector for s in snapshots]}"
    if snapshots[0].digest != snapshots[1].digest:
        yield "digests of the entries differ"
    for role, node in world.nodes.items():
        yield from (f"{role}: {text}" for text in _unrest(world, role))
        progress = node.following.progress
        if not progress.connected:
            yield f"{role}: replication stands still: {progress.problem}"


def _unrest(world: PairWorld, role: Role) -> Iterator[str]:
    node = world.nodes[role]
    if node.dead:
        yield "not running"
    if node.store.broken is not None:
        yield f"writes nothing: {node.store.broken}"
    if node.store.hindrance is not None:
        yield f"takes no changes: {node.store.hindrance}"
    if not node.core.is_connected(node.now_s):
        yield "not connected"
    if node.core.divergence is not None:
        yield node.core.divergence
    if node.core.situation.switch_step is not None:
        yield f"in step {node.core.situation.switch_step} of a switch"
    if node.core.given_way is not None:
        yield "it has not told yet that both were active"
    serves = node.core.state is State.ACTIVE
    told = node.service_states[-1] if node.service_states else State.PASSIVE
    if (told is State.ACTIVE) is not serves:
        yield f"its callbacks were told {told} last, and it is {node.core.state}"


def check_histories(world: PairWorld, workload: Workload) -> Iterator[str]:
    """What is wrong with what is stored, in either Redis; nothing: all is well."""
    for role in Role:
        streams = {origin: world.stored(role, origin) for origin in ORIGINS}
        events: list[Event] = []
        for origin in ORIGINS:
            yield from _ill_formed(origin, streams[origin], events)
        name = world.redis[role].name
        yield from (f"{name}: {text}" for text in _lost(world, workload, role))
        yield from (f"{name}: {text}" for text in _unfaithful(workload, events))
        yield from (f"{name}: {text}" for text in _unexpected(workload, events))
        yield from (f"{role}: {text}" for text in _wrong_entries(world, role, events))
    for origin in ORIGINS:
        if world.stored(Role.MASTER, origin) != world.stored(Role.STANDBY, origin):
            yield f"the two copies of stream {origin} differ"


def _ill_formed(
    origin: Origin, stream: list[tuple[EventId, bytes]], events: list[Event]
) -> Iterator[str]:
    """Fills `events`; the hash chain and the numbers have no gap."""
    previous, before = codec.genesis(PAIR, origin), START
    for event_id, blob in stream:
        event = codec.decode(origin, event_id, blob)
        if not isinstance(event, Event):
            yield f"event {event_id} of {origin} is unknown"
            continue
        if event.previous != previous:
            yield f"event {event_id} of {origin} does not continue the chain"
        if event_id.n != before.n + 1 or event_id.ms < before.ms:
            yield f"event {event_id} of {origin} cannot follow {before}"
        if any(i.ms >= event_id.ms for o, i in event.vector.items() if o != origin):
            yield f"event {event_id} of {origin} is not later than one it knew"
        previous, before = event.digest, event_id
        events.append(event)


def _lost(world: PairWorld, workload: Workload, role: Role) -> Iterator[str]:
    """D7: every acknowledged event is there, if need be as a recovered one."""
    there = world.identities(role)
    for write in workload.writes:
        for event in write.events:
            identity = identity_of(event)
            if identity not in there and identity not in world.ledger.lost:
                yield f"lost: {event.id} of {event.origin} ({event.reason})"


def _unfaithful(workload: Workload, events: list[Event]) -> Iterator[str]:
    """D9: a recovered event says what the original said."""
    originals = {identity_of(e): e for write in workload.writes for e in write.events}
    for event in events:
        if event.recovered is None:
            continue
        first = originals.get(
            (event.origin, event.recovered.id, event.recovered.digest)
        )
        if first is not None and _said(first) != _said(event):
            yield f"{event.id} of {event.origin} is not what {first.id} was"


def _said(event: Event) -> tuple[object, ...]:
    foreign = {o: i for o, i in event.vector.items() if o != event.origin}
    return event.kind, event.key, event.packed, event.reason, event.wall_ns, foreign


def _unexpected(workload: Workload, events: list[Event]) -> Iterator[str]:
    counts = Counter((e.reason, e.key) for e in events if e.key)
    writes = {write.reason: write for write in workload.writes}
    for (reason, key), count in counts.items():
        write = writes.get(reason)
        wanted = [c.key for c in write.changes] if write else []
        if write is None or key not in wanted:
            yield f"nobody asked for {key} ({reason})"
        elif count > wanted.count(key):
            yield f"doubled: {key} ({reason})"
        elif write.outcome is Outcome.NOTHING_STORED:
            yield f"stored, and the client was told that it was not: {key} ({reason})"


def _wrong_entries(world: PairWorld, role: Role, events: list[Event]) -> Iterator[str]:
    store = world.nodes[role].store
    wanted = oracle.entries(events, prevailing=MASTER)
    if {e.key: e.event.digest for e in store.entries()} != {
        key: event.digest for key, event in wanted.items()
    }:
        yield "the entries are not what the oracle says"
    conflicts = oracle.conflict_keys(events, prevailing=MASTER)
    if store.snapshot.conflict_count != len(conflicts):
        yield f"{store.snapshot.conflict_count} conflicts, not {len(conflicts)}"
