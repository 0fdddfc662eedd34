"""`audit export` and `audit verify`, against a fake node."""

from __future__ import annotations

from pathlib import Path

import pytest

from admin.bundle_files import opened_bundle
from admin.errors import DataUnverified, ExitCode
from eventstore import START
from tests.support.admin_runner import Run, run_admin
from tests.support.fake_node import READ_TOKEN, FakeNode, refusal
from tests.support.histories import ORIGINS
from tests.support.sources import MemorySource, small_history

ARCHIVE = "standby-resync-9000-9"


@pytest.fixture
def source() -> MemorySource:
    source = MemorySource.of(small_history())
    source.kept[ARCHIVE] = source.streams[ORIGINS[1]][1:3]
    return source


@pytest.fixture
def node(source: MemorySource) -> FakeNode:
    node = FakeNode()
    node.stored = source
    return node


@pytest.fixture
def key(tmp_path: Path) -> Path:
    run_admin(FakeNode(), "key", "new", str(tmp_path / "audit.key"))
    return tmp_path / "audit.key"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "office.events"


def export(node: FakeNode, file: Path, *options: object) -> Run:
    given = [str(option) for option in options]
    return run_admin(node, "audit", "export", str(file), *given, token=READ_TOKEN)


def verify(file: Path, *options: object) -> Run:
    """With neither node nor token."""
    given = [str(option) for option in options]
    return run_admin(
        FakeNode(), "audit", "verify", str(file), *given, token=None, environ={}
    )


def test_what_a_node_has_is_exported_and_verified(
    node: FakeNode, source: MemorySource, file: Path, key: Path
) -> None:
    run = export(node, file, "--key", key)
    assert (run.exit_code, run.err) == (ExitCode.DONE, "")
    assert "11 events, signed with the key" in run.out
    run = verify(file, "--public-key", f"{key}.pub")
    assert (run.exit_code, run.err) == (ExitCode.DONE, "")
    assert "export of pair office" in run.out
    assert "whole: every digest" in run.out
    with opened_bundle(file) as bundle:
        for origin in ORIGINS:
            assert bundle.read(origin, START, 100) == source.streams[origin]


def test_what_it_holds_is_told_as_json(node: FakeNode, file: Path, key: Path) -> None:
    (made,) = export(node, file, "--key", key, "--json", "--actor", "jane").records
    (told,) = verify(file, "--json").records
    assert told["signer"] == made["signer"]
    assert told["signer"] in run_admin(FakeNode(), "audit", "verify", str(file)).out
    assert (told["pair"], told["kind"], told["by"]) == ("office", "export", "jane")
    chains = [(c["origin"], c["archive"], c["events"]) for c in told["chains"]]
    assert chains == [
        ("master", None, 5),
        ("standby", None, 4),
        ("standby", ARCHIVE, 2),
    ]
    assert told["chains"][0]["first"]["id"] == "1000-1"
    assert told["chains"][0]["from"] == "1970-01-01T00:00:01Z"


def test_an_unsigned_file_is_told_so(node: FakeNode, file: Path, key: Path) -> None:
    run = export(node, file)
    assert run.exit_code == ExitCode.DONE
    assert "not signed" in run.out
    assert "sign it with --key" in run.err
    assert "NOT SIGNED" in verify(file).out
    run = verify(file, "--public-key", f"{key}.pub")
    assert run.exit_code == ExitCode.UNVERIFIED
    assert "is not signed" in run.err


def test_a_signature_of_somebody_else_is_refused(
    node: FakeNode, file: Path, key: Path
) -> None:
    export(node, file, "--key", key)
    run = verify(file)
    assert run.exit_code == ExitCode.DONE
    assert "--public-key" in run.err
    other = key.with_name("other.key")
    run_admin(FakeNode(), "key", "new", str(other))
    run = verify(file, "--public-key", f"{other}.pub")
    assert run.exit_code == ExitCode.UNVERIFIED
    assert "is signed with the key" in run.err
    assert run.out == ""


def test_an_altered_file_is_exit_7_in_one_line(node: FakeNode, file: Path) -> None:
    export(node, file)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    run = verify(file)
    assert run.exit_code == ExitCode.UNVERIFIED
    assert run.err.count("\n") == 1
    assert "altered" in run.err


def test_a_file_that_is_not_there_is_a_matter_of_usage(file: Path) -> None:
    run = verify(file)
    assert run.exit_code == ExitCode.USAGE
    assert "No such file" in run.err


def test_nothing_is_overwritten(node: FakeNode, file: Path) -> None:
    file.write_text("precious")
    run = export(node, file)
    assert run.exit_code == ExitCode.USAGE
    assert "is there already" in run.err
    assert file.read_text() == "precious"


def test_a_folder_that_is_not_there_is_named(node: FakeNode, tmp_path: Path) -> None:
    run = export(node, tmp_path / "none" / "file")
    assert run.exit_code == ExitCode.USAGE
    assert "No such file or directory" in run.err


def test_a_damaged_stream_is_not_exported(
    node: FakeNode, source: MemorySource, file: Path
) -> None:
    del source.streams[ORIGINS[0]][2]
    run = export(node, file)
    assert run.exit_code == ExitCode.UNVERIFIED
    assert "does not continue" in run.err
    assert not list(file.parent.glob("office*"))


def test_a_pair_without_events_is_a_wrong_name(file: Path) -> None:
    run = export(FakeNode(), file)
    assert run.exit_code == ExitCode.USAGE
    assert "no events of pair 'office'" in run.err


def test_a_node_whose_pages_go_in_circles_is_unclear(
    node: FakeNode, source: MemorySource, file: Path
) -> None:
    source.read = lambda origin, after, count: source.streams[origin][:3]  # type: ignore[method-assign]
    run = export(node, file)
    assert run.exit_code == ExitCode.UNREACHABLE
    assert "is told behind" in run.err


def test_a_node_of_an_older_version_gives_a_clear_error(
    node: FakeNode, file: Path
) -> None:
    node.answers.append(refusal(404, "no-such-path", "there is nothing at this path"))
    run = export(node, file)
    assert run.exit_code == ExitCode.UNREACHABLE
    assert "older version" in run.err
    assert not file.exists()


def test_progress_is_for_terminals_only(node: FakeNode, file: Path) -> None:
    run = run_admin(node, "audit", "export", str(file), terminal=True)
    assert "exporting" in run.err
    assert "exporting" not in export(node, file.with_name("2")).err


def test_names_of_a_hostile_file_do_not_steer_a_terminal(
    node: FakeNode, file: Path
) -> None:
    run = export(node, file, "--actor", "a\x1b[2Jb")
    assert run.exit_code == ExitCode.USAGE
    assert "\x1b" not in run.err


def test_other_commands_can_open_a_bundle_too(node: FakeNode, file: Path) -> None:
    export(node, file)
    with opened_bundle(file) as bundle:
        assert bundle.pair == "office"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(DataUnverified, match="cut after"), opened_bundle(file):
        raise AssertionError("never")
