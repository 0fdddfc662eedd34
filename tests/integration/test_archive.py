"""Old events leave a real pair for a file, and everything goes on over file and streams."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from eventstore import Origin, Streams
from eventstore.trimming import anchor_of
from node.roles import Role
from tests.support.admin_process import AdminRun, done, run_admin
from tests.support.clock_step import ClockStep
from tests.support.processes import PairProcesses
from tests.support.redis_servers import require_redis
from tests.support.waiting import wait_until

pytestmark = pytest.mark.redis

HOUR_S = 3600.0
LIMIT_S = 20.0
ORIGINS = (Origin("master"), Origin("standby"))


@pytest.fixture
def old_pair(tmp_path: Path, clock_step: ClockStep) -> Iterator[PairProcesses]:
    """A pair with changes that are an hour old."""
    require_redis()
    environments = dict.fromkeys(Role, clock_step.environment)
    with PairProcesses(tmp_path / "pair", environments=environments) as pair:
        pair.start()
        for number in range(5):
            pair.master.put("users/alice", {"extension": str(100 + number)})
            pair.standby.put("users/bob", {"extension": str(200 + number)})
            pair.wait_until_equal()
        clock_step.set(HOUR_S)
        yield pair


def now_ms() -> str:
    return str(int(time.time() * 1000) + 1000)


def archived(pair: PairProcesses, file: Path, *words: str) -> AdminRun:
    return done(pair, pair.master, "archive", file, "--before", now_ms(), *words)


def is_trimmed(pair: PairProcesses, role: Role) -> bool:
    with pair.redis[role].client() as client:
        streams = Streams(client, "office", name="Redis")
        return all(anchor_of(streams, origin) for origin in ORIGINS)


def wait_until_trimmed(pair: PairProcesses, *roles: Role) -> None:
    wait_until(
        lambda: all(is_trimmed(pair, role) for role in roles), LIMIT_S, "trimming"
    )


def entries(pair: PairProcesses, role: Role) -> object:
    return pair.nodes[role].client.ask("GET", "/entries")["entries"]


def redis_of(pair: PairProcesses, role: Role) -> tuple[str, ...]:
    server = pair.redis[role]
    with server.client() as client:
        client.execute_command(
            "ACL", "SETUSER", "auditor", "on", "nopass", "~*", "+@all"
        )
    url = f"redis://auditor@127.0.0.1:{server.port}/0"
    return "--redis", url, "--pair", "office"


def test_old_events_leave_for_a_file_and_history_goes_on_over_both(
    old_pair: PairProcesses, tmp_path: Path
) -> None:
    pair, file = old_pair, tmp_path / "segment"
    whole = done(pair, pair.master, "history", "--json", "--limit", "0").records
    archived(pair, file, "--dry-run")
    assert not file.exists()
    archived(pair, file, "--reason", "over a year old")
    wait_until_trimmed(pair, *Role)
    pair.master.put("users/carol", {"extension": "300"})
    pair.wait_until_equal()
    order = done(
        pair, pair.standby, "history", "--json", "--kind", "history-archived"
    ).records[-1]
    assert order["reason"] == "over a year old"
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert order["value"]["sha256"] == digest
    # Through a node.
    alone = done(pair, pair.standby, "history", "--json", "--limit", "0")
    assert "--archive FILE" in alone.err
    joined = done(
        pair, pair.standby, "history", "--json", "--limit", "0", "--archive", file
    )
    assert "--archive FILE" not in joined.err
    assert joined.records[: len(whole)] == whole
    verified = done(pair, pair.master, "verify")
    assert "archived ones" in verified.out
    first = whole[0]["id"]
    refused = run_admin(pair, pair.master, "replay", "--until", "2001-01-01")
    assert refused.exit_code == 3
    assert "archive files" in refused.err
    then = f"{whole[0]['origin']}={first}"
    found = done(
        pair, pair.master, "replay", "--until", then, "--archive", file, "--json"
    )
    assert found.records == []
    blamed = done(
        pair, pair.master, "blame", "users/alice", "--archive", file, "--json"
    )
    assert len(blamed.records[0]["changes"]) == 5
    # Straight from either Redis.
    for role in Role:
        where = redis_of(pair, role)
        checked = _offline(pair, "verify", *where, "--archive", str(file))
        assert "archived ones" not in checked.out
        assert "whole" in checked.out
        replayed = _offline(pair, "replay", "--json", *where)
        assert {r["key"]: r["value"] for r in replayed.records} == {
            "users/alice": {"extension": "104"},
            "users/bob": {"extension": "204"},
            "users/carol": {"extension": "300"},
        }


def _offline(pair: PairProcesses, *words: str) -> AdminRun:
    ended = subprocess.run(
        [sys.executable, "-m", "admin", *words],
        env={k: v for k, v in os.environ.items() if not k.startswith("NETPHONE_")},
        capture_output=True,
        timeout=60,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    return AdminRun(ended.returncode, ended.stdout, ended.stderr)


def test_a_pair_restarts_and_fills_an_empty_machine_behind_what_was_archived(
    old_pair: PairProcesses, tmp_path: Path
) -> None:
    pair = old_pair
    archived(pair, tmp_path / "segment")
    wait_until_trimmed(pair, *Role)
    before = entries(pair, Role.MASTER)
    for node in pair.nodes.values():
        node.terminate()
        node.start()
    pair.wait_until_settled()
    pair.wait_until_equal()
    assert entries(pair, Role.MASTER) == before
    for role in Role:
        node = pair.nodes[role]
        node.kill()
        with pair.redis[role].client() as client:
            client.flushdb()
        node.start()
        pair.wait_until_settled()
        pair.wait_until_equal()
        assert is_trimmed(pair, role)
        assert entries(pair, role) == before
    done(pair, pair.master, "verify")


def test_the_order_is_refused_with_its_reasons(
    old_pair: PairProcesses, tmp_path: Path
) -> None:
    pair, file = old_pair, tmp_path / "segment"
    standby = run_admin(pair, pair.standby, "archive", file, "--before", now_ms())
    assert standby.exit_code == 3
    assert "master" in standby.err
    young = str(int((time.time() + HOUR_S) * 1000))
    run = run_admin(pair, pair.master, "archive", file, "--before", young)
    assert run.exit_code == 3
    assert "60 s" in run.err
    pair.standby.kill()
    wait_until(
        lambda: not pair.master.status()["peer"]["connected"], LIMIT_S, "the loss"
    )
    alone = run_admin(pair, pair.master, "archive", file, "--before", now_ms())
    assert alone.exit_code == 3
    assert "not connected" in alone.err
    assert not file.exists()
    assert entries(pair, Role.MASTER), "nothing left"
