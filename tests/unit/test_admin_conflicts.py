"""`conflicts` and `conflicts restore`: what lost, and how it is put back."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.support.admin_runner import run_admin
from tests.support.fake_node import READ_TOKEN, FakeNode, refusal

TITLES = "id time key actor reason wanted why+it+lost overridden+by settled+by"
JANE = {"id": "9-1", "origin": "master", "kind": "entry-put", "actor": "jane"}
JANE |= {"reason": "", "time": "2026-01-01T00:00:01Z"}
JOE = {**JANE, "id": "12-2", "actor": "joe", "time": "2026-01-01T00:00:09Z"}
WHY = "concurrent with the master's change"


def lost(event_id: str, key: str, value: Any, **more: Any) -> dict[str, Any]:
    return {
        "id": event_id,
        "origin": "standby",
        "kind": "entry-put",
        "actor": "bob",
        "reason": "new phone",
        "time": "2026-01-01T00:00:00Z",
        "key": key,
        "value": value,
        "why": WHY,
        "winner": JANE,
        "settled_by": None,
        **more,
    }


@pytest.fixture
def node() -> FakeNode:
    node = FakeNode({"users/a": 1})
    node.conflicts = [
        lost("8-1", "users/a", {"extension": "101"}),
        lost("8-2", "users/b", None, kind="entry-deleted", settled_by=JOE),
        lost("8-3", "scripts/c", None, kind="entry-deleted"),
    ]
    return node


@pytest.mark.parametrize("columns", [40, 80, 150, 400])
def test_an_id_is_never_broken_on_a_terminal(
    node: FakeNode, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    node.conflicts = [lost("1795601526994-60029", "users/a", 1)]
    out = run_admin(node, "conflicts", terminal=True).out
    assert "1795601526994-60029" in out
    assert "2026-01-01T00:00:00Z" in out
    drawn_as_table = "60029" not in out.splitlines()[0]
    assert drawn_as_table is (columns > 80)


def test_open_conflicts_tell_who_when_and_why(node: FakeNode) -> None:
    run = run_admin(node, "conflicts", token=READ_TOKEN)
    assert (run.exit_code, run.err) == (0, "")
    titles, first, second = (line.split("\t") for line in run.out.splitlines())
    assert titles == [title.replace("+", " ") for title in TITLES.split()]
    assert first == [
        "8-1",
        "2026-01-01T00:00:00Z",
        "users/a",
        "bob",
        "new phone",
        '{"extension": "101"}',
        WHY,
        "9-1 by jane at 2026-01-01T00:00:01Z",
        "open",
    ]
    assert second[0] == "8-3"
    assert second[5] == "deleted"


def test_all_tells_settled_ones_too_and_what_settled_them(node: FakeNode) -> None:
    run = run_admin(node, "conflicts", "--all")
    settled = run.out.splitlines()[2].split("\t")
    assert settled[0] == "8-2"
    assert settled[-1] == "12-2 by joe at 2026-01-01T00:00:09Z"
    assert run_admin(node, "conflicts", "--all", "--json").records == node.conflicts


def test_they_are_filtered_and_come_in_pages(node: FakeNode) -> None:
    node.page_count_max = 1
    for options, ids in {
        (): ["8-1", "8-3"],
        ("--prefix", "users/"): ["8-1"],
        ("--key", "users/b", "--all"): ["8-2"],
    }.items():
        run = run_admin(node, "conflicts", *options, "--json")
        assert [record["id"] for record in run.records] == ids


def test_that_nothing_has_lost_is_said(node: FakeNode) -> None:
    node.conflicts.clear()
    run = run_admin(node, "conflicts")
    assert (run.exit_code, run.out, run.err) == (0, "", "no change has lost\n")
    run = run_admin(node, "conflicts", "--json")
    assert (run.exit_code, run.out, run.err) == (0, "", "")


def test_a_change_that_lost_is_restored_with_who_and_why(node: FakeNode) -> None:
    arguments = ("conflicts", "restore", "8-1", "--reason", "bob was right")
    run = run_admin(node, *arguments, "--actor", "ann")
    assert (run.exit_code, run.out) == (0, "restored 8-1 (id 1767225600000-2)\n")
    assert node.events[-1]["value"] == {"extension": "101"}
    assert node.events[-1]["actor"] == "ann"
    assert node.events[-1]["reason"] == "bob was right"
    run = run_admin(node, "conflicts", "restore", "8-1", "--json")
    assert run.records == [{"restored": "8-1", "id": "1767225600000-3"}]


@pytest.mark.parametrize(
    "arguments",
    [("conflicts", "restore", "8-1"), ("put", "a/b", "1"), ("delete", "users/a")],
    ids=str,
)
def test_what_a_node_answers_steers_no_terminal(
    node: FakeNode, arguments: tuple[str, ...]
) -> None:
    node.answers.append(httpx.Response(200, json={"id": "1\x1b[2J\x9b2J\n2"}))
    out = run_admin(node, *arguments).out
    assert out.endswith("(id 1\\u001b[2J\\u009b2J\\n2)\n")


def test_an_unknown_id_is_refused_in_one_line(node: FakeNode) -> None:
    run = run_admin(node, "conflicts", "restore", "5-5/../x")
    assert (run.exit_code, run.out) == (3, "")
    assert run.err == "error: no change 5-5/../x has lost\n"


def test_an_entry_that_was_changed_since_is_refused(node: FakeNode) -> None:
    text = "entry 'users/a' is not 9-1 any more: it is now 12-2"
    node.answers.append(refusal(409, "entry-changed", text))
    run = run_admin(node, "conflicts", "restore", "8-1")
    assert (run.exit_code, run.err) == (3, f"error: {text}\n")


def test_conflicts_on_a_terminal_pass_no_control_on(node: FakeNode) -> None:
    node.conflicts[0]["actor"] = "[red]\x1b[2J"
    out = run_admin(node, "conflicts", terminal=True).out
    assert "users/a" in out
    assert "\x1b[2J" not in out
