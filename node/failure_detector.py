"""When silence becomes loss. Pure.

The detector compares instants it is given; it has no timer. Jitter is absorbed by counting
missed heartbeats, not by smoothing: operators can reckon with a fixed limit. A node that was
itself paused must `count_anew`: silence measured across our own stall proves nothing (S13).
"""

from __future__ import annotations

import attrs

from node.situation import Evidence, PeerLost


@attrs.define
class FailureDetector:
    """What is known of the peer's life, from three kinds of evidence (S12)."""

    interval_s: float
    """How often the peer speaks."""
    lost_after_s: float
    """Silence after which it counts as lost."""
    counted_from_s: float
    """Silence counts from here, or from the last word if that is later."""
    heard_s: float | None = None
    """When the peer spoke last; None: never."""
    _ended: bool = False
    """The connection on which the peer spoke has ended since."""
    _refused: bool = False
    """Nobody listened at its address, and it has not spoken since."""
    _goodbye: bool = False

    def heard(self, now_s: float) -> None:
        """The peer spoke: whatever was suspected is over."""
        self.heard_s = now_s
        self._ended = self._refused = self._goodbye = False

    def connection_ended(self) -> None:
        """The connection on which the peer speaks has ended; that alone proves nothing."""
        self._ended = True

    def goodbye(self) -> None:
        """The peer announced its stop (S11)."""
        self._goodbye = True

    def refused(self) -> None:
        """Nobody listens at the peer's address.

        Proof that its process is gone, unless it still speaks to us: something between may
        refuse in its name.
        """
        self._refused = True

    def count_anew(self, now_s: float) -> None:
        """Let silence count from `now_s` on only."""
        self.counted_from_s = max(self.counted_from_s, now_s)

    def silent_s(self, now_s: float) -> float:
        """How long nothing was heard, as far as it counts; 0 while it does not yet."""
        return max(0.0, now_s - self._counted_since_s())

    def verdict(self, now_s: float) -> PeerLost | None:
        """That the peer is lost, and by which evidence; None: it may be there.

        While a node starts, the start window decides instead (S2). A node that has never
        heard a peer, and then stood still, needs a verdict as well.
        """
        silent_s = self.silent_s(now_s)
        if self._goodbye:
            evidence = Evidence.GOODBYE
        elif self._refused and (self._ended or silent_s >= self.interval_s):
            evidence = Evidence.REFUSED
        elif silent_s >= self.lost_after_s:
            evidence = Evidence.SILENCE
        else:
            return None
        silent_from_s = self.counted_from_s if self.heard_s is None else self.heard_s
        return PeerLost(evidence, now_s - silent_from_s)

    @property
    def due_s(self) -> float:
        """When silence will be loss, if nothing is heard until then."""
        limit_s = self.interval_s if self._refused else self.lost_after_s
        return self._counted_since_s() + limit_s

    def _counted_since_s(self) -> float:
        if self.heard_s is None:
            return self.counted_from_s
        return max(self.counted_from_s, self.heard_s)
