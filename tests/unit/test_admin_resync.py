"""`replication resync`: shows what would leave, and lets nothing go without being told."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.support.admin_runner import run_admin
from tests.support.fake_node import FakeNode, refusal

RESYNC = ("replication", "resync")


def orders(node: FakeNode) -> list[Any]:
    return [json.loads(r.content) for r in node.sent("POST", "/replication/resync")]


def test_a_node_that_hangs_gets_no_order_that_is_waited_for_for_hours() -> None:
    node = FakeNode()
    node.answers.append(httpx.ReadTimeout(""))
    run = run_admin(node, *RESYNC, "--dry-run", "--timeout-s", "2")
    assert (run.exit_code, run.out) == (4, "")
    assert "did not answer within 2 s" in run.err
    assert orders(node) == []


def test_it_shows_first_and_then_does_it() -> None:
    node = FakeNode({"users/a": 1, "users/b": 2})
    run = run_admin(node, *RESYNC, "--reason", "update")
    assert (run.exit_code, run.err) == (0, "")
    assert run.out.splitlines() == [
        "ready: ready as ordered",
        "only the standby has 2, the first are",
        "time\tid\tkind\tkey\tactor",
        "2026-01-01T00:00:00.000000Z\t1767225600000-1\tentry-put\tusers/a\tsetup",
        "entries that change: 2",
        "  users/a",
        "  users/b",
        "done: done as ordered",
    ]
    assert orders(node) == [
        {"discard": False, "dry_run": True},
        {"discard": False, "dry_run": False},
    ]
    assert {
        r.headers["X-Reason"] for r in node.sent("POST", "/replication/resync")
    } == {"update"}


def test_a_dry_run_only_shows() -> None:
    node = FakeNode()
    run = run_admin(node, *RESYNC, "--discard", "--dry-run")
    assert (run.exit_code, run.out) == (0, "ready: ready as ordered\n")
    assert orders(node) == [{"discard": True, "dry_run": True}]


def test_changes_leave_only_if_it_is_said_twice() -> None:
    node = FakeNode({"users/a": 1})
    run = run_admin(node, *RESYNC, "--discard")
    assert run.exit_code == 3
    assert "1 changes that only the standby has would leave; give --yes" in run.err
    assert orders(node) == [{"discard": True, "dry_run": True}]
    assert run_admin(node, *RESYNC, "--discard", "--yes").exit_code == 0
    assert orders(node)[-1] == {"discard": True, "dry_run": False}
    # Nothing leaves: nobody needs to be asked.
    assert run_admin(FakeNode(), *RESYNC, "--discard").exit_code == 0


def test_programs_get_one_object() -> None:
    node = FakeNode({"users/a": 1})
    (record,) = run_admin(node, *RESYNC, "--json").records
    assert record["outcome"] == "done"
    (record,) = run_admin(node, *RESYNC, "--json", "--dry-run").records
    assert record["outcome"] == "ready"


@pytest.mark.parametrize(
    ("answer", "exit_code"),
    [
        (refusal(409, "refused", "refused", ["replication is on", "active"]), 3),
        (refusal(503, "store-unavailable", "the peer's Redis is away"), 3),
        (refusal(504, "rolled-back", "nothing was changed"), 5),
        (refusal(403, "not-authorised", "this token may only read"), 6),
    ],
    ids=["refused", "unavailable", "timed out", "not authorised"],
)
def test_failures_have_their_exit_code_and_every_reason(
    answer: Any, exit_code: int
) -> None:
    node = FakeNode()
    node.answers.append(answer)
    run = run_admin(node, *RESYNC)
    assert run.exit_code == exit_code
    for reason in json.loads(answer.content).get("reasons", []):
        assert reason in run.err
    node.answers.extend([None, answer])
    assert run_admin(node, *RESYNC).exit_code == exit_code


def test_a_terminal_sees_no_control_characters_of_others() -> None:
    node = FakeNode({"users/\x1b[2J": 1})
    run = run_admin(node, *RESYNC, terminal=True)
    assert run.exit_code == 0
    assert "\x1b[2J" not in run.out


def test_a_history_of_archived_events_names_the_archive() -> None:
    node = FakeNode({"users/a": 1})
    node.events[0]["archived"] = "standby-resync-5-1"
    run = run_admin(node, "history", "--archived")
    assert run.out.splitlines()[0].endswith("\tarchive")
    assert run.out.splitlines()[1].endswith("\tstandby-resync-5-1")
    (request,) = node.requests
    assert request.url.params["archived"] == "true"
    assert "archive" not in run_admin(node, "history").out.splitlines()[0]


def test_ctrl_c_says_that_the_node_goes_on() -> None:
    node = FakeNode()
    node.answers.extend([None, None, KeyboardInterrupt()])
    run = run_admin(node, *RESYNC)
    assert run.exit_code == 130
    assert "the node goes on; `replication status` shows how far it is" in run.err
