"""L1 and L3 with real processes: a licence from its vendor to both nodes, whatever happens."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from eventstore import EventStore, JsonValue, Origin, Streams
from node import LicenceRefused, NetPhoneNode, NodeConfig, NoSeat
from node.pair.directory import PAIR_NAME
from node.pair.ports import HOST
from node.roles import Role
from tests.integration.test_docs import (
    reader_environment,
    this_python,
    write_program,
)
from tests.integration.test_recovery import empty
from tests.integration.test_resync import resync, switch_replication
from tests.support.admin_process import done, run_admin
from tests.support.documents import Document
from tests.support.licences import KEY, OTHER_KEY, document, signed
from tests.support.ports import free_port
from tests.support.processes import NodeProcess, PairProcesses
from tests.support.redis_servers import RedisServer, require_redis
from tests.support.typing_in_shells import Reader, Shell
from tests.support.waiting import wait_until

pytestmark = pytest.mark.redis

LIMIT_S = 30.0


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[PairProcesses]:
    """A settled pair with the vendor's key."""
    require_redis()
    key = tmp_path / "vendor.pub"
    key.write_bytes(KEY.public.pem)
    sections = {"licences": {"vendor_key_file": str(key)}}
    with PairProcesses(tmp_path, sections=sections) as processes:
        processes.start()
        yield processes


def licences(node: NodeProcess) -> dict[str, Any]:
    """What the node says, but for the grace, which only a standby has."""
    reply = node.http.get("/licences")
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()
    assert not found.pop("grace_over")
    found.pop("grace_days_left")
    return found


def install(node: NodeProcess, given: dict[str, JsonValue]) -> httpx.Response:
    return node.http.post("/licences", json=given)


def seats(node: NodeProcess) -> int:
    found: int = node.status()["licences"]["seats"]
    return found


def wait_for_seats(pair: PairProcesses, count: int) -> None:
    for node in pair.nodes.values():
        node.wait_until(lambda n: seats(n) == count, f"{count} seats")


def test_what_is_installed_at_the_master_is_at_the_standby_too(
    pair: PairProcesses, tmp_path: Path
) -> None:
    file = tmp_path / "licence.json"
    file.write_text(json.dumps(signed(ends="2999-12-31")))
    assert run_admin(pair, pair.standby, "licence", "install", file).exit_code == 3

    reply = install(pair.master, signed("other", seats=10))
    assert reply.status_code == 200, reply.text
    wait_until(lambda: seats(pair.standby) == 10, LIMIT_S, "it at the standby")

    run = done(pair, pair.master, "licence", "install", file, "--reason", "order 4711")
    assert run.out.startswith("installed licence L-1 (event ")
    wait_for_seats(pair, 60)
    both = [licences(node) for node in pair.nodes.values()]
    assert both[0] == both[1]
    assert [(f["id"], f["signature"]) for f in both[0]["licences"]] == [
        ("L-1", "verified"),
        ("other", "verified"),
    ]
    (told,) = done(
        pair, pair.standby, "--json", "history", "--key", "licences/L-1"
    ).records
    assert (told["kind"], told["origin"]) == ("licence-installed", "master")
    assert (told["reason"], told["value"]) == ("order 4711", signed(ends="2999-12-31"))

    # Nothing is changed through the standby, also while it serves.
    pair.master.kill()
    pair.standby.wait_until(lambda n: n.is_active, "service")
    for order in (("install", file), ("remove", "L-1")):
        run = run_admin(pair, pair.standby, "licence", *order)
        assert (run.exit_code, run.out) == (3, "")
        assert "this is the standby; a licence is " in run.err
        assert f"whose link is {HOST}:{pair.ports.of(Role.MASTER).link}" in run.err
        assert len(run.err.splitlines()) == 1
    assert seats(pair.standby) == 60


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (document(), "it is not signed"),
        (signed(key=OTHER_KEY), "it is signed with the key"),
        ({**signed(), "seats": 5000}, "it was altered"),
        (signed(issued="2019-01-01", ends="2020-01-01"), "it ended at 2020-01-02"),
        (signed(product="fax"), "it is for the product 'fax'"),
    ],
    ids=["unsigned", "another vendor's", "altered", "expired", "another product's"],
)
def test_what_is_not_worth_anything_is_not_installed(
    usual_pair_with_key: PairProcesses,
    tmp_path: Path,
    given: dict[str, JsonValue],
    words: str,
) -> None:
    pair = usual_pair_with_key
    file = tmp_path / "licence.json"
    file.write_text(json.dumps(given))
    run = run_admin(pair, pair.master, "licence", "install", file)
    assert (run.exit_code, run.out) == (3, "")
    assert words in run.err
    assert licences(pair.master)["licences"] == []


