"""What `/status` and `NetPhoneNode.status()` say. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import attrs

from eventstore import Event, EventId, Progress, Snapshot, Suitability
from node.link_messages import Heartbeat
from node.roles import State
from node.takeover_pause import TakeoverPause

if TYPE_CHECKING:  # Only their types: the modules themselves are shells.
    from node.config import NodeConfig
    from node.notifications import StateChange
    from node.runtime import View
    from node.service import Counts


@attrs.frozen(kw_only=True)
class Sources:
    """Everything a status is made of, taken at one moment."""

    config: NodeConfig
    version: str
    now_s: float
    state: State
    since: str
    change: StateChange
    view: View
    snapshot: Snapshot
    progress: Progress
    replication_enabled: bool
    resync: str | None
    """What a resync is doing; None: none is under way."""
    resync_due: str | None
    """Why one is due."""
    pause: TakeoverPause
    both_active: Sequence[Event]
    """Every time that both nodes were active, oldest first."""
    licences: Mapping[str, object]
    """See `Licensing.status` and `GraceView`."""
    health: Mapping[str, str]
    durability: Suitability
    switch: Mapping[str, object] | None
    calls: int
    counts: Counts
    recovery: str | None
    """Which events were lost and must come back before changes are taken."""
    not_ready: Sequence[str]
    """Every reason why the node is not ready; empty: it is."""


def status_of(sources: Sources) -> dict[str, object]:
    """The status, ready for JSON; it holds no secret."""
    snapshot, config = sources.snapshot, sources.config
    return {
        "pair": config.pair,
        "role": config.role.value,
        "state": sources.state.value,
        "since": sources.since,
        "reason": sources.change.reason,
        "vector": {origin: str(found) for origin, found in snapshot.vector.items()},
        "digest": snapshot.digest,
        "entries": snapshot.entry_count,
        "peer": _peer(sources),
        "replication": _replication(sources),
        "takeover": _takeover(sources),
        "both_active": _both_active(sources),
        "licences": dict(sources.licences),
        "hand_over_problem": sources.view.unserved,
        "health": dict(sources.health),
        "durability": {
            "appendonly": sources.durability.appendonly,
            "appendfsync": sources.durability.appendfsync,
        },
        "switch": None if sources.switch is None else dict(sources.switch),
        "calls": sources.calls,
        "callbacks": attrs.asdict(sources.counts),
        "recovery": sources.recovery,
        "ready": not sources.not_ready,
        "not_ready": list(sources.not_ready),
        "realm": config.realm or config.pair,
        "version": sources.version,
    }


def replication_problem(sources: Sources) -> str | None:
    """Why replication stands still although it is on; None: it does not."""
    return sources.progress.problem if sources.replication_enabled else None


def _peer(sources: Sources) -> dict[str, object]:
    view, peer = sources.view, sources.view.peer
    heard_ago_s = None if view.heard_s is None else sources.now_s - view.heard_s
    heads = peer.heads if peer else {}
    return {
        "connected": view.connected,
        "role": sources.config.role.other.value,
        "state": peer.state.value if peer else None,
        "heard_ago_s": None if heard_ago_s is None else round(heard_ago_s, 3),
        "hears_us": view.hears_us,
        "vector": {o: h.id for o, h in heads.items() if h.id != "0-0"},
        "digest": peer.digest if peer else None,
        "version": peer.version if peer else None,
        "problem": view.problem,
        "health": dict(peer.problems) if peer else {},
        "calls": peer.calls if peer else None,
    }


def _takeover(sources: Sources) -> dict[str, object]:
    left_s = sources.pause.left_s(sources.now_s)
    return {
        "paused": left_s > 0.0,
        "paused_for_s": round(left_s, 1),
        "pause": sources.pause.text if left_s > 0.0 else None,
        "held": sources.view.held,
        "last_hour": sources.view.takeover_count,
    }


def _both_active(sources: Sources) -> dict[str, object]:
    found = sources.both_active
    return {"count": len(found), "last": found[-1].value if found else None}


def _replication(sources: Sources) -> dict[str, object]:
    progress, snapshot = sources.progress, sources.snapshot
    other = sources.config.role.other.value
    lag_events = _lag_events(other, snapshot, sources.view.peer)
    lag_s = None
    if progress.complete_at_s is not None:
        lag_s = sources.now_s - progress.complete_at_s
        lag_s = 0.0 if progress.connected and lag_events == 0 else round(lag_s, 3)
    return {
        "enabled": sources.replication_enabled,
        "connected": progress.connected,
        "lag_events": lag_events,
        "lag_s": lag_s,
        "conflicts": snapshot.conflict_count,
        "unknown_events": snapshot.unknown_count,
        "divergence": sources.view.divergence,
        "problem": replication_problem(sources),
        "resync": sources.resync,
        "resync_due": sources.resync_due,
    }


def _lag_events(other: str, snapshot: Snapshot, peer: Heartbeat | None) -> int | None:
    """Events of the peer that are not here, by its last heartbeat; None: unknown."""
    head = peer.heads.get(other) if peer else None
    if head is None:
        return None
    here = next((h.id.n for o, h in snapshot.heads.items() if o == other), 0)
    return max(0, EventId.parse(head.id).n - here)
