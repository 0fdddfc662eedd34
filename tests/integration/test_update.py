"""Two versions of the software in one pair (D4, S18), and the way from one to the other."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import attrs
import pytest

from node.roles import Role
from tests.support.admin_process import done, run_admin
from tests.support.documents import REPOSITORY, Document
from tests.support.looking import Looking, both_active, longest_without_s
from tests.support.processes import NodeProcess, PairProcesses
from tests.support.redis_servers import require_redis
from tests.support.told import ids_told
from tests.support.typing_in_shells import Reader, Shell
from tests.support.versions import NEWER, OLDER, Versions
from tests.support.waiting import wait_until
from tests.support.writing import Writing

pytestmark = pytest.mark.redis

LIMIT_S = 20.0
WITHOUT_ACTIVE_LIMIT_S = 1.0
TOO_OLD = (
    "the peer writes events of format 2, this node reads up to format 1; "
    "update this node"
)


@attrs.define
class Versioned:
    """A pair of which each node runs a version of its own."""

    pair: PairProcesses
    versions: Versions

    def update(self, role: Role, version: str) -> None:
        self.pair.nodes[role].terminate()
        self.versions.install(role, version)
        self.pair.nodes[role].start()


@pytest.fixture
def versioned(tmp_path: Path) -> Iterator[Versioned]:
    """Both nodes run the older version once they are started; only Redis runs yet."""
    require_redis()
    versions = Versions(tmp_path / "versions")
    with PairProcesses(tmp_path, environments=versions.environments) as pair:
        pair.start_redis()
        yield Versioned(pair, versions)


def replication(node: NodeProcess) -> dict[str, Any]:
    found: dict[str, Any] = node.status()["replication"]
    return found


def watch_each_other(pair: PairProcesses) -> bool:
    peers = [node.status()["peer"] for node in pair.nodes.values()]
    return all(peer["connected"] and peer["hears_us"] for peer in peers)


def stands_still_where_too_old(pair: PairProcesses) -> bool:
    """Replication, where it is on, stands still in a node that is too old, and only there."""
    statuses = {node: node.status() for node in pair.nodes.values()}
    on = all(status["replication"]["enabled"] for status in statuses.values())
    for node, status in statuses.items():
        peers = statuses[pair.other(node)]["version"]
        too_old = (status["version"], peers) == (OLDER, NEWER)
        found = status["replication"]
        wanted = (on and not too_old, TOO_OLD if on and too_old else None)
        if (found["connected"], found["problem"]) != wanted:
            return False
    return True


def check_stage(pair: PairProcesses) -> None:
    wait_until(lambda: watch_each_other(pair), LIMIT_S, "mutual supervision")
    wait_until(
        lambda: stands_still_where_too_old(pair),
        LIMIT_S,
        "replication to stand still exactly where it must",
    )


def test_the_documented_update_loses_nothing_and_leaves_no_moment_without_service(
    versioned: Versioned, tmp_path: Path
) -> None:
    pair, versions = versioned.pair, versioned.versions
    for node in pair.nodes.values():
        node.start()
    assert pair.wait_until_settled() is pair.master
    met = set()

    def systemctl(machine: str, words: list[str]) -> None:
        order, unit = words
        assert unit == "netphone"
        node = pair.nodes[Role(machine)]
        if order == "stop":
            assert node.is_passive, "nobody may be without service"
            node.terminate()
        else:
            assert order == "start"
            node.start()
            pair.wait_until_settled()

    def pip(machine: str, words: list[str]) -> None:
        assert words == ["install", "--upgrade", "netphone-standby"]
        assert not pair.nodes[Role(machine)].process.is_running
        versions.install(Role(machine), "newer")

    with ExitStack() as undo:
        shells = {}
        for role, node in pair.nodes.items():
            shells[str(role)] = Shell(tmp_path / role, environment(pair, node))
            undo.callback(shells[str(role)].close)
        section = Document.read("docs/operators.md").section("Update the software")
        reader = Reader(
            section,
            shells,
            {machine: {} for machine in shells},
            played={"systemctl": systemctl, "pip": pip},
        )
        with Looking(pair) as looking, Writing(pair) as writing:
            for block in section.blocks():
                reader.do(block)
                check_stage(pair)
                met.add(tuple(n.status()["version"] for n in pair.nodes.values()))
        check_stage(pair)
        pair.wait_until_equal()
    assert met == {(OLDER, NEWER), (NEWER, NEWER)}
    assert both_active(looking.looks) == []
    without_s = longest_without_s(looking.looks)
    made = writing.acknowledged
    print(f"{len(made)} changes; at most {without_s:.3f} s without an active node")
    assert without_s < WITHOUT_ACTIVE_LIMIT_S
    for node in pair.nodes.values():
        assert made <= ids_told(node)
        assert replication(node)["divergence"] is None
        assert replication(node)["unknown_events"] == 0


def environment(pair: PairProcesses, node: NodeProcess) -> dict[str, str]:
    """What an operator's shell has; the older version's tools are there to the end."""
    programs = Path(sys.executable).parent
    return {
        "PATH": f"{shlex.quote(str(programs))}:{os.environ['PATH']}",
        "PYTHONPATH": str(REPOSITORY),
        "NETPHONE_NODE": node.url,
        "NETPHONE_TOKEN": pair.change_token,
    }


def test_an_older_node_is_not_switched_to_but_replaces_a_newer_one_that_fails(
    versioned: Versioned,
) -> None:
    pair, master, standby = (
        versioned.pair,
        versioned.pair.master,
        versioned.pair.standby,
    )
    versioned.versions.install(Role.MASTER, "newer")
    master.start()
    master.wait_until(lambda n: n.is_active, "service")
    standby.start()
    assert pair.wait_until_settled() is master
    early = master.put("users/early", 1)
    check_stage(pair)
    assert standby.value("users/early") is None
    assert f"ERROR replication stands still: {TOO_OLD}" in standby.log()
    assert replication(standby)["lag_events"] >= 1
    (line,) = lines(pair, standby, "replication")
    assert "! on, not connected" in line
    assert line.endswith(TOO_OLD)
    refused = run_admin(pair, master, "switch", "--dry-run")
    assert refused.exit_code == 3
    assert "replication into the standby stands still; see its status" in refused.err

    master.kill()
    standby.wait_until(lambda n: n.is_active, "the takeover")
    late = standby.put("users/late", 2)
    master.start()
    assert pair.wait_until_settled() is standby
    check_stage(pair)
    # The older one may give: the newer one has all that it wrote.
    master.wait_until(lambda n: n.value("users/late") == 2, "the other's change")
    wait_until(
        lambda: run_admin(pair, master, "switch").exit_code == 0, LIMIT_S, "a switch"
    )
    versioned.update(Role.STANDBY, "newer")
    assert pair.wait_until_settled() is master
    check_stage(pair)
    pair.wait_until_equal()
    for node in pair.nodes.values():
        assert (node.value("users/early"), node.value("users/late")) == (1, 2)
        told = {(str(origin), str(event_id)) for origin, event_id in ids_told(node)}
        assert {("master", early), ("standby", late)} <= told


@pytest.mark.parametrize("newer", Role)
def test_no_node_takes_for_a_resync_what_it_could_not_apply(
    versioned: Versioned, newer: Role
) -> None:
    pair, versions = versioned.pair, versioned.versions
    versions.install(newer, "newer")
    for node in pair.nodes.values():
        node.start()
    assert pair.wait_until_settled() is pair.master
    check_stage(pair)
    pair.master.http.post("/replication", json={"enabled": False})
    pair.standby.wait_until(lambda n: not replication(n)["enabled"], "the setting")
    if newer is Role.MASTER:
        refused = run_admin(pair, pair.standby, "replication", "resync")
        assert refused.exit_code == 3
        assert TOO_OLD in refused.err
        return
    alone = pair.standby.put("users/alone", 1)
    with ThreadPoolExecutor(1) as pool, Looking(pair) as looking:
        ordered = pool.submit(run_admin, pair, pair.standby, "replication", "resync")
        pair.standby.wait_until(
            lambda n: "until the master has our" in (replication(n)["resync"] or ""),
            "the request",
        )
        from_s = looking.span_s()
        wait_until(lambda: looking.span_s() > from_s + 2.0, LIMIT_S, "many heartbeats")
        told = {(str(o), str(event_id)) for o, event_id in ids_told(pair.master)}
        assert ("standby", alone) not in told
        pair.master.kill()
        run = ordered.result()
    assert run.exit_code == 5
    assert "given up, and nothing was changed: " in run.err
    assert pair.standby.value("users/alone") == 1


def lines(pair: PairProcesses, node: NodeProcess, topic: str) -> list[str]:
    """What `python -m admin status` says of `topic`."""
    shown = done(pair, node, "status").out.splitlines()
    return [line for line in shown if line.startswith(topic)]


def test_a_peer_of_a_far_version_is_named_heard_and_taken_over_when_it_ends(
    versioned: Versioned,
) -> None:
    pair, master, standby = (
        versioned.pair,
        versioned.pair.master,
        versioned.pair.standby,
    )
    versioned.versions.install(Role.MASTER, "too new")
    master.start()
    master.wait_until(lambda n: n.is_active, "service")
    master.put("users/far", 1)
    standby.start()
    check_problem(pair, standby, "1 to 1 here, 9 to 9 at the other node")
    check_problem(pair, master, "9 to 9 here, 1 to 1 at the other node")
    # S18: for as long as it answers that it is active, nobody else is.
    with Looking(pair) as looking:
        wait_until(lambda: looking.span_s() > 2.0, LIMIT_S, "twice the limit")
    assert not any(
        look.is_active for look in looking.looks if look.role is Role.STANDBY
    )
    assert replication(standby)["problem"] == TOO_OLD
    assert standby.value("users/far") is None
    assert replication(master)["problem"] is None
    master.kill()
    standby.wait_until(lambda n: n.is_active, "the takeover")


def check_problem(pair: PairProcesses, node: NodeProcess, versions: str) -> None:
    problem = f"incompatible protocols: {versions}; update the older one"
    node.wait_until(lambda n: problem_of(n) == problem, "the problem")
    assert f"ERROR the peer is not accepted: {problem}" in node.log()
    (line,) = lines(pair, node, "peer")
    assert line.endswith(f"! {problem}")


def problem_of(node: NodeProcess) -> object:
    return node.status().get("peer", {}).get("problem")
