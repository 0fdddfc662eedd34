"""Whether the peer hears us, by the last sequence that its heartbeats name. Pure.

A connection can die without our being told, while new ones pass: a firewall forgot it, or
the reset was lost. TCP would try it for longer than the peer waits for a word. So one that
carried what we sent, and carries nothing any more, is *doubtful* before that.
"""

from __future__ import annotations

import attrs

DOUBT_INTERVALS = 1.5
"""An acknowledgement is up to one interval late in any case; this is below `peer_lost_after_s`."""
_UNACKNOWLEDGED_COUNT_MAX = 1000


@attrs.define
class Acknowledgements:
    """What we sent when, and how much of it the peer says that it has heard."""

    interval_s: float
    """How often either side speaks."""
    unproved_after_s: float
    """How long a new connection may take to carry anything.

    Longer than the peer takes to count as lost and, not being heard, to yield (S20): the answer
    to a dial counts as a word of it.
    """
    heard_s: float | None = None
    """When the last of what the peer has heard was sent; None: nothing yet."""
    _sent_s: dict[int, float] = attrs.field(factory=dict)
    """By sequence: the last acknowledged one, and those behind it."""
    _newest: int = 0
    """The last sequence that was acknowledged."""
    _carried_s: float | None = None
    """When the present connection last proved to carry; None: it never did."""
    _connected_s: float = 0.0
    """When the present connection began to carry what we send."""

    def sent(self, sequence: int, now_s: float) -> None:
        """A heartbeat is on its way; sequences only grow."""
        self._sent_s[sequence] = now_s
        if len(self._sent_s) > _UNACKNOWLEDGED_COUNT_MAX:
            del self._sent_s[next(iter(self._sent_s))]

    def acknowledged(self, sequence: int, now_s: float) -> float | None:
        """The peer says that this is the last one that it heard; when that was sent."""
        sent_s = self._sent_s.get(sequence)
        if sent_s is None:
            return None  # None yet, or one that was never sent.
        # Never back: after a stall the first words answer what was sent before it.
        self.heard_s = max(sent_s, self.heard_s or sent_s)
        for earlier in [n for n in self._sent_s if n < sequence]:
            del self._sent_s[earlier]
        if sequence > self._newest:
            self._newest, self._carried_s = sequence, now_s
        return sent_s

    def connected(self, now_s: float) -> None:
        """A new connection carries from now on what we send."""
        self._connected_s, self._carried_s = now_s, None

    def peer_began(self, now_s: float) -> None:
        """The peer's process is another one: nothing was said to it yet."""
        self.heard_s, self._carried_s = now_s, None
        self._sent_s.clear()

    def peer_returned(self, now_s: float) -> None:
        """It was lost and is heard again: whether it hears us counts from here (S20)."""
        self.heard_s = now_s

    def count_anew(self, now_s: float) -> None:
        """We stood still: what was not read meanwhile is nobody's silence (S13)."""
        if self.heard_s is not None:
            self.heard_s = now_s
        self._connected_s = now_s
        if self._carried_s is not None:
            self._carried_s = now_s

    def unheard_s(self, now_s: float) -> float:
        """How long ago what the peer has heard last was sent."""
        return float("inf") if self.heard_s is None else now_s - self.heard_s

    @property
    def doubtful_s(self) -> float | None:
        """From when on the connection is doubtful, if nothing new is acknowledged.

        Two things must be as old as that: the last new acknowledgement, or a link that is
        slow but works would be doubted all the time; and a heartbeat that it leaves out, or
        two nodes would doubt whose heartbeats just cross. None: there is no doubt.
        """
        missing_s = next((s for n, s in self._sent_s.items() if n > self._newest), None)
        if missing_s is None:
            return None
        if self._carried_s is None:
            return max(self._connected_s, missing_s) + self.unproved_after_s
        return max(self._carried_s, missing_s) + DOUBT_INTERVALS * self.interval_s
