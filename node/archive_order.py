"""What must hold before events leave the streams of a pair for a file. Pure."""

from __future__ import annotations

import attrs

from node.resync_order import PeerFacts
from node.roles import Role

AGE_S_MIN = 60.0
"""No younger event leaves: a machine that loses power may forget its last second, and what it
had forgotten it could not get back from the peer.
"""


@attrs.frozen(kw_only=True)
class OwnFacts:
    """What the checks ask of this node and its link."""

    role: Role
    replication_enabled: bool
    replicates: bool
    hindrance: str | None
    """Why it takes no changes: its own lost events come back first."""
    link_open: bool


def failed_checks(own: OwnFacts, peer: PeerFacts | None) -> tuple[str, ...]:
    """Every reason against archiving now; empty: it may be ordered."""
    found = []
    if own.hindrance is not None:
        found.append(own.hindrance)
    if not own.replication_enabled:
        found.append("replication is off; switch it on first")
    if peer is None or not own.link_open:
        return (*found, "the standby is not connected: what it has is not known")
    if own.replication_enabled and not own.replicates:
        found.append("replication stands still; see the status")
    if not peer.replication_enabled:
        found.append("replication is off at the standby")
    if not peer.ready:
        named = "".join(f"; {name}: {text}" for name, text in peer.problems.items())
        found.append(f"the standby is not ready{named}")
    return tuple(found)


def too_young(before_ns: int, now_ns: int) -> tuple[str, ...]:
    """Why events up to this time, in nanoseconds since 1970, must not leave yet."""
    age_s = (now_ns - before_ns) / 1e9
    if age_s >= AGE_S_MIN:
        return ()
    return (
        f"the time is {age_s:.0f} s ago; name one at least {AGE_S_MIN:.0f} s ago, so that "
        "what leaves is on both disks",
    )
