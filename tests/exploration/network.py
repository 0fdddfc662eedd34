"""What lies between the two explored nodes, and how many faults are left to befall them.

Each node speaks on the connection that it dialled, so what it says arrives in order: a queue. A
dial is answered with the state of that moment, and the answer may be overtaken by what comes on
the other connection. With a connection, all that is still under way on it is lost.
"""

from __future__ import annotations

from typing import TypeVar

import attrs

from node.roles import Role
from tests.exploration.nodes import Word

BOTH = (Role.MASTER, Role.STANDBY)
"""A node's place: 0 or 1."""
_T = TypeVar("_T")


@attrs.frozen
class Answer:
    """On its way to the node that has dialled."""

    word: Word
    accepted: bool = False
    """The dialler has proved itself, and the answering node listens to this connection."""
    claim: bool = False
    """It proves nothing, as the secrets differ (S18)."""
    older_count: int = 0
    """So many messages are still under way that were said before it."""
    overtaken: bool = False
    """A word that was said after it has been heard already."""

    def after_reading(self, *, word: bool) -> Answer:
        """The dialler has read one message of the other connection."""
        if self.older_count:
            return attrs.evolve(self, older_count=self.older_count - 1)
        return attrs.evolve(self, overtaken=True) if word else self


@attrs.frozen
class Budget:
    """How often each fault may still happen, to whichever node."""

    cuts: int = 0
    """The words of one node, or of both, do not arrive any more."""
    crashes: int = 0
    stops: int = 0
    """In order, with a goodbye."""
    resets: int = 0
    """A connection ends, and is dialled again."""
    redials: int = 0
    """A connection is doubted, and another one dialled beside it."""
    losses: int = 0
    """A single message gets lost."""
    repeats: int = 0
    """A message comes twice."""
    verdicts: int = 0
    """A node believes that its peer is gone, and it is not."""
    stalls: int = 0
    orders: int = 0
    """An operator orders a switch. No fault."""
    sicknesses: int = 0
    """A node cannot serve (S15), until it is well again."""
    recoveries: int = 0
    """A sick node is well again, other than by a new start."""
    minutes: int = 0
    """So much time passes that a sick node may try again to hand over."""
    refusals: int = 0
    """The nodes cannot accept each other (S18)."""
    pauses: int = 0
    """Automatic takeovers are paused."""
    isolations: int = 0
    """A node cannot reach its witness."""


@attrs.frozen
class Network:
    """Everything outside of the two nodes, apart from what they have said."""

    left: Budget
    up: tuple[bool, bool] = (True, True)
    """Whether what the master, and what the standby, says gets through."""
    stands: tuple[bool, bool] = (True, True)
    """Whether the connection that each has dialled stands."""
    dials: tuple[Answer | None, Answer | None] = (None, None)
    """The answer to each node's dial, on its way."""
    accepted: bool = True
    """Whether the nodes can accept each other."""
    witness: tuple[bool, bool] = (True, True)
    """Whether each reaches its witness."""
    took_over: tuple[bool, bool] = (False, False)
    """Whether each took over by itself lately, as its Redis knows beyond a crash."""
    switch_count: int = 0
    disturbed: bool = False
    """A cut or a wrong verdict: the nodes may be wrong."""
    used: bool = False
    """Something happened that may change who is active."""

    def spend(self, name: str) -> Network:
        """One of a budget is used up."""
        return attrs.evolve(
            self,
            left=attrs.evolve(self.left, **{name: getattr(self.left, name) - 1}),
            disturbed=self.disturbed or name in _DISTURBING,
            used=self.used or name not in _HARMLESS,
        )

    def healed(self) -> Network:
        """Nothing fails any more, nobody orders anything, and nothing is held back."""
        master, standby = (
            None if dial is not None and dial.claim else dial for dial in self.dials
        )
        return attrs.evolve(
            self,
            left=Budget(),
            up=(True, True),
            accepted=True,
            dials=(master, standby),
            witness=(True, True),
            took_over=(False, False),
            switch_count=SWITCH_COUNT_MAX,
            disturbed=True,
            used=True,
        )

    def with_dial(self, place: int, answer: Answer | None) -> Network:
        return attrs.evolve(self, dials=put(self.dials, place, answer))

    def with_connection(self, place: int, stands: bool) -> Network:
        return attrs.evolve(self, stands=put(self.stands, place, stands))

    def with_line(self, place: int, up: bool) -> Network:
        """A dial needs both directions."""
        return attrs.evolve(self, up=put(self.up, place, up), dials=(None, None))

    def torn(self) -> Network:
        """No connection stands."""
        return attrs.evolve(self, stands=(False, False), dials=(None, None))


SWITCH_COUNT_MAX = 9
"""Once healed, switches need no names of their own: nothing of an older one is under way."""
_DISTURBING = frozenset({"cuts", "verdicts"})
_HARMLESS = frozenset(
    {"resets", "redials", "losses", "repeats", "pauses", "isolations"}
)


def put(pair: tuple[_T, _T], place: int, value: _T) -> tuple[_T, _T]:
    """`pair` with `value` at `place`."""
    return (value, pair[1]) if place == 0 else (pair[0], value)
