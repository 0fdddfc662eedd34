"""Global options stand anywhere; how every command ends."""

from __future__ import annotations

import contextlib
import getpass
import io
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest

from admin.cli.global_options import options_first
from admin.cli.main import main
from admin.errors import UsageProblem
from tests.support.admin_runner import run_admin
from tests.support.fake_node import READ_TOKEN, URL, FakeNode, refusal

EMPTY: dict[str, str] = {}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("status --node U --json", "--node U --json status"),
        ("--json status --node=U", "--json --node=U status"),
        ("get users/a --timeout-s 3", "--timeout-s 3 get users/a"),
        ("put a/b -- --json", "put a/b -- --json"),
        ("history --actor jane --json", "--json history --actor jane"),
        ("--actor jane history --actor=x", "--actor jane history --actor=x"),
        ("delete history --actor jane", "--actor jane delete history"),
        ("replication off --token-file F", "--token-file F replication off"),
    ],
)
def test_global_options_go_to_the_front(given: str, expected: str) -> None:
    assert options_first(given.split()) == expected.split()


@pytest.mark.parametrize("given", ["status --node", "status --node --json"])
def test_an_option_without_its_value_is_wrong(given: str) -> None:
    with pytest.raises(UsageProblem, match="--node needs a value"):
        options_first(given.split())


@pytest.mark.parametrize("before", [True, False])
def test_options_work_before_and_after_the_command(
    before: bool, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text(READ_TOKEN)
    token.chmod(0o600)
    options = ["--node", URL, "--token-file", str(token), "--json", "--actor", "jane"]
    arguments = [*options, "status"] if before else ["status", *options]
    node = FakeNode()
    run = run_admin(node, *arguments, environ=EMPTY)
    assert (run.exit_code, run.err) == (0, "")
    assert run.records[0]["pair"] == "office"
    assert node.requests[0].headers["X-Actor"] == "jane"
    assert node.requests[0].headers["Authorization"] == f"Bearer {READ_TOKEN}"


def test_the_option_wins_over_the_environment() -> None:
    node = FakeNode()
    run_admin(node, "status", "--node", "http://other.test:1")
    assert node.requests[0].url.host == "other.test"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "Missing command"),
        (("bogus",), "No such command 'bogus'"),
        (("status", "--bogus"), "No such option"),
        (("status", "extra"), "unexpected extra argument"),
        (("get",), "Missing argument"),
        (("switch", "--when", "later"), "--when"),
        (("switch", "--wait-s", "5"), "--when idle"),
        (("switch", "--when", "idle", "--wait-s", "0"), "above 0"),
        (("status", "--timeout-s", "0"), "above 0"),
        (("status", "--timeout-s", "nan"), "above 0"),
        (("status", "--timeout-s", "x"), "--timeout-s"),
        (("watch", "--interval-s", "0"), "0.1 to 3600"),
        (("status", "--node", "node:7480"), "such as http://10.0.0.1:7480"),
        (("status", "--token-file", "/nowhere/token"), "No such file"),
        (("put", "a/b", "{'x': 1}"), "VALUE is not JSON"),
        (("history", "--since", "yesterday"), "such as 2026-01-31"),
        (("import", "/nowhere.csv"), "cannot read /nowhere.csv: No such file"),
        (("replication", "maybe"), "No such command 'maybe'"),
        (("get", "a/\udcff"), "argument 2 is not valid UTF-8"),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_one_line_and_exit_code_2(
    arguments: tuple[str, ...], words: str
) -> None:
    node = FakeNode()
    run = run_admin(node, *arguments)
    assert run.exit_code == 2
    assert words in run.err
    assert run.err.count("\n") == 1
    assert run.out == ""
    assert node.requests == []


def test_no_node_named_is_wrong_usage() -> None:
    run = run_admin(FakeNode(), "status", environ=EMPTY)
    assert run.exit_code == 2
    assert "--node URL or NETPHONE_NODE" in run.err


@pytest.mark.parametrize(
    ("answer", "exit_code"),
    [
        (refusal(500, "internal", "no"), 1),
        (refusal(422, "invalid-entry", "no"), 2),
        (refusal(409, "refused", "no", ["peer lost"]), 3),
        (httpx.ConnectError("refused"), 4),
        (httpx.Response(200, text="<html>"), 4),
        (refusal(504, "rolled-back", "no"), 5),
        (refusal(401, "not-authorised", "no"), 6),
    ],
    ids=str,
)
def test_every_outcome_has_its_exit_code(
    answer: httpx.Response | Exception, exit_code: int
) -> None:
    node = FakeNode()
    node.answers += [answer, answer]
    run = run_admin(node, "status")
    assert run.exit_code == exit_code
    assert run.err.startswith("error: ")
    assert "Traceback" not in run.err
    assert run.out == ""
    as_json = run_admin(node, "status", "--json")
    assert as_json.exit_code == exit_code
    assert f'"exit": {exit_code}' in as_json.err
    assert as_json.err.count("\n") == 1


def test_reasons_are_listed() -> None:
    node = FakeNode()
    node.answers.append(refusal(409, "refused", "not now", ["peer lost", "lag 5"]))
    assert run_admin(node, "switch").err == (
        "error: not now\n  - peer lost\n  - lag 5\n"
    )


