"""One run: sets everything up, makes faults until the time is over, checks, reports."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import attrs
import redis

from node.errors import NodeError
from node.roles import Role
from tests.chaos import report
from tests.chaos.busy_service import BUSY_FILE, BusyCount
from tests.chaos.ending import check
from tests.chaos.faults import FAULTS
from tests.chaos.journal import Takeover, Window
from tests.chaos.machines import Machines
from tests.chaos.network import Network, ProxiedNetwork, WiredNetwork
from tests.chaos.redis_data import DATA, mount_disk, unmount_disk
from tests.chaos.scene import ChaosFailed, Scene, wait
from tests.chaos.verdict import Counts
from tests.chaos.watching import Watching
from tests.chaos.workload import Workload
from tests.support.clock_step import ClockStep
from tests.support.processes import PairProcesses

QUIET_S = (2.0, 5.0)
"""Between the settling of a fault and the next one."""
LAST_QUIET_S = 5.0
SHOWN_PROBLEM_COUNT = 20
FAILED = 1
INTERRUPTED = 130


@attrs.frozen
class Plan:
    """What was asked for."""

    seconds: float
    seed: int
    names: tuple[str, ...]
    """Faults to make; empty: all that are on."""
    per_second: float
    no_namespaces_because: str | None
    directory: Path | None
    markdown: Path | None
    command: str


@attrs.define
class Teller:
    """Prints what happens, with the time of day and the seconds since the beginning."""

    began_s: float = attrs.field(factory=time.monotonic)

    def __call__(self, what: str) -> None:
        at_s = time.monotonic() - self.began_s
        print(f"{datetime.now(UTC):%H:%M:%S} {at_s:7.1f}  {what}", flush=True)


def run(plan: Plan, chance: Random) -> int:
    """Carry out the plan; returns the exit code."""
    say = Teller()
    directory = plan.directory or Path(tempfile.mkdtemp(prefix="netphone-chaos-"))
    say(f"seed {plan.seed}, logs in {directory}")
    code = FAILED
    try:
        code = _run(plan, chance, directory, say)
    except (AssertionError, NodeError, OSError) as error:
        say(
            f"FAILED: the pair could not be set up: {error}; the logs are in {directory}"
        )
    except KeyboardInterrupt:
        say("interrupted: everything is removed")
        code = INTERRUPTED
    finally:
        if code != FAILED and plan.directory is None:
            shutil.rmtree(directory, ignore_errors=True)
    return code


def _run(plan: Plan, chance: Random, directory: Path, say: Teller) -> int:
    with contextlib.ExitStack() as stack:
        scene = _set_up(plan, chance, directory, say, stack)
        workload = stack.enter_context(
            Workload(scene.pair, plan.per_second, Random(chance.random()))
        )
        counts: Counts | None = None
        try:
            _make_faults(plan, scene)
            wait(LAST_QUIET_S)
            workload.stop()
            say("the last check: both nodes against everything that was acknowledged")
            counts = check(scene, workload.attempts)
        except (AssertionError, ChaosFailed, OSError, redis.RedisError) as error:
            scene.problem(f"{type(error).__name__}: {error}")
        except KeyboardInterrupt:
            # Taking down is not to be interrupted, nor to wait for a node that is paused.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            for node in scene.pair.nodes.values():
                node.kill()
            raise
        scene.watching.stop()
        code = _report(plan, scene, counts, directory)
        if code == FAILED:
            _keep_redis(scene.pair, directory)
        return code


def _set_up(
    plan: Plan,
    chance: Random,
    directory: Path,
    say: Teller,
    stack: contextlib.ExitStack,
) -> Scene:
    machines = None
    if plan.no_namespaces_because is None:
        machines = stack.enter_context(Machines(directory, Random(chance.random())))
    clocks = _clocks(directory, stack)
    busy_file = directory / "busy"
    pair = PairProcesses(
        directory,
        proxied=machines is None,
        supervision={},
        environments={
            role: {BUSY_FILE: str(busy_file)}
            | (clocks[role].environment if clocks else {})
            for role in Role
        },
        places=None if machines is None else machines.places,
    )
    disks = stack.enter_context(contextlib.ExitStack())
    stack.callback(pair.close)
    network: Network
    network = ProxiedNetwork(pair) if machines is None else WiredNetwork(machines, pair)
    why = plan.no_namespaces_because
    say(f"network: {network.name}" + (f", because {why}" if why else ""))
    if machines is not None:
        for server in pair.redis.values():
            mount_disk(server.directory)
            disks.callback(unmount_disk, server.directory)
    watching = Watching(pair)
    scene = Scene(
        pair,
        network,
        chance,
        say,
        directory,
        clocks,
        BusyCount(busy_file),
        has_disks=machines is not None,
        watching=watching,
    )
    began = Window("start", time.monotonic(), Takeover.MAY)
    pair.start()
    began.ended_s = time.monotonic()
    scene.windows.append(began)
    watching.start()
    stack.callback(watching.stop)
    say(f"started: {scene.name(scene.active())}, {scene.name(scene.passive())}")
    return scene


def _clocks(directory: Path, stack: contextlib.ExitStack) -> Mapping[Role, ClockStep]:
    if shutil.which("cc") is None:
        return {}
    clocks = {}
    for role in Role:
        place = directory / f"{role}-clock"
        place.mkdir(exist_ok=True)
        clocks[role] = stack.enter_context(ClockStep(place))
    return clocks


def _make_faults(plan: Plan, scene: Scene) -> None:
    deadline_s = time.monotonic() + plan.seconds
    for name in _names(plan, scene):
        wait(scene.chance.uniform(*QUIET_S))
        if time.monotonic() >= deadline_s:
            return
        FAULTS[name].run(scene)


def _names(plan: Plan, scene: Scene) -> Iterator[str]:
    """Names of faults for ever: all of them by chance, then all of them again."""
    here = {"": True, "packets": scene.network.has_packets,
            "disks": scene.has_disks, "clocks": bool(scene.clocks)}  # fmt: skip
    names = list(plan.names) or list(FAULTS)
    possible = [name for name in names if here[FAULTS[name].needs]]
    for name in names:
        if name not in possible:
            scene.say(f"left out: {name}, which needs {FAULTS[name].needs}")
    if not possible:
        raise ChaosFailed("no fault is possible here")
    while True:
        yield from scene.chance.sample(possible, len(possible))


def _report(
    plan: Plan,
    scene: Scene,
    counts: Counts | None,
    directory: Path,
) -> int:
    watching = scene.watching
    measured = report.measure(scene.windows, watching.looks)
    faults = report.fault_rows(scene.windows, measured)
    totals = report.total_rows(counts, scene.windows, measured, watching.own_stall_s)
    print(f"\n{report.as_text([report.HEAD, *faults])}\n\n{report.as_text(totals)}\n")
    problems = [*measured.judgement.false, *measured.judgement.missed, *scene.problems]
    if plan.markdown is not None:
        plan.markdown.write_text(
            f"`{plan.command}`, {datetime.now(UTC):%Y-%m-%d}, {scene.network.name}, "
            f"{_machine()}\n\n{report.as_markdown(('', 'count'), totals)}\n\n"
            f"{report.as_markdown(report.HEAD, faults)}\n"
        )
    for problem in problems[:SHOWN_PROBLEM_COUNT]:
        print(f"WRONG: {problem}")
    if len(problems) > SHOWN_PROBLEM_COUNT:
        print(f"WRONG: and {len(problems) - SHOWN_PROBLEM_COUNT} more")
    if problems:
        print(f"FAILED: --seed {plan.seed}; the logs are in {directory}")
        return FAILED
    print("all is well")
    return 0


def _keep_redis(pair: PairProcesses, directory: Path) -> None:
    """Copy what goes with the disks of the Redis servers."""
    for role, server in pair.redis.items():
        kept = directory / f"{role}-redis-kept"
        kept.mkdir(exist_ok=True)
        for name in ("redis.log", *DATA):
            found = server.directory / name
            if found.is_file():
                shutil.copy2(found, kept)
            elif found.is_dir():
                shutil.copytree(found, kept / name, dirs_exist_ok=True)


def _machine() -> str:
    return f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"