@pytest.fixture(scope="module")
def usual_pair_with_key(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[PairProcesses]:
    require_redis()
    directory = tmp_path_factory.mktemp("with-key")
    key = directory / "vendor.pub"
    key.write_bytes(KEY.public.pem)
    sections = {"licences": {"vendor_key_file": str(key)}}
    with PairProcesses(directory, sections=sections) as processes:
        processes.start()
        yield processes


def test_licences_survive_restart_recovery_and_resync(pair: PairProcesses) -> None:
    for given in (signed("a"), signed("b", seats=20, option="rec"), signed("c")):
        assert install(pair.master, given).status_code == 200
    assert pair.master.http.delete("/licences/c").status_code == 200
    later = signed("later", not_before="2999-01-01")
    assert install(pair.master, later).status_code == 200
    wait_for_seats(pair, 20)
    pair.wait_until_equal()
    told = licences(pair.master)

    for node in pair.nodes.values():
        node.kill()
    for node in pair.nodes.values():
        node.start()
    pair.wait_until_settled()
    assert [licences(node) for node in pair.nodes.values()] == [told, told]

    # The master's Redis loses everything while the node is down.
    pair.master.kill()
    pair.standby.wait_until(lambda n: n.is_active, "service")
    empty(pair, Role.MASTER)
    pair.master.start()
    pair.wait_until_settled()
    pair.wait_until_equal()
    assert [licences(node) for node in pair.nodes.values()] == [told, told]

    # The standby's data are replaced.
    pair.wait_until_switchable()
    assert done(pair, pair.master, "switch").exit_code == 0
    switch_replication(pair, on=False)
    assert install(pair.master, signed("d", seats=1, option="fax")).status_code == 200
    assert seats(pair.standby) == 20
    run = resync(pair)
    assert run.exit_code == 0, run.printed
    assert [seats(node) for node in pair.nodes.values()] == [1, 1]
    assert licences(pair.standby) == licences(pair.master)


def test_a_licence_that_was_written_into_the_standbys_stream_is_ignored(
    pair: PairProcesses,
) -> None:
    assert install(pair.master, signed("real", seats=7)).status_code == 200
    wait_for_seats(pair, 7)
    pair.standby.terminate()
    with pair.redis[Role.STANDBY].client() as client:
        store = EventStore(
            Streams(client, PAIR_NAME, name="the standby's Redis"),
            own=Origin("standby"),
            peer=Origin("master"),
            prevailing=Origin("master"),
            wall_ns=time.time_ns,
        )
        store.open()
        forged = signed("forged", seats=500)
        store.change_licence("forged", forged, installed=True, actor="mallory")
        real = signed("real", seats=7)
        store.change_licence("real", real, installed=False, actor="mallory")
    pair.standby.start()
    pair.wait_until_settled()
    pair.wait_until_equal()
    for node in pair.nodes.values():
        assert [f["id"] for f in licences(node)["licences"]] == ["real"]
        assert seats(node) == 7
        kinds = done(pair, node, "--json", "history", "--key", "licences/forged")
        assert [e["origin"] for e in kinds.records] == ["standby"], "it can be seen"


def test_an_end_passes_in_a_running_node_and_is_told(
    redis_server: RedisServer,
) -> None:
    ends_s = int(time.time()) + 3
    ends = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ends_s))
    link = free_port()
    config = NodeConfig(
        pair="ends",
        role=Role.MASTER,
        listen=f"{HOST}:{link}",
        peer=f"{HOST}:{free_port()}",
        secret="a secret of the pair",
        redis_url=f"redis://{HOST}:{redis_server.port}/0",
        redis_password=redis_server.password,
        peer_redis_url=f"redis://{HOST}:{free_port()}/0",
        heartbeat_interval_s=0.1,
    )
    with NetPhoneNode(config) as node:
        node.install_licence(document(ends=ends), actor="jane")
        node.seats.take("alice")
        assert node.status()["licences"] == {
            "valid": True,
            "reason": None,
            "ends_in_days": 0,
            "seats": 50,
            "in_use": 1,
            "options": {},
            "grace_over": False,
            "grace_days_left": None,
        }
        wait_until(lambda: not node.licences().valid, LIMIT_S, "the end")
        assert time.time() >= ends_s
        with pytest.raises(NoSeat, match=f"it ended at {ends}"):
            node.seats.take("bob")
        assert node.seats.in_use == 1
        with pytest.raises(LicenceRefused, match="it ended at"):
            node.install_licence(document("again", ends=ends), actor="jane")


def test_what_the_page_about_licences_says_happens(tmp_path: Path) -> None:
    require_redis()
    page = Document.read("docs/licences.md")
    programs = tmp_path / "programs"
    write_program(programs / "python", this_python())
    shell = Shell(tmp_path, reader_environment(programs))
    names: dict[str, dict[str, object]] = {"": {}, "vendor": {}}
    try:
        shells = {"": shell, "vendor": shell}
        Reader(page.section("For vendors"), shells, names).read()
        key = tmp_path / "vendor.key.pub"
        sections = {"licences": {"vendor_key_file": str(key)}}
        with PairProcesses(tmp_path / "pair", sections=sections) as pair:
            pair.start()
            shell.run(f"export NETPHONE_NODE={pair.master.url}")
            shell.run(f"export NETPHONE_TOKEN={pair.change_token}")
            shell.run(f"export STANDBY={pair.standby.url}")
            Reader(page.section("For operators"), shells, names).read()
    finally:
        shell.close()
