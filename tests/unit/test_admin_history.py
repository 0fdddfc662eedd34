"""`history` through a node: what changed from what to what, in every format."""

from __future__ import annotations

import csv
import io
import re
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from admin.cli.main import main
from admin.history_formats import CSV_COLUMNS
from tests.support.admin_runner import Terminal, run_admin
from tests.support.fake_node import READ_TOKEN, URL, FakeNode, refusal

KEY = "users/alice"
BEFORE, LOST, WON = "1767225600000-1", "1767225600001-1", "1767225600002-2"
DELETED = "1767225600004-4"
ATTRIBUTE_NAME = re.compile(r"[a-z0-9]{1,20}")


def event(event_id: str, **more: Any) -> dict[str, Any]:
    origin = more.get("origin", "master")
    return {
        "id": event_id,
        "origin": origin,
        "kind": "entry-put",
        "key": KEY,
        "value": None,
        "actor": "jane",
        "reason": "",
        **more,
        "vector": {**more.get("vector", {}), origin: event_id},
    }


@pytest.fixture
def node() -> FakeNode:
    """An entry that was changed on both sides of a cut."""
    node = FakeNode()
    knew = {"master": BEFORE}
    node.events = [
        event(BEFORE, value={"extension": "100"}, reason="hired"),
        event(LOST, origin="standby", vector=knew, value={"extension": "201"}),
        event(WON, value={"extension": "106"}, actor="john"),
        event(
            "1767225600003-3",
            kind="state-changed",
            key="",
            value={"from": "passive", "to": "active", "rule": "S4"},
        ),
    ]
    return node


@pytest.fixture
def settled(node: FakeNode) -> FakeNode:
    """The same, and the cut is over: who deletes the entry knows of both changes."""
    node.events.append(
        event(DELETED, kind="entry-deleted", vector={"standby": LOST}),
    )
    return node


def test_the_table_says_from_what_to_what_and_what_lost(node: FakeNode) -> None:
    titles, *rows = (
        line.split("\t") for line in run_admin(node, "history").out.splitlines()
    )
    assert titles[3:] == [
        "kind", "key", "actor", "reason", "from", "to", "overridden by",
    ]  # fmt: skip
    hundred = '{"extension": "100"}'
    assert [row[7:] for row in rows] == [
        ["", hundred, ""],
        [hundred, '{"extension": "201"}', f"master {WON}"],
        [hundred, '{"extension": "106"}', ""],
        ["", "passive -> active, rule S4", ""],
    ]


def test_what_settled_a_conflict_is_named(settled: FakeNode) -> None:
    rows = run_admin(settled, "history").out.splitlines()
    assert rows[2].endswith(f"\tmaster {WON}, settled by master {DELETED}")
    assert rows[5].endswith('\t{"extension": "106"}\t\t')
    records = run_admin(settled, "history", "--json").records
    (lost,) = [r for r in records if r["overridden_by"]]
    assert (lost["id"], lost["overridden_by"]) == (LOST, WON)
    assert lost["settled_by"] == {"origin": "master", "id": DELETED}


def test_json_gives_the_entry_before(node: FakeNode) -> None:
    records = run_admin(node, "history", "--json").records
    hundred = {"value": {"extension": "100"}, "id": BEFORE, "origin": "master"}
    assert [record["before"] for record in records[:4]] == [
        None, hundred, hundred, None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        (("--kind", "entry-deleted"), [5]),
        (("--kind", "entry-deleted", "--kind", "state-changed"), [4, 5]),
        (("--origin", "standby"), [2]),
        (("--actor", "john"), [3]),
        (("--prefix", "users/"), [1, 2, 3, 5]),
        (("--key", "users/"), []),
        (("--until", "2026-01-01"), []),
        (("--since", "2026-01-01"), [1, 2, 3, 4, 5]),
    ],
    ids=str,
)
def test_filters(settled: FakeNode, options: tuple[str, ...], ids: list[int]) -> None:
    run = run_admin(settled, "history", "--json", *options)
    found = [record["id"] for record in run.records]
    assert (found, run.err) == ([settled.events[n - 1]["id"] for n in ids], "")


def test_a_kind_that_is_not_known_is_looked_for_and_named(node: FakeNode) -> None:
    run = run_admin(node, "history", "--kind", "entry-putt", "--json")
    assert (run.exit_code, run.out) == (0, "")
    assert "knows no kind 'entry-putt', only entry-put, " in run.err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--csv", "--json"), "--json and --csv exclude each other"),
        (("--cloudevents", "--csv"), "--csv and --cloudevents exclude each other"),
        (("--origin", "peer"), "it is master or standby"),
        (("--pair", "office"), "go with --redis URL"),
        (("--redis", "redis://127.0.0.1:1"), "--redis needs --pair"),
    ],
    ids=str,
)
def test_wrong_usage_is_one_line(
    node: FakeNode, options: tuple[str, ...], words: str
) -> None:
    run = run_admin(node, "history", *options)
    assert (run.exit_code, run.out, node.requests) == (2, "", [])
    assert words in run.err
    assert run.err.count("\n") == 1


