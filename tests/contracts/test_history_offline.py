"""`history` straight from a Redis, with a user that may only read; long ones in little memory."""

from __future__ import annotations

import io
import json
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from admin.cli.main import main
from eventstore import START, Filter, connect, read_history_lines
from eventstore.streams import Swap
from tests.contracts.conftest import TIMEOUT_S
from tests.contracts.nodes import Clock, Node
from tests.support.documents import Document
from tests.support.histories import MASTER, PAIR, STANDBY, History
from tests.support.redis_servers import RedisServer
from tests.support.sources import MemorySource

KEY = "users/alice"
AUDITOR, PASSWORD = "auditor", "an-auditors-password"
RULES = (f"~netphone:{{{PAIR}}}:*",)
COMMANDS = ("ping", "xrange", "xrevrange", "hgetall")


@pytest.fixture
def password_file(tmp_path: Path) -> Path:
    file = tmp_path / "auditor.password"
    file.write_text(PASSWORD + "\n")
    file.chmod(0o600)
    return file


@pytest.fixture
def filled(redis_server: RedisServer, clock: Clock) -> Iterator[RedisServer]:
    """A real Redis with a conflict, what settled it, and an archive."""

    def connected(place: int) -> Callable[[], redis.Redis]:
        url = f"redis://127.0.0.1:{redis_server.port}/{place}"
        return lambda: connect(url, password=redis_server.password, timeout_s=TIMEOUT_S)

    master = Node(connected(0), MASTER, clock)
    standby = Node(connected(1), STANDBY, clock)
    master.put(KEY, 100)
    standby.pull(master)
    standby.put(KEY, 201)
    master.put(KEY, 106)
    master.pull(standby)
    master.put(KEY, 107)
    stored, streams = master.stored(), master.streams
    streams.make_archive(MASTER, START, stored[:2])
    streams.make(MASTER, START, stored)
    end = stored[-1][0]
    streams.swap([Swap(MASTER, end, end, stored[1][0], "master-recovery-1")])
    allow(redis_server, *COMMANDS)
    yield redis_server
    with redis_server.client() as client:
        client.execute_command("ACL", "DELUSER", AUDITOR)


def allow(server: RedisServer, *commands: str) -> None:
    rules = ["reset", "on", f">{PASSWORD}", *RULES, *(f"+{c}" for c in commands)]
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", AUDITOR, *rules)


def history(server: RedisServer, password_file: Path, *options: str) -> tuple[int, str]:
    return command("history", server, password_file, *options)


def command(
    name: str,
    server: RedisServer,
    password_file: Path,
    *options: str,
    pair: str = PAIR,
    place: int = 0,
) -> tuple[int, str]:
    out, err = io.StringIO(), io.StringIO()
    exit_code = main(
        [
            name,
            *("--redis", f"redis://{AUDITOR}@127.0.0.1:{server.port}/{place}"),
            *("--pair", pair, "--redis-password-file", str(password_file)),
            *options,
        ],
        environ={},
        stdout=out,
        stderr=err,
    )
    return exit_code, out.getvalue() or err.getvalue()


@pytest.mark.redis
def test_no_node_is_needed_and_no_more_than_reading(
    filled: RedisServer, password_file: Path
) -> None:
    exit_code, out = history(filled, password_file, "--json")
    assert exit_code == 0
    told = [json.loads(line) for line in out.splitlines()]
    assert [(e["before"] and e["before"]["value"], e["value"]) for e in told] == [
        (None, 100), (100, 106), (100, 201), (106, 107),
    ]  # fmt: skip
    assert told[2]["overridden_by"] == told[1]["id"]
    assert told[2]["settled_by"] == {"origin": "master", "id": told[3]["id"]}


@pytest.mark.redis
@pytest.mark.parametrize(
    "words", ["history", "replay", "verify", "diff --from 2026-01-01"]
)
def test_a_pair_that_is_not_there_is_no_quiet_history(
    filled: RedisServer, password_file: Path, words: str
) -> None:
    with filled.client() as client:
        client.execute_command("ACL", "SETUSER", AUDITOR, "~netphone:{offices}:*")
    name, *more = words.split()
    exit_code, out = command(name, filled, password_file, *more, pair="offices")
    assert (exit_code, out.count("\n")) == (2, 1)
    assert "no events of pair 'offices'" in out


@pytest.mark.redis
@pytest.mark.parametrize("option", ["--json", "--csv", "--cloudevents"])
def test_archives_are_read_too(
    filled: RedisServer, password_file: Path, option: str
) -> None:
    exit_code, out = history(filled, password_file, "--archived", option)
    assert exit_code == 0
    assert out.count("master-recovery-1") == 2


@pytest.mark.redis
@pytest.mark.parametrize("missing", COMMANDS)
def test_every_right_of_the_auditor_is_needed(
    filled: RedisServer, password_file: Path, missing: str
) -> None:
    allow(filled, *(command for command in COMMANDS if command != missing))
    options = ("--archived",) if missing == "hgetall" else ()
    exit_code, out = history(filled, password_file, "--json", *options)
    assert exit_code == 4
    assert "refuses us" in out
    assert PASSWORD not in out


@pytest.mark.redis
def test_the_auditor_can_change_nothing(filled: RedisServer) -> None:
    url = f"redis://{AUDITOR}@127.0.0.1:{filled.port}/0"
    with connect(url, password=PASSWORD, timeout_s=TIMEOUT_S) as client:
        key = f"netphone:{{{PAIR}}}:events:master"
        for command in (
            ("XADD", key, "*", "e", "x"),
            ("XDEL", key, "1-1"),
            ("XTRIM", key, "MAXLEN", "0"),
            ("DEL", key),
            ("RENAME", key, key + "x"),
            ("EVAL", "return 1", "0"),
            ("FLUSHALL",),
            ("CONFIG", "GET", "dir"),
        ):
            with pytest.raises(redis.exceptions.NoPermissionError):
                client.execute_command(*command)
        with pytest.raises(redis.exceptions.NoPermissionError):
            client.xrange("netphone:{other}:events:master")


def test_the_documented_rights_are_these() -> None:
    text = Document.read("docs/audit.md").text.replace("'", "")
    rights = " ".join((*RULES, *(f"+{command}" for command in COMMANDS)))
    assert rights in text


def peak_bytes(event_count: int) -> int:
    """How much a walk over so many events of 50 entries takes at most."""
    history = History()
    for n in range(event_count // 2):
        history.master.put(f"users/{n % 50}", n)
        if n % 10 == 0:
            history.standby.hear(history.master)
        history.standby.put(f"groups/{n % 50}", n)
    source = MemorySource.of(history)
    count = 0
    tracemalloc.start()
    try:
        for _ in read_history_lines(source, Filter(), prevailing=MASTER, other=STANDBY):
            count += 1
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == event_count // 2 * 2
    return peak


def test_a_long_history_takes_no_more_memory_than_a_short_one() -> None:
    short, long = peak_bytes(3_000), peak_bytes(30_000)
    assert long < short + 200_000, f"{short} -> {long}"
