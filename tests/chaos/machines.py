"""Two machines with a network each, and a wire between them that this process carries.

Everything is made inside namespaces without a name, so nothing of it outlives this
process, however it ends: the network of the whole run (`enter_private_namespaces`), and
one for each machine, held by a process that dies with this one. The wire is a TUN device
in each machine, whose packets this process reads and writes: it needs no packet filter,
and can do whatever a network does.
"""

from __future__ import annotations

import fcntl
import heapq
import itertools
import os
import select
import shutil
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random

import attrs

from node.child_process import ChildProcess
from node.roles import Role
from tests.chaos.wire import Delivery, Treatment, Wire
from tests.support.places import Place
from tests.support.waiting import wait_until

INSIDE = "NETPHONE_CHAOS_INSIDE"
"""Set in the environment of the program once it is in namespaces of its own."""
TOOLS = ("unshare", "nsenter", "ip", "mount", "sleep")
TUN = Path("/dev/net/tun")
COMMAND_LIMIT_S = 10.0
PACKET_BYTES_MAX = 65_536
SELECT_LIMIT_S = 0.5
_TRIAL = """
ip link add name trial-a type veth peer name trial-b
ip tuntap add dev trial-c mode tun
mount -t tmpfs tmpfs /tmp
"""
"""Everything that is going to be needed, in namespaces that end with it."""
_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000
_WIRE_ADDRESS = {Role.MASTER: "10.77.0.1", Role.STANDBY: "10.77.0.2"}
_NUMBER = {Role.MASTER: 1, Role.STANDBY: 2}


def hindrance() -> str | None:
    """Why there can be no namespaces here; None: there can."""
    if sys.platform != "linux":
        return "they need Linux"
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        return f"not installed: {', '.join(missing)} (util-linux, iproute2)"
    if not os.access(TUN, os.R_OK | os.W_OK):
        return f"no access to {TUN}; run it as root"
    tried = subprocess.run(
        [_tool("unshare"), "--mount", "--net", "sh", "-e", "-c", _TRIAL],
        capture_output=True,
        text=True,
        timeout=COMMAND_LIMIT_S,
    )
    if tried.returncode == 0:
        return None
    return tried.stderr.strip() or f"a trial ended with exit code {tried.returncode}"


def enter_private_namespaces(program: Sequence[str]) -> None:
    """Become `program` in a network and with mounts of its own; does not return."""
    os.environ[INSIDE] = "1"
    os.execv(_tool("unshare"), ["unshare", "--mount", "--net", "--", *program])


class Machines:
    """A network namespace for each side, and the wire; needs to be inside already."""

    def __init__(self, directory: Path, chance: Random) -> None:
        self._router = Router(Wire(chance))
        self._keepers = {
            role: ChildProcess(
                (_tool("unshare"), "--net", _tool("sleep"), "infinity"),
                log=directory / f"{role}-network.log",
            )
            for role in Role
        }
        self.places: dict[Role, Place] = {}

    def __enter__(self) -> Machines:
        try:
            _run("ip", "link", "set", "lo", "up")
            for role in Role:
                self._make(role)
            self._router.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *details: object) -> None:
        self.close()

    def close(self) -> None:
        """End the wire and both networks."""
        self._router.close()
        for keeper in self._keepers.values():
            keeper.kill()

    def treat(self, treatments: Mapping[Role, Treatment]) -> None:
        """From now on, treat the packets that each side sends like that."""
        self._router.treat(treatments)

    def heal(self) -> None:
        self._router.heal()

    def _make(self, role: Role) -> None:
        keeper = self._keepers[role]
        keeper.start()
        namespace = Path(f"/proc/{keeper.pid}/ns/net")
        ours = Path("/proc/self/ns/net").readlink()
        wait_until(
            lambda: namespace.readlink() != ours, COMMAND_LIMIT_S, "a network namespace"
        )
        within = (_tool("nsenter"), f"--net={namespace}", "--")
        wire, peer = _WIRE_ADDRESS[role], _WIRE_ADDRESS[_other(role)]
        net = f"10.78.{_NUMBER[role]}"
        self._router.open(role, f"wire-{role}")
        _run("ip", "link", "set", f"wire-{role}", "netns", str(keeper.pid))
        _run("ip", "link", "add", f"to-{role}", "type", "veth",
             "peer", "name", "control", "netns", str(keeper.pid))  # fmt: skip
        _run("ip", "address", "add", f"{net}.1/24", "dev", f"to-{role}")
        _run("ip", "link", "set", f"to-{role}", "up")
        for command in (
            "link set lo up",
            f"address add {net}.2/24 dev control",
            "link set control up",
            f"address add {wire} peer {peer} dev wire-{role}",
            f"link set wire-{role} up",
        ):
            _run(*within, "ip", *command.split())
        self.places[role] = Place(f"{net}.2", wire, "0.0.0.0", within)


