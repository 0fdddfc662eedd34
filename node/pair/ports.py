"""The ports of a pair on one machine, and whether they are free."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterable

import attrs

from node.roles import Role

HOST = "127.0.0.1"
BASE_PORT_DEFAULT = 7400
BASE_PORT_MIN = 1024
BASE_PORT_MAX = 65535 - 91
SEARCH_COUNT_MAX = 200

# Below the range from which Linux (32768) and others (49152) pick ports for outgoing
# connections: a port found free there stays free until it is used.
_SEARCHED = range(10_000, 32_000, 100)


@attrs.frozen
class NodePorts:
    """Where one node of a pair and its Redis listen."""

    link: int
    http: int
    redis: int


@attrs.frozen
class PairPorts:
    """All ports of a pair: by default link 7400 and 7401, HTTP 7480/1, Redis 7490/1."""

    base: int = BASE_PORT_DEFAULT

    def of(self, role: Role) -> NodePorts:
        first = self.base + (role is Role.STANDBY)
        return NodePorts(link=first, http=first + 80, redis=first + 90)

    def first_in_use(self) -> int | None:
        """The lowest of the ports on which something listens already; None: none does."""
        return next((port for port in sorted(self._all()) if not is_free(port)), None)

    def _all(self) -> Iterable[int]:
        for role in Role:
            yield from attrs.astuple(self.of(role))


def other_role(role: Role) -> Role:
    return Role.STANDBY if role is Role.MASTER else Role.MASTER


def is_free(port: int) -> bool:
    """Whether a server could listen on the port of 127.0.0.1 now."""
    with socket.socket() as probe:
        # As servers do it: connections that ended just now are no hindrance.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def free_ports(chance: random.Random) -> PairPorts | None:
    """Ports for a pair of which none is in use; None when a long search found none."""
    for base in chance.sample(_SEARCHED, min(SEARCH_COUNT_MAX, len(_SEARCHED))):
        ports = PairPorts(base)
        if ports.first_in_use() is None:
            return ports
    return None
