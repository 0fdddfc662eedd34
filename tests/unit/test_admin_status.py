"""`status`, `watch` and `replication`: what is wrong must catch the eye."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.support.admin_runner import run_admin
from tests.support.fake_node import READ_TOKEN, FakeNode, refusal, waiting


def _change(node: FakeNode, path: str, value: Any) -> None:
    *folders, name = path.split(".")
    place = node.status
    for folder in folders:
        place = place[folder]
    place[name] = value


def test_status_says_who_serves_since_when_and_why() -> None:
    run = run_admin(FakeNode({"a/b": 1}), "status", token=READ_TOKEN)
    assert run.exit_code == 0
    assert run.out.splitlines() == [
        "pair          office",
        "node          master, active since 2026-01-01T00:00:00Z (peer lost)",
        "peer          standby, passive, heard 0.4 s ago",
        "replication   on, connected, 0 events behind, 0 conflicts",
        "ready         yes",
        "redis health  ok",
        "durability    appendonly yes, appendfsync everysec",
        "calls         0",
        "entries       1",
        "realm         office",
        "version       0.1.0",
    ]


@pytest.mark.parametrize(
    ("path", "value", "line"),
    [
        ("peer.connected", False, "peer          ! not connected, heard 0.4 s ago"),
        ("peer.problem", "wrong secret", "peer          ! wrong secret"),
        ("peer.hears_us", False, "but it does not hear this node"),
        ("replication.enabled", False, "replication   ! off"),
        ("replication.connected", False, "! on, not connected"),
        ("replication.problem", "forked", "0 conflicts: forked"),
        ("replication.lag_events", None, "lag unknown"),
        ("replication.lag_s", 2.5, "0 events behind (2.5 s)"),
        ("ready", False, "ready         ! no"),
        ("health", {"redis": "ok", "sip": "port taken"}, "sip health    ! port taken"),
        ("durability.appendonly", False, "! Redis keeps no append-only file"),
        ("callbacks.failed", 2, "callbacks     ! 2 failed"),
        (
            "switch",
            {"id": "s", "outcome": "done", "text": "ok"},
            "switch        done: ok",
        ),
        ("switch", waiting(3), "switch        waiting for 3 calls to end"),
        ("switch", waiting(0), "switch        waiting"),
        ("peer.state", None, "standby, state unknown, heard 0.4 s ago"),
        ("peer.heard_ago_s", None, "peer          standby, passive\n"),
        ("durability.appendonly", None, "durability    not known"),
        ("reason", "a\x1b[2Jb", "(a\\u001b[2Jb)"),
    ],
)
def test_status_marks_what_needs_attention(path: str, value: Any, line: str) -> None:
    node = FakeNode()
    _change(node, path, value)
    assert line in run_admin(node, "status").out


@pytest.mark.parametrize(
    ("entries", "connected", "state", "marked"),
    [
        ({}, False, "active", True),
        ({"a/b": 1}, False, "active", False),
        ({}, True, "active", False),
        ({}, False, "passive", False),
    ],
)
def test_a_node_that_serves_alone_with_nothing_says_so(
    entries: dict[str, Any], connected: bool, state: str, marked: bool
) -> None:
    node = FakeNode(entries)
    _change(node, "peer.connected", connected)
    _change(node, "state", state)
    line = "entries       ! 0: this node serves without any entry"
    assert (line in run_admin(node, "status").out) is marked


@pytest.mark.parametrize(
    "path", ["realm", "durability", "callbacks", "switch", "ready", "calls", "reason"]
)
def test_status_of_an_older_node_is_shown(path: str) -> None:
    node = FakeNode()
    del node.status[path]
    assert run_admin(node, "status").exit_code == 0


@pytest.mark.parametrize(
    ("path", "value"),
    [
        *(("role", None), ("peer.connected", 1), ("replication", []), ("version", 1)),
        *(("calls", True), ("calls", -1), ("peer.heard_ago_s", "x")),
        ("health", {"r": 1}),
    ],
)
def test_a_status_of_the_wrong_shape_is_no_crash(path: str, value: Any) -> None:
    node = FakeNode()
    _change(node, path, value)
    run = run_admin(node, "status")
    assert run.exit_code == 4
    assert repr(path.rpartition(".")[2]) in run.err or "'r'" in run.err


def test_json_is_the_answer_as_it_came() -> None:
    node = FakeNode()
    node.status["later"] = {"x": [1, 1.0, None]}
    assert run_admin(node, "status", "--json").records == [node.status]


def _then(*steps: Callable[[], None]) -> Callable[[float], None]:
    """Sleeps that do one step each; after the last, somebody presses Ctrl-C."""
    left = list(steps)

    def sleep(seconds: float) -> None:
        assert seconds == 1.0
        if not left:
            raise KeyboardInterrupt
        left.pop(0)()

    return sleep


def test_watch_writes_a_line_per_change_and_goes_on_when_the_node_is_gone() -> None:
    node = FakeNode()
    run = run_admin(
        node,
        "watch",
        sleep=_then(
            lambda: None,
            lambda: node.answers.append(httpx.ConnectError("refused")),
            lambda: node.answers.append(httpx.ReadTimeout("")),
            lambda: node.answers.append(httpx.Response(502, text="<html>")),
            lambda: node.answers.append(refusal(503, "starting", "not yet")),
            lambda: _change(node, "state", "passive"),
        ),
    )
    assert (run.exit_code, run.err) == (0, "")
    starts = [line.split(" since")[0][:20] for line in run.out.splitlines()]
    assert starts == ["master active", "unreachable: http://", "master passive"]


def test_watch_with_json_writes_records() -> None:
    node = FakeNode()
    lost = httpx.ConnectError("refused")
    run = run_admin(
        node, "watch", "--json", sleep=_then(lambda: node.answers.append(lost))
    )
    seen, gone = run.records
    assert seen == {"reachable": True, "status": node.status}
    assert gone["reachable"] is False
    assert "refused" in gone["error"]


def test_watch_on_a_terminal_shows_each_look() -> None:
    node = FakeNode()
    run = run_admin(
        node,
        "watch",
        terminal=True,
        sleep=_then(
            lambda: node.answers.append(httpx.ConnectError("refused")),
            lambda: _change(node, "calls", 7),
        ),
    )
    assert run.exit_code == 0
    assert "unreachable" in run.out
    assert "calls         7" in run.out


def test_watch_ends_when_the_token_is_wrong() -> None:
    assert run_admin(FakeNode(), "watch", token="wrong").exit_code == 6


def test_replication_is_shown_and_switched() -> None:
    node = FakeNode()
    shown = run_admin(node, "replication", "status")
    assert shown.out.splitlines() == [
        "replication   on",
        "connected     yes",
        "behind        0 events, 0.0 s",
        "conflicts     0",
    ]
    off = run_admin(node, "replication", "off", "--reason", "update")
    assert off.out.startswith("replication   off")
    assert node.status["replication"]["enabled"] is False
    assert node.requests[-1].headers["X-Reason"] == "update"
    on = run_admin(node, "--json", "replication", "on")
    assert on.records == [node.status["replication"]]
    assert on.records[0]["enabled"] is True


def test_the_read_token_cannot_switch_replication() -> None:
    run = run_admin(FakeNode(), "replication", "off", token=READ_TOKEN)
    assert run.exit_code == 6
    assert "use the token that may change" in run.err


@pytest.mark.parametrize(
    ("path", "value", "part"),
    [
        ("peer.problem", "wrong secret", "peer wrong secret;"),
        ("peer.connected", False, "peer not connected;"),
        ("peer.hears_us", False, "peer standby passive, does not hear this node;"),
        ("replication.enabled", False, "replication off;"),
        ("replication.connected", False, "replication on but not connected;"),
        ("replication.conflicts", 2, "replication on, 2 conflicts;"),
        ("replication.problem", "forked", "replication on, forked;"),
        (
            "replication.divergence",
            "a fork",
            "; the data of the nodes differ, see status;",
        ),
        ("health", {"sip": "port taken"}, "; sip: port taken"),
        ("switch", waiting(1), "; switch waiting for 1 call to end"),
        ("ready", False, "; ready no;"),
    ],
)
def test_watch_tells_every_change_that_matters(
    path: str, value: Any, part: str
) -> None:
    node = FakeNode()
    run = run_admin(node, "watch", sleep=_then(lambda: _change(node, path, value)))
    before, after = run.out.splitlines()
    assert part not in before + ";"
    assert part in after + ";"


def test_the_reason_why_replication_stands_still_is_shown() -> None:
    node = FakeNode()
    node.status["replication"].update(problem="forked", lag_events=None, lag_s=None)
    out = run_admin(node, "replication", "status").out
    assert out.splitlines()[2:] == [
        "behind        not known",
        "conflicts     0",
        "problem       forked",
    ]
