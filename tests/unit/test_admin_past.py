"""`replay`, `diff`, `blame` and `explain` of the command line, through a node in memory."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from eventstore import JsonValue
from node.http_api import Limits
from tests.support import fake_node, served_node
from tests.support.admin_runner import Run, run_admin
from tests.support.http_client import Api

BASE_MS = 1_767_225_600_000


class Bridge(fake_node.FakeNode):
    """The real HTTP interface of a node in memory, as the command line reaches it."""

    def __init__(self) -> None:
        super().__init__()
        self.served = served_node.FakeNode()
        self._api = Api(self.served, Limits())
        self.page_count = 10_000

    def handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        query = dict(request.url.params)
        if "limit" in query:
            query["limit"] = str(min(int(query["limit"]), self.page_count))
        reply = self._api(request.method, request.url.path, params=query)
        return httpx.Response(reply.status_code, content=reply.content)


@pytest.fixture
def node() -> Bridge:
    """Alice's calls are forwarded to a wrong number, on the standby, and then concurrently
    on the master.
    """
    node = Bridge()
    past = node.served.past
    past.master.put("users/alice", {"extension": "101"}, ms=BASE_MS)
    past.master.put("users/bob", {"digests": {"x": "secret"}}, ms=BASE_MS)
    past.standby.hear(past.master)
    wrong: JsonValue = {"extension": "101", "forward": "0666"}
    past.standby.put("users/alice", wrong, ms=BASE_MS + 2000)
    past.master.hear(past.standby)
    past.master.delete("users/bob", ms=BASE_MS + 3000)
    past.master.put("users/carol", 3, ms=BASE_MS + 3000)
    return node


def rows(run: Run) -> list[dict[str, str]]:
    assert run.exit_code == 0, run.err
    titles, *lines = (line.split("\t") for line in run.out.splitlines() if line)
    return [dict(zip(titles, line, strict=True)) for line in lines]


def test_replay_shows_what_was_and_who_had_made_it(node: Bridge) -> None:
    run = run_admin(node, "replay", "--until", "2026-01-01T00:00:00")
    assert run.err == f"as of master={BASE_MS}-2\n"
    alice, bob = rows(run)
    assert alice == {
        "key": "users/alice",
        "id": f"{BASE_MS}-1",
        "origin": "master",
        "actor": "jane",
        "time": "2026-01-01T00:00:00.000000Z",
        "reason": "",
        "value": '{"extension": "101"}',
    }
    assert bob["value"] == '{"digests": "…"}'
    (alice,) = rows(run_admin(node, "replay", "--key", "users/alice"))
    assert alice["origin"] == "standby"
    keys = [row["key"] for row in rows(run_admin(node, "replay", "--prefix", "u"))]
    assert keys == ["users/alice", "users/carol"]


def test_replay_as_json_is_what_import_takes_back(node: Bridge) -> None:
    then = run_admin(node, "replay", "--json", "--until", str(BASE_MS))
    assert then.records == [
        {"key": "users/alice", "value": {"extension": "101"}},
        {"key": "users/bob", "value": {"digests": {"x": "secret"}}},
    ]
    target = fake_node.FakeNode({"users/alice": 1, "users/new": 2})
    imported = run_admin(target, "import", "-", stdin=then.out.encode())
    assert imported.exit_code == 0, imported.err
    assert target.values() == {
        "users/alice": {"extension": "101"},
        "users/bob": {"digests": {"x": "secret"}},
        "users/new": 2,
    }


def test_the_point_that_is_told_is_taken_back(node: Bridge) -> None:
    run = run_admin(node, "replay", "--until", "2026-01-01T00:00:02Z")
    vector = run.err.removeprefix("as of ").strip()
    assert run_admin(node, "replay", "--until", vector) == run
    run = run_admin(node, "replay", "--until", "2025-01-01")
    assert (run.exit_code, run.err) == (
        0,
        "as of the beginning, before any event\n",
    )


@pytest.mark.parametrize("count", [1, 2])
def test_pages_come_one_after_the_other(node: Bridge, count: int) -> None:
    whole = run_admin(node, "replay", "--json")
    wanted = run_admin(node, "diff", "--from", str(BASE_MS), "--json")
    node.page_count = count
    assert run_admin(node, "replay", "--json") == whole
    assert run_admin(node, "diff", "--from", str(BASE_MS), "--json") == wanted
    assert len(wanted.records) == 3


def test_diff_shows_what_became_of_entries(node: Bridge) -> None:
    found = rows(run_admin(node, "diff", "--from", str(BASE_MS)))
    assert [(row["key"], row["change"]) for row in found] == [
        ("users/alice", "changed"),
        ("users/bob", "removed"),
        ("users/carol", "added"),
    ]
    assert found[0]["after"] == '{"extension": "101", "forward": "0666"}'
    assert (found[1]["after"], found[1]["id"]) == ("", f"{BASE_MS + 3000}-3")
    backwards = ("diff", "--from", "2026-01-02", "--to", str(BASE_MS))
    found = rows(run_admin(node, *backwards))
    assert [row["change"] for row in found] == ["changed", "added", "removed"]
    assert (found[2]["before"], found[2]["id"], found[2]["actor"]) == ("3", "", "")
    run = run_admin(node, "diff", "--from", "2026-01-02", "--key", "users/alice")
    assert (run.exit_code, run.out, run.err) == (0, "", "no entry differs\n")


def test_blame_shows_each_change_and_who_set_each_field(node: Bridge) -> None:
    run = run_admin(node, "blame", "users/alice")
    changes, fields = run.out.split("\n\n")
    titles, newest, oldest = (line.split("\t") for line in changes.splitlines())
    assert titles[5:] == ["from", "to", "outcome"]
    assert newest[2] == "standby"
    wrong = '{"extension": "101", "forward": "0666"}'
    assert newest[5:] == ['{"extension": "101"}', wrong, "stands"]
    assert oldest[5:] == ["", '{"extension": "101"}', ""]
    set_by = [line.split("\t")[:4] for line in fields.splitlines()[1:]]
    assert set_by == [
        ["extension", '"101"', f"{BASE_MS}-1", "master"],
        ["forward", '"0666"', f"{BASE_MS + 2000}-1", "standby"],
    ]
    (record,) = run_admin(node, "blame", "users/alice", "--json").records
    assert [c["id"] for c in record["changes"]] == [newest[1], oldest[1]]


def test_blame_of_few_says_that_there_are_more(node: Bridge) -> None:
    run = run_admin(node, "blame", "users/alice", "--limit", "1")
    assert run.exit_code == 0
    assert "only the newest 1 changes" in run.err
    run = run_admin(node, "blame", "users/alice", "--until", str(BASE_MS))
    assert (run.err, run.out.count("stands")) == ("", 1)


def test_blame_hides_digests_and_tells_a_delete(node: Bridge) -> None:
    run = run_admin(node, "blame", "users/bob")
    assert "secret" not in run.out
    assert [row["to"] for row in rows(run)] == ["deleted", '{"digests": "…"}']
    run = run_admin(node, "blame", "users/bob", "--until", str(BASE_MS))
    assert "secret" not in run.out
    run = run_admin(node, "blame", "users/nobody")
    assert (run.out, run.err) == ("", "no event ever changed 'users/nobody'\n")


def test_blame_of_a_licence_says_where_it_is_told(node: Bridge) -> None:
    run = run_admin(node, "blame", "licences/L-1")
    assert run.exit_code == 0
    assert "history --key licences/L-1" in run.err


def test_explain_gives_the_reason_and_the_rivals(node: Bridge) -> None:
    run = run_admin(node, "explain", "users/alice")
    why, titles, *lines = run.out.splitlines()
    assert why.startswith("users/alice: the standby's change ")
    assert f"had seen the master's newest, {BASE_MS}-1" in why
    assert [line.split("\t")[0] for line in lines] == ["replaced", "stands"]
    assert titles.split("\t")[-1] == "knew"
    assert lines[1].endswith(f"master={BASE_MS}-2,standby={BASE_MS + 2000}-1")
    node.served.past.standby.put("users/carol", 4, ms=BASE_MS + 9000)
    run = run_admin(node, "explain", "users/carol")
    assert "they are concurrent, and the master's stands" in run.out
    assert [line.split("\t")[0] for line in run.out.splitlines()[2:]] == [
        "stands",
        "overridden",
    ]
    (record,) = run_admin(node, "explain", "users/carol", "--json").records
    assert record["is_conflict"] is True
    run = run_admin(node, "explain", "users/nobody")
    assert run.out == "users/nobody: no event ever changed 'users/nobody'\n"


COMMANDS: list[list[str]] = [
    ["replay", "--until"],
    ["diff", "--from"],
    ["blame", "users/alice", "--until"],
    ["explain", "users/alice", "--until"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: c[0])
@pytest.mark.parametrize("point", ["yesterday", "", "master=", "a=1-1,a=1-1"])
def test_what_names_no_point_is_a_usage_problem(
    node: Bridge, command: list[str], point: str
) -> None:
    run = run_admin(node, *command, point)
    assert (run.exit_code, run.out, node.requests) == (2, "", [])
    assert len(run.err.splitlines()) == 1


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: c[0])
def test_a_point_that_no_node_had_is_refused(node: Bridge, command: list[str]) -> None:
    run = run_admin(node, *command, "master=9-9")
    assert (run.exit_code, run.out) == (3, "")
    assert run.err == "error: there is no event 9-9 in stream 'master'\n"


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: c[0])
def test_offline_options_that_do_not_fit_are_refused(
    node: Bridge, command: list[str]
) -> None:
    for more in (
        ["--redis", "redis://127.0.0.1:1/0"],
        ["--pair", "office"],
        ["--redis", "redis://127.0.0.1:1/0", "--pair", "x", "--node", "http://a:1"],
    ):
        run = run_admin(node, *command, "2026-01-01", *more)
        assert (run.exit_code, run.out, node.requests) == (2, "", [])


def test_a_terminal_sees_progress_and_no_control_characters(node: Bridge) -> None:
    node.served.past.master.put("users/z", "\x1b[2J", ms=BASE_MS)
    run = run_admin(node, "replay", terminal=True)
    assert "reading events" in run.err
    assert "\x1b[2J" not in run.out
    assert "users/z" in run.out


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: c[0])
def test_an_older_node_is_named_as_such(command: list[str]) -> None:
    run = run_admin(fake_node.FakeNode(), *command, "2026-01-01")
    assert run.exit_code == 4
    assert "no such path" in run.err


def test_times_are_sent_as_a_node_takes_them(node: Bridge) -> None:
    sent: list[Any] = []
    texts = ["2026-01-31T10:00+01:00", "2026-01-31", "1767225600000", "master=0-0"]
    for text in texts:
        run_admin(node, "replay", "--until", text)
        sent.append(node.requests[-1].url.params["until"])
    assert sent == texts
