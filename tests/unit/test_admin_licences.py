"""`licence install|list|remove` against a node, and `licence issue` without one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import pytest

from admin.cli.status_view import status_lines
from admin.fields import Fields
from admin.key_files import read_public_key
from admin.replies import Status
from eventstore import read_licence
from tests.support.admin_runner import Run, run_admin
from tests.support.fake_node import READ_TOKEN, FakeNode, refusal, status_reply
from tests.support.licences import document, signed


@pytest.fixture
def node() -> FakeNode:
    return FakeNode()


@pytest.fixture
def key(tmp_path: Path) -> Path:
    file = tmp_path / "vendor.key"
    assert run_admin(FakeNode(), "key", "new", str(file)).exit_code == 0
    return file


def issue(key: Path, *options: str, holder: str = "Example Ltd") -> Run:
    out = str(key.with_name("licence.json"))
    given = ("--key", str(key), "--holder", holder, "--seats", "50", "--out", out)
    return run_admin(FakeNode(), "licence", "issue", *given, *options, environ={})


def issued(key: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(key.with_name("licence.json").read_text())
    return found


# Issuing.


def test_what_is_issued_is_signed_and_can_be_installed(
    node: FakeNode, key: Path
) -> None:
    run = issue(key, "--id", "L-7", "--ends", "2099-12-31", "--option", "rec")
    assert (run.exit_code, run.err) == (0, "")
    public = read_public_key(key.with_name("vendor.key.pub"))
    assert "licence L-7 for Example Ltd, 50 seats, signed with the key " in run.out
    assert public.fingerprint in run.out
    found = issued(key)
    licence = read_licence(found)
    assert licence.is_signed_by(public)
    assert (licence.id, licence.option, licence.seats) == ("L-7", "rec", 50)
    assert (found["product"], found["ends"]) == ("netphone-standby", "2099-12-31")
    run = run_admin(node, "licence", "install", str(key.with_name("licence.json")))
    assert run.exit_code == 0
    assert node.licences == {"L-7": found}


def test_each_licence_gets_an_id_of_its_own(key: Path) -> None:
    assert issue(key).exit_code == 0
    first = issued(key)["id"]
    key.with_name("licence.json").unlink()
    assert issue(key).exit_code == 0
    assert issued(key)["id"] != first


def test_issuing_as_json(key: Path) -> None:
    (record,) = issue(key, "--id", "L-7", "--json").records
    public = read_public_key(key.with_name("vendor.key.pub"))
    file = str(key.with_name("licence.json"))
    assert record == {"file": file, "licence": "L-7", "key": public.fingerprint}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--seats", "0"), "seats is 0, not a whole number from 1 to 1000000"),
        (("--seats", "x"), "Invalid value for '--seats'"),
        (("--ends", "soon"), "ends is 'soon', not a date like"),
        (("--ends", "2001-01-01"), "ends is '2001-01-01', not after issued, '20"),
        (("--id", "a b"), "id is 'a b', not"),
        (("--option", ""), "option is '', not"),
        (("--product", ""), "product is '', not"),
        (("--not-before", "2099-01-01", "--ends", "2098-01-01"), "after not_before"),
    ],
)
def test_a_wrong_field_issues_nothing(
    key: Path, options: tuple[str, ...], words: str
) -> None:
    run = issue(key, *options)
    assert (run.exit_code, run.out) == (2, "")
    assert words in run.err
    assert len(run.err.splitlines()) == 1
    assert not key.with_name("licence.json").exists()


def test_no_file_is_overwritten(key: Path) -> None:
    key.with_name("licence.json").write_text("precious")
    run = issue(key)
    assert (run.exit_code, run.out) == (2, "")
    assert "licence.json is there already" in run.err
    assert key.with_name("licence.json").read_text() == "precious"


def test_a_public_key_signs_nothing(key: Path) -> None:
    key.with_name("vendor.key.pub").chmod(0o600)
    run = issue(key, "--key", str(key.with_name("vendor.key.pub")))
    assert run.exit_code == 2
    assert "no Ed25519 private key" in run.err


# Installing, listing, removing.


def test_who_and_why_are_told_to_the_node(node: FakeNode, tmp_path: Path) -> None:
    file = tmp_path / "licence.json"
    file.write_text(json.dumps(signed()))
    options = ("--reason", "order 4711", "--actor", "jane")
    run = run_admin(node, "licence", "install", str(file), *options)
    assert run.out.splitlines() == [
        "installed licence L-1 (event 5-1)",
        "licences: valid, 1 of 50 seats in use",
    ]
    (sent,) = node.sent("POST", "/licences")
    assert sent.headers["X-Actor"] == "jane"
    assert unquote(sent.headers["X-Reason"]) == "order 4711"
    assert json.loads(sent.content) == signed()


def test_what_is_installed_stays_told_when_the_list_cannot_be_had(
    node: FakeNode, tmp_path: Path
) -> None:
    file = tmp_path / "licence.json"
    file.write_text(json.dumps(document()))
    node.answers.extend([None, httpx.ConnectError("gone")])
    run = run_admin(node, "licence", "install", str(file))
    assert (run.exit_code, run.out) == (0, "installed licence L-1 (event 5-1)\n")
    assert run.err.startswith("what all are worth now is not known: ")


def test_a_licence_may_come_from_standard_input(node: FakeNode) -> None:
    data = json.dumps(document()).encode()
    run = run_admin(node, "licence", "install", "-", "--json", stdin=data)
    assert run.records == [{"id": "5-1", "licence": "L-1"}]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is not JSON"),
        (b"\xff", "is not UTF-8 at byte 0"),
        (b"[" * 60_000, "nested too deeply"),
        (b'{"id": "a", "id": "b"}', "twice"),
        (b"{}", "is no licence: missing: id, product, holder, seats, issued"),
        (json.dumps(document(seats=-1)).encode(), "is no licence: seats is -1"),
        (b" " * (64 * 1024 + 1), "is over the limit of 64 KiB"),
    ],
)
def test_a_file_that_is_no_licence_does_not_reach_the_node(
    node: FakeNode, tmp_path: Path, data: bytes, words: str
) -> None:
    file = tmp_path / "licence.json"
    file.write_bytes(data)
    run = run_admin(node, "licence", "install", str(file))
    assert (run.exit_code, run.out) == (2, "")
    assert str(file) in run.err
    assert words in run.err
    assert len(run.err.splitlines()) == 1
    assert node.requests == []


@pytest.mark.parametrize(
    ("answer", "exit_code", "words"),
    [
        (refusal(409, "not-master", "this is the standby"), 3, "this is the standby"),
        (refusal(409, "refused", "a; b", ["a", "b"]), 3, "a; b"),
        (refusal(422, "invalid-licence", "seats is 0"), 2, "seats is 0"),
        (httpx.ConnectError("refused"), 4, ""),
    ],
)
def test_what_the_node_refuses_decides_the_exit_code(
    node: FakeNode,
    tmp_path: Path,
    answer: httpx.Response | Exception,
    exit_code: int,
    words: str,
) -> None:
    file = tmp_path / "licence.json"
    file.write_text(json.dumps(document()))
    node.answers.append(answer)
    run = run_admin(node, "licence", "install", str(file))
    assert (run.exit_code, run.out) == (exit_code, "")
    assert words in run.err


def test_a_token_that_may_only_read_lists_and_no_more(node: FakeNode) -> None:
    node.licences["L-1"] = document()
    assert run_admin(node, "licence", "list", token=READ_TOKEN).exit_code == 0
    run = run_admin(node, "licence", "remove", "L-1", token=READ_TOKEN)
    assert run.exit_code == 6


def test_the_list_says_what_each_is_worth(node: FakeNode) -> None:
    node.licences = {"L-1": document(ends="2026-12-31"), "L-2": document(option="rec")}
    titles, first, second, total = run_admin(node, "licence", "list").out.splitlines()
    assert titles.split("\t")[:4] == ["id", "valid", "seats", "option"]
    assert first.split("\t") == [
        "L-1", "yes", "50", "", "Example Ltd", "", "2026-12-31", "verified", "",
    ]  # fmt: skip
    assert second.split("\t")[3] == "rec"
    assert total == "licences: valid, 1 of 100 seats in use"
    (record,) = run_admin(node, "licence", "list", "--json").records
    assert [found["id"] for found in record["licences"]] == ["L-1", "L-2"]


def test_an_empty_list_says_why_nobody_may_log_on(node: FakeNode) -> None:
    run = run_admin(node, "licence", "list")
    assert run.out == "licences: not valid: no licence is installed; 1 in use\n"


def test_a_licence_is_removed_by_its_id(node: FakeNode) -> None:
    node.licences["L-1"] = document()
    run = run_admin(node, "licence", "remove", "L-1", "--reason", "replaced")
    assert run.out.splitlines() == [
        "removed licence L-1 (event 5-2)",
        "licences: not valid: no licence is installed; 1 in use",
    ]
    run = run_admin(node, "licence", "remove", "L-1")
    assert (run.exit_code, run.out) == (3, "")
    # An id that is a path must not become one.
    run_admin(node, "licence", "remove", "../entries/users")
    assert node.requests[-1].url.raw_path == b"/licences/..%2Fentries%2Fusers"
    run_admin(node, "licence", "remove", "..")
    assert node.requests[-1].url.raw_path == b"/licences/%2E%2E"


# The status.


@pytest.mark.parametrize(
    ("told", "line"),
    [
        (
            {"valid": True, "seats": 50, "in_use": 12, "ends_in_days": 3},
            "valid, 12 of 50 seats in use, 3 days until the first one ends",
        ),
        (
            {"valid": False, "seats": 0, "in_use": 1, "reason": "it ended"},
            "! not valid: it ended; 1 in use",
        ),
        (None, None),
    ],
)
def test_the_status_has_a_line_for_licences(
    told: dict[str, Any] | None, line: str | None
) -> None:
    reply = {**status_reply(), **({"licences": told} if told else {})}
    status = Status.from_reply(Fields(reply, "GET /status"))
    lines = [text.plain for text in status_lines(status) if "licences" in text.plain]
    assert lines == ([f"{'licences':<13} {line}"] if line else [])
