"""What is known of a time when both nodes were active, and who lost in it. Pure.

The node that gives way tells of it. Which changes lost can only be said once it has all that
the peer had written by then; for that it waits, but not for ever.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from eventstore import START, Event, EventId, JsonValue, Loss
from node.link_messages import Head, Heartbeat
from node.roles import Role

LOSERS_LIMIT_S = 30.0
"""So long after giving way, it is told of with what is known by then."""
LOSER_COUNT_MAX = 50
"""As many losers are named; of the others the number. They share the size of one event."""

Heads = Mapping[str, Head]
"""How far the stream of each origin goes somewhere."""


@attrs.frozen
class BothActive:
    """Both nodes were active for `lasted_s`, and this one has given way."""

    lasted_s: float
    ended_ago_s: float
    before: Heads
    """All that this node knew of when, as it knew, not both were active yet."""
    ours: Heads
    """Heads of the streams here as it gave way: what it had not seen is concurrent."""
    theirs: Heads
    """The same at the peer; empty: it was lost before it could tell."""
    complete: bool
    """Whether all that the peer had is here now."""

    def losers(self, losses: Sequence[Loss]) -> list[Loss]:
        """Those of `losses` whose loser or winner was made while both were active."""
        # Not told where the peer's stream ended then: all that came since counts.
        ends = newest(self.ours, self.theirs) if self.theirs else None

        def made_meanwhile(event: Event) -> bool:
            origin = event.origin
            began = event.id > _id(self.before, origin)
            return began and (ends is None or event.id <= _id(ends, origin))

        return [
            x for x in losses if made_meanwhile(x.loser) or made_meanwhile(x.winner)
        ]

    def as_value(
        self,
        losers: Sequence[Loss],
        *,
        role: Role,
        instance: str,
        began: str,
        ended: str,
    ) -> dict[str, JsonValue]:
        """What the event says; `role` is of the node that gave way, `losers` are all."""
        return {
            "began": began,
            "ended": ended,
            "lasted_s": round(self.lasted_s, 3),
            "instance": instance,
            "before": _ids(self.before),
            "vectors": {
                role.value: _ids(self.ours),
                role.other.value: _ids(self.theirs),
            },
            "losers": [
                {
                    "key": loss.key,
                    "id": str(loss.loser.id),
                    "overridden_by": str(loss.winner.id),
                }
                for loss in losers[:LOSER_COUNT_MAX]
            ],
            "more_losers": max(0, len(losers) - LOSER_COUNT_MAX),
            "losers_complete": self.complete,
        }


@attrs.frozen(kw_only=True)
class GivenWay:
    """This node, active since `from_s`, gave way to an active peer, and is to tell of it."""

    from_s: float
    yielded_s: float
    next_sequence: int
    """Of the first heartbeat to be sent after giving way."""
    before: Heads
    ours: Heads
    theirs: Heads | None = None
    """None: the peer has not told its part."""

    def told(self, peer: Heartbeat, from_s: float) -> GivenWay:
        """With the part in it of the peer, active since `from_s`, if `peer` tells it.

        The first words after a cut may be as old as that; an answer to what was sent since
        names all that was written before.
        """
        if self.theirs is not None or peer.heard_sequence < self.next_sequence:
            return self
        from_s = max(self.from_s, from_s)
        return attrs.evolve(self, from_s=from_s, theirs=dict(peer.heads))

    def is_due(self, here: Heads, now_s: float, *, peer_lost: bool) -> bool:
        """Whether nothing is left to wait for; `here` are the heads here now."""
        if now_s - self.yielded_s >= LOSERS_LIMIT_S:
            return True
        return peer_lost if self.theirs is None else self._complete(here)

    def summary(self, here: Heads, now_s: float) -> BothActive:
        """All of it, as far as it is known."""
        return BothActive(
            ended_ago_s=now_s - self.yielded_s,
            lasted_s=max(0.0, self.yielded_s - self.from_s),
            before=self.before,
            ours=self.ours,
            theirs=self.theirs or {},
            complete=self._complete(here),
        )

    def _complete(self, here: Heads) -> bool:
        theirs = self.theirs
        return theirs is not None and all(
            _id(here, o) >= _id(theirs, o) for o in theirs
        )


def newest(here: Heads, there: Heads) -> dict[str, Head]:
    """How far each stream goes, in whichever of the two places it goes further."""
    further = {o: head for o, head in there.items() if _id(here, o) < _id(there, o)}
    return {**here, **further}


def _id(heads: Heads, origin: str) -> EventId:
    return EventId.parse(heads[origin].id) if origin in heads else START


def _ids(heads: Heads) -> JsonValue:
    return {origin: head.id for origin, head in sorted(heads.items())}
