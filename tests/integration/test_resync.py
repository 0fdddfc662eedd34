"""D12 with real processes: the standby's data are replaced by the master's, on command."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from eventstore import EventStore, Kind, Origin, Streams
from node.pair.directory import PAIR_NAME
from node.roles import Role
from tests.integration.test_recovery import events, put
from tests.support.admin_process import AdminRun, done, run_admin
from tests.support.processes import NodeProcess, PairProcesses
from tests.support.waiting import wait_until

pytestmark = pytest.mark.redis

LIMIT_S = 60.0
MASTERS = f"netphone:{{{PAIR_NAME}}}:events:master"


def switch_replication(pair: PairProcesses, *, on: bool) -> None:
    """For the pair: both nodes follow it."""
    reply = pair.master.http.post("/replication", json={"enabled": on})
    assert reply.status_code == 200, reply.text
    for node in pair.nodes.values():
        node.wait_until(
            lambda n: n.status()["replication"]["enabled"] is on,
            "the setting",
        )


def resync(pair: PairProcesses, *options: object) -> AdminRun:
    return run_admin(pair, pair.standby, "replication", "resync", *options)


def archived(node: NodeProcess) -> list[dict[str, Any]]:
    reply = node.http.get("/history", params={"archived": "true"})
    assert reply.status_code == 200, reply.text
    found: list[dict[str, Any]] = reply.json()["events"]
    return found


def resync_due(node: NodeProcess) -> object:
    return node.http.get("/replication").json()["resync_due"]


@pytest.fixture
def apart(pair: PairProcesses) -> dict[str, object]:
    """Replication is off, and each node has changes that the other one lacks."""
    put(pair.master, "users/both", 0)
    pair.wait_until_equal()
    switch_replication(pair, on=False)
    put(pair.master, "users/both", "master's")
    put(pair.master, "users/master", 1)
    put(pair.standby, "users/both", "standby's")
    return {"standby": put(pair.standby, "users/standby", 1)[1]}


def check_equal_at_once(pair: PairProcesses) -> None:
    switch_replication(pair, on=True)
    pair.wait_until_equal()
    for node in pair.nodes.values():
        assert node.status()["replication"]["problem"] is None
        assert node.status()["replication"]["divergence"] is None


def test_what_the_standby_alone_has_is_at_the_master_first(
    pair: PairProcesses, apart: dict[str, object]
) -> None:
    run = resync(pair, "--dry-run")
    assert run.exit_code == 0, run.printed
    assert "the master would take over 2 changes" in run.out
    assert "users/standby" in run.out
    assert pair.master.value("users/standby") is None

    run = resync(pair, "--reason", "update")
    assert run.exit_code == 0, run.printed
    assert run.out.splitlines()[-1].startswith("done: ")
    for node in pair.nodes.values():
        assert node.value("users/standby") == 1
        assert node.value("users/master") == 1
        assert node.value("users/both") == "master's"
    assert archived(pair.standby) == []
    assert pair.master.status()["replication"]["enabled"] is False
    told = [e for e in events(pair.standby) if e["kind"] == "resynchronised"]
    assert [(e["origin"], e["reason"]) for e in told] == [("standby", "update")]

    count = len(events(pair.standby))
    again = resync(pair)
    assert again.out.splitlines()[-1].startswith("nothing: "), again.printed
    assert len(events(pair.standby)) == count
    check_equal_at_once(pair)


def test_what_is_discarded_is_archived_and_visible(
    pair: PairProcesses, apart: dict[str, object]
) -> None:
    refused = resync(pair, "--discard")
    assert refused.exit_code == 3
    assert "--yes" in refused.err
    assert pair.standby.value("users/standby") == 1
    run = resync(pair, "--discard", "--yes")
    assert run.exit_code == 0, run.printed
    for node in pair.nodes.values():
        assert node.value("users/standby") is None
        assert node.value("users/both") == "master's"
    (told,) = [e for e in events(pair.standby) if e["kind"] == "resynchronised"]
    name = f"standby-resync-{told['id']}"
    assert "this node's data are the peer's now: " in pair.standby.log()
    assert f"{len(archived(pair.standby))} events left, 3 " in pair.standby.log()
    found = archived(pair.standby)
    assert {event["archived"] for event in found} == {name}
    assert apart["standby"] in [event["id"] for event in found]
    assert apart["standby"] not in [event["id"] for event in events(pair.standby)]
    listed = done(pair, pair.standby, "history", "--archived", "--key", "users/standby")
    assert name in listed.out
    # It is said again that replication is off.
    pair.standby.kill()
    pair.standby.start()
    pair.wait_until_settled()
    assert pair.standby.status()["replication"]["enabled"] is False
    check_equal_at_once(pair)
    for node in pair.nodes.values():
        assert node.value("users/standby") is None, "it does not come back"


def test_every_reason_against_it_is_given_at_once(pair: PairProcesses) -> None:
    put(pair.standby, "users/a", 1)
    pair.wait_until_equal()
    at_master = run_admin(pair, pair.master, "replication", "resync")
    assert at_master.exit_code == 3
    assert "this is the master" in at_master.err
    assert "this node is active" in at_master.err
    assert "replication is on" in at_master.err
    run = resync(pair)
    assert run.exit_code == 3
    assert "replication is on; switch it off first" in run.err
    assert "still on at the master" not in run.err, "it is one setting"
    pair.master.kill()
    pair.standby.wait_until(lambda n: n.is_active, "service")
    run = resync(pair, "--json")
    reply = pair.standby.http.post("/replication/resync")
    assert reply.status_code == 409
    assert reply.json()["code"] == "refused"
    assert reply.json()["reasons"] == [
        "this node is active; only a passive one is resynchronised",
        "replication is on; switch it off first",
        "the master is not connected",
    ]
    reader = httpx.post(
        f"{pair.standby.url}/replication/resync",
        headers={"Authorization": f"Bearer {pair.read_token}"},
    )
    assert reader.status_code == 403


def test_it_is_refused_while_the_master_has_lost_what_the_standby_knows(
    pair: PairProcesses,
) -> None:
    put(pair.master, "users/a", 1)
    pair.wait_until_equal()
    switch_replication(pair, on=False)
    put(pair.master, "users/a", 2)
    pair.master.pause()
    with (
        pair.redis[Role.MASTER].client() as masters,
        pair.redis[Role.STANDBY].client() as standbys,
    ):
        ((lost, fields),) = masters.xrevrange(MASTERS, count=1)
        standbys.xadd(MASTERS, fields, id=lost)
        masters.xdel(MASTERS, lost)
        reply = pair.standby.http.post("/replication/resync", json={"discard": True})
        assert reply.status_code == 409
        assert (
            "this node has 1 events of stream 'master' that the peer's Redis lost: the "
            "peer gets them back from here first"
        ) in reply.json()["reasons"]
        pair.master.resume()
        wait_until(
            lambda: any(fields in entry for entry in masters.xrange(MASTERS)),
            LIMIT_S,
            "the event to be at the master again",
        )


def test_killed_in_the_middle_everything_is_old_and_the_next_try_ends_it(
    pair: PairProcesses, apart: dict[str, object]
) -> None:
    for page in range(40):
        batch = {f"many/{page}-{n}": n for n in range(500)}
        reply = pair.master.http.post("/entries", json={"put": batch})
        assert reply.status_code == 200, reply.text
    before = pair.standby.status()
    old = before["entries"], before["digest"]

    def order() -> None:
        with httpx.Client(
            base_url=pair.standby.url,
            headers=pair.standby.http.headers,
            timeout=LIMIT_S,
        ) as client:
            client.post("/replication/resync", json={"discard": True})

    with (
        ThreadPoolExecutor(1) as pool,
        pair.redis[Role.STANDBY].client() as client,
    ):
        ordered = pool.submit(order)
        wait_until(lambda: client.keys("*temporary*"), LIMIT_S, "streams in the making")
        pair.standby.kill()
        with pytest.raises(httpx.TransportError):
            ordered.result(LIMIT_S)
        assert client.keys("*temporary*"), "it was in the middle"
    pair.standby.start()
    pair.wait_until_settled()
    now = pair.standby.status()
    assert (now["entries"], now["digest"]) == old
    with pair.redis[Role.STANDBY].client() as client:
        assert not client.keys("*temporary*")
    began_s = time.monotonic()
    run = resync(pair, "--discard", "--yes")
    assert run.exit_code == 0, run.printed
    print(f"a resync of 20 000 events took {time.monotonic() - began_s:.1f} s")
    assert pair.standby.value("many/39-499") == 499
    assert pair.standby.value("users/standby") is None
    check_equal_at_once(pair)


def test_a_new_version_of_the_software_makes_a_resync_due(pair: PairProcesses) -> None:
    assert resync_due(pair.standby) is None
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
        store.record(Kind.STREAM_OPENED, {"version": "0.0.1"}, actor="standby node")
    pair.standby.start()
    pair.wait_until_settled()
    due = resync_due(pair.standby)
    assert "last replaced under 0.0.1" in str(due)
    assert "resync due    ! the software is" in done(pair, pair.standby, "status").out
    assert resync_due(pair.master) is None
    pair.wait_until_equal()
    switch_replication(pair, on=False)
    assert resync(pair).out.splitlines()[-1].startswith("done: ")
    assert resync_due(pair.standby) is None
    pair.standby.terminate()
    pair.standby.start()
    pair.wait_until_settled()
    assert resync_due(pair.standby) is None
    assert resync(pair).out.splitlines()[-1].startswith("nothing: ")
    check_equal_at_once(pair)


def test_a_standby_with_a_damaged_copy_starts_says_so_and_is_resynchronised(
    pair: PairProcesses,
) -> None:
    made = [put(pair.master, f"users/{n}", n) for n in range(5)]
    pair.wait_until_equal()
    pair.standby.kill()
    with pair.redis[Role.STANDBY].client() as client:
        client.xdel(MASTERS, str(made[2][1]))
    pair.standby.start()
    wait_until(
        lambda: (
            any(
                "the copy of stream 'master' is damaged" in str(reason)
                for reason in pair.standby.http.get("/ready").json()["reasons"]
            )
            if pair.standby.client.says_yes("/live")
            else ""
        ),
        LIMIT_S,
        "the reason",
    )
    switch_replication(pair, on=False)
    wait_until(lambda: resync(pair).exit_code == 0, LIMIT_S, "a resync")
    pair.wait_until_settled()
    assert {e["archived"].partition("-")[0] for e in archived(pair.standby)} == {
        "master"
    }
    check_equal_at_once(pair)
