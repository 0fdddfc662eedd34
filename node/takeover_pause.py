"""Whether automatic takeover is paused: one setting for both nodes, with an expiry. Pure.

Each node stores the order as an event and says in its heartbeats how much of the pause is
left, so no two clocks are compared. The higher revision is the newer order; of two given
at the same time in a cut, the one that lets takeovers happen wins: service comes first.
"""

from __future__ import annotations

import attrs

from eventstore import Event, JsonValue
from node.link_messages import REVISION_MAX, TEXT_LENGTH_MAX, Heartbeat

PAUSE_S_MAX = 7 * 24 * 3600.0
"""A pause that nobody remembers must not last for ever."""


def _cut(text: str) -> str:
    # Actor and reason together are longer than a heartbeat may carry.
    return text if len(text) <= TEXT_LENGTH_MAX else f"{text[: TEXT_LENGTH_MAX - 1]}…"


@attrs.frozen
class TakeoverPause:
    """An operator's order, and the how manieth it is."""

    revision: int = 0
    paused: bool = False
    """What was ordered; a pause may have run out since."""
    until_s: float = attrs.field(default=0.0, eq=False)
    """When it runs out, by this node's clock that never jumps."""
    for_s: float = attrs.field(default=0.0, eq=False)
    """What was left of it when it was given here, or learnt of."""
    text: str = attrs.field(default="", eq=False, converter=_cut)
    """Who ordered it and why, as much of it as a heartbeat carries."""

    @classmethod
    def from_event(
        cls, event: Event | None, *, now_s: float, wall_ns: int
    ) -> TakeoverPause:
        """What the newest own `takeover-changed` says; no pause when there is none.

        A wall clock that was set back prolongs it to its whole length at most.
        """
        value = None if event is None else event.value
        if event is None or not isinstance(value, dict):
            return cls()
        revision, for_s = value.get("revision"), value.get("for_s")
        if type(revision) is not int or not isinstance(for_s, int | float):
            return cls()
        if not 0 <= revision <= REVISION_MAX:
            return cls()
        age_s = max(0.0, (wall_ns - event.wall_ns) / 1e9)
        left_s = max(0.0, min(float(for_s), PAUSE_S_MAX) - age_s)
        text = value.get("text")
        return cls(
            revision,
            value.get("paused") is True,
            now_s + left_s,
            left_s,
            text if isinstance(text, str) else "",
        )

    @classmethod
    def said(cls, heartbeat: Heartbeat, now_s: float) -> TakeoverPause:
        """The peer's order; no pause that it says is longer than one may be."""
        left_s = min(heartbeat.pause_left_ms / 1000, PAUSE_S_MAX)
        return cls(
            heartbeat.pause_revision,
            heartbeat.paused,
            now_s + left_s,
            left_s,
            heartbeat.pause_text,
        )

    def as_value(self) -> JsonValue:
        return {
            "revision": self.revision,
            "paused": self.paused,
            "for_s": self.for_s,
            "text": self.text,
        }

    def resumed(self) -> TakeoverPause:
        """The next order: takeovers may happen."""
        return TakeoverPause(self.revision + 1)

    def paused_for(self, for_s: float, now_s: float, text: str) -> TakeoverPause:
        """The next order: none for `for_s` from now on."""
        return TakeoverPause(self.revision + 1, True, now_s + for_s, for_s, text)

    def left_s(self, now_s: float) -> float:
        """What is left of the pause, in seconds; 0: none."""
        return max(0.0, self.until_s - now_s) if self.paused else 0.0

    def yields_to(self, peers: TakeoverPause) -> bool:
        """Whether the peer's order is the one to adopt."""
        if peers.revision == self.revision:
            return self.paused and not peers.paused
        return self.revision < peers.revision <= REVISION_MAX

    def in_words(self) -> str:
        if not self.paused:
            return "automatic takeover on"
        return f"automatic takeover paused for {self.for_s:g} s"
