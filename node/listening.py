"""Taking an address in two steps: `bound`, and later `listen`.

A bound socket keeps others from the address, and whoever dials it is still refused.
"""

from __future__ import annotations

import errno
import socket

from node.addresses import Address
from node.errors import ConfigError, NodeError, PortInUse

BACKLOG_COUNT = 128


def bound(address: Address, knob: str) -> socket.socket:
    """A socket that has taken `address`; `knob` names it in messages.

    Raises:
        PortInUse: another process listens there.
        ConfigError: the address is not one of this machine, or not allowed.
    """
    try:
        family, kind, proto, _, place = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM
        )[0]
        listener = socket.socket(family, kind, proto)
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"{knob} {address}: {error}") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
    except OSError as error:
        listener.close()
        raise _refused(address, knob, error) from error
    return listener


def listen(listener: socket.socket, address: Address, knob: str) -> None:
    """Let `listener` be dialled.

    Raises:
        PortInUse: another process began to listen there since it was bound.
    """
    try:
        listener.listen(BACKLOG_COUNT)
    except OSError as error:
        raise _refused(address, knob, error) from error


def _refused(address: Address, knob: str, error: OSError) -> NodeError:
    if error.errno == errno.EADDRINUSE:
        return PortInUse(
            f"{knob} {address} is taken by another process; stop that one, or set {knob} "
            "to another port"
        )
    return ConfigError(f"{knob} {address}: {error.strerror}")
