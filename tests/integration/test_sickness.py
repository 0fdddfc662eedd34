"""A node whose service reports itself sick hands over to a well peer (S15)."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from node.roles import Role
from tests.support.processes import PairProcesses
from tests.support.redis_servers import require_redis

pytestmark = pytest.mark.redis

PROBLEM = "no route to the provider"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PairProcesses]:
    """A settled pair of services, each with a health check that a test can make fail."""
    require_redis()
    module = (sys.executable, "-m", "tests.support.calls_service", "--config")
    with PairProcesses(
        tmp_path_factory.mktemp("serving-pair"), command=lambda path: (*module, path)
    ) as processes:
        processes.start()
        yield processes


@pytest.mark.parametrize("role", [Role.MASTER, Role.STANDBY])
def test_an_active_node_whose_health_check_fails_hands_over_and_not_back(
    pair: PairProcesses, role: Role
) -> None:
    sick = pair.active()
    assert sick.role is role, "each test leaves the other node active"
    well = pair.other(sick)
    sick.put(f"sick/{role}", PROBLEM)
    well.wait_until(lambda n: n.is_active, "service")
    sick.wait_until(lambda n: n.is_passive, "the end of service")
    reason = well.status()["reason"]
    assert reason == f"hand-over: it cannot serve: sip: {PROBLEM}"
    assert "rule=S15" in sick.log()
    assert well.status()["peer"]["health"] == {"sip": PROBLEM}
    assert sick.status()["health"]["sip"] == PROBLEM

    # Sick on both sides there is nobody to hand over to: it goes on, and says why.
    well.put(f"sick/{well.role}", PROBLEM)
    well.wait_until(lambda n: n.status()["hand_over_problem"], "a problem")
    assert well.is_active
    assert sick.is_passive

    for node in (sick, well):
        node.client.ask("DELETE", f"/entries/sick/{node.role}")
        node.wait_until(lambda n: n.status()["health"]["sip"] == "ok", "health")
    well.wait_until(lambda n: n.status()["hand_over_problem"] is None, "no problem")
    assert pair.wait_until_settled() is well
