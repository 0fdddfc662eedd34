"""`key new`, and key files as other commands read them."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from admin.errors import ExitCode, UsageProblem
from admin.key_files import read_private_key, read_public_key
from tests.support.admin_runner import run_admin
from tests.support.fake_node import FakeNode
from tests.support.full_disk import full_disk


def test_a_new_key_is_two_files_and_the_private_one_is_closed(tmp_path: Path) -> None:
    file = tmp_path / "audit.key"
    run = run_admin(FakeNode(), "key", "new", str(file))
    assert run.exit_code == ExitCode.DONE
    key, public = read_private_key(file), read_public_key(tmp_path / "audit.key.pub")
    assert key.public.fingerprint == public.fingerprint
    assert public.fingerprint in run.out
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("there", ["audit.key", "audit.key.pub"])
def test_no_key_is_overwritten(tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_text("precious")
    run = run_admin(FakeNode(), "key", "new", str(tmp_path / "audit.key"))
    assert run.exit_code == ExitCode.USAGE
    assert "is there already" in run.err
    assert [path.name for path in tmp_path.iterdir()] == [there]
    assert (tmp_path / there).read_text() == "precious"


@pytest.mark.parametrize("room", [10, 118])
def test_a_full_disk_leaves_no_half_of_a_key(tmp_path: Path, room: int) -> None:
    with full_disk(room):
        run = run_admin(FakeNode(), "key", "new", str(tmp_path / "audit.key"))
    assert run.exit_code == ExitCode.USAGE
    assert "File too large" in run.err
    assert list(tmp_path.iterdir()) == []


def test_a_private_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "audit.key"
    run_admin(FakeNode(), "key", "new", str(file))
    file.chmod(0o640)
    with pytest.raises(UsageProblem, match="chmod 600"):
        read_private_key(file)


def test_a_public_key_in_the_place_of_a_private_one_is_told(tmp_path: Path) -> None:
    run_admin(FakeNode(), "key", "new", str(tmp_path / "audit.key"))
    with pytest.raises(UsageProblem, match="but a public key"):
        read_private_key(tmp_path / "audit.key.pub")


def test_what_is_no_key_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="No such file"):
        read_public_key(tmp_path / "none")
    (tmp_path / "text").write_text("hello")
    with pytest.raises(UsageProblem, match="no Ed25519 public key"):
        read_public_key(tmp_path / "text")
