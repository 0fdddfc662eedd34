"""`python -m node pair`: a whole pair with one command."""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from node.pair.ports import PairPorts
from node.roles import Role
from tests.support.ports import free_pair_ports
from tests.support.redis_servers import require_redis
from tests.support.waiting import wait_until

pytestmark = pytest.mark.redis

START_LIMIT_S = 40.0
STOP_LIMIT_S = 40.0
STORY_LIMIT_S = 180.0
MOMENT_S = 30.0


class RunningPair:
    """The command, running, and what it printed."""

    def __init__(self, process: subprocess.Popen[bytes], output: Path) -> None:
        self.process = process
        self._output = output

    def printed(self) -> str:
        return self._output.read_text()

    def wait_for(self, pattern: str, limit_s: float = MOMENT_S) -> re.Match[str]:
        def found() -> re.Match[str] | None:
            return re.search(pattern, self.printed(), re.MULTILINE)

        try:
            match = wait_until(found, limit_s, pattern)
        except AssertionError as error:
            raise AssertionError(f"{error}; printed:\n{self.printed()}") from None
        assert match is not None
        return match

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "node", "pair", *map(str, arguments)]


@contextmanager
def running(directory: Path, ports: PairPorts) -> Iterator[RunningPair]:
    require_redis()
    output = directory.with_suffix(".out")
    with (
        output.open("wb") as file,
        subprocess.Popen(
            command("--directory", directory, "--base-port", ports.base),
            stdout=file,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            pair = RunningPair(process, output)
            pair.wait_for("Ctrl-C stops", START_LIMIT_S)
            yield pair
        finally:
            process.kill()


@pytest.fixture
def ports() -> PairPorts:
    return free_pair_ports()


def environment(directory: Path) -> dict[str, str]:
    words = shlex.split((directory / "environment").read_text())
    return dict(word.split("=", 1) for word in words if "=" in word)


def ask(directory: Path, method: str, path: str, body: object = None) -> object:
    told = environment(directory)
    reply = httpx.request(
        method,
        told["NETPHONE_NODE"] + path,
        json=body,
        headers={"Authorization": f"Bearer {told['NETPHONE_TOKEN']}"},
        trust_env=False,
    )
    reply.raise_for_status()
    return reply.json()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_it_starts_stops_orderly_and_leaves_nothing_running(
    tmp_path: Path, ports: PairPorts, number: signal.Signals
) -> None:
    with running(tmp_path / "pair", ports) as pair:
        pair.wait_for(r"^  master +active .*\n  standby +passive ")
        children = pair.children()
        assert len(children) == 4
        pair.process.send_signal(number)
        assert pair.process.wait(STOP_LIMIT_S) == 0
        assert not any(child.is_running() for child in children)
        assert "passive -> active role=standby" not in pair.printed()


def test_its_data_survive_a_stop_and_a_kill(tmp_path: Path, ports: PairPorts) -> None:
    directory = tmp_path / "pair"
    for number in (signal.SIGTERM, signal.SIGKILL):
        with running(directory, ports) as pair:
            ask(directory, "PUT", f"/entries/users/{number.name}", {"extension": "1"})
            pair.process.send_signal(number)
            ended = pair.process.wait(STOP_LIMIT_S)
            assert ended == (0 if number is signal.SIGTERM else -signal.SIGKILL)
    with running(directory, ports):
        listed = ask(directory, "GET", "/entries?prefix=users/")
    assert isinstance(listed, dict)
    assert set(listed["entries"]) == {"users/SIGTERM", "users/SIGKILL"}


def test_all_its_children_die_when_it_is_killed(
    tmp_path: Path, ports: PairPorts
) -> None:
    with running(tmp_path / "pair", ports) as pair:
        children = pair.children()
        pair.process.kill()
        pair.process.wait(STOP_LIMIT_S)
        wait_until(
            lambda: not any(map(_runs, children)), MOMENT_S, "its children to end"
        )


def _runs(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_killed_node_is_taken_over_and_started_again(
    tmp_path: Path, ports: PairPorts
) -> None:
    with running(tmp_path / "pair", ports) as pair:
        row = pair.wait_for(r"^  master +active .* process (\d+)$")
        os.kill(int(row[1]), signal.SIGKILL)
        pair.wait_for(r"the master's node ended by SIGKILL; it is started again in")
        pair.wait_for(r"standby: passive -> active")
        pair.wait_for(r"the master's node was started again")
        told = environment(tmp_path / "pair")["NETPHONE_NODE"]
        wait_until(lambda: _is_passive(told), MOMENT_S, "the master to be passive")


def _is_passive(url: str) -> bool:
    try:
        reply = httpx.get(f"{url}/passive", trust_env=False)
    except httpx.HTTPError:
        return False
    return reply.is_success


def test_a_killed_redis_is_started_again(tmp_path: Path, ports: PairPorts) -> None:
    with running(tmp_path / "pair", ports) as pair:
        server = f":{ports.of(Role.STANDBY).redis}"
        for child in pair.children():
            if any(word.endswith(server) for word in child.cmdline()):
                child.kill()
        pair.wait_for(r"the standby's Redis ended by SIGKILL")
        pair.wait_for(r"the standby's Redis was started again")


def test_a_second_start_in_its_directory_is_refused(
    tmp_path: Path, ports: PairPorts
) -> None:
    with running(tmp_path / "pair", ports):
        again = subprocess.run(
            command("--directory", tmp_path / "pair"), capture_output=True, text=True
        )
    assert (again.returncode, again.stdout) == (2, "")
    assert again.stderr.startswith("error: a pair runs in ")
    assert again.stderr.count("\n") == 1


def test_a_port_in_use_is_named_with_the_remedy(
    tmp_path: Path, ports: PairPorts
) -> None:
    require_redis()
    port = ports.of(Role.STANDBY).http
    with socket.create_server(("127.0.0.1", port)):
        refused = subprocess.run(
            command("--directory", tmp_path / "pair", "--base-port", ports.base),
            capture_output=True,
            text=True,
        )
    assert (refused.returncode, refused.stdout) == (2, "")
    assert re.fullmatch(
        rf"error: port {port} is in use; .* --base-port \d+\n", refused.stderr
    )


def test_the_story_happens() -> None:
    require_redis()
    story = subprocess.run(
        command("--story"), capture_output=True, text=True, timeout=STORY_LIMIT_S
    )
    assert story.returncode == 0, story.stdout + story.stderr
    for happened in (
        "kill -9 of the master, which is active",
        "users/alice, put on the master, is on the standby",
        "the standby serves",
        "the master, started again, is passive and has the same entries",
        "the standby, awake again, is passive: one serves",
        "the standby serves by order",
        "the master serves by order",
        "All of it happened as it should.",
    ):
        assert happened in story.stdout
