"""`import`: all or nothing of a file, only what differs, never a password."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.admin_runner import run_admin
from tests.support.fake_node import READ_TOKEN, FakeNode, refusal

EXCERPT = Path(__file__).parents[1] / "data" / "extensions-excerpt.csv"
REAL = Path(__file__).parents[3] / "shared" / "data" / "extensions.csv"
needs_the_real_file = pytest.mark.skipif(not REAL.exists(), reason="no shared data")


def _file(folder: Path, *entries: tuple[str, Any]) -> str:
    path = folder / "entries.jsonl"
    lines = [json.dumps({"key": key, "value": value}) for key, value in entries]
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def _first_line(out: str) -> str:
    return out.splitlines()[0].partition(": ")[2]


def _passwords(path: Path) -> set[str]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {row["secret"] for row in rows} | {f'"{r["voicemail_vmpwd"]}"' for r in rows}


@pytest.mark.parametrize(
    ("path", "count"),
    [(EXCERPT, 6), pytest.param(REAL, 500, marks=needs_the_real_file)],
    ids=lambda value: str(getattr(value, "stem", value)),
)
def test_a_second_import_changes_nothing_and_no_password_leaves_the_file(
    path: Path, count: int
) -> None:
    node = FakeNode({"users/zzz": {"kept": True}})
    dry = run_admin(node, "import", str(path), "--dry-run")
    assert f"{count} new, 0 changed, 0 unchanged" in dry.out.splitlines()[0]
    assert dry.out.startswith("dry run, nothing stored: ")
    assert len(node.entries) == 1

    first = run_admin(node, "import", str(path))
    assert first.exit_code == 0
    assert _first_line(first.out) == f"{count} new, 0 changed, 0 unchanged"
    assert f"secret ({count} values)" in first.out
    assert "digests made from the secrets, for the realm office" in first.out
    assert len(node.entries) == count + 1

    second = run_admin(node, "import", str(path))
    assert _first_line(second.out) == f"0 new, 0 changed, {count} unchanged"
    assert len(node.sent("POST", "/entries")) == 1

    said = "".join(run.out + run.err for run in (dry, first, second))
    sent = b"".join(r.content + str(r.headers).encode() for r in node.requests).decode()
    for password in _passwords(path) - {'""'}:
        assert password not in said + sent


def test_json_gives_the_same_numbers() -> None:
    run = run_admin(FakeNode(), "import", str(EXCERPT), "--json", "--dry-run")
    assert run.records == [
        {
            "file": str(EXCERPT),
            "dry_run": True,
            "new": 6,
            "changed": 0,
            "unchanged": 0,
            "left_out": {"password": 0, "secret": 6, "voicemail_vmpwd": 2},
            "realm": "office",
            "without_secret": 0,
        }
    ]


def test_the_realm_is_the_nodes_or_the_given_one() -> None:
    node = FakeNode()
    run_admin(node, "import", str(EXCERPT))
    assert node.values()["users/100"]["digests"]["realm"] == "office"
    changed = run_admin(node, "import", str(EXCERPT), "--realm", "branch")
    assert _first_line(changed.out) == "0 new, 6 changed, 0 unchanged"
    assert node.values()["users/100"]["digests"]["realm"] == "branch"


def test_without_a_realm_the_import_asks_for_one() -> None:
    node = FakeNode()
    del node.status["realm"]
    run = run_admin(node, "import", str(EXCERPT))
    assert run.exit_code == 2
    assert "give it with --realm" in run.err
    assert run_admin(node, "import", str(EXCERPT), "--realm", 'a"b').exit_code == 2


def test_only_what_differs_is_sent(tmp_path: Path) -> None:
    node = FakeNode({"a/1": 1, "a/2": 1, "a/3": {"x": 1, "y": 2}, "b/1": 1, "a/9": 9})
    file = _file(
        tmp_path,
        ("a/1", 1.0),
        ("a/2", True),
        ("a/3", {"y": 2, "x": 1}),
        ("b/1", 1),
        ("c/1", None),
    )
    run = run_admin(node, "import", file, "--reason", "restore")
    assert _first_line(run.out) == "1 new, 2 changed, 2 unchanged"
    body = json.loads(node.sent("POST", "/entries")[0].content)
    assert body == {"put": {"c/1": None, "a/1": 1.0, "a/2": True}, "delete": []}
    assert json.dumps(node.values()["a/1"]) == "1.0"
    assert node.values()["a/9"] == 9
    assert node.events[-1]["reason"] == "restore"


def test_an_entry_is_replaced_as_a_whole(tmp_path: Path) -> None:
    node = FakeNode({"a/1": {"x": 1, "added": 2}})
    run_admin(node, "import", _file(tmp_path, ("a/1", {"x": 1})))
    assert node.values()["a/1"] == {"x": 1}
    assert node.events[-1]["reason"] == "import of entries.jsonl"


def test_an_export_is_imported_unchanged(tmp_path: Path) -> None:
    node = FakeNode()
    run_admin(node, "import", str(EXCERPT))
    file = tmp_path / "backup.jsonl"
    run_admin(node, "export", str(file))
    run = run_admin(node, "import", str(file))
    assert _first_line(run.out) == "0 new, 0 changed, 6 unchanged"
    other = FakeNode()
    run_admin(other, "import", "-", stdin=file.read_bytes())
    assert other.values() == node.values()


def test_many_changes_go_in_batches_of_500(tmp_path: Path) -> None:
    node = FakeNode()
    file = _file(tmp_path, *((f"a/{n}", n) for n in range(1201)))
    assert run_admin(node, "import", file).exit_code == 0
    sizes = [len(json.loads(r.content)["put"]) for r in node.sent("POST", "/entries")]
    assert sizes == [500, 500, 201]
    assert len(node.entries) == 1201


def test_a_batch_stays_below_what_a_node_takes(tmp_path: Path) -> None:
    node = FakeNode()
    file = _file(tmp_path, *((f"a/{n}", "x" * 65000) for n in range(300)))
    assert run_admin(node, "import", file).exit_code == 0
    requests = node.sent("POST", "/entries")
    assert len(requests) == 10
    assert all(len(request.content) < 4 * 2**20 for request in requests)


def test_an_import_that_breaks_off_says_how_far_it_came(tmp_path: Path) -> None:
    node = FakeNode()
    file = _file(tmp_path, *((f"a/{n}", n) for n in range(1201)))
    node.answers += [None, None, refusal(503, "writes-frozen", "a switch runs")]
    run = run_admin(node, "import", file)
    assert run.exit_code == 3
    assert "a switch runs; 500 of 1201 entries were stored before that" in run.err
    run = run_admin(node, "import", file)
    assert _first_line(run.out) == "701 new, 0 changed, 500 unchanged"


def test_broken_lines_are_all_named_and_nothing_is_asked_or_stored() -> None:
    data = b"extension,name,secret\n100,Al,hunter2\n101,Bo\n100,Cy,hunter2\n"
    node = FakeNode()
    run = run_admin(node, "import", "-", stdin=data)
    assert run.exit_code == 2
    assert run.err.splitlines() == [
        "standard input line 3: 2 columns; the header has 3",
        "standard input line 4: extension 100 is in line 2 already",
        "error: standard input has 2 broken lines; nothing was stored",
    ]
    assert (run.out, node.requests) == ("", [])


def test_at_most_20_broken_lines_are_shown(tmp_path: Path) -> None:
    path = tmp_path / "broken.jsonl"
    path.write_text("{\n" * 25)
    run = run_admin(FakeNode(), "import", str(path))
    lines = run.err.splitlines()
    assert len(lines) == 21
    assert lines[19].startswith(f"{path} line 20: ")
    assert "25 broken lines, 5 more not shown" in lines[20]


def test_the_format_may_be_told() -> None:
    data = b'{"key": "a/b", "value": 1}\n'
    assert run_admin(FakeNode(), "import", "-", stdin=data).exit_code == 0
    run = run_admin(FakeNode(), "import", "-", "--format", "freepbx", stdin=data)
    assert (run.exit_code, "no column 'extension'" in run.err) == (2, True)
    run = run_admin(FakeNode(), "import", "-", "--format", "jsonl", stdin=b"")
    assert _first_line(run.out) == "0 new, 0 changed, 0 unchanged"
    assert run_admin(FakeNode(), "import", "-", stdin=b"").exit_code == 2


def test_users_without_a_secret_are_counted() -> None:
    data = b"extension,name,secret\n100,Al,\n101,Bo,x\n"
    run = run_admin(FakeNode(), "import", "-", stdin=data)
    assert "1 users have no secret in the file: they cannot log on" in run.out


def test_the_read_token_cannot_import_and_a_dry_run_can(tmp_path: Path) -> None:
    file = _file(tmp_path, ("a/1", 1))
    assert run_admin(FakeNode(), "import", file, token=READ_TOKEN).exit_code == 6
    run = run_admin(FakeNode(), "import", file, "--dry-run", token=READ_TOKEN)
    assert run.exit_code == 0


def test_progress_is_shown_on_a_terminal_only(tmp_path: Path) -> None:
    file = _file(tmp_path, ("a/1", 1))
    assert "storing" in run_admin(FakeNode(), "import", file, terminal=True).err
    assert run_admin(FakeNode(), "import", file).err == ""


def test_the_name_of_the_file_cannot_spoil_the_reason(tmp_path: Path) -> None:
    node = FakeNode()
    path = tmp_path / "new\nline.jsonl"
    path.write_text('{"key": "a/b", "value": 1}')
    run_admin(node, "import", str(path))
    assert node.events[-1]["reason"] == "import of new\\nline.jsonl"


def test_an_unreachable_node_is_named() -> None:
    node = FakeNode()
    node.answers.append(httpx.ConnectError("refused"))
    assert run_admin(node, "import", str(EXCERPT)).exit_code == 4
