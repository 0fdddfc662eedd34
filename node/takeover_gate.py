"""What may hold back an automatic takeover: a pause, a hold-off, a cap, a witness. Pure.

All are off until an operator asks for them, and each ends by itself: a pause has an expiry, a
hold-off and the hourly cap run out, a witness is asked again and again. So a node that is held
has a way out, and meanwhile says why it waits and until when.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import attrs

from node.situation import Evidence

HOUR_S = 3600.0
_UNANSWERED = "no answer yet"
TAKEOVER_RULES = ("S6", "S12")
FLAPPING = (Evidence.SILENCE, Evidence.REFUSED)
"""After a goodbye nothing failed: an orderly stop counts for no cap."""


@attrs.frozen
class Pause:
    """An operator's order not to take over, as it stands at this moment."""

    left_s: float
    text: str
    """By whom and why, in words."""


@attrs.frozen
class Held:
    """A takeover has to wait."""

    why: str
    until_s: float
    """When to judge again, if nothing happens before."""


class TakeoverGate:
    """Whether a passive node may take over now. One node's; not thread-safe."""

    def __init__(
        self, *, hold_off_s: float, per_hour_max: int, ask_again_s: float | None
    ) -> None:
        """0 for no hold-off and no cap; `ask_again_s` None for no witness."""
        self._hold_off_s = hold_off_s
        self._per_hour_max = per_hour_max
        self._ask_again_s = ask_again_s
        self._taken_s: deque[float] = deque()
        self._asked_s: float | None = None
        self._question = 0
        self._unsent = False
        self._problem: str | None = _UNANSWERED

    def took_over(self, at_s: float) -> None:
        """This node has taken over by itself because its peer seemed lost."""
        self._taken_s.append(at_s)

    def remember(self, ages_s: Iterable[float], now_s: float) -> None:
        """Count takeovers of earlier processes too, made so long ago."""
        self._taken_s = deque(sorted(now_s - age_s for age_s in ages_s))

    def takeover_count(self, now_s: float) -> int:
        """Takeovers by itself within the last hour."""
        while self._taken_s and self._taken_s[0] <= now_s - HOUR_S:
            self._taken_s.popleft()
        return len(self._taken_s)

    def peer_heard(self) -> None:
        """The silence is over, and with it what the witness said of it."""
        self._asked_s, self._problem = None, _UNANSWERED

    def held(
        self, evidence: Evidence | None, pause: Pause | None, now_s: float
    ) -> Held | None:
        """Why activating must wait; None: go.

        `evidence` is that of the peer's loss; None stands for a start at which no peer was
        heard (S2), which is no takeover: only the witness, asked about silence, has a say.
        """
        if evidence is not None and pause is not None:
            return Held(
                f"automatic takeover is paused: {pause.text}", now_s + pause.left_s
            )
        if evidence in FLAPPING:
            held = self._held_by_flapping(now_s)
            if held is not None:
                return held
        if evidence in (None, Evidence.SILENCE) and self._ask_again_s is not None:
            return self._held_by_witness(self._ask_again_s, now_s)
        return None

    def _held_by_flapping(self, now_s: float) -> Held | None:
        count = self.takeover_count(now_s)
        if count and self._hold_off_s:
            until_s = self._taken_s[-1] + self._hold_off_s
            if now_s < until_s:
                return Held(
                    f"this node took over less than {self._hold_off_s:g} s ago "
                    "(takeover_hold_off_s)",
                    until_s,
                )
        if self._per_hour_max and count >= self._per_hour_max:
            times = "once" if count == 1 else f"{count} times"
            return Held(
                f"this node took over {times} within an hour, the limit "
                "(takeovers_per_hour_max)",
                self._taken_s[-self._per_hour_max] + HOUR_S,
            )
        return None

    # The witness.

    def _held_by_witness(self, ask_again_s: float, now_s: float) -> Held | None:
        if self._asked_s is None or now_s >= self._asked_s + ask_again_s:
            self._asked_s = now_s
            self._question += 1
            self._unsent = True
            # The last problem stands until the next answer, so that it is logged once.
            self._problem = self._problem or _UNANSWERED
        if self._problem is None:
            return None
        return Held(f"the witness: {self._problem}", self._asked_s + ask_again_s)

    def take_question(self) -> int | None:
        """The number of a question to put to the witness now; None: none is open."""
        if not self._unsent:
            return None
        self._unsent = False
        return self._question

    def witness_answered(self, question: int, problem: str | None) -> None:
        """What came of `question`: None, it can be reached, or what is wrong."""
        if question == self._question:
            self._problem = problem
