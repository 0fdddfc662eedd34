"""`switch`: now, when idle, cancelled, refused, rolled back, and the node lost."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.support.admin_runner import run_admin
from tests.support.fake_node import FakeNode, refusal, waiting

IDLE = ("switch", "--when", "idle")


def _interrupted_after(count: int) -> Any:
    left = [None] * count

    def sleep(_: float) -> None:
        if not left:
            raise KeyboardInterrupt
        left.pop()

    return sleep


def _ordered(node: FakeNode) -> Any:
    return json.loads(node.sent("POST", "/switch")[0].content)


def test_now_is_done_and_says_who_is_active() -> None:
    node = FakeNode()
    run = run_admin(node, "switch", "--reason", "new fan")
    assert (run.exit_code, run.err) == (0, "")
    assert run.out == "done: done as ordered; the standby is active\n"
    assert _ordered(node) == {
        "when": "now",
        "dry_run": False,
        "reason": "new fan",
        "wait_s": 3600.0,
    }
    assert run_admin(node, "switch", "--json").records[0]["outcome"] == "done"


def test_a_dry_run_switches_nothing() -> None:
    node = FakeNode()
    run = run_admin(node, *IDLE, "--dry-run")
    assert (run.exit_code, run.out) == (0, "ready: ready as ordered\n")
    assert _ordered(node)["dry_run"] is True
    assert len(node.requests) == 1


@pytest.mark.parametrize(
    ("answer", "exit_code"),
    [
        (refusal(409, "not-master", "ask the master"), 3),
        (refusal(409, "refused", "refused", ["peer lost"]), 3),
        (refusal(504, "rolled-back", "all as before"), 5),
        (refusal(504, "switch-failed", "the standby is active by S6"), 5),
    ],
)
@pytest.mark.parametrize("arguments", [("switch",), IDLE])
def test_a_switch_that_is_not_done_says_why(
    answer: httpx.Response, exit_code: int, arguments: tuple[str, ...]
) -> None:
    node = FakeNode()
    node.switch_answer = httpx.Response(answer.status_code, content=answer.content)
    run = run_admin(node, *arguments)
    assert run.exit_code == exit_code
    assert json.loads(answer.content)["error"] in run.err
    assert run.out == ""


def test_idle_tells_how_many_calls_it_waits_for_each_time_that_changes() -> None:
    node = FakeNode()
    node.switch_progress += [waiting(2), waiting(2), waiting(1), waiting(0)]
    node.switch_progress.append(waiting(0, outcome="done", text="the standby serves"))
    run = run_admin(node, *IDLE, "--wait-s", "60")
    assert run.exit_code == 0
    assert run.err.splitlines() == [
        "waiting for 2 calls to end (Ctrl-C cancels)",
        "waiting for 1 call to end (Ctrl-C cancels)",
        "switching: waiting (Ctrl-C cancels)",
    ]
    assert run.out == "done: the standby serves\n"
    assert _ordered(node)["wait_s"] == 60.0


def test_idle_with_json_names_the_active_node() -> None:
    node = FakeNode()
    node.status["state"] = "passive"
    node.status["peer"]["state"] = "active"
    node.switch_progress.append(waiting(0, outcome="done", text="ok"))
    assert run_admin(node, *IDLE, "--json").records == [
        {"outcome": "done", "id": "switch-1", "text": "ok", "active": "standby"}
    ]


@pytest.mark.parametrize(
    ("outcome", "exit_code"),
    [
        ("cancelled", 3),
        ("refused", 3),
        ("rolled-back", 5),
        ("switch-failed", 5),
        ("?", 4),
    ],
)
def test_idle_that_ends_otherwise_has_its_exit_code(
    outcome: str, exit_code: int
) -> None:
    node = FakeNode()
    node.switch_progress += [waiting(1), waiting(1, outcome=outcome, text="because")]
    run = run_admin(node, *IDLE)
    assert run.exit_code == exit_code
    assert "because" in run.err


def test_ctrl_c_cancels_the_waiting_switch_at_the_node() -> None:
    node = FakeNode()
    node.switch_progress.append(waiting(3))
    run = run_admin(node, *IDLE, sleep=_interrupted_after(2))
    assert run.exit_code == 3
    assert "cancelled the waiting switch switch-1" in run.err
    assert len(node.sent("DELETE", "/switch")) == 1


def test_ctrl_c_too_late_follows_the_switch_to_its_end() -> None:
    node = FakeNode()
    node.switch_progress += [waiting(0), waiting(0, outcome="done", text="over")]
    node.cancel_answer = refusal(409, "refused", "no switch waits")
    run = run_admin(node, *IDLE, sleep=_interrupted_after(0))
    assert (run.exit_code, run.out) == (0, "done: over\n")
    assert "too late to cancel: no switch waits" in run.err


def test_ctrl_c_with_the_node_lost_says_that_the_switch_may_still_wait() -> None:
    node = FakeNode()
    node.switch_progress.append(waiting(3))
    node.answers += [None, None, httpx.ConnectError("refused")]
    run = run_admin(node, *IDLE, sleep=_interrupted_after(0))
    assert run.exit_code == 4
    assert "may still wait" in run.err


def test_a_node_lost_for_a_moment_is_asked_again() -> None:
    node = FakeNode()
    node.answers += [None, httpx.ConnectError("refused"), httpx.ReadTimeout("")]
    node.switch_progress.append(waiting(0, outcome="done", text="over"))
    run = run_admin(node, *IDLE)
    assert run.exit_code == 0
    assert run.err == "the node does not answer; still trying (Ctrl-C cancels)\n"


def test_a_node_lost_for_long_is_given_up() -> None:
    node = FakeNode()
    node.answers += [None, *[httpx.ConnectError("refused")] * 40]
    run = run_admin(node, *IDLE)
    assert run.exit_code == 4
    assert "how the switch ended is unknown" in run.err
    assert len(node.requests) == 31


def test_only_losses_in_a_row_count() -> None:
    node = FakeNode()
    lost = [httpx.ConnectError("refused")] * 29
    node.answers += [None, *lost, None, *lost]
    node.switch_progress += [waiting(1), waiting(0, outcome="done", text="over")]
    assert run_admin(node, *IDLE).exit_code == 0


@pytest.mark.parametrize("progress", [None, {**waiting(1), "id": "switch-2"}])
def test_a_switch_that_the_node_no_longer_knows_is_not_waited_for(
    progress: Any,
) -> None:
    node = FakeNode()
    node.switch_progress += [waiting(1), progress]
    run = run_admin(node, *IDLE)
    assert run.exit_code == 3
    assert "no longer knows the switch" in run.err


def test_ctrl_c_before_the_order_was_answered_tells_no_tale_of_an_older_switch() -> (
    None
):
    node = FakeNode()
    node.switch_progress.append(waiting(0, outcome="done", text="last week"))
    node.cancel_answer = refusal(409, "refused", "no switch waits")
    node.answers.append(KeyboardInterrupt())
    run = run_admin(node, *IDLE)
    assert run.exit_code == 3
    assert "interrupted: no switch waits; see status" in run.err
    assert "last week" not in run.err + run.out


def test_an_order_for_idle_may_be_done_at_once() -> None:
    node = FakeNode()
    report = {"outcome": "done", "id": "s", "text": "ok", "active": "standby"}
    node.switch_answer = httpx.Response(200, json=report)
    run = run_admin(node, *IDLE)
    assert (run.exit_code, run.out) == (0, "done: ok; the standby is active\n")


def test_an_outcome_of_another_version_is_not_taken_for_done() -> None:
    node = FakeNode()
    node.switch_answer = httpx.Response(200, json={"outcome": "maybe", "id": "s"})
    run = run_admin(node, "switch")
    assert run.exit_code == 4
    assert "'maybe'" in run.err