# CSV


def read_back(out: str) -> list[dict[str, str]]:
    titles, *rows = csv.reader(io.StringIO(out, newline=""), strict=True)
    assert tuple(titles) == CSV_COLUMNS
    return [dict(zip(titles, row, strict=True)) for row in rows]


def test_csv_reads_back(settled: FakeNode) -> None:
    settled.events[0]["reason"] = 'a "b", c'
    run = run_admin(settled, "history", "--csv")
    assert all(line.endswith("\r\n") for line in run.out.splitlines(keepends=True))
    first, lost, _, state, deleted = read_back(run.out)
    assert first == {
        "time": "2026-01-01T00:00:00.000000Z",
        "origin": "master",
        "id": BEFORE,
        "kind": "entry-put",
        "key": KEY,
        "from": "",
        "from_origin": "",
        "from_id": "",
        "to": '{"extension": "100"}',
        "actor": "jane",
        "reason": 'a "b", c',
        "overridden_by": "",
        "settled_by": "",
        "archive": "",
    }
    assert (lost["from"], lost["from_id"]) == ('{"extension": "100"}', BEFORE)
    assert (lost["overridden_by"], lost["settled_by"]) == (WON, f"master {DELETED}")
    assert state["to"].startswith('{"from": "passive"')
    assert (deleted["from"], deleted["to"]) == ('{"extension": "106"}', "")


def test_null_and_no_entry_are_told_apart_in_csv() -> None:
    node = FakeNode({KEY: None})
    run_admin(node, "delete", KEY)
    put, deleted = read_back(run_admin(node, "history", "--csv").out)
    assert (put["from"], put["to"]) == ("", "null")
    assert (deleted["from"], deleted["to"]) == ("null", "")


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "'", "\uff1d"])
def test_no_cell_is_a_formula(start: str) -> None:
    node = FakeNode({KEY: 1})
    text = start + 'cmd|" /C calc"!A0'
    node.events[0] |= {"actor": text, "reason": text, "value": -5}
    (row,) = read_back(run_admin(node, "history", "--csv").out)
    assert row["actor"] == row["reason"] == "'" + text
    assert row["to"] == "'-5"


def test_what_steers_a_terminal_or_ends_a_line_is_an_escape_in_csv() -> None:
    node = FakeNode({KEY: "\x1b[2J"})
    node.events[0]["actor"] = "a\r\nb\t\x1b[2J"
    out = run_admin(node, "history", "--csv").out
    assert out.count("\n") == 2
    (row,) = read_back(out)
    assert row["actor"] == "a\\r\\nb\\t\\u001b[2J"
    assert "\x1b" not in out


# CloudEvents


def cloud_events(node: FakeNode, *options: str) -> list[dict[str, Any]]:
    """The lines, each checked against CloudEvents 1.0 and its JSON format."""
    found = run_admin(node, "history", "--cloudevents", *options).records
    for cloud_event in found:
        attributes = {n: v for n, v in cloud_event.items() if n != "data"}
        assert {"specversion", "id", "source", "type"} <= attributes.keys()
        assert attributes["specversion"] == "1.0"
        for name, value in attributes.items():
            assert ATTRIBUTE_NAME.fullmatch(name)
            assert isinstance(value, str)
            assert value
            assert value.isprintable()
        source = urlsplit(attributes["source"])
        assert (source.scheme, source.netloc) == ("netphone", "office")
        assert attributes["datacontenttype"] == "application/json"
        assert datetime.fromisoformat(attributes["time"]).utcoffset() is not None
    names = [(e["source"], e["id"]) for e in found]
    assert len(set(names)) == len(names)
    return found


def test_a_change_as_a_cloud_event(settled: FakeNode) -> None:
    _, lost, won, state, _ = cloud_events(settled)
    data = lost.pop("data")
    assert lost == {
        "specversion": "1.0",
        "id": LOST,
        "source": "netphone://office/standby",
        "type": "com.netphone.standby.entry-put",
        "subject": KEY,
        "time": "2026-01-01T00:00:00.000000Z",
        "datacontenttype": "application/json",
        "actor": "jane",
        "overriddenby": WON,
        "settledby": f"master {DELETED}",
    }
    assert data.pop("digest")
    assert data == {
        "before": {"value": {"extension": "100"}, "id": BEFORE, "origin": "master"},
        "value": {"extension": "201"},
        "vector": {"master": BEFORE, "standby": LOST},
        "recovered": None,
    }
    assert won["source"] == "netphone://office/master"
    assert "subject" not in state
    assert state["type"] == "com.netphone.standby.state-changed"


