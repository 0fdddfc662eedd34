"""`pause` and `resume`, and what a status says of takeovers."""

from __future__ import annotations

import json

import httpx
import pytest

from tests.support.admin_runner import run_admin
from tests.support.fake_node import FakeNode


def test_pause_says_for_how_long_by_whom_and_why() -> None:
    node = FakeNode()
    run = run_admin(
        node, "--actor", "jane", "pause", "--for", "2h", "--reason", "rack 2"
    )
    assert run.exit_code == 0
    assert run.out == "automatic takeover: paused for 7200 s more, by jane: rack 2\n"
    assert run_admin(node, "resume").out == "automatic takeover: on\n"


def test_whoever_paused_it_steers_no_terminal() -> None:
    node = FakeNode()
    node.status["takeover"] |= {"paused": True, "pause": "by \x1b[2Jjane"}
    node.answers.append(httpx.Response(200, json=node.status["takeover"]))
    run = run_admin(node, "pause", "--for", "2h", "--reason", "r")
    assert run.out.endswith("more, by \\u001b[2Jjane\n")


def test_pause_needs_a_reason() -> None:
    run = run_admin(FakeNode(), "pause", "--for", "2h")
    assert run.exit_code == 2
    assert "--reason" in run.err


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1800), ("2h", 7200), ("7d", 604800)]
)
def test_times_are_written_with_their_unit(text: str, seconds: int) -> None:
    run = run_admin(FakeNode(), "--json", "pause", "--for", text, "--reason", "r")
    assert json.loads(run.out)["paused_for_s"] == seconds


@pytest.mark.parametrize("text", ["", "5", "0s", "8d", "1w", "-1h", "1.5h", "9" * 50])
def test_another_time_is_refused_and_the_limits_are_named(text: str) -> None:
    node = FakeNode()
    run = run_admin(node, "pause", f"--for={text}", "--reason", "r")
    assert run.exit_code == 2
    assert "not a time from 1s to 7d" in run.err
    assert node.status["takeover"]["paused"] is False


def test_a_status_shows_what_must_not_be_forgotten() -> None:
    node = FakeNode()
    node.status["takeover"] |= {
        "paused": True,
        "paused_for_s": 12.2,
        "pause": "by jane: rack 2",
        "held": "automatic takeover is paused: by jane: rack 2",
    }
    node.status |= {
        "hand_over_problem": "the peer is not connected",
        "both_active": {"count": 2, "last": {}},
    }
    lines = [
        line
        for line in run_admin(node, "status").out.splitlines()
        if "takeover" in line
    ]
    assert lines == [
        "takeover      ! paused for 12 s more, by jane: rack 2",
        "takeover      ! held: automatic takeover is paused: by jane: rack 2",
        "takeover      ! it cannot serve and goes on: the peer is not connected",
        "takeover      ! both nodes were active 2 times; see the history",
    ]


@pytest.mark.parametrize(
    ("last", "said"),
    [
        (None, "both nodes were active once; see the history"),
        (5, "both nodes were active once; see the history"),
        ({"losers": 5}, "both nodes were active once; see the history"),
        (
            {"losers": [], "more_losers": -1},
            "both nodes were active once; see the history",
        ),
        (
            {"losers": [], "more_losers": 0},
            "both nodes were active once; see the history",
        ),
        (
            {"losers": [{"key": "users/a"}], "more_losers": 4},
            "both nodes were active once; 5 changes lost the last time; see the history "
            "and `conflicts`",
        ),
    ],
)
def test_how_many_changes_lost_while_both_were_active_is_said(
    last: object, said: str
) -> None:
    node = FakeNode()
    node.status["both_active"] = {"count": 1, "last": last}
    assert f"takeover      ! {said}\n" in run_admin(node, "status").out


def test_a_status_of_a_node_that_knows_none_of_it_is_shown_too() -> None:
    node = FakeNode()
    for name in ("takeover", "both_active", "hand_over_problem"):
        del node.status[name]
    assert run_admin(node, "status").exit_code == 0
