"""`python -m admin history` against real nodes: who did what, when and why."""

from __future__ import annotations

import contextlib
import getpass
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from node.pair.directory import PAIR_NAME
from node.switching import SWITCH_REASON_BYTES_MAX
from tests.support.admin_process import done, run_admin
from tests.support.processes import NodeProcess, PairProcesses
from tests.support.redis_servers import require_redis

pytestmark = pytest.mark.redis

JANE = ("--actor", "jane")
KEY = "users/alice"
TAKEOVERS = [("S12", "the peer's process is gone"), ("S6", "peer lost")]
"""Rule and reason; the second one where the machine is very busy."""


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PairProcesses]:
    """A pair with a past: changes on both nodes, a switch, a takeover, an order."""
    require_redis()
    with PairProcesses(tmp_path_factory.mktemp("history")) as pair:
        pair.start()
        master, standby = pair.master, pair.standby
        done(
            pair, master, *JANE, "put", KEY, '{"extension": "101"}', "--reason", "hired"
        )
        pair.wait_until_equal()
        done(pair, standby, "put", KEY, '{"extension": "102"}', "--reason", "moved")
        pair.wait_until_equal()
        done(pair, master, *JANE, "delete", KEY, "--reason", "left")
        done(pair, master, *JANE, "switch", "--reason", "new fan")
        standby.wait_until(has_recorded_its_state, "the record of it")
        standby.kill()
        master.wait_until(lambda n: n.is_active, "the takeover")
        standby.start()
        pair.wait_until_settled()
        done(pair, standby, *JANE, "replication", "off", "--reason", "an update")
        done(pair, standby, *JANE, "replication", "on")
        pair.wait_until_settled()
        pair.wait_until_equal()
        yield pair


def has_recorded_its_state(node: NodeProcess) -> bool:
    """A change of state is made first and recorded then (S19)."""
    page = node.http.get("/history", params={"origin": str(node.role)}).json()
    return any(event["kind"] == "state-changed" for event in page["events"])


def events_of(
    pair: PairProcesses, node: NodeProcess, *options: object
) -> list[dict[str, Any]]:
    return done(pair, node, "--json", "history", *options).records


def test_the_past_of_an_entry_is_told_with_who_and_why(pair: PairProcesses) -> None:
    for node in pair.nodes.values():
        events = events_of(pair, node, "--key", KEY)
        told = [
            (e["origin"], e["kind"], e["value"], e["actor"], e["reason"])
            for e in events
        ]
        assert told == [
            ("master", "entry-put", {"extension": "101"}, "jane", "hired"),
            (
                "standby",
                "entry-put",
                {"extension": "102"},
                getpass.getuser(),
                "moved",
            ),
            ("master", "entry-deleted", None, "jane", "left"),
        ]
        assert [e["time"] for e in events] == sorted(e["time"] for e in events)


def test_both_nodes_tell_the_same_in_the_same_order(pair: PairProcesses) -> None:
    on_master, on_standby = (events_of(pair, node) for node in pair.nodes.values())
    assert on_master == on_standby
    seen: dict[str, int] = {}
    for event in on_master:  # Causes before effects: all that it knew was told before.
        for origin, event_id in event["vector"].items():
            if event_id != event["id"] or origin != event["origin"]:
                assert seen.get(origin, 0) >= number(event_id)
        seen[event["origin"]] = number(event["id"])


def number(event_id: str) -> int:
    return int(event_id.partition("-")[2])


def test_changes_of_state_are_told_with_who_and_why(pair: PairProcesses) -> None:
    found = [
        event
        for event in events_of(pair, pair.standby)
        if event["kind"] == "state-changed"
    ]
    told = [
        (
            e["actor"],
            e["value"]["from"],
            e["value"]["to"],
            e["value"]["rule"],
            e["reason"],
        )
        for e in found
    ]
    neither = "neither node is active and this is the master"
    by_order = "planned switch: new fan (ordered by jane)"
    assert told[0] == ("master node", "passive", "active", "S4", neither)
    # What nodes do at one moment has no order between them.
    assert sorted(told[1:3]) == [
        ("master node", "active", "passive", "S14", by_order),
        ("standby node", "passive", "active", "S14", by_order),
    ]
    (taken,) = told[3:]
    assert taken[:3] == ("master node", "passive", "active")
    assert taken[3:] in TAKEOVERS
    evidence = found[3]["value"]["evidence"]
    assert evidence["evidence"] in ("refused", "silence")
    assert 0 <= evidence["silent_s"] < 5


def test_orders_about_replication_are_told(pair: PairProcesses) -> None:
    found = [
        (e["origin"], e["actor"], e["reason"], e["value"]["enabled"])
        for e in events_of(pair, pair.master)
        if e["kind"] == "replication-changed"
    ]
    assert ("standby", "jane", "an update", False) in found
    assert ("standby", "jane", "", True) in found
    assert ("master", "standby node", "set at the peer", False) in found


def test_filters_and_the_limit(pair: PairProcesses) -> None:
    everything = events_of(pair, pair.master)
    by_jane = events_of(pair, pair.master, "--actor", "jane")
    assert by_jane == [e for e in everything if e["actor"] == "jane"]
    assert len(by_jane) == 4
    own = events_of(pair, pair.master, "--origin", "standby", "--actor", "jane")
    assert own == [e for e in by_jane if e["origin"] == "standby"]
    users = events_of(pair, pair.master, "--prefix", "users/")
    assert [e["kind"] for e in users] == ["entry-put", "entry-put", "entry-deleted"]
    middle = users[1]["time"]
    assert events_of(pair, pair.master, "--key", KEY, "--since", middle) == users[1:]
    assert events_of(pair, pair.master, "--key", KEY, "--until", middle) == users[:1]
    few = done(pair, pair.master, "--json", "history", "--limit", 3)
    assert few.records == everything[:3]
    assert "only the first 3 events" in few.err


