"""What the documents tell their readers to type is typed here, against real nodes."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import attrs
import pytest

from node.child_process import ChildProcess
from node.pair.directory import PairDirectory, settings_of, toml_text
from node.pair.ports import HOST, PairPorts
from node.roles import Role
from tests.support.documents import REPOSITORY, Document, first_missing
from tests.support.ports import free_pair_ports
from tests.support.processes import FAST, NodeProcess
from tests.support.proxies import TcpProxy
from tests.support.redis_servers import RedisServer, require_redis
from tests.support.typing_in_shells import Reader, Shell
from tests.support.waiting import wait_until

pytestmark = pytest.mark.redis

START_LIMIT_S = 40.0
STOP_LIMIT_S = 20.0
PROGRAM_LIMIT_S = 60.0
OTHER_HOST = "127.0.0.3"
"""Another address of this machine."""
MASTERS_STREAM = "netphone:{office}:events:master"
WRONG_COPY = "netphone:{office}:wrong:master"


def write_program(path: Path, script: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def reader_environment(programs: Path) -> dict[str, str]:
    """What a reader's terminal has: this Python as `python`, and no settings of ours."""
    return {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(REPOSITORY),
        "NETPHONE_NODE": "",
        "NETPHONE_TOKEN": "",
        "MAKEFLAGS": "",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }


def this_python() -> str:
    return f'exec {shlex.quote(sys.executable)} "$@"'


# On one machine: README and the HTTP interface.


