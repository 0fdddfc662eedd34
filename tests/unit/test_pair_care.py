"""How long a child that ended stays down, and which lines of a log are repeated."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.pair.care import ChangesOfState, restart_delay_s


@pytest.mark.parametrize(
    ("last_delay_s", "lived_s", "expected_s"),
    [
        pytest.param(0.0, 1e6, 3.0, id="first end"),
        pytest.param(0.0, 0.1, 3.0, id="ends at once"),
        pytest.param(3.0, 0.1, 6.0, id="and again"),
        pytest.param(24.0, 0.1, 30.0, id="limit"),
        pytest.param(30.0, 10.0, 3.0, id="had lived long"),
    ],
)
def test_the_delay_doubles_while_a_child_ends_at_once(
    last_delay_s: float, lived_s: float, expected_s: float
) -> None:
    assert restart_delay_s(last_delay_s, lived_s) == expected_s


def test_each_change_of_state_is_repeated_once_when_its_line_is_whole(
    tmp_path: Path,
) -> None:
    log = tmp_path / "log"
    log.write_text("INFO old passive -> active role=master\n")
    changes = ChangesOfState(log)
    with log.open("a") as file:
        file.write(
            "INFO hello\nINFO x: active -> passive role=master\nINFO passive -> "
        )
    assert changes.new() == ["active -> passive role=master"]
    assert changes.new() == []
    with log.open("a") as file:
        file.write('active reason="peer lost"\n')
    assert changes.new() == ['passive -> active reason="peer lost"']


def test_a_log_that_was_set_aside_is_read_from_its_start(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("a line of the old log, which is longer than the new one\n")
    changes = ChangesOfState(log)
    log.write_text("passive -> active\n")
    assert changes.new() == ["passive -> active"]
    log.unlink()
    assert changes.new() == []
