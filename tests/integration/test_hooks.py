"""Hook commands of real nodes: in order, and once more after a crash (S17)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.processes import PairProcesses
from tests.support.waiting import wait_until

LIMIT_S = 15.0


@pytest.mark.redis
def test_a_killed_node_drops_its_address_when_it_is_back(tmp_path: Path) -> None:
    told = tmp_path / "told"

    def lines() -> list[str]:
        return told.read_text().splitlines() if told.exists() else []

    script = f'echo "$NETPHONE_ROLE $NETPHONE_STATE" >> {told}'
    hook = ["/bin/sh", "-c", script]
    sections = {"hooks": {"on_active": hook, "on_passive": hook}}
    with PairProcesses(tmp_path / "pair", sections=sections) as pair:
        pair.start()
        active = pair.wait_until_settled()
        other = pair.other(active)
        wait_until(
            lambda: f"{active.role} active" in lines(), LIMIT_S, "the active hook"
        )
        assert lines().index(f"{active.role} passive") < lines().index(
            f"{active.role} active"
        )
        told.unlink()
        active.kill()
        wait_until(
            lambda: lines() == [f"{other.role} active"], LIMIT_S, "the taker's hook"
        )
        active.start()
        wait_until(
            lambda: lines() == [f"{other.role} active", f"{active.role} passive"],
            LIMIT_S,
            "the hook of the node that came back",
        )
