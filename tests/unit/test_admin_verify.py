"""`verify` and `checkpoint`: what operators see, through a node that answers in memory."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from admin.errors import ExitCode
from admin.key_files import read_private_key
from eventstore import PrivateKey
from tests.support import tampering
from tests.support.admin_runner import Run, run_admin
from tests.support.full_disk import full_disk
from tests.support.histories import MASTER, STANDBY
from tests.support.http_client import CHANGE_TOKEN, Api
from tests.support.served_node import FakeNode
from tests.support.tampering import history


class Served:
    """The HTTP interface over a node in memory, for the command line."""

    def __init__(self) -> None:
        self.node = FakeNode()
        self._api = Api(self.node)
        self.asked: list[str] = []

    @property
    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self._handle)

    def _handle(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url.path)
        target = request.url.raw_path.decode()
        reply = self._api(request.method, target)
        return httpx.Response(reply.status_code, json=reply.json())

    def rewrite(
        self, copy: int, tamper: Callable[[list[Any], int], list[Any]], n: int
    ) -> None:
        stored = self.node.copies[copy].streams
        stored[MASTER] = tamper(stored[MASTER], n)

    def run(self, *arguments: str, **more: Any) -> Run:
        return run_admin(self, *arguments, token=CHANGE_TOKEN, **more)  # type: ignore[arg-type]


@pytest.fixture
def served() -> Served:
    return Served()


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "audit.key"
    made = PrivateKey.new()
    path.touch(0o600)
    path.write_bytes(made.pem)
    (tmp_path / "audit.key.pub").write_bytes(made.public.pem)
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "checkpoints"


def checkpoint(served: Served, file: Path, key: Path) -> Run:
    return served.run("checkpoint", str(file), "--key", str(key))


def against(served: Served, file: Path, key: Path, *more: str) -> Run:
    public = f"{key}.pub"
    return served.run("verify", "--against", str(file), "--public-key", public, *more)


def test_a_whole_history_is_summed_up(served: Served) -> None:
    run = served.run("verify")
    assert run.exit_code == ExitCode.DONE
    head = served.node.copies[0].heads()[STANDBY]
    lines = run.out.splitlines()
    assert lines[0].startswith("master: 6 events, whole, up to ")
    assert lines[1] == (
        f"standby: 6 events, whole, up to {head.id} (digest {head.digest.hex()[:16]}…)"
    )
    copies = "the master's Redis and the standby's Redis"
    assert lines[2].startswith(f"12 events of pair office verified in {copies}, ")
    assert served.asked.count("/verify") > 3


def test_the_first_bad_event_and_the_bad_copy_are_named(served: Served) -> None:
    served.rewrite(1, tampering.changed, 3)
    bad_id = str(history(6).master.written[2].id)
    run = served.run("verify")
    assert run.exit_code == ExitCode.UNVERIFIED
    assert "master: 6 events, BAD" in run.out
    assert "error: the history failed verification" in run.err
    assert "the copy in the standby's Redis is bad; the one in the master" in run.err
    assert f"stream master, the standby's Redis, event {bad_id}: it is not" in run.err
    (record,) = served.run("--json", "verify").records
    assert record["ok"] is False
    (found, other) = record["streams"]
    assert (found["differs_from"], found["bad"][0]["id"]) == (bad_id, bad_id)
    assert found["bad"][0]["copy"] == "the standby's Redis"
    assert other["bad"] == []


def test_lag_is_told_and_is_no_finding(served: Served) -> None:
    stored = served.node.copies[1].streams
    stored[MASTER] = stored[MASTER][:-1]
    run = served.run("verify")
    assert run.exit_code == ExitCode.DONE
    assert "  the copy in the standby's Redis is 1 event behind" in run.out


def test_a_terminal_sees_how_far_it_is(served: Served) -> None:
    run = served.run("verify", terminal=True)
    assert run.exit_code == ExitCode.DONE
    assert "verifying" in run.err
    assert "verifying" not in served.run("verify").err


def test_a_checkpoint_is_a_line_and_is_found_again(
    served: Served, file: Path, key: Path
) -> None:
    for count in (1, 2):
        run = checkpoint(served, file, key)
        assert run.exit_code == ExitCode.DONE
        assert "master " in run.out
        assert len(file.read_bytes().splitlines()) == count
    run = against(served, file, key)
    assert run.exit_code == ExitCode.DONE
    assert "checkpoints: 2 looked up" in run.out


def test_a_history_that_was_rewritten_in_both_copies_is_found_by_a_checkpoint_only(
    served: Served, file: Path, key: Path
) -> None:
    checkpoint(served, file, key)
    head = served.node.copies[0].heads()[MASTER]
    for copy in (0, 1):
        served.rewrite(copy, tampering.re_made, 2)
    assert served.run("verify").exit_code == ExitCode.DONE
    run = against(served, file, key)
    assert run.exit_code == ExitCode.UNVERIFIED
    assert "both copies are bad" in run.err
    assert f"event {head.id}: the checkpoint of " in run.err


def test_a_checkpoint_tells_which_of_two_whole_copies_was_made_anew(
    served: Served, file: Path, key: Path
) -> None:
    checkpoint(served, file, key)
    served.rewrite(0, tampering.re_made, 2)
    run = served.run("verify")
    assert run.exit_code == ExitCode.UNVERIFIED
    assert "one of the two was re-made; a checkpoint or a running node" in run.err
    run = against(served, file, key)
    assert "the copy in the master's Redis is bad" in run.err


@pytest.mark.parametrize(
    ("alter", "what"),
    [
        (lambda line: line.replace(b'"n":6', b'"n":7'), "altered"),
        (lambda line: line[:-20], "cut off"),
        (lambda line: line[: len(line) // 2] + b"\n", "cut off"),
        (lambda _: b"x" * 100_000 + b"\n", "no checkpoint"),
    ],
    ids=["altered", "end cut off", "half", "long"],
)
def test_bad_lines_are_findings(
    served: Served, file: Path, key: Path, alter: Callable[[bytes], bytes], what: str
) -> None:
    checkpoint(served, file, key)
    file.write_bytes(file.read_bytes() + alter(file.read_bytes()))
    run = against(served, file, key)
    assert run.exit_code == ExitCode.UNVERIFIED
    assert "checkpoints, line 2: " in run.err
    assert what in run.err
    (record,) = against(served, file, key, "--json").records
    assert (record["checkpoints"]["count"], record["checkpoints"]["bad_count"]) == (
        1,
        1,
    )


def test_a_checkpoint_behind_a_line_that_was_cut_off_is_good(
    served: Served, file: Path, key: Path
) -> None:
    file.write_bytes(b'{"heads":{"mas')
    checkpoint(served, file, key)
    (record,) = against(served, file, key, "--json").records
    assert (record["checkpoints"]["count"], record["checkpoints"]["bad_count"]) == (
        1,
        1,
    )


@pytest.mark.parametrize("what", ["audit.key", "a bundle", "a pipe", "a folder"])
def test_nothing_is_added_to_what_is_no_file_of_checkpoints(
    served: Served, tmp_path: Path, key: Path, what: str
) -> None:
    place = tmp_path / what
    if what == "a bundle":
        place.write_bytes(b"netphone events 1\n")
    elif what == "a pipe":
        os.mkfifo(place)
    elif what == "a folder":
        place.mkdir()
    before = place.read_bytes() if place.is_file() else None
    run = checkpoint(served, place, key)
    assert run.exit_code == ExitCode.USAGE
    assert str(place) in run.err
    assert "None" not in run.err
    assert before is None or place.read_bytes() == before


def test_a_pipe_of_checkpoints_is_not_waited_for(
    served: Served, tmp_path: Path, key: Path
) -> None:
    os.mkfifo(tmp_path / "pipe")
    public = tmp_path / "public"
    public.write_bytes(read_private_key(key).public.pem)
    against = "--against", str(tmp_path / "pipe"), "--public-key", str(public)
    run = served.run("verify", *against)
    assert run.exit_code == ExitCode.USAGE
    assert "it is no file" in run.err


def test_a_disk_that_gets_full_leaves_the_file_as_it_was(
    served: Served, file: Path, key: Path
) -> None:
    checkpoint(served, file, key)
    before = file.read_bytes()
    with full_disk(len(before) + 10):
        run = checkpoint(served, file, key)
    assert run.exit_code == ExitCode.USAGE
    assert "File too large" in run.err
    assert file.read_bytes() == before


def test_an_empty_file_proves_nothing(served: Served, file: Path, key: Path) -> None:
    file.touch()
    run = against(served, file, key)
    assert run.exit_code == ExitCode.REFUSED
    assert "proves nothing" in run.err


def test_a_file_signed_by_somebody_else_is_a_finding(
    served: Served, file: Path, key: Path
) -> None:
    checkpoint(served, file, key)
    Path(f"{key}.pub").write_bytes(PrivateKey.new().public.pem)
    run = against(served, file, key)
    assert run.exit_code == ExitCode.UNVERIFIED
    assert "names the key" in run.err


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["--other-redis", "redis://x"], "go with --redis"),
        (["--redis-of", "master"], "go with --redis"),
        (["--other-redis-password-file", "x"], "goes with --other-redis"),
        (["--redis", "redis://x"], "--redis needs --pair"),
        (["--redis", "redis://x", "--pair", "p", "--redis-of", "z"], "is 'z'; it is"),
        (["--against", "x"], "go together"),
        (["--public-key", "x"], "go together"),
        (["--against", "/nowhere", "--public-key", "/nowhere"], "cannot read"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    served: Served, arguments: list[str], what: str
) -> None:
    run = served.run("verify", *arguments)
    assert run.exit_code == ExitCode.USAGE
    assert what in run.err
    assert served.asked == []


def test_a_checkpoint_needs_a_key_of_its_owner_alone(
    served: Served, file: Path, key: Path
) -> None:
    key.chmod(0o644)
    assert checkpoint(served, file, key).exit_code == ExitCode.USAGE
    assert not file.exists()


@pytest.mark.parametrize(
    "reply",
    [
        {},
        {"copies": [], "state": {}, "next": None},
        {"copies": ["a"], "state": "x", "next": "y"},
    ],
)
def test_an_answer_that_no_node_gives_is_unclear(reply: dict[str, object]) -> None:
    class Other(Served):
        @property
        def transport(self) -> httpx.MockTransport:
            return httpx.MockTransport(lambda _: httpx.Response(200, json=reply))

    run = Other().run("verify")
    assert run.exit_code == ExitCode.UNREACHABLE
    assert len(run.err.splitlines()) == 1


def test_json_of_a_whole_history_has_all_of_it(served: Served) -> None:
    (record,) = served.run("--json", "verify").records
    assert record["ok"] is True
    assert record["events"] == 12
    assert set(record["streams"][0]["heads"]) == {
        "the master's Redis",
        "the standby's Redis",
    }
    assert json.dumps(record)
