"""What must hold before a planned switch begins, and waiting for calls to end. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import attrs

from node.replication_setting import why_unreadable
from node.roles import Role, State
from node.situation import Situation, Switch
from node.takeover_gate import Pause

URGENT_PAUSE_S = 60.0
"""A node that cannot serve tries to hand over, but not twice within this time (S15)."""


class PeerFacts(Protocol):
    """What the pre-checks ask of the peer's last heartbeat."""

    @property
    def state(self) -> State: ...
    @property
    def ready(self) -> bool: ...
    @property
    def problems(self) -> Mapping[str, str]: ...
    @property
    def replicating(self) -> bool: ...
    @property
    def replication_enabled(self) -> bool: ...
    @property
    def calls(self) -> int: ...


@attrs.frozen(kw_only=True)
class OwnFacts:
    """What the pre-checks ask of this node and its link."""

    ready: bool
    problems: Mapping[str, str]
    replicating: bool
    replication_enabled: bool
    calls: int
    link_open: bool
    """Both connections stand, and the peer was heard within the limit."""
    heard_by_peer: bool
    event_format: int
    peer_format: int | None
    """In which the peer writes; None: unknown."""


def failed_prechecks(
    situation: Situation, own: OwnFacts, peer: PeerFacts | None
) -> tuple[str, ...]:
    """Every reason against a switch now; empty: it may begin."""
    found = []
    if situation.role is not Role.MASTER:
        found.append("a switch is ordered at the master")
    if situation.switch is not None:
        found.append("a switch is under way")
    elif situation.awaited is not None:
        found.append("the outcome of the last switch is not known yet")
    if not own.ready:
        found.append(f"the master is not ready{_because(own.problems)}")
    if not own.replication_enabled:
        found.append("replication is off")
    elif not own.replicating and not _may_lag(
        situation.state, own.event_format, own.peer_format
    ):
        found.append("replication into the master stands still; see its status")
    if peer is None or not own.link_open:
        return (*found, "the standby is not connected")
    if situation.state is peer.state:
        found.append(f"both nodes are {peer.state}")
    if not own.heard_by_peer:
        found.append("the standby does not hear the master")
    if not peer.ready:
        found.append(f"the standby is not ready{_because(peer.problems)}")
    if own.replication_enabled and not peer.replication_enabled:
        found.append("replication is off at the standby")
    elif (
        peer.replication_enabled
        and not peer.replicating
        and not _may_lag(peer.state, own.peer_format, own.event_format)
    ):
        found.append("replication into the standby stands still; see its status")
    return tuple(found)


def _may_lag(state: State, reads: int | None, others: int | None) -> bool:
    """Whether a node may hand over without having all events of the other one.

    Only the giver, and only to a taker that it is too old to read (D4): an update begins
    so. The taker has every event of it.
    """
    if state is State.PASSIVE or reads is None or others is None:
        return False
    return why_unreadable(others, reads) is not None


def against_handover(
    peer: PeerFacts | None,
    *,
    link_open: bool,
    heard_by_peer: bool,
    pause: Pause | None,
    tried_s: float | None,
) -> str | None:
    """Why a node that cannot serve does not hand over to `peer`; None: it should (S15).

    `tried_s`: how long ago it began to do so last; None: never.
    """
    if pause is not None:
        return f"automatic takeover is paused: {pause.text}"
    if tried_s is not None and tried_s < URGENT_PAUSE_S:
        return f"it tried to hand over within the last {URGENT_PAUSE_S:g} s"
    if peer is None or not link_open:
        return "the peer is not connected"
    if peer.state is State.ACTIVE:
        return "the peer is active as well"
    if not heard_by_peer:
        return "the peer does not hear this node"
    if not peer.ready:
        return f"the peer is not ready{_because(peer.problems)}"
    return None


def _because(problems: Mapping[str, str]) -> str:
    return "".join(f"; {name}: {text}" for name, text in problems.items())


@attrs.frozen
class Waiting:
    """A switch that begins as soon as no call is active (S9)."""

    switch: Switch
    until_s: float


def calls_of_giver(switch: Switch, own_calls: int, peer: PeerFacts) -> int:
    """Calls in progress at the node that is to hand over."""
    return own_calls if switch.giver is Role.MASTER else peer.calls