def test_what_no_attribute_may_hold_is_replaced() -> None:
    node = FakeNode({KEY: 1})
    node.events[0] |= {"actor": "a\x00b\u0085\ufffe", "reason": "\n"}
    (found,) = cloud_events(node)
    assert (found["actor"], found["reason"]) == ("a\ufffdb\ufffd\ufffd", "\ufffd")


def test_an_archived_event_is_of_another_source_than_one_that_stands() -> None:
    node = FakeNode({KEY: 1})
    node.events[0]["archived"] = "standby-resync-5-1"
    (found,) = cloud_events(node, "--archived")
    place = "/archive/standby-resync-5-1"
    assert found["source"] == f"netphone://office/master{place}"


# Secrets, and what may go wrong.


@pytest.mark.parametrize("option", ["--csv", "--cloudevents", None])
def test_digests_are_hidden_but_not_that_they_changed(option: str | None) -> None:
    node = FakeNode({KEY: {"digests": {"md5": "c0ffee"}, "n": 1}})
    for digests in ({"md5": "c0ffee"}, {"md5": "decade"}):
        node.events.append(
            event(
                f"1767225600009-{len(node.events) + 1}",
                value={"digests": digests, "n": 2},
            )
        )
    out = run_admin(node, "history", *((option,) if option else ())).out
    assert "c0ffee" not in out
    assert "decade" not in out
    assert out.count("… (changed)") == 1
    assert "decade" in run_admin(node, "history", "--json").out


def test_a_damaged_event_ends_it_with_exit_code_7(node: FakeNode) -> None:
    page = {"events": [{"id": BEFORE, "stored": "AAAA"}], "next": None}
    node.answers += [None, None, httpx.Response(200, json=page)]
    node.answers += [httpx.Response(200, json=page)] * 3
    run = run_admin(node, "history", "--json")
    assert (run.exit_code, run.out) == (7, "")


@pytest.mark.parametrize(
    "events",
    [
        [{"id": "x", "stored": ""}],
        [{"id": BEFORE, "stored": "no base64!"}],
        [{"id": "0-0", "stored": ""}],
        [{"id": WON, "stored": ""}, {"id": BEFORE, "stored": ""}],
    ],
    ids=str,
)
def test_a_node_that_answers_with_no_events_is_none(
    node: FakeNode, events: list[dict[str, str]]
) -> None:
    page = httpx.Response(200, json={"events": events, "next": None})
    node.answers += [None, None, page, page]
    run = run_admin(node, "history", "--json")
    assert (run.exit_code, run.out) == (4, "")
    assert "GET /events" in run.err


@pytest.mark.parametrize("options", [(), ("--csv",)], ids=["table", "csv"])
def test_a_node_of_an_older_version_gives_a_clear_error_and_no_title(
    node: FakeNode, options: tuple[str, ...]
) -> None:
    node.answers.append(refusal(404, "no-such-path", "there is nothing at this path"))
    run = run_admin(node, "history", *options)
    assert (run.exit_code, run.out) == (4, "")
    assert "older version" in run.err
    assert "--redis" in run.err


def test_a_terminal_sees_the_bar_first_and_then_the_table(node: FakeNode) -> None:
    run = run_admin(node, "history", terminal=True)
    assert "history" in run.err
    assert run.err.endswith("\x1b[2K")
    assert "overridden by" in run.out


def test_ctrl_c_ends_it_in_one_line(node: FakeNode) -> None:
    node.answers += [None, None, None, None, KeyboardInterrupt()]
    run = run_admin(node, "history", "--json")
    assert run.exit_code == 130
    assert run.err.strip().splitlines() == ["interrupted"]


@pytest.mark.parametrize("limit", ["2", "0"])
def test_the_bar_is_gone_before_the_table_is_drawn(node: FakeNode, limit: str) -> None:
    both = Terminal()
    main(
        ["history", "--limit", limit],
        environ={"NETPHONE_NODE": URL, "NETPHONE_TOKEN": READ_TOKEN},
        stdout=both,
        stderr=both,
        transport=node.transport,
    )
    bar, table = both.getvalue().split("overridden by")
    assert "\x1b[2K" in bar
    assert "\x1b[2K" not in table
