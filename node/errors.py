"""Errors of a node, split by what the caller can do about them. Pure.

NodeError
├── ConfigError           correct the configuration
├── PortInUse             stop the other process, or choose another address
├── NotMaster             ask the master instead
├── SwitchRefused         clear the reasons, then order the switch again
├── SwitchRolledBack      nothing changed; order the switch again
├── SwitchFailed          look which node serves now, and why
├── ResyncRolledBack      nothing changed; clear the cause, then order it again
├── LicenceRefused        correct the reasons, or install another licence
├── NoSuchLicence         list the licences again
├── NoSeat                install a licence, or let a user log off
├── NotReplicated         stored here; look at the peer, do not store it again
└── LinkProtocolError     bytes on the link that must not be there
    ├── LocalProtocolError     our own mistake: a bug to report
    └── RemoteProtocolError    the peer's bytes: drop the connection

Every message is one clear line that can be shown to an operator, without a secret.
"""

from eventstore import EventId


class NodeError(Exception):
    """Base of everything that this package raises on purpose."""


class ConfigError(NodeError):
    """The configuration cannot be used; the message names the knob to correct."""


class PortInUse(NodeError):
    """Another process listens on the address; the message names address and knob."""


class NotMaster(NodeError):
    """Only the master takes this order; nothing was changed."""


class SwitchRefused(NodeError):
    """The pre-checks of a switch failed, and nothing was changed.

    Attributes:
        reasons: every failed pre-check, at least one.
    """

    def __init__(self, reasons: tuple[str, ...]) -> None:
        assert reasons, "a refusal gives its reasons"
        super().__init__("; ".join(reasons))
        self.reasons = reasons


class SwitchRolledBack(NodeError):
    """The switch failed or timed out before the giver stepped down: all is as before."""


class SwitchFailed(NodeError):
    """The switch failed after the giver stepped down; one node became active by itself.

    The message says which one and why.
    """


class ResyncRolledBack(NodeError):
    """A resync could not be ended: this node's data are as before."""


class LicenceRefused(NodeError):
    """A licence must not be installed; nothing was stored.

    Attributes:
        reasons: all of them, at least one.
    """

    def __init__(self, reasons: tuple[str, ...]) -> None:
        assert reasons, "a refusal gives its reasons"
        super().__init__("; ".join(reasons))
        self.reasons = reasons


class NoSuchLicence(NodeError):
    """No licence of this id is installed."""


class NoSeat(NodeError):
    """No valid licence, or no free seat: this user cannot log on. The message says which."""


class NotReplicated(NodeError):
    """The change is durable here, but the peer did not confirm it in time.

    Attributes:
        event_id: the stored event. It reaches the peer as soon as replication can.
    """

    def __init__(self, event_id: EventId, limit_s: float) -> None:
        super().__init__(
            f"stored here as {event_id}, but the peer did not confirm it within {limit_s:g}"
            " s; it follows as soon as replication can"
        )
        self.event_id = event_id


class LinkProtocolError(NodeError):
    """Bytes on the link that must not be there; the leaves say whose fault it is."""


class LocalProtocolError(LinkProtocolError):
    """We were about to send what the protocol forbids: a bug of this program."""


class RemoteProtocolError(LinkProtocolError):
    """The peer sent what the protocol forbids; its connection is to be dropped."""
