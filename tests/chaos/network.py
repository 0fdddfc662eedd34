"""What can happen between the two sides, whichever way it is done."""

from __future__ import annotations

from abc import ABC, abstractmethod

from node.pair.ports import other_role
from node.roles import Role
from tests.chaos.machines import Machines
from tests.chaos.wire import Act, Treatment
from tests.support.processes import PairProcesses
from tests.support.proxies import End, TcpProxy


class Network(ABC):
    """Breaks the paths between the sides; each break lasts until `heal`."""

    name: str
    has_packets: bool
    """Whether it can do what is done to packets, not to connections."""

    @abstractmethod
    def cut(self) -> None:
        """Nothing goes through, and nobody is told."""

    @abstractmethod
    def cut_one_way(self, speaker: Role) -> None:
        """Nothing that `speaker` says is heard, and nobody is told."""

    @abstractmethod
    def cut_redis(self, reader: Role) -> None:
        """Nothing goes between `reader` and the other side's Redis."""

    @abstractmethod
    def delay(self, delay_s: float) -> None:
        """Everything arrives so much later."""

    @abstractmethod
    def lose(self, share: float) -> None:
        """So many of the packets disappear; only where `has_packets`."""

    @abstractmethod
    def double(self, share: float) -> None:
        """So many of the packets arrive twice; only where `has_packets`."""

    @abstractmethod
    def reorder(self, jitter_s: float) -> None:
        """Packets overtake each other within that time; only where `has_packets`."""

    @abstractmethod
    def jam(self) -> None:
        """Nothing arrives, and all of it when healed."""

    @abstractmethod
    def reset(self) -> None:
        """The connections there are end for both sides."""

    @abstractmethod
    def half_open(self, speaker: Role) -> None:
        """The connections there are end, and `speaker` is not told; new ones pass."""

    @abstractmethod
    def forget(self) -> None:
        """The connections there are end, and nobody is told; new ones pass."""

    @abstractmethod
    def heal(self) -> None:
        """Everything goes through again."""


class WiredNetwork(Network):
    """Two machines with a wire: whole packets are treated."""

    name = "network namespaces"
    has_packets = True

    def __init__(self, machines: Machines, pair: PairProcesses) -> None:
        self._machines = machines
        self._ports = pair.ports

    def cut(self) -> None:
        self._both(Treatment(Act.DROP))

    def cut_one_way(self, speaker: Role) -> None:
        self._machines.treat({speaker: Treatment(Act.DROP)})

    def cut_redis(self, reader: Role) -> None:
        port = self._ports.of(other_role(reader)).redis
        self._both(Treatment(Act.DROP, port=port))

    def delay(self, delay_s: float) -> None:
        self._both(Treatment(delay_s=delay_s, jitter_s=delay_s / 10))

    def lose(self, share: float) -> None:
        self._both(Treatment(lost=share))

    def double(self, share: float) -> None:
        self._both(Treatment(doubled=share))

    def reorder(self, jitter_s: float) -> None:
        self._both(Treatment(jitter_s=jitter_s))

    def jam(self) -> None:
        self._both(Treatment(Act.HOLD))

    def reset(self) -> None:
        self._both(Treatment(Act.RESET))

    def half_open(self, speaker: Role) -> None:
        self._machines.treat({speaker: Treatment(Act.HALF_OPEN)})

    def forget(self) -> None:
        self._both(Treatment(Act.FORGET))

    def heal(self) -> None:
        self._machines.heal()

    def _both(self, treatment: Treatment) -> None:
        self._machines.treat(dict.fromkeys(Role, treatment))


class ProxiedNetwork(Network):
    """A TCP proxy on each path: connections are treated, not packets."""

    name = "TCP proxies"
    has_packets = False

    def __init__(self, pair: PairProcesses) -> None:
        self._link = pair.link_proxies
        self._redis = pair.redis_proxies
        self._all: list[TcpProxy] = [*self._link.values(), *self._redis.values()]

    def cut(self) -> None:
        for proxy in self._all:
            proxy.black_hole()

    def cut_one_way(self, speaker: Role) -> None:
        self._link[speaker].black_hole()

    def cut_redis(self, reader: Role) -> None:
        self._redis[reader].black_hole()

    def delay(self, delay_s: float) -> None:
        for proxy in self._all:
            proxy.delay_s = delay_s

    def lose(self, share: float) -> None:
        raise AssertionError("a TCP proxy has no packets to lose")

    def double(self, share: float) -> None:
        raise AssertionError("a TCP proxy has no packets to double")

    def reorder(self, jitter_s: float) -> None:
        raise AssertionError("a TCP proxy has no packets that overtake")

    def jam(self) -> None:
        self.cut()  # A black hole gives back what it held.

    def reset(self) -> None:
        for proxy in self._all:
            proxy.reset()

    def half_open(self, speaker: Role) -> None:
        for proxies in (self._link, self._redis):
            for dialler, proxy in proxies.items():
                proxy.forget(End.CALLER if dialler is speaker else End.TARGET)

    def forget(self) -> None:
        for proxy in self._all:
            proxy.forget(*End)

    def heal(self) -> None:
        for proxy in self._all:
            proxy.delay_s = 0.0
            proxy.heal()
