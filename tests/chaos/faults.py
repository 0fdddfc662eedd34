"""Everything that is done to the pair. Each fault is a function; the table is at the end.

A fault says, before it happens, whether a takeover must, may or must not come of it, and
lasts for a time by chance. Mending is the scene's.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path

import attrs

from node.pair.client import NodeRefused
from node.pair.local import node_command
from tests.chaos import redis_data
from tests.chaos.busy_service import busy_command
from tests.chaos.journal import Takeover
from tests.chaos.scene import Scene, wait
from tests.support.processes import NodeProcess

PEER_LOST_AFTER_S = 3.0
"""As it is by default; the faults are as long as that makes sense."""
SURELY_LOST_S = PEER_LOST_AFTER_S + 2.0
SURELY_KEPT_S = 1.5
"""Silence shorter than this loses nobody: a heartbeat is up to an interval old."""
RESET_S = 1.3
"""In this time every connection has carried a heartbeat, so it was noticed and ended."""
GARBAGE_CONNECTION_COUNT = 20
SWITCH_LIMIT_S = 15.0
SURELY_SICK_S = 10.0
"""A Redis that hangs is found sick after `peer_lost_after_s`, and given up as much later."""
SHORT = False
"""Over before a node has to hand over for it."""


def cut(scene: Scene) -> None:
    with _on_active(scene, "cut", "the network is cut", Takeover.MUST):
        scene.network.cut()
        scene.last(SURELY_LOST_S, 15)


def short_cut(scene: Scene) -> None:
    with _on_active(scene, "short cut", "a short cut", Takeover.MUST_NOT):
        scene.network.cut()
        scene.last(0.2, SURELY_KEPT_S)


def active_is_not_heard(scene: Scene) -> None:
    what = "nothing of the active node arrives"
    with _on_active(scene, "active not heard", what, Takeover.MUST):
        scene.network.cut_one_way(scene.active().role)
        scene.last(SURELY_LOST_S, 15)


def passive_is_not_heard(scene: Scene) -> None:
    what = "nothing of the passive node arrives"
    with _on_active(scene, "passive not heard", what, Takeover.MAY):
        scene.network.cut_one_way(scene.passive().role)
        scene.last(SURELY_LOST_S, 15)


def redis_path_is_cut(scene: Scene) -> None:
    reader = scene.either()
    what = f"{scene.name(reader)} does not reach the other's Redis"
    with _on_active(scene, "Redis path cut", what, Takeover.MUST_NOT):
        scene.network.cut_redis(reader.role)
        scene.last(2, 15)


def delayed(scene: Scene) -> None:
    delay_s = scene.chance.uniform(0.05, 1.0)
    what = f"everything takes {delay_s:.2f} s longer"
    with _on_active(scene, "delayed", what, Takeover.MUST_NOT):
        scene.network.delay(delay_s)
        scene.last(4, 15)


def lossy(scene: Scene) -> None:
    share = scene.chance.uniform(0.02, 0.4)
    what = f"{share:.0%} of the packets are lost"
    # TCP sends again after 0.2, 0.4, 0.8 s …: at a high share silence comes of it.
    takeover = Takeover.MAY if share > 0.05 else Takeover.MUST_NOT
    with _on_active(scene, "lossy", what, takeover):
        scene.network.lose(share)
        scene.last(5, 20)


def doubled(scene: Scene) -> None:
    share = scene.chance.uniform(0.02, 1.0)
    what = f"{share:.0%} of the packets arrive twice"
    with _on_active(scene, "doubled", what, Takeover.MUST_NOT):
        scene.network.double(share)
        scene.last(4, 12)


def reordered(scene: Scene) -> None:
    jitter_s = scene.chance.uniform(0.02, 0.3)
    what = f"packets overtake each other within {jitter_s:.2f} s"
    with _on_active(scene, "reordered", what, Takeover.MUST_NOT):
        scene.network.reorder(jitter_s)
        scene.last(4, 12)


def jammed(scene: Scene) -> None:
    with _on_active(scene, "jammed", "the network is jammed", Takeover.MUST):
        scene.network.jam()
        scene.last(SURELY_LOST_S, 12)


def shortly_jammed(scene: Scene) -> None:
    with _on_active(scene, "short jam", "a short jam", Takeover.MUST_NOT):
        scene.network.jam()
        scene.last(0.2, SURELY_KEPT_S)


def reset(scene: Scene) -> None:
    what = "all connections are reset"
    with _on_active(scene, "reset", what, Takeover.MUST_NOT):
        scene.network.reset()
        wait(RESET_S)


def half_open(scene: Scene) -> None:
    speaker = scene.either()
    what = f"connections end, and {scene.name(speaker)} is not told"
    with _on_active(scene, "half-open", what, Takeover.MUST_NOT):
        scene.network.half_open(speaker.role)
        scene.last(4, 12)


def forgotten(scene: Scene) -> None:
    what = "connections end, and nobody is told"
    with _on_active(scene, "forgotten", what, Takeover.MUST_NOT):
        scene.network.forget()
        scene.last(4, 12)


def active_pauses(scene: Scene) -> None:
    with _on_active(scene, "active paused", "SIGSTOP of the active", Takeover.MUST):
        scene.active().pause()
        scene.last(SURELY_LOST_S, 30)


def active_pauses_shortly(scene: Scene) -> None:
    what = "a short SIGSTOP of the active"
    with _on_active(scene, "active paused shortly", what, Takeover.MUST_NOT):
        scene.active().pause()
        scene.last(0.5, SURELY_KEPT_S)


def active_pauses_for_about_the_limit(scene: Scene) -> None:
    what = "SIGSTOP of the active for about peer_lost_after_s"
    with _on_active(scene, "active paused at the limit", what, Takeover.MAY):
        scene.active().pause()
        scene.last(SURELY_KEPT_S, SURELY_LOST_S)


def passive_pauses(scene: Scene) -> None:
    what = "SIGSTOP of the passive"
    with _on_active(scene, "passive paused", what, Takeover.MUST_NOT):
        scene.passive().pause()
        scene.last(0.5, 30)


def both_pause(scene: Scene) -> None:
    what = "SIGSTOP of both, as when their host stands still"
    with _on_active(scene, "both paused", what, Takeover.MAY):
        for node in scene.chance.sample(list(scene.pair.nodes.values()), 2):
            node.pause()
        scene.last(0.5, 10)


def active_is_killed(scene: Scene) -> None:
    with _on_active(scene, "active killed", "kill -9 of the active", Takeover.MUST):
        scene.active().kill()
        scene.last(2, 12)


def passive_is_killed(scene: Scene) -> None:
    what = "kill -9 of the passive"
    with _on_active(scene, "passive killed", what, Takeover.MUST_NOT):
        scene.passive().kill()
        scene.last(0.1, 12)


def both_are_killed(scene: Scene) -> None:
    with scene.fault("both killed", "kill -9 of both", Takeover.MAY, taken_from=None):
        for node in scene.chance.sample(list(scene.pair.nodes.values()), 2):
            node.kill()
        scene.last(0.1, 5)


def active_stops(scene: Scene) -> None:
    with _on_active(scene, "active stopped", "SIGTERM to the active", Takeover.MUST):
        scene.active().terminate()
        scene.last(1, 6)


def passive_stops(scene: Scene) -> None:
    what = "SIGTERM to the passive"
    with _on_active(scene, "passive stopped", what, Takeover.MUST_NOT):
        scene.passive().terminate()
        scene.last(0.1, 6)


def machine_loses_power(scene: Scene) -> None:
    node = scene.either()
    what = f"kill -9 of {scene.name(node)} and its Redis"
    with _on_machine(scene, "machine lost", what, node):
        node.kill()
        scene.pair.redis[node.role].kill()
        scene.last(2, 10)


def redis_is_killed(scene: Scene) -> None:
    node = scene.either()
    with _on_redis(scene, "Redis killed", "kill -9 of the Redis", node):
        scene.pair.redis[node.role].kill()
        scene.last(SURELY_SICK_S, 16)


def redis_is_restarted(scene: Scene) -> None:
    node = scene.either()
    with _on_redis(scene, "Redis restarted", "a restart of the Redis", node, SHORT):
        scene.pair.redis[node.role].kill()
        scene.last(0.1, SURELY_KEPT_S)


def redis_pauses(scene: Scene) -> None:
    node = scene.either()
    with _on_redis(scene, "Redis paused", "SIGSTOP of the Redis", node):
        scene.pair.redis[node.role].pause()
        scene.last(SURELY_SICK_S, 18)


def redis_is_slow(scene: Scene) -> None:
    node = scene.either()
    server = scene.pair.redis[node.role]
    until_s = time.monotonic() + scene.chance.uniform(4, 12)
    with _on_redis(scene, "Redis slow", "a slow Redis", node, SHORT):
        while time.monotonic() < until_s:
            server.pause()
            wait(scene.chance.uniform(0.05, 0.5))
            server.resume()
            wait(0.02)


def redis_has_no_memory(scene: Scene) -> None:
    node = scene.either()
    with _on_redis(scene, "Redis out of memory", "no memory for the Redis", node):
        scene.pair.redis[node.role].set_config("maxmemory", "100kb")
        scene.last(SURELY_SICK_S, 16)


def disk_is_full(scene: Scene) -> None:
    node = scene.either()
    with _on_redis(scene, "disk full", "a full disk for the Redis", node):
        redis_data.fill_disk(scene.pair.redis[node.role].directory)
        scene.last(SURELY_SICK_S, 16)


def redis_is_emptied(scene: Scene) -> None:
    """Under a running node: it has everything in memory, so nothing is gone."""
    node = scene.either()
    with _on_redis(scene, "Redis emptied", "new and empty: the Redis", node, SHORT):
        server = scene.pair.redis[node.role]
        server.kill()
        redis_data.remove_data(server)
        server.start()
        scene.last(2, 6)


def redis_is_rolled_back(scene: Scene) -> None:
    """Under a running node: it has what came since in memory, so nothing is gone."""
    node = scene.either()
    server = scene.pair.redis[node.role]
    copy = _older_copy(scene, node)
    what = "an older copy for the Redis"
    with _on_redis(scene, "Redis rolled back", what, node, SHORT):
        server.kill()
        redis_data.put_data_back(server, copy)
        server.start()
        scene.last(2, 6)


def machine_is_rolled_back(scene: Scene) -> None:
    node = scene.either()
    copy = _older_copy(scene, node)
    what = f"an older copy of the data for {scene.name(node)}, which restarts"
    with _on_machine(scene, "machine rolled back", what, node):
        node.kill()
        scene.destroy_redis(node)
        redis_data.put_data_back(scene.pair.redis[node.role], copy)
        scene.last(1, 6)


def machine_is_replaced(scene: Scene) -> None:
    node = scene.either()
    what = f"a new machine with an empty Redis for {scene.name(node)}"
    with _on_machine(scene, "machine replaced", what, node):
        node.kill()
        scene.destroy_redis(node)
        redis_data.remove_data(scene.pair.redis[node.role])
        scene.last(1, 6)


def busy(count: int, *, is_active: bool) -> Callable[[Scene], None]:
    """So many threads compute in the program that the active, or passive, node is in."""

    def run(scene: Scene) -> None:
        node = scene.passive()
        _replace(scene, node, "the busy service", busy_command)
        if is_active:
            switch(scene)
        state = "active" if is_active else "passive"
        what = f"{count} busy threads in the {state} {node.role}"
        # A node that is not scheduled is silent for its peer, and that is no error.
        allowed = is_active and count > 1
        takeover = Takeover.MAY if allowed else Takeover.MUST_NOT
        with _on_active(scene, f"{count} busy threads, {state}", what, takeover):
            scene.busy.set(count)
            scene.last(5, 15)
        _replace(scene, node, "python -m node", node_command)

    return run


def garbage(scene: Scene) -> None:
    what = "garbage to every port of both nodes"
    with _on_active(scene, "garbage", what, Takeover.MUST_NOT):
        for node in scene.pair.nodes.values():
            address = scene.pair.places[node.role].address
            for port in attrs.astuple(scene.pair.ports.of(node.role)):
                _send_garbage(scene, address, port)
        scene.last(1, 3)


def wrong_clock(scene: Scene) -> None:
    node = scene.either()
    by_s = scene.chance.choice([-1, 1]) * 10 ** scene.chance.uniform(0, 3.9)
    what = f"the clock of {scene.name(node)} is wrong by {by_s:+.0f} s"
    with _on_active(scene, "wrong clock", what, Takeover.MUST_NOT):
        scene.clocks[node.role].set(by_s)
        scene.last(3, 15)


def switch(scene: Scene) -> None:
    scene.pair.wait_until_switchable()
    giver = scene.active()
    what = f"a planned switch from the {giver.role}"
    with scene.fault("planned switch", what, Takeover.ORDERED, taken_from=giver):
        try:
            scene.pair.master.client.switch("chaos", SWITCH_LIMIT_S)
        except NodeRefused as error:
            scene.problem(f"a planned switch failed: {error}")


def _on_active(
    scene: Scene, kind: str, what: str, takeover: Takeover
) -> AbstractContextManager[None]:
    active = scene.active()
    return scene.fault(
        kind, f"{what} ({active.role} is active)", takeover, taken_from=active
    )


def _on_machine(
    scene: Scene, kind: str, what: str, node: NodeProcess
) -> AbstractContextManager[None]:
    """A fault that ends one node's process."""
    is_active = node is scene.active()
    return scene.fault(
        f"{kind}, {'active' if is_active else 'passive'}",
        what,
        Takeover.MUST if is_active else Takeover.MUST_NOT,
        taken_from=scene.active(),
    )