def test_people_get_a_line_for_each_event(pair: PairProcesses) -> None:
    run = done(pair, pair.master, "history")
    titles, *lines = [line.split("\t") for line in run.out.splitlines()]
    rows = [dict(zip(titles, line, strict=True)) for line in lines]
    assert len(rows) == len(events_of(pair, pair.master))
    (left,) = [row for row in rows if row["kind"] == "entry-deleted"]
    assert (left["key"], left["actor"], left["reason"]) == (KEY, "jane", "left")
    takeovers = {f"passive -> active, rule {rule}": why for rule, why in TAKEOVERS}
    (taken,) = [row for row in rows if row["to"] in takeovers]
    assert (taken["actor"], taken["reason"]) == (
        "master node",
        takeovers[taken["to"]],
    )


@pytest.mark.parametrize("form", ["--json", "--csv", "--cloudevents", "--limit=0"])
def test_both_nodes_and_both_redis_give_the_same_lines(
    pair: PairProcesses, tmp_path: Path, form: str
) -> None:
    given = {run_admin(pair, n, "history", form).out for n in pair.nodes.values()}
    for role, server in pair.redis.items():
        file = tmp_path / f"{role}.password"
        file.write_text(server.password)
        file.chmod(0o600)
        redis = ("--redis", f"redis://127.0.0.1:{server.port}/0", "--pair", PAIR_NAME)
        password = ("--redis-password-file", file)
        given.add(done(pair, pair.master, "history", form, *redis, *password).out)
    (told,) = given
    assert told.count("\n") > 10


def test_it_says_from_what_to_what(pair: PairProcesses) -> None:
    told = [
        (e["before"] and e["before"]["value"], e["value"], e["overridden_by"])
        for e in events_of(pair, pair.master, "--key", KEY)
    ]
    first, second = {"extension": "101"}, {"extension": "102"}
    assert told == [(None, first, None), (first, second, None), (second, None, None)]


def test_a_terminal_sees_a_bar_that_goes_and_a_pipe_none_of_it(
    pair: PairProcesses, tmp_path: Path
) -> None:
    """Results go to a file, so nothing stands between them and the bar."""
    command = (sys.executable, "-m", "admin", "history", "--csv")
    environment = {
        **os.environ,
        "NETPHONE_NODE": pair.master.url,
        "NETPHONE_TOKEN": pair.read_token,
        "TERM": "xterm",
    }
    ours, theirs = pty.openpty()
    with (tmp_path / "history.csv").open("wb") as file, os.fdopen(ours, "rb") as seen:
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=theirs,
        )
        os.close(theirs)
        told = b""
        with contextlib.suppress(OSError):  # The other end is closed at the end.
            while part := seen.read1():
                told += part
        assert process.wait(30) == 0
    assert b"history" in told
    assert told.endswith(b"\x1b[2K")
    piped = subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
    )
    assert (piped.returncode, piped.stderr) == (0, b"")
    assert piped.stdout == (tmp_path / "history.csv").read_bytes()


def test_a_reader_that_has_seen_enough_ends_it(pair: PairProcesses) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as closed:
        process = subprocess.run(
            [sys.executable, "-m", "admin", "history", "--csv"],
            env={
                **os.environ,
                "NETPHONE_NODE": pair.master.url,
                "NETPHONE_TOKEN": pair.read_token,
            },
            stdin=subprocess.DEVNULL,
            stdout=closed,
            stderr=subprocess.PIPE,
            timeout=60,
        )
    assert (process.returncode, process.stderr) == (0, b"")


def test_a_switch_with_the_longest_reason_is_still_recorded(
    pair: PairProcesses,
) -> None:
    before = len(events_of(pair, pair.master, "--origin", "master"))
    too_long = "x" * (SWITCH_REASON_BYTES_MAX + 1)
    refused = run_admin(pair, pair.master, *JANE, "switch", "--reason", too_long)
    assert (refused.exit_code, refused.out) == (2, ""), refused.err
    reason = "x" * SWITCH_REASON_BYTES_MAX
    done(pair, pair.master, *JANE, "switch", "--reason", reason)
    pair.wait_until_settled()

    pair.wait_until_equal()
    events = events_of(pair, pair.standby, "--origin", "master")[before:]
    (change,) = [event for event in events if event["kind"] == "state-changed"]
    assert change["reason"].startswith("planned switch: xxx")
    assert change["reason"].endswith("(ordered by jane)")
    assert "cannot be stored" not in pair.master.log() + pair.standby.log()


def test_an_unknown_origin_and_a_wrong_time_are_refused(pair: PairProcesses) -> None:
    wrong_time = run_admin(pair, pair.master, "history", "--since", "yesterday")
    assert (wrong_time.exit_code, wrong_time.out) == (2, "")
    assert "yesterday" in wrong_time.err
    nobody = run_admin(pair, pair.master, "history", "--origin", "nobody")
    assert nobody.exit_code in (2, 3)
    assert len(nobody.err.splitlines()) == 1
