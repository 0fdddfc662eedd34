"""What must hold before the standby's data are replaced, and whether that is due (D12). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import attrs

from eventstore import Event, EventId
from node.roles import Role, State

_VERSION_LENGTH_MAX = 64


class PeerFacts(Protocol):
    """What the checks ask of the peer's last heartbeat."""

    @property
    def ready(self) -> bool: ...
    @property
    def problems(self) -> Mapping[str, str]: ...
    @property
    def replication_enabled(self) -> bool: ...


@attrs.frozen(kw_only=True)
class OwnFacts:
    """What the checks ask of this node and its link."""

    role: Role
    state: State
    replication_enabled: bool
    hindrance: str | None
    """Why it takes no changes: its own lost events come back first."""
    unreadable: str | None
    """Why the master's events could not be applied here (D4)."""
    is_switching: bool
    link_open: bool


def failed_checks(own: OwnFacts, peer: PeerFacts | None) -> tuple[str, ...]:
    """Every reason against a resync now; empty: it may begin, or go on."""
    found = []
    if own.role is not Role.STANDBY:
        found.append("this is the master; a resync is ordered at the standby")
    if own.state is not State.PASSIVE:
        found.append("this node is active; only a passive one is resynchronised")
    if own.replication_enabled:
        found.append("replication is on; switch it off first")
    if own.is_switching:
        found.append("a switch is under way")
    if own.hindrance is not None:
        found.append(own.hindrance)
    if own.unreadable is not None:
        found.append(own.unreadable)
    if peer is None or not own.link_open:
        return (*found, "the master is not connected")
    if peer.replication_enabled and not own.replication_enabled:
        found.append("replication is still on at the master")
    if not peer.ready:
        named = "".join(f"; {name}: {text}" for name, text in peer.problems.items())
        found.append(f"the master is not ready{named}")
    return tuple(found)


def unstored_at_master(said: EventId, stored: EventId) -> tuple[str, ...]:
    """Why our stream must not go back to what the master's Redis has of it.

    `said`: our newest event that the master has applied, by its heartbeat; `stored`: up to
    where its Redis has our events.
    """
    if said <= stored:
        return ()
    return (
        f"the master has applied our event {said}, and its Redis has only those up to "
        f"{stored}; look at the log of the master",
    )


def baseline(opened: Event | None, resynchronised: Event | None) -> str | None:
    """The version of the software under which the data here were last begun or replaced.

    `opened` and `resynchronised` are the newest own events of these kinds. None: a node that
    starts for the first time.
    """
    known = [event for event in (opened, resynchronised) if event is not None]
    if not known:
        return None
    value = max(known, key=lambda event: event.id).value
    if not isinstance(value, dict):
        return None
    found = value.get("baseline", value.get("version"))
    if not isinstance(found, str) or len(found) > _VERSION_LENGTH_MAX:
        return None
    return found


def resync_due(role: Role, found: str | None, version: str) -> str | None:
    """Why the data of this node are to be replaced by the master's; None: they need not."""
    if role is not Role.STANDBY or found is None or found == version:
        return None
    return f"the software is {version}, the data here were last replaced under {found}"
