"""Whether the two nodes' data are what they must be (D8). Pure.

A stream may be shorter in one node than in the other, never different: the same position
with another digest is a fork (D9). Equal streams with unequal entries are a divergence.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import attrs

from eventstore import EventId
from node.link_messages import Head


class Said(Protocol):
    """What a node says of its data, taken as one snapshot."""

    @property
    def heads(self) -> Mapping[str, Head]: ...
    @property
    def digest(self) -> str: ...
    @property
    def fold_version(self) -> int: ...


@attrs.frozen
class Difference:
    """How the data of two nodes differ although they must not, in one line."""

    text: str
    of_entries: bool = False
    """It shows only while both have the same events."""

    def may_last(self, ours: Said, theirs: Said) -> bool:
        """Whether it may still be there though it does not show."""
        return self.of_entries and ours.heads != theirs.heads


def divergence(ours: Said, theirs: Said, *, own: str) -> Difference | None:
    """What is wrong; None: nothing that can be seen from here.

    `own` is the origin that only this node writes: nobody can have more of it.
    """
    common = sorted(ours.heads.keys() & theirs.heads.keys())
    for origin in common:
        mine, other = ours.heads[origin], theirs.heads[origin]
        if _count(mine) == _count(other) and mine != other:
            return Difference(
                f"stream {origin!r} has forked: event {mine.id} here is {other.id} with "
                "another content at the peer; was an old file of Redis restored?"
            )
    if own in common and _count(theirs.heads[own]) > _count(ours.heads[own]):
        return Difference(
            f"the peer has {_count(theirs.heads[own])} events of stream {own!r}, this node "
            f"only {_count(ours.heads[own])}: the Redis here lost events; do not change "
            "anything here before they are back"
        )
    same_streams = ours.heads == theirs.heads
    comparable = same_streams and ours.fold_version == theirs.fold_version
    if comparable and ours.digest != theirs.digest:
        return Difference(
            "the nodes have the same events but different entries: "
            f"digest {ours.digest[:12]}… here, {theirs.digest[:12]}… at the peer",
            of_entries=True,
        )
    return None


def may_be_missing(ours: Head, theirs: Head, *, met: bool) -> bool:
    """Whether to look up in Redis what the peer's copy of our own stream ends with.

    A shorter copy is looked up once for each process of the peer (`met`: it was); one that
    is as long as our stream or longer, and ends otherwise, always.
    """
    return ours != theirs and not (met and _count(theirs) < _count(ours))


def _count(head: Head) -> int:
    return EventId.parse(head.id).n
