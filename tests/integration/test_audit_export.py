"""`python -m admin audit` against a real pair: through a node, and straight from each Redis."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from eventstore import START, Bundle
from node.roles import Role
from tests.support.admin_process import done, run_admin
from tests.support.histories import ORIGINS
from tests.support.processes import PairProcesses
from tests.support.redis_servers import require_redis

pytestmark = pytest.mark.redis


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PairProcesses]:
    require_redis()
    with PairProcesses(tmp_path_factory.mktemp("audit")) as pair:
        pair.start()
        done(pair, pair.master, "put", "users/alice", '{"extension": "101"}')
        pair.wait_until_equal()
        done(pair, pair.standby, "put", "users/alice", '{"extension": "102"}')
        pair.wait_until_equal()
        yield pair


def password_file(tmp_path: Path, password: str) -> Path:
    path = tmp_path / "redis.password"
    path.write_text(password)
    path.chmod(0o600)
    return path


def test_a_node_and_each_redis_give_the_same_history(
    pair: PairProcesses, tmp_path: Path
) -> None:
    master = pair.master
    done(pair, master, "key", "new", tmp_path / "audit.key")
    signed = ("--key", tmp_path / "audit.key")
    done(pair, master, "audit", "export", tmp_path / "node", *signed)
    names = ["node"]
    for name, redis in (
        ("master", pair.redis[Role.MASTER]),
        ("standby", pair.redis[Role.STANDBY]),
    ):
        straight = (
            *("--redis", f"redis://127.0.0.1:{redis.port}/0", "--pair", "office"),
            "--redis-password-file",
            password_file(tmp_path, redis.password),
        )
        done(pair, master, "audit", "export", tmp_path / name, *signed, *straight)
        names.append(name)
    for name in names:
        told = done(
            pair, master, "--json", "audit", "verify", tmp_path / name,
            "--public-key", tmp_path / "audit.key.pub",
        ).records[0]  # fmt: skip
        assert told["pair"] == "office"
        assert [chain["origin"] for chain in told["chains"]] == list(ORIGINS)
    bundles = [Bundle(tmp_path / name) for name in names]
    for origin in ORIGINS:
        found = [bundle.read(origin, START, 10_000) for bundle in bundles]
        assert found[0]
        assert found[0] == found[1] == found[2]
    for bundle in bundles:
        bundle.close()


def test_an_altered_file_ends_with_7(pair: PairProcesses, tmp_path: Path) -> None:
    path = tmp_path / "file"
    done(pair, pair.master, "audit", "export", path)
    data = path.read_bytes()
    path.write_bytes(data[:-40] + b"\0" + data[-39:])
    run = run_admin(pair, pair.master, "audit", "verify", path)
    assert run.exit_code == 7
    assert run.err.startswith("error: ")
    assert run.err.count("\n") == 1
