"""Role and state of a node: the two words that are never mixed. Pure."""

from enum import StrEnum


class Role(StrEnum):
    """What a node was installed as. It decides ties, never who serves right now."""

    MASTER = "master"
    STANDBY = "standby"

    @property
    def other(self) -> "Role":
        """The role of the peer."""
        return Role.STANDBY if self is Role.MASTER else Role.MASTER


class State(StrEnum):
    """Who serves calls at this moment; it changes at run time.

    Supervision also knows steps in between (starting, handing over). Outside they read
    as passive or active.
    """

    ACTIVE = "active"
    PASSIVE = "passive"
