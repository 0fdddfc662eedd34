"""A takeover that is held back, and a node that hands over because it is sick."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from node.roles import Role
from tests.support.processes import NodeProcess, PairProcesses
from tests.support.redis_servers import require_redis

pytestmark = pytest.mark.redis


def takeover(node: NodeProcess) -> dict[str, object]:
    found = node.status()["takeover"]
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("told", Role)
def test_a_pause_holds_for_the_pair_and_ends_on_resume(
    pair: PairProcesses, told: Role
) -> None:
    active = pair.active()
    passive = pair.other(active)
    order = {"pause_s": 600}
    reply = pair.nodes[told].http.post(
        "/takeover", json=order, headers={"X-Reason": "rack%202"}
    )
    assert reply.status_code == 200
    passive.wait_until(lambda n: takeover(n)["paused"], "a pause")
    active.wait_until(lambda n: takeover(n)["paused"], "a pause")
    active.kill()
    passive.wait_until(lambda n: takeover(n)["held"], "a held takeover")
    assert passive.is_passive
    assert "rack 2" in str(takeover(passive)["held"])
    assert "automatic takeover is paused" in passive.log()

    passive.kill()
    passive.start()  # The pause is stored: alone it activates by S2, paused still.
    passive.wait_until(lambda n: n.is_active, "service")
    assert takeover(passive)["paused"]

    assert passive.http.post("/takeover", json={"pause_s": 0}).status_code == 200
    active.start()
    pair.wait_until_settled()
    active.wait_until(lambda n: not takeover(n)["paused"], "the end of the pause")
    passive.kill()
    active.wait_until(lambda n: n.is_active, "takeover")


def test_resuming_lets_a_held_takeover_happen_at_once(pair: PairProcesses) -> None:
    active = pair.active()
    passive = pair.other(active)
    passive.http.post("/takeover", json={"pause_s": 600})
    active.kill()
    passive.wait_until(lambda n: takeover(n)["held"], "a held takeover")
    passive.http.post("/takeover", json={"pause_s": 0})
    passive.wait_until(lambda n: n.is_active, "takeover")
    assert takeover(passive)["held"] is None


def test_the_hourly_cap_survives_a_restart_of_the_node(tmp_path: Path) -> None:
    require_redis()
    capped = {"supervision": {"takeovers_per_hour_max": 1}}
    with PairProcesses(tmp_path, sections=capped) as pair:
        pair.start()
        first = pair.active()
        second = pair.other(first)
        first.kill()
        second.wait_until(lambda n: n.is_active, "takeover")
        first.start()
        pair.wait_until_settled()
        second.kill()
        first.wait_until(lambda n: n.is_active, "takeover")
        second.start()
        pair.wait_until_settled()
        first.kill()
        second.wait_until(lambda n: takeover(n)["held"], "a held takeover")
        assert "once within an hour" in str(takeover(second)["held"])
        assert second.is_passive


@pytest.fixture
def witnessed(tmp_path: Path) -> Iterator[tuple[PairProcesses, Path]]:
    require_redis()
    there = tmp_path / "reached"
    witness = {"command": ["test", "-e", str(there)], "deadline_s": 10.0}
    with PairProcesses(tmp_path, proxied=True, sections={"witness": witness}) as pair:
        there.touch()
        pair.start()
        yield pair, there


def test_a_witness_that_is_not_reached_is_a_veto_until_it_is(
    witnessed: tuple[PairProcesses, Path],
) -> None:
    pair, there = witnessed
    passive = pair.other(pair.active())
    there.unlink()
    pair.cut()
    passive.wait_until(lambda n: takeover(n)["held"], "a veto")
    assert "the witness: test ended with 1" in str(takeover(passive)["held"])
    assert passive.is_passive
    there.touch()
    passive.wait_until(lambda n: n.is_active, "takeover")


@pytest.mark.parametrize("role", Role)
def test_s15_an_active_node_whose_redis_is_gone_hands_over(
    pair: PairProcesses, role: Role
) -> None:
    sick = pair.nodes[role]
    if not sick.is_active:
        assert pair.master.http.post("/switch", json={}).status_code == 200
        sick.wait_until(lambda n: n.is_active, "service")
    well = pair.other(sick)
    pair.redis[role].kill()
    well.wait_until(lambda n: n.is_active, "service")
    sick.wait_until(lambda n: n.is_passive, "the end of service")
    assert str(well.status()["reason"]).startswith("hand-over: it cannot serve: redis")
    assert "rule=S15" in sick.log()
    pair.redis[role].start()
    pair.wait_until_equal()
    assert pair.wait_until_settled() is well


def test_s15_without_a_well_peer_it_serves_on_and_says_so(pair: PairProcesses) -> None:
    active = pair.active()
    pair.other(active).kill()
    pair.redis[active.role].kill()
    active.wait_until(lambda n: n.status()["hand_over_problem"], "a problem")
    assert active.is_active
    assert active.status()["hand_over_problem"] == "the peer is not connected"
    assert "this node cannot serve" in active.log()