@contextmanager
def pair_of_this_machine(directory: Path) -> Iterator[Shell]:
    """A directory in which `make run` runs, and a second terminal there."""
    require_redis()
    write_program(directory / ".venv" / "bin" / "python", this_python())
    ports = free_pair_ports()
    output = directory / "make-run.out"
    with ExitStack() as undo:
        file = undo.enter_context(output.open("wb"))
        process = undo.enter_context(
            subprocess.Popen(
                [sys.executable, "-m", "node", "pair", "--base-port", str(ports.base)],
                cwd=directory,
                env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        )
        undo.callback(process.kill)
        wait_until(
            lambda: "Ctrl-C stops" in output.read_text("utf-8"), START_LIMIT_S, "a pair"
        )
        shell = Shell(directory, reader_environment(directory / ".venv" / "bin"))
        undo.callback(shell.close)
        yield shell


def test_what_the_readme_says_happens(tmp_path: Path) -> None:
    with pair_of_this_machine(tmp_path / "here") as shell:
        names = {"": {"repository": REPOSITORY}}
        Reader(Document.read("README.md"), {"": shell}, names).read()
        document = Document.read("docs/http.md")
        shell.run(". netphone-pair/environment")
        shell.run(".venv/bin/python -m admin switch")  # So that the master is active.
        Reader(document, {"": shell}, {"": {}}).read()
        _, status = shell.run(".venv/bin/python -m admin status --json")
    assert set(leaves(json.loads(status))) == documented_status_fields()


def documented_status_fields() -> set[str]:
    rows = Document.read("docs/operators.md").rows("Field")
    return {field for row in rows for field in re.findall(r"`([^`]+)`", row[0])}


def leaves(status: dict[str, object]) -> Iterator[str]:
    """Names of the fields of a status; of most objects they are explained as one."""
    for name, value in status.items():
        if name in ("peer", "replication", "takeover", "both_active"):
            assert isinstance(value, dict)
            yield from (f"{name}.{inner}" for inner in value)
        else:
            yield name


# On two machines: the guide for operators.


@attrs.define
class Machines:
    """Two machines as the guide sets them up, each a directory and a shell."""

    root: Path
    ports: PairPorts
    moved_redis_port: int
    """Where the master's Redis is found under the machine's other address."""
    redis: dict[str, RedisServer] = attrs.Factory(dict)
    nodes: dict[str, ChildProcess] = attrs.Factory(dict)

    def directory(self, machine: str) -> Path:
        return self.root / machine

    def names(self, machine: str) -> dict[str, object]:
        found: dict[str, object] = {
            "root": self.root,
            "machine": machine,
            "python": self.root / "programs" / "python",
            "faster_supervision": toml_text({"supervision": FAST}),
        }
        for role in Role:
            own = self.ports.of(role)
            for name in ("link", "http", "redis"):
                found[f"{role}_{name}"] = f"{HOST}:{getattr(own, name)}"
        master = self.ports.of(Role.MASTER)
        return {
            **found,
            "everywhere_link": f"0.0.0.0:{master.link}",
            "moved_link": f"{OTHER_HOST}:{master.link}",
            "moved_http": f"{OTHER_HOST}:{master.http}",
            "moved_redis": f"{HOST}:{self.moved_redis_port}",
        }

    def start_redis(self) -> None:
        """Redis with the documented settings, on both machines."""
        documented = (self.directory("master") / "redis.conf").read_text()
        assert "maxmemory-policy noeviction" in documented
        assert "appendonly yes" in documented
        for role in Role:
            password = self.directory(role) / f"{role}-redis.password"
            server = RedisServer(
                self.root / f"{role}-redis",
                port=self.ports.of(role).redis,
                password=password.read_text().strip(),
            )
            server.start()
            self.redis[role] = server

    def systemctl(self, machine: str, words: list[str]) -> None:
        """`systemctl start|stop|restart netphone`, by the documented unit."""
        order, unit = words
        assert unit == "netphone"
        text = (self.directory(machine) / "netphone.service").read_text()
        command = re.search(r"^ExecStart=(.*)$", text, re.MULTILINE)
        after = re.search(r"^ExecStopPost=(.*)$", text, re.MULTILINE)
        assert command is not None
        assert after is not None
        node = self.nodes.setdefault(
            machine,
            ChildProcess(
                tuple(shlex.split(command[1])),
                log=self.root / f"{machine}.log",
                environment=reader_environment(self.root / "programs"),
            ),
        )
        if order in ("stop", "restart"):
            assert node.stop(STOP_LIMIT_S)
            programs = reader_environment(self.root / "programs")
            subprocess.run([after[1]], check=True, env={**os.environ, **programs})
        if order in ("start", "restart"):
            node.start()

    def pip(self, machine: str, words: list[str]) -> None:
        """`pip install --upgrade netphone-standby`: the same version, of a stopped node.

        tests/integration/test_update.py does it with another one.
        """
        assert words == ["install", "--upgrade", "netphone-standby"]
        assert not self.nodes[machine].is_running

    def new_machine_for_master(self) -> None:
        self._new_machine(Role.MASTER)

    def new_machine_for_standby(self) -> None:
        self._new_machine(Role.STANDBY)

    def _new_machine(self, role: Role) -> None:
        """The old one is lost with its data; the files of the node are there again."""
        self.nodes[role].kill()
        self.redis[role].kill()
        shutil.rmtree(self.redis[role].directory)
        self.redis[role].start()

    def stop_redis_of_standby(self) -> None:
        self.redis[Role.STANDBY].stop()

    def lose_events_of_master(self) -> None:
        with self.redis["master"].client() as client:
            client.flushall()

    def spoil_copy_at_standby(self) -> None:
        """As a node that runs with the wrong role does it."""
        with self.redis["standby"].client() as client:
            (_, fields), *_ = client.xrevrange(MASTERS_STREAM, count=1)
            client.xadd(MASTERS_STREAM, fields, "99999999999999-1")

    def put_wrong_copy_aside(self) -> None:
        typed = (REPOSITORY / "docs" / "operators.md").read_text("utf-8")
        assert f"RENAME '{MASTERS_STREAM}' '{WRONG_COPY}'" in typed
        with self.redis["standby"].client() as client:
            client.rename(MASTERS_STREAM, WRONG_COPY)

    def close(self) -> None:
        for machine, node in self.nodes.items():
            node.kill()
            log = (self.root / f"{machine}.log").read_text("utf-8", "replace")
            print(f"--- end of the {machine}'s log", *log.splitlines()[-40:], sep="\n")
        for server in self.redis.values():
            server.kill()


def test_what_the_guide_for_operators_says_happens(tmp_path: Path) -> None:
    require_redis()
    ports = free_pair_ports()
    programs = tmp_path / "programs"
    write_program(programs / "python", this_python())
    for name in ("ip", "arping"):
        write_program(programs / name, f'echo "{name} $*" >> {tmp_path}/{name}.log')
    with ExitStack() as undo:
        moved_redis = undo.enter_context(TcpProxy(ports.of(Role.MASTER).redis))
        machines = Machines(tmp_path, ports, moved_redis.port)
        undo.callback(machines.close)
        shells = {}
        for machine in ("master", "standby"):
            shell = Shell(machines.directory(machine), reader_environment(programs))
            undo.callback(shell.close)
            shells[machine] = shell
        Reader(
            Document.read("docs/operators.md"),
            shells,
            {machine: machines.names(machine) for machine in shells},
            played={"systemctl": machines.systemctl, "pip": machines.pip},
            steps={
                "start_redis": machines.start_redis,
                "new_machine_for_master": machines.new_machine_for_master,
                "new_machine_for_standby": machines.new_machine_for_standby,
                "stop_redis_of_standby": machines.stop_redis_of_standby,
                "lose_events_of_master": machines.lose_events_of_master,
                "spoil_copy_at_standby": machines.spoil_copy_at_standby,
                "put_wrong_copy_aside": machines.put_wrong_copy_aside,
            },
            directories={machine: machines.directory(machine) for machine in shells},
        ).read()
        _, listed = shells["standby"].run("python -m admin list users/")
        assert re.findall(r"^users/\w+", listed, re.MULTILINE) == [
            "users/101",
            "users/102",
            "users/alice",
        ]
    moved = (tmp_path / "ip.log").read_text().splitlines()
    assert "ip address replace 10.0.0.9/24 dev eth0" in moved
    assert "ip address del 10.0.0.9/24 dev eth0" in moved


# In the reader's own process: the guide for embedders.


def test_the_code_for_embedders_does_what_it_says(tmp_path: Path) -> None:
    require_redis()
    document = Document.read("docs/embedders.md")
    program, promised = one_program(document)
    ports = free_pair_ports()
    files = PairDirectory(tmp_path / "pair")
    files.open()
    with ExitStack() as undo:
        undo.callback(files.close)
        for role in Role:
            server = RedisServer(
                files.redis_path(role),
                port=ports.of(role).redis,
                password=files.redis_password(role),
            )
            undo.enter_context(server)
        files.write_config(Role.MASTER, settings_of(Role.MASTER, ports))
        standby = NodeProcess(files, settings_of(Role.STANDBY, ports))
        undo.callback(standby.close)
        names = Machines(tmp_path, ports, 0).names("master")
        (tmp_path / "pair" / "program.py").write_text(document.replaced(program, names))
        ended = run_program(tmp_path / "pair", standby)
    assert ended.returncode == 0, ended.stdout
    missing = first_missing(promised, ended.stdout)
    assert missing is None, f"not printed: {missing}\n{ended.stdout}"
    assert len(promised) == len(ended.stdout.splitlines()), ended.stdout


def one_program(document: Document) -> tuple[str, tuple[str, ...]]:
    """All Python blocks as one program, and what it says it prints.

    A comment on the line of a `print` is what that prints; comment lines behind a block's
    loop are what the loop prints.
    """
    blocks = [block.text for block in document.blocks("python")]
    promised = []
    for line in "\n".join(blocks).splitlines():
        if found := re.search(r"print\(.*\)\s+# (.*)$", line):
            promised.append(found[1])
        elif line.startswith("# "):
            promised.append(line[2:])
    return "\n".join(blocks), tuple(promised)


def run_program(
    directory: Path, standby: NodeProcess
) -> subprocess.CompletedProcess[str]:
    standby.start()
    wait_until(lambda: standby.process.is_running, START_LIMIT_S, "the standby")
    return subprocess.run(
        [sys.executable, "-u", "program.py"],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PROGRAM_LIMIT_S,
    )
