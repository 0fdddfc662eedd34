"""The standby's 28 days for real, with a grace of seconds: warned, ended, restored (L2)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from node.roles import Role
from tests.support.clock_step import ClockStep
from tests.support.licences import document
from tests.support.processes import NodeProcess, PairProcesses
from tests.support.redis_servers import require_redis
from tests.support.waiting import wait_until

pytestmark = pytest.mark.redis

GRACE_S = 6.0
HEARD_BEFORE_S = 0.5
"""The master's last heartbeat was so long before it was killed, at most."""
LIMIT_S = 30.0
DAY_S = 86_400.0
WARNING = "licences become invalid on this standby in"


@pytest.fixture
def short_pair(tmp_path: Path, clock_step: ClockStep) -> Iterator[PairProcesses]:
    require_redis()
    sections = {"licences": {"grace_days": GRACE_S / DAY_S}}
    environments = {Role.STANDBY: clock_step.environment}
    with PairProcesses(
        tmp_path, sections=sections, environments=environments
    ) as processes:
        processes.start()
        yield processes


def licences(node: NodeProcess) -> dict[str, Any]:
    found: dict[str, Any] = node.status().get("licences", {})
    return found


def is_over(node: NodeProcess) -> bool:
    """Whether the grace is over there; then no licence is valid, and else the one is."""
    found = licences(node)
    assert found["valid"] is not found["grace_over"], found
    return bool(found["grace_over"])


def facts(node: NodeProcess) -> list[dict[str, Any]]:
    """What the standby's stream says of it, oldest first."""
    reply = node.http.get("/history", params={"origin": "standby", "limit": 1000})
    events: list[dict[str, Any]] = reply.json()["events"]
    return [event for event in events if event["kind"].startswith("licences-")]


def kinds(node: NodeProcess) -> list[str]:
    return [event["kind"] for event in facts(node)]


def test_licences_end_on_a_standby_without_its_master_and_return_with_it(
    short_pair: PairProcesses, clock_step: ClockStep
) -> None:
    master, standby = short_pair.master, short_pair.standby
    reply = master.http.post("/licences", json=document())
    assert reply.status_code == 200, reply.text
    wait_until(lambda: licences(standby)["valid"], LIMIT_S, "the licence")
    assert licences(standby)["grace_days_left"] == 0.0
    assert licences(master)["grace_days_left"] is None
    assert not is_over(standby)
    assert not is_over(master)
    assert WARNING not in standby.log()

    killed_s = time.monotonic()
    master.kill()
    standby.wait_until(lambda n: WARNING in n.log(), "a warning")
    assert not is_over(standby)

    # Started anew with a clock that leapt ahead, it goes on where it was.
    standby.kill()
    clock_step.set(400 * DAY_S)
    standby.start()
    wait_until(lambda: licences(standby), LIMIT_S, "the standby to answer")
    wait_until(lambda: is_over(standby), LIMIT_S, "the end")
    assert time.monotonic() - killed_s > GRACE_S - HEARD_BEFORE_S, "ended early"
    wait_until(lambda: kinds(standby) == ["licences-lapsed"], LIMIT_S, "its event")
    (lapsed,) = facts(standby)
    assert GRACE_S < lapsed["value"]["unreached_s"] < GRACE_S + LIMIT_S
    assert lapsed["actor"] == "standby node"

    # Nor does it come back by a restart, killed or not, with the clock set back.
    for end in (standby.terminate, standby.kill):
        end()
        clock_step.set(-400 * DAY_S)
        standby.start()
        wait_until(lambda: licences(standby), LIMIT_S, "the standby to answer")
        assert is_over(standby)
        standby.wait_until(lambda n: n.is_active, "to serve alone")
        assert is_over(standby)
    assert kinds(standby) == ["licences-lapsed"], "told once"

    master.start()
    wait_until(lambda: not is_over(standby), LIMIT_S, "the return")
    wait_until(
        lambda: kinds(standby) == ["licences-lapsed", "licences-restored"],
        LIMIT_S,
        "its event",
    )
    short_pair.wait_until_equal()
    assert kinds(master) == kinds(standby), "and the master knows of it"
    warned = [line for line in standby.log().splitlines() if WARNING in line]
    assert 1 <= len(warned) <= 4, "no warning twice"
