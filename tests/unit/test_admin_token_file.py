"""The token comes from a private file or the environment, and is never shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from admin.errors import UsageProblem
from admin.token_file import find_token


def _file(folder: Path, content: bytes, mode: int = 0o600) -> Path:
    path = folder / "node.token"
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_the_file_wins_over_the_environment(tmp_path: Path) -> None:
    environ = {"NETPHONE_TOKEN": "of-environment"}
    assert find_token(_file(tmp_path, b"of-file\n"), environ) == "of-file"
    assert find_token(None, environ) == "of-environment"
    assert find_token(None, {}) is None
    assert find_token(None, {"NETPHONE_TOKEN": ""}) is None


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o602, 0o777])
def test_a_file_that_others_can_reach_is_refused(tmp_path: Path, mode: int) -> None:
    path = _file(tmp_path, b"hunter2", mode)
    with pytest.raises(UsageProblem) as raised:
        find_token(path, {})
    assert str(raised.value).endswith(f"correct it with: chmod 600 {path}")
    assert f"mode 0{mode:o}" in str(raised.value)
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"hunter2 two", "more than a token"),
        (b"hunter2\nX-Actor: boss", "more than a token"),
        (b"hunter2\xff", "more than a token"),
        (b"hunter2" * 1000, "over 4096 bytes"),
    ],
)
def test_what_is_no_token_is_refused_unseen(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    with pytest.raises(UsageProblem, match=reason) as raised:
        find_token(_file(tmp_path, content), {})
    assert "hunter2" not in str(raised.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="No such file"):
        find_token(tmp_path / "none", {})
    with pytest.raises(UsageProblem, match="Is a directory"):
        find_token(tmp_path, {})


def test_a_token_of_the_environment_is_checked_too() -> None:
    with pytest.raises(UsageProblem, match="NETPHONE_TOKEN holds more than a token"):
        find_token(None, {"NETPHONE_TOKEN": "a\nb"})
