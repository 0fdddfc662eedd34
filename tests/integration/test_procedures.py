"""What the guide's procedures promise beyond what their commands print.

The commands themselves are typed by test_docs.py, those of an update by test_update.py.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.roles import Role
from tests.support.admin_process import done
from tests.support.looking import Looking, longest_without_s
from tests.support.processes import NodeProcess, PairProcesses
from tests.support.redis_servers import require_redis
from tests.support.told import ids_told
from tests.support.waiting import wait_until

pytestmark = pytest.mark.redis

LIMIT_S = 20.0
WITHOUT_ACTIVE_LIMIT_S = 1.0
SERVES_NOTHING = "this node serves without any entry"


@pytest.fixture
def prepared(tmp_path: Path) -> Iterator[PairProcesses]:
    """A pair of which nothing runs yet, with paths that can be cut."""
    require_redis()
    with PairProcesses(tmp_path, proxied=True) as pair:
        yield pair


def take_machine_away(pair: PairProcesses, role: Role) -> None:
    """The machine is lost, with everything on it."""
    pair.nodes[role].kill()
    pair.redis[role].kill()
    shutil.rmtree(pair.redis[role].directory)


def shown_entries(pair: PairProcesses, node: NodeProcess) -> str:
    lines = done(pair, node, "status").out.splitlines()
    (line,) = (line for line in lines if line.startswith("entries"))
    return line.partition(" ")[2].strip()


# First installation.


def test_the_standby_may_be_set_up_long_before_the_master(
    prepared: PairProcesses,
) -> None:
    pair, node, other = prepared, prepared.standby, prepared.master
    pair.redis[Role.STANDBY].start()
    node.start()
    node.wait_until(lambda n: n.is_active and n.is_ready, "service, alone")
    node.put("users/early", 1)
    pair.redis[Role.MASTER].start()
    other.start()
    assert pair.wait_until_settled() is node
    other.put("users/late", 2)
    pair.wait_until_equal()
    assert SERVES_NOTHING in node.log()
    assert SERVES_NOTHING not in other.log()


# Another machine.


def test_an_empty_machine_fills_itself_and_takes_nothing_over(
    prepared: PairProcesses,
) -> None:
    pair, node, other = prepared, prepared.master, prepared.standby
    pair.start()
    for number in range(20):
        pair.master.put(f"masters/{number}", number)
        pair.standby.put(f"standbys/{number}", number)
    pair.wait_until_equal()
    known = ids_told(node)
    take_machine_away(pair, Role.MASTER)
    other.wait_until(lambda n: n.is_active, "service")
    other.put("masters/0", "changed meanwhile")
    with Looking(pair) as looking:
        pair.redis[Role.MASTER].start()
        node.start()
        assert pair.wait_until_settled() is other
        pair.wait_until_equal()
    assert {look.role for look in looking.looks if look.is_active} == {Role.STANDBY}
    assert longest_without_s(looking.looks) < WITHOUT_ACTIVE_LIMIT_S
    assert node.value("masters/0") == "changed meanwhile"
    for both in pair.nodes.values():
        assert known <= ids_told(both)
    assert SERVES_NOTHING not in node.log()


def test_an_empty_machine_that_reaches_nobody_serves_nothing_and_says_so_loudly(
    prepared: PairProcesses,
) -> None:
    pair, node, other = prepared, prepared.master, prepared.standby
    pair.start()
    node.put("users/old", 1)
    pair.wait_until_equal()
    known = ids_told(node)
    take_machine_away(pair, Role.MASTER)
    other.wait_until(lambda n: n.is_active, "service")
    pair.cut()
    pair.redis[Role.MASTER].start()
    node.start()
    node.wait_until(lambda n: n.is_active and n.is_ready, "service, alone")
    assert f"ERROR {SERVES_NOTHING}" in node.log()
    assert shown_entries(pair, node) == f"! 0: {SERVES_NOTHING}"
    assert node.value("users/old") is None
    node.put("users/new", 2)
    pair.heal()
    # Both were active: the master stays so (S5), and nothing of either is lost.
    assert pair.wait_until_settled() is node
    pair.wait_until_equal()
    assert [node.value(f"users/{name}") for name in ("old", "new")] == [1, 2]
    assert known <= ids_told(node)
    assert shown_entries(pair, node) == "2"


# Old data.


def test_old_data_come_back_by_import_and_not_with_an_old_file_of_redis(
    prepared: PairProcesses, tmp_path: Path
) -> None:
    pair, node = prepared, prepared.master
    pair.start()
    node.put("users/alice", "as it was")
    pair.wait_until_equal()
    export = tmp_path / "export.jsonl"
    done(pair, node, "export", export)
    redis, saved = pair.redis[Role.MASTER], tmp_path / "saved"
    redis.stop()
    shutil.copytree(redis.directory, saved)
    redis.start()
    node.wait_until(lambda n: n.is_ready, "ready again")
    node.put("users/alice", "a mistake")
    pair.wait_until_equal()
    before = ids_told(node)

    node.kill()
    redis.stop()
    shutil.rmtree(redis.directory)
    shutil.copytree(saved, redis.directory)
    redis.start()
    node.start()
    pair.wait_until_settled()
    wait_until(lambda: before <= ids_told(node), LIMIT_S, "the old file to be undone")
    assert [n.value("users/alice") for n in (node, pair.standby)] == ["a mistake"] * 2

    restored = done(pair, node, "import", export, "--reason", "restored")
    assert "1 changed" in restored.out
    pair.wait_until_equal()
    for both in pair.nodes.values():
        assert both.value("users/alice") == "as it was"
        assert before < ids_told(both)
