"""`put`, `get`, `list`, `delete`, `export` and `history`."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from admin.importing.json_lines import parse_json_lines
from tests.support.admin_runner import run_admin
from tests.support.fake_node import READ_TOKEN, FakeNode

ENTRIES = {"users/a": {"n": "Zoë"}, "users/b": [1, 1.0, True, None], "x/y": "z"}


def test_put_get_and_delete_an_entry() -> None:
    node = FakeNode()
    put = run_admin(node, "put", "users/a", '{"x": "é"}', "--reason", "why not")
    assert (put.exit_code, put.out) == (0, "stored users/a (id 1767225600000-1)\n")
    assert node.events[0]["reason"] == "why not"
    get = run_admin(node, "get", "users/a", token=READ_TOKEN)
    assert get.out == '{\n  "x": "é"\n}\n'
    assert get.err == "id 1767225600000-1, origin master\n"
    delete = run_admin(node, "delete", "users/a")
    assert delete.out == "deleted users/a (id 1767225600000-2)\n"
    assert node.values() == {}
    assert run_admin(node, "get", "users/a").exit_code == 3
    assert run_admin(node, "delete", "users/a").exit_code == 3


def test_json_of_put_get_list_and_delete() -> None:
    node = FakeNode(ENTRIES)
    record = {"key": "x/y", "value": "z", "id": "1767225600000-3", "origin": "master"}
    assert run_admin(node, "get", "x/y", "--json").records == [record]
    assert run_admin(node, "list", "x/", "--json").records == [record]
    put = run_admin(node, "put", "x/y", "1", "--json")
    assert put.records == [{"key": "x/y", "id": "1767225600000-4"}]
    delete = run_admin(node, "delete", "x/y", "--json")
    assert delete.records == [{"key": "x/y", "id": "1767225600000-5"}]


@pytest.mark.parametrize("command", [("put", "x/y", "1"), ("delete", "x/y")])
def test_a_version_that_is_not_the_expected_one_is_refused(
    command: tuple[str, ...],
) -> None:
    node = FakeNode(ENTRIES)
    run = run_admin(node, *command, "--expected", "1-1")
    assert run.exit_code == 3
    assert "is not 1-1 any more" in run.err
    run = run_admin(node, *command, "--expected", "1767225600000-3")
    assert run.exit_code == 0


def test_a_value_comes_from_a_file_or_from_input(tmp_path: Path) -> None:
    node = FakeNode()
    file = tmp_path / "value.json"
    file.write_bytes(b'\xef\xbb\xbf{"a":\n 1}')
    assert run_admin(node, "put", "a/file", f"@{file}").exit_code == 0
    assert run_admin(node, "put", "a/input", "-", stdin=b"[2]").exit_code == 0
    assert run_admin(node, "put", "a/negative", "--", "-5").exit_code == 0
    assert run_admin(node, "put", "a/null", "null").exit_code == 0
    assert node.values() == {
        "a/file": {"a": 1},
        "a/input": [2],
        "a/negative": -5,
        "a/null": None,
    }


@pytest.mark.parametrize(
    ("value", "stdin", "words"),
    [
        (
            "text",
            b"",
            "VALUE is not JSON: Expecting value at character 1; a text needs",
        ),
        ('{"a": 1, "a": 2}', b"", "'a' occurs twice"),
        ("-", b"\xff", "standard input is not UTF-8: byte 0xff at 1"),
        ("-", b"", "standard input is not JSON"),
        ("@/nowhere/x.json", b"", "cannot read /nowhere/x.json: No such file"),
    ],
)
def test_a_value_that_is_not_json_is_refused(
    value: str, stdin: bytes, words: str
) -> None:
    run = run_admin(FakeNode(), "put", "a/b", value, stdin=stdin)
    assert run.exit_code == 2
    assert words in run.err


def test_list_is_columns_that_other_programs_can_cut() -> None:
    run = run_admin(FakeNode(ENTRIES), "list", "users/")
    assert run.out.splitlines() == [
        "key\tid\torigin\tvalue",
        'users/a\t1767225600000-1\tmaster\t{"n": "Zoë"}',
        "users/b\t1767225600000-2\tmaster\t[1, 1.0, true, null]",
    ]


def test_on_a_terminal_nothing_of_a_node_is_markup_or_control() -> None:
    node = FakeNode({"users/[bold]": "[red]\x1b[2J\u202e"})
    run_admin(node, "put", "users/a", "1", "--actor", "[red]\x1b[2J\u202e")
    out = run_admin(node, "list", terminal=True).out
    out += run_admin(node, "history", terminal=True).out
    assert "users/[bold]" in out
    assert "\x1b[2J" not in out
    assert "\u202e" not in out


def test_export_reads_back_to_the_same_entries(tmp_path: Path) -> None:
    file = tmp_path / "backup.jsonl"
    file.write_text("old")
    run = run_admin(FakeNode(ENTRIES), "export", str(file))
    assert (run.exit_code, run.out) == (0, f"{file}: 3 entries\n")
    assert json.dumps(parse_json_lines(file.read_bytes()).entries) == json.dumps(
        ENTRIES
    )
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [file]


def test_export_to_output_is_the_same_text(tmp_path: Path) -> None:
    node = FakeNode(ENTRIES)
    file = tmp_path / "backup.jsonl"
    run = run_admin(node, "export", str(file), "--prefix", "users/", "--json")
    assert run.records == [{"file": str(file), "entries": 2}]
    out = run_admin(node, "export", "--prefix", "users/").out
    assert out == file.read_text(encoding="utf-8")


def test_a_failed_export_leaves_the_old_file(tmp_path: Path) -> None:
    node = FakeNode({f"a/{number}": number for number in range(10)})
    node.page_count_max = 5
    node.answers += [None, httpx.ReadError("reset")]
    file = tmp_path / "backup.jsonl"
    file.write_text("old")
    run = run_admin(node, "export", str(file))
    assert run.exit_code == 4
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_export_follows_a_link_and_takes_a_device(tmp_path: Path) -> None:
    file, link = tmp_path / "real.jsonl", tmp_path / "link.jsonl"
    file.touch()
    link.symlink_to(file)
    assert run_admin(FakeNode(ENTRIES), "export", str(link)).exit_code == 0
    assert link.is_symlink()
    assert file.read_text().count("\n") == 3
    assert run_admin(FakeNode(ENTRIES), "export", "/dev/null").exit_code == 0


@pytest.mark.parametrize("place", [".", "none/backup.jsonl"])
def test_export_to_where_it_cannot_be_is_wrong_usage(
    tmp_path: Path, place: str
) -> None:
    run = run_admin(FakeNode(ENTRIES), "export", str(tmp_path / place))
    assert run.exit_code == 2
    assert "cannot write" in run.err


def test_history_is_a_table_for_people_and_lines_for_programs() -> None:
    node = FakeNode(ENTRIES)
    run_admin(node, "delete", "x/y", "--actor", "jane", "--reason", "gone")
    table = run_admin(node, "history", "--key", "x/y").out.splitlines()
    assert table[0].split("\t")[:4] == ["time", "origin", "id", "kind"]
    assert table[2].split("\t")[3:7] == ["entry-deleted", "x/y", "jane", "gone"]
    records = run_admin(node, "history", "--json").records
    names = ("id", "origin", "kind", "key", "value", "actor", "reason", "time")
    assert [{n: e[n] for n in names} for e in records] == [
        {n: e[n] for n in names} for e in node.events
    ]


def test_history_by_actor_is_not_the_actor_who_asks() -> None:
    node = FakeNode(ENTRIES)
    run_admin(node, "delete", "x/y", "--actor", "jane")
    run = run_admin(node, "history", "--actor", "jane", "--json")
    assert [event["actor"] for event in run.records] == ["jane"]


def test_history_says_when_there_is_more() -> None:
    node = FakeNode(ENTRIES)
    run = run_admin(node, "history", "--limit", "2", "--json")
    assert len(run.records) == 2
    assert "only the first 2 events" in run.err
    for limit in ("3", "0"):
        run = run_admin(node, "history", "--limit", limit, "--json")
        assert (len(run.records), run.err) == (3, "")


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("2026-01-31", "2026-01-31T00:00:00.000000Z"),
        ("20260131", "2026-01-31T00:00:00.000000Z"),
        ("2026-01-31T10:00", "2026-01-31T10:00:00.000000Z"),
        ("2026-01-31T10:00:00.5+01:00", "2026-01-31T09:00:00.500000Z"),
        ("2026-01-31T10:00Z", "2026-01-31T10:00:00.000000Z"),
        ("1767225600000", "2026-01-01T00:00:00.000000Z"),
    ],
)
def test_a_time_without_a_zone_is_utc(given: str, sent: str) -> None:
    node = FakeNode()
    run_admin(node, "history", "--archived", "--since", given, "--until", given)
    assert node.requests[0].url.params["since"] == sent
    assert node.requests[0].url.params["until"] == sent


def test_tables_do_not_show_the_digests_that_users_log_on_with() -> None:
    digests = {"realm": "office", "md5": "c0ffee"}
    node = FakeNode({"users/100": {"digests": digests, "extension": "100"}})
    for command in ("list", "history"):
        out = run_admin(node, command).out
        assert '{"extension": "100", "digests": "…"}' in out
        assert "c0ffee" not in out
        assert "c0ffee" in run_admin(node, command, "--json").out
    assert "c0ffee" in run_admin(node, "get", "users/100").out