def _on_redis(
    scene: Scene, kind: str, what: str, node: NodeProcess, lasting: bool = True
) -> AbstractContextManager[None]:
    """A fault of one node's Redis: the active one hands over, if it lasts (S15)."""
    is_active = node is scene.active()
    takeover = Takeover.MUST_NOT
    if is_active and lasting:
        takeover = scene.hand_over_expected(node)
    return scene.fault(
        f"{kind}, {'active' if is_active else 'passive'}",
        f"{what} of {scene.name(node)}",
        takeover,
        taken_from=scene.active(),
    )


def _older_copy(scene: Scene, node: NodeProcess) -> Path:
    copy = scene.directory / "older-copy"
    redis_data.copy_data(scene.pair.redis[node.role], copy)
    scene.last(1, 8)
    return copy


def _replace(
    scene: Scene,
    node: NodeProcess,
    by: str,
    command: Callable[[str], tuple[str, ...]],
) -> None:
    active = scene.active()
    takeover = Takeover.MUST if node is active else Takeover.MUST_NOT
    kind = "active stopped" if node is active else "passive stopped"
    what = f"{scene.name(node)} is stopped and becomes {by}"
    with scene.fault(kind, what, takeover, taken_from=active):
        node.terminate()
        node.become(command)


def _send_garbage(scene: Scene, address: str, port: int) -> None:
    for _ in range(GARBAGE_CONNECTION_COUNT):
        with suppress(OSError), socket.create_connection((address, port), 2) as opened:
            opened.sendall(scene.chance.randbytes(scene.chance.randrange(1, 20_000)))