@attrs.define
class Router:
    """Carries the packets between two TUN devices, in a thread of its own."""

    _wire: Wire
    _devices: dict[Role, int] = attrs.field(factory=dict)
    _due: list[tuple[float, int, Delivery]] = attrs.field(factory=list)
    """A heap: what arrives, by when; the number keeps the order of equal times."""
    _numbers: itertools.count[int] = attrs.field(factory=itertools.count)
    _lock: threading.Lock = attrs.field(factory=threading.Lock)
    _ending: threading.Event = attrs.field(factory=threading.Event)
    _thread: threading.Thread | None = None

    def open(self, role: Role, name: str) -> None:
        """Make a TUN device; it is there as long as it is open."""
        device = os.open(TUN, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
        self._devices[role] = device
        request = struct.pack("16sH22x", name.encode(), _IFF_TUN | _IFF_NO_PI)
        fcntl.ioctl(device, _TUNSETIFF, request)

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="wire", daemon=True)
        self._thread.start()

    def treat(self, treatments: Mapping[Role, Treatment]) -> None:
        with self._lock:
            self._wire.treat(treatments)

    def heal(self) -> None:
        with self._lock:
            self._put(self._wire.heal(time.monotonic()))

    def close(self) -> None:
        self._ending.set()
        if self._thread is not None:
            self._thread.join(COMMAND_LIMIT_S)
        for device in self._devices.values():
            os.close(device)
        self._devices.clear()

    def _run(self) -> None:
        senders = {device: role for role, device in self._devices.items()}
        while not self._ending.is_set():
            wait_s = SELECT_LIMIT_S
            if self._due:
                wait_s = min(wait_s, max(0.0, self._due[0][0] - time.monotonic()))
            readable, _, _ = select.select(list(senders), [], [], wait_s)
            with self._lock:
                for device in readable:
                    self._take(device, senders[device])
                self._deliver(time.monotonic())

    def _take(self, device: int, sender: Role) -> None:
        packet = os.read(device, PACKET_BYTES_MAX)
        self._put(self._wire.carry(packet, sender, time.monotonic()))

    def _put(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            heapq.heappush(self._due, (delivery.due_s, next(self._numbers), delivery))

    def _deliver(self, now_s: float) -> None:
        while self._due and self._due[0][0] <= now_s:
            delivery = heapq.heappop(self._due)[2]
            try:
                os.write(self._devices[delivery.to], delivery.packet)
            except OSError:
                continue  # A device that cannot take it loses it, as a network does.


def _other(role: Role) -> Role:
    return Role.STANDBY if role is Role.MASTER else Role.MASTER


def _tool(name: str) -> str:
    found = shutil.which(name)
    assert found is not None, f"{name} is not installed"
    return found


def _run(*command: str) -> None:
    subprocess.run(
        [_tool(command[0]) if "/" not in command[0] else command[0], *command[1:]],
        check=True,
        timeout=COMMAND_LIMIT_S,
        capture_output=True,
        text=True,
    )
