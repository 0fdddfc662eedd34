"""`python -m node pair`: a whole pair on this machine, to try, to learn and to show."""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from node.clock import SystemClock
from node.embedded_redis import RedisMissing
from node.errors import NodeError, PortInUse
from node.interruption import Interruption
from node.pair.care import PairCare
from node.pair.directory import DirectoryRefused, PairDirectory
from node.pair.local import LocalPair
from node.pair.picture import picture, typed_python
from node.pair.ports import (
    BASE_PORT_DEFAULT,
    BASE_PORT_MAX,
    BASE_PORT_MIN,
    PairPorts,
    free_ports,
)
from node.pair.story import tell_story
from node.roles import Role
from node.waiting import WaitedTooLong, wait_until

DONE, FAILED, USAGE = 0, 1, 2
DIRECTORY_DEFAULT = Path("netphone-pair")
PORTS_FREE_LIMIT_S = 2.0
LOOK_INTERVAL_S = 0.1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `run_pair` understands."""
    parser.add_argument(
        "--directory",
        type=Path,
        metavar="DIR",
        help=f"where config, secrets, data and logs are kept (./{DIRECTORY_DEFAULT})",
    )
    parser.add_argument(
        "--base-port",
        type=_base_port,
        metavar="N",
        help="use the ports N, N+1 (link), N+80, N+81 (HTTP), N+90, N+91 (Redis); "
        f"{BASE_PORT_DEFAULT}",
    )
    parser.add_argument(
        "--story",
        action="store_true",
        help="kill, pause and switch a pair of its own, say what happened and how long "
        "it took, and end",
    )


def run_pair(arguments: argparse.Namespace) -> int:
    """Run a pair until it is told to stop, or its story; returns the exit code.

    Signals are handled, so this must run in the main thread.
    """
    try:
        if arguments.story:
            return _tell_story(arguments)
        return _run(
            PairDirectory(arguments.directory or DIRECTORY_DEFAULT),
            PairPorts(arguments.base_port or BASE_PORT_DEFAULT),
        )
    except (DirectoryRefused, PortInUse, RedisMissing) as error:
        return _complain(error, USAGE)
    except OSError as error:
        where = arguments.directory or DIRECTORY_DEFAULT
        text = (
            f"directory {where} cannot be used: {error.strerror or error}; free space "
        )
        return _complain(f"{text}there, or name another with --directory", USAGE)
    except NodeError as error:
        return _complain(error, FAILED)


def _run(directory: PairDirectory, ports: PairPorts) -> int:
    interrupted = Interruption()
    with _opened(directory):
        _refuse_ports_in_use(ports)
        pair = LocalPair(directory, ports)
        care = PairCare(pair, _Speaker())
        try:
            _print("Starting two nodes and two Redis servers …")
            pair.start(interrupted)
            care.repeat_changes_of_state()
            if not interrupted():
                directory.write_environment(pair.nodes[Role.MASTER].client.url)
                _print(picture(pair, directory))
                _look_after(care, interrupted)
            _print(
                "Stopping: the passive node first, then the active one, then Redis …"
            )
        finally:
            pair.stop()
        care.repeat_changes_of_state()
    _print(f"Stopped. All data are kept in {directory.path}.")
    return DONE


def _look_after(care: PairCare, interrupted: Interruption) -> None:
    clock = SystemClock()
    while not interrupted.wait(LOOK_INTERVAL_S):
        care.look(clock.now_s())


def _tell_story(arguments: argparse.Namespace) -> int:
    if arguments.directory is not None or arguments.base_port is not None:
        return _complain(
            "--story uses a temporary directory and free ports; leave out --directory "
            "and --base-port",
            USAGE,
        )
    ports = free_ports(random.SystemRandom())
    if ports is None:
        raise PortInUse("no free ports were found between 10000 and 32000")
    interrupted = Interruption()
    path = Path(tempfile.mkdtemp(prefix="netphone-story-"))
    with _opened(PairDirectory(path / "pair")) as directory:
        exit_code = tell_story(LocalPair(directory, ports), _print, interrupted)
    if exit_code == DONE or interrupted():
        shutil.rmtree(path)
    else:
        _print(f"\nIts config, data and logs are kept in {path}.")
    return exit_code


@contextmanager
def _opened(directory: PairDirectory) -> Iterator[PairDirectory]:
    directory.open()
    try:
        yield directory
    finally:
        directory.close()


def _refuse_ports_in_use(ports: PairPorts) -> None:
    try:
        # The children of a pair that was killed a moment ago may still be ending.
        wait_until(
            lambda: ports.first_in_use() is None, PORTS_FREE_LIMIT_S, "free ports"
        )
    except WaitedTooLong:
        raise PortInUse(
            f"port {ports.first_in_use()} is in use; stop what listens there, or choose "
            f"other ports: {typed_python()} -m node pair --base-port {_other_base(ports)}"
        ) from None


def _other_base(ports: PairPorts) -> int:
    found = free_ports(random.SystemRandom())
    return found.base if found is not None else ports.base + 1000


class _Speaker:
    """Says lines with the seconds since the start."""

    def __init__(self) -> None:
        self._clock = SystemClock()
        self._started_s = self._clock.now_s()

    def __call__(self, line: str) -> None:
        _print(f"{self._clock.now_s() - self._started_s:8.1f} s  {line}")


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _complain(problem: Exception | str, exit_code: int) -> int:
    sys.stderr.write(f"error: {problem}\n")
    return exit_code


def _base_port(text: str) -> int:
    base = int(text) if text.isdecimal() else -1
    if not BASE_PORT_MIN <= base <= BASE_PORT_MAX:
        raise argparse.ArgumentTypeError(
            f"{text} is not a port between {BASE_PORT_MIN} and {BASE_PORT_MAX}"
        )
    return base