@attrs.frozen
class Fault:
    """A line of the table."""

    run: Callable[[Scene], None]
    needs: str = ""
    """`packets`, `disks` or `clocks`: where there are none, it is left out."""


FAULTS: dict[str, Fault] = {
    "cut": Fault(cut),
    "short-cut": Fault(short_cut),
    "active-not-heard": Fault(active_is_not_heard),
    "passive-not-heard": Fault(passive_is_not_heard),
    "redis-path-cut": Fault(redis_path_is_cut),
    "delayed": Fault(delayed),
    "lossy": Fault(lossy, needs="packets"),
    "doubled": Fault(doubled, needs="packets"),
    "reordered": Fault(reordered, needs="packets"),
    "jammed": Fault(jammed),
    "short-jam": Fault(shortly_jammed),
    "reset": Fault(reset),
    "half-open": Fault(half_open),
    "forgotten": Fault(forgotten),
    "active-paused": Fault(active_pauses),
    "active-paused-shortly": Fault(active_pauses_shortly),
    "active-paused-at-the-limit": Fault(active_pauses_for_about_the_limit),
    "passive-paused": Fault(passive_pauses),
    "both-paused": Fault(both_pause),
    "active-killed": Fault(active_is_killed),
    "passive-killed": Fault(passive_is_killed),
    "both-killed": Fault(both_are_killed),
    "active-stopped": Fault(active_stops),
    "passive-stopped": Fault(passive_stops),
    "machine-lost": Fault(machine_loses_power),
    "redis-killed": Fault(redis_is_killed),
    "redis-restarted": Fault(redis_is_restarted),
    "redis-paused": Fault(redis_pauses),
    "redis-slow": Fault(redis_is_slow),
    "redis-out-of-memory": Fault(redis_has_no_memory),
    "disk-full": Fault(disk_is_full, needs="disks"),
    "redis-emptied": Fault(redis_is_emptied),
    "redis-rolled-back": Fault(redis_is_rolled_back),
    "machine-rolled-back": Fault(machine_is_rolled_back),
    "machine-replaced": Fault(machine_is_replaced),
    "busy-active-1": Fault(busy(1, is_active=True)),
    "busy-active-16": Fault(busy(16, is_active=True)),
    "busy-active-64": Fault(busy(64, is_active=True)),
    "busy-passive-1": Fault(busy(1, is_active=False)),
    "busy-passive-16": Fault(busy(16, is_active=False)),
    "busy-passive-64": Fault(busy(64, is_active=False)),
    "garbage": Fault(garbage),
    "wrong-clock": Fault(wrong_clock, needs="clocks"),
    "switch": Fault(switch),
}
