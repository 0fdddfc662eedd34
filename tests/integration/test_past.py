"""The past of a real pair: told by nodes, read from a Redis without them, and restored."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from node.roles import Role
from tests.integration.test_docs import reader_environment, this_python, write_program
from tests.support.admin_process import AdminRun, done, run_admin
from tests.support.documents import Document
from tests.support.processes import PairProcesses
from tests.support.redis_servers import require_redis
from tests.support.told import entries_told
from tests.support.typing_in_shells import Reader, Shell

pytestmark = pytest.mark.redis

SECTIONS = (
    "A worked case: a wrong forward",
    "As it was: replay and diff",
)
READER, READER_PASSWORD = "auditor", "a-long-password"
ALICE, BOB = {"extension": "101", "name": "Alice"}, {"extension": "102", "name": "Bob"}
CAROL = {"extension": "103", "name": "Carol"}
FORWARDED = {**ALICE, "forward": "+4930999"}
COMMANDS = (
    ("replay", "--until"),
    ("diff", "--from"),
    ("blame", "users/alice", "--until"),
    ("explain", "users/alice", "--until"),
)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PairProcesses]:
    """Jane hires; then Bob, on the standby, forwards Alice's calls to a wrong number."""
    require_redis()
    with PairProcesses(tmp_path_factory.mktemp("past")) as pair:
        pair.start()
        jane, bob = ("--actor", "jane"), ("--actor", "bob")
        for key, value in (("users/alice", ALICE), ("users/bob", BOB)):
            put(pair, Role.MASTER, *jane, key, json.dumps(value), "--reason", "hired")
        pair.wait_until_equal()
        wrong = json.dumps(FORWARDED)
        put(pair, Role.STANDBY, *bob, "users/alice", wrong, "--reason", "holiday")
        pair.wait_until_equal()
        carol = json.dumps(CAROL)
        put(pair, Role.MASTER, *jane, "users/carol", carol, "--reason", "hired")
        pair.wait_until_equal()
        yield pair


def put(pair: PairProcesses, role: Role, *words: str) -> None:
    done(pair, pair.nodes[role], "put", *words)


def version(pair: PairProcesses, key: str) -> dict[str, str]:
    """The newest change of `key`."""
    found = done(pair, pair.master, "history", "--json", "--key", key).records
    event: dict[str, str] = found[-1]
    return event


def documented_user() -> list[str]:
    """The rules of the Redis user that the page tells to make."""
    page = Document.read("docs/audit.md").text
    line = next(li for li in page.splitlines() if "ACL SETUSER" in li)
    words = shlex.split(line)
    return words[words.index("ACL") :]


def allow_reader(pair: PairProcesses) -> None:
    for server in pair.redis.values():
        with server.client() as client:
            client.execute_command(*documented_user())


def offline(pair: PairProcesses, role: Role, path: Path, *words: str) -> AdminRun:
    """The command with `--redis`, by the user of the page; no node is named."""
    password = path / "auditor.password"
    password.write_text(READER_PASSWORD)
    password.chmod(0o600)
    url = f"redis://{READER}@127.0.0.1:{pair.ports.of(role).redis}/0"
    where = ("--redis", url, "--pair", "office", "--redis-password-file", password)
    ended = subprocess.run(
        [sys.executable, "-m", "admin", *words, *map(str, where)],
        env={k: v for k, v in os.environ.items() if not k.startswith("NETPHONE_")},
        capture_output=True,
        timeout=60,
        text=True,
    )
    return AdminRun(ended.returncode, ended.stdout, ended.stderr)


def test_what_the_page_says_happens(pair: PairProcesses, tmp_path: Path) -> None:
    page = Document.read("docs/audit.md")
    page = Document(page.path, "\n".join(page.section(name).text for name in SECTIONS))
    allow_reader(pair)
    programs = tmp_path / "programs"
    write_program(programs / "python", this_python())
    (tmp_path / "auditor.password").write_text(READER_PASSWORD)
    (tmp_path / "auditor.password").chmod(0o600)
    names = {
        "before": version(pair, "users/bob")["time"],
        "wrong": version(pair, "users/alice")["id"],
        "node": pair.master.url,
        "redis": f"127.0.0.1:{pair.ports.of(Role.STANDBY).redis}",
    }
    environment = reader_environment(programs)
    shell = Shell(tmp_path, {**environment, "NETPHONE_TOKEN": pair.change_token})
    try:
        Reader(page, {"auditor": shell}, {"auditor": names}).read()
    finally:
        shell.close()


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: c[0])
def test_either_redis_tells_what_either_node_tells(
    pair: PairProcesses, tmp_path: Path, command: tuple[str, ...]
) -> None:
    allow_reader(pair)
    before = version(pair, "users/bob")["time"]
    for more in ((before,), (before, "--json")):
        told = [run_admin(pair, node, *command, *more) for node in pair.nodes.values()]
        told += [offline(pair, role, tmp_path, *command, *more) for role in Role]
        assert told[0].exit_code == 0, told[0].printed
        assert told[1:] == told[:1] * 3
        assert "101" in told[0].out


def test_the_documented_user_may_only_read_events(pair: PairProcesses) -> None:
    allow_reader(pair)
    port = pair.ports.of(Role.MASTER).redis
    stream = "netphone:{office}:events:master"
    with redis.Redis(
        port=port, username=READER, password=READER_PASSWORD, protocol=2
    ) as client:
        assert client.xrange(stream, count=1)
        for command in (
            ("XADD", stream, "*", "e", ""),
            ("DEL", stream),
            ("XRANGE", "another", "-", "+"),
            ("KEYS", "*"),
        ):
            with pytest.raises(redis.exceptions.NoPermissionError):
                client.execute_command(*command)


def test_the_past_is_read_when_no_node_is_up(
    pair: PairProcesses, tmp_path: Path
) -> None:
    allow_reader(pair)
    before = version(pair, "users/bob")["time"]
    expected = done(pair, pair.master, "replay", "--until", before, "--json")
    for node in pair.nodes.values():
        node.kill()
    try:
        words = ("replay", "--until", before, "--json")
        assert offline(pair, Role.STANDBY, tmp_path, *words) == expected
        unknown = offline(
            pair, Role.STANDBY, tmp_path, "replay", "--until", "master=9-9"
        )
        assert (unknown.exit_code, unknown.out) == (3, "")
    finally:
        for node in pair.nodes.values():
            node.start()
        pair.wait_until_settled()


def test_what_was_comes_back_by_replay_and_import(
    pair: PairProcesses, tmp_path: Path
) -> None:
    before = entries_told(pair.master)
    vector = pair.master.status()["vector"]
    assert isinstance(vector, dict)
    point = ",".join(f"{origin}={event_id}" for origin, event_id in vector.items())
    put(pair, Role.MASTER, "users/bob", '"spoilt"')
    put(pair, Role.STANDBY, "users/new", "1")
    done(pair, pair.standby, "delete", "users/carol")
    pair.wait_until_equal()
    then = tmp_path / "then.jsonl"
    then.write_text(done(pair, pair.standby, "replay", "--until", point, "--json").out)
    added = [
        d["key"]
        for d in done(pair, pair.master, "diff", "--from", point, "--json").records
        if d["before"] is None
    ]
    done(pair, pair.master, "import", then)
    for key in added:
        done(pair, pair.master, "delete", key)
    pair.wait_until_equal()
    for node in pair.nodes.values():
        assert {k: v for k, (v, *_) in entries_told(node).items()} == {
            k: v for k, (v, *_) in before.items()
        }