def test_a_reason_that_says_nothing_new_is_not_repeated() -> None:
    node = FakeNode()
    node.answers.append(refusal(409, "refused", "lag is 5", ["lag is 5"]))
    assert run_admin(node, "switch").err == "error: lag is 5\n"


def test_a_full_disk_is_one_line() -> None:
    err = io.StringIO()
    with Path("/dev/full").open("w", encoding="utf-8") as out:
        exit_code = main(
            ["list"],
            environ={"NETPHONE_NODE": URL, "NETPHONE_TOKEN": READ_TOKEN},
            stdin=io.BytesIO(),
            stdout=out,
            stderr=err,
            transport=FakeNode().transport,
        )
        with contextlib.suppress(OSError):
            out.close()
    assert exit_code == 1
    assert err.getvalue() == (
        "error: cannot write to standard output: No space left on device\n"
    )


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_what_whoever_started_it_closed_is_not_missed(closed: str) -> None:
    ended = subprocess.run(
        ["sh", "-c", f'"$@" {closed}', "sh", sys.executable, "-m", "admin", "nonsense"],
        capture_output=True,
        timeout=60,
    )
    assert ended.returncode == 2
    assert b"Traceback" not in ended.stderr


def _fail(error: BaseException) -> Callable[[float], None]:
    def sleep(_: float) -> None:
        raise error

    return sleep


def test_an_internal_error_is_one_line_and_the_traceback_on_demand() -> None:
    bug = _fail(RuntimeError("a bug\nof ours"))
    run = run_admin(FakeNode(), "watch", sleep=bug)
    assert run.exit_code == 1
    assert run.err == (
        "error: internal error: RuntimeError: a bug of ours; NETPHONE_DEBUG=1 shows "
        "where it happened\n"
    )
    environ = {
        "NETPHONE_NODE": URL,
        "NETPHONE_DEBUG": "1",
        "NETPHONE_TOKEN": READ_TOKEN,
    }
    shown = run_admin(FakeNode(), "watch", sleep=bug, environ=environ)
    assert "Traceback" in shown.err
    assert shown.exit_code == 1


def test_ctrl_c_says_so_and_ends_like_every_other_program() -> None:
    node = FakeNode()
    node.answers.append(KeyboardInterrupt())
    run = run_admin(node, "status")
    assert (run.exit_code, run.err) == (130, "interrupted\n")


def test_a_reader_that_is_gone_ends_it_silently() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    err = io.StringIO()
    with open(writing, "w", encoding="utf-8") as out:  # noqa: PTH123
        exit_code = main(
            ["list"],
            environ={"NETPHONE_NODE": URL, "NETPHONE_TOKEN": READ_TOKEN},
            stdin=io.BytesIO(),
            stdout=out,
            stderr=err,
            transport=FakeNode({f"a/{n}": "x" * 99 for n in range(9999)}).transport,
        )
    assert (exit_code, err.getvalue()) == (0, "")


def test_a_stream_that_cannot_show_a_name_gets_it_escaped() -> None:
    name = "Zoë Олег \N{TELEPHONE RECEIVER}"
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="latin-1")
    for command in ("get", "list"):
        main(
            [command, "a/b"],
            environ={"NETPHONE_NODE": URL, "NETPHONE_TOKEN": READ_TOKEN},
            stdin=io.BytesIO(),
            stdout=out,
            stderr=io.StringIO(),
            transport=FakeNode({"a/b": name}).transport,
        )
    got, *listed = raw.getvalue().decode("latin-1").splitlines()
    assert json.loads(got) == name
    assert "Zoë \\u041e" in listed[1]


def test_the_actor_is_the_login_name_unless_given() -> None:
    node = FakeNode()
    run_admin(node, "put", "a/b", "1")
    run_admin(node, "put", "a/b", "2", "--actor", "Zoë")
    assert [event["actor"] for event in node.events] == [getpass.getuser(), "Zoë"]


def test_a_node_may_answer_over_tls() -> None:
    assert run_admin(FakeNode(), "status", "--node", "https://node.test").exit_code == 0


def _program(url: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "admin", "status", "--node", url, "--json"],
        env={"NETPHONE_TOKEN": READ_TOKEN, "PATH": os.defpath, **environ},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_program_ends_with_its_exit_code() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        ended = _program(url)
    assert (ended.returncode, ended.stdout) == (4, "")
    assert f"{url} cannot be reached (" in json.loads(ended.stderr)["error"]


class _Server(BaseHTTPRequestHandler):
    """Answers every request as a node does."""

    def do_GET(self) -> None:
        headers = dict(self.headers.items())
        request = httpx.Request("GET", URL + self.path, headers=headers)
        content = FakeNode().handle(request).content
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


def test_the_token_goes_to_the_node_and_not_to_a_proxy() -> None:
    with HTTPServer(("127.0.0.1", 0), _Server) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        ended = _program(
            url, http_proxy="http://127.0.0.1:9", ALL_PROXY="http://x.test"
        )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert json.loads(ended.stdout)["pair"] == "office"


def test_help_is_short_and_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_admin(FakeNode(), "--help").exit_code == 0
    text = capsys.readouterr().out
    assert "python -m admin import extensions.csv --dry-run" in text
    assert "NETPHONE_TOKEN" in text
    assert len(text.splitlines()) < 60
    assert all(len(line) <= 80 for line in text.splitlines())
