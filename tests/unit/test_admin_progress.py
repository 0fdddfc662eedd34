"""The bar of long walks: seen on a terminal, and nowhere else."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from admin.cli.output import Output
from admin.cli.progress import shown_progress
from tests.support.admin_runner import Terminal


def drawn(stdout: io.TextIOBase, stderr: io.StringIO, *, live: bool) -> str:
    output = Output(json=False, stdout=stdout, stderr=stderr)  # type: ignore[arg-type]
    with shown_progress(output, "reading", 2000, live=live) as steps:
        steps.advance(1000)
        steps.advance(500)
    return stderr.getvalue()


def test_a_terminal_sees_how_far_it_is_and_nothing_stays() -> None:
    seen = drawn(Terminal(), Terminal(), live=False)
    assert "reading" in seen
    assert "1500/2000" in seen
    assert seen.endswith("\x1b[2K")  # The line is erased.


@pytest.mark.parametrize("live", [False, True])
def test_a_pipe_or_a_file_at_standard_error_gets_none_of_it(live: bool) -> None:
    assert drawn(Terminal(), io.StringIO(), live=live) == ""


def test_results_that_appear_meanwhile_are_not_disturbed() -> None:
    assert drawn(Terminal(), Terminal(), live=True) == ""
    reader, writer = os.pipe()
    with os.fdopen(reader), os.fdopen(writer, "w") as pipe:
        assert drawn(pipe, Terminal(), live=True) == ""


def test_results_that_go_to_a_file_disturb_nobody(tmp_path: Path) -> None:
    with (tmp_path / "results").open("w") as file:
        assert "1500/2000" in drawn(file, Terminal(), live=True)


def test_a_total_may_be_known_later_and_may_grow() -> None:
    stderr = Terminal()
    output = Output(json=False, stdout=io.StringIO(), stderr=stderr)
    with shown_progress(output, "verifying", None) as steps:
        steps.reach(5, 7)
        steps.reach(9, 7)
    assert "/?" not in stderr.getvalue()
    assert "9/9" in stderr.getvalue()
