"""A link that breaks and returns changes nothing (S12); a cut one way leaves one active (S20)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest

from node.roles import Role
from tests.support.processes import FAST, NodeProcess, PairProcesses
from tests.support.proxies import End
from tests.support.redis_servers import require_redis
from tests.support.told import events_told
from tests.support.waiting import wait_until

pytestmark = pytest.mark.redis

MASTER, STANDBY = Role.MASTER, Role.STANDBY
RESET_COUNT = 10
FORGOTTEN_COUNT = 3
LIMIT_S = 15.0


@pytest.fixture(scope="module")
def proxied_pair(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[PairProcesses]:
    require_redis()
    directory = tmp_path_factory.mktemp("proxied-pair")
    with PairProcesses(directory, proxied=True, supervision=FAST) as processes:
        processes.start()
        yield processes


@pytest.fixture
def pair(proxied_pair: PairProcesses) -> PairProcesses:
    """A settled pair whose master is active; overrides the fixture of that name."""
    proxied_pair.restore()
    if not proxied_pair.master.is_active:
        assert proxied_pair.master.http.post("/switch", json={}).status_code == 200
        proxied_pair.restore()
    return proxied_pair


def state_changes(pair: PairProcesses) -> list[object]:
    return [e.id for e in events_told(pair.master) if e.kind == "state-changed"]


def await_words_of_peer(node: NodeProcess) -> None:
    """Wait until the peer was heard three times: by then each side has answered the other."""
    ago_s = [0.0]

    def heard_thrice() -> bool:
        ago_s.append(node.status()["peer"]["heard_ago_s"])
        return sum(later < before for before, later in pairwise(ago_s)) >= 3

    wait_until(heard_thrice, LIMIT_S, f"three heartbeats to arrive at {node}")


def test_a_link_that_breaks_and_returns_changes_no_state(pair: PairProcesses) -> None:
    before = state_changes(pair)
    proxies = pair.link_proxies.values()
    for _ in range(RESET_COUNT):
        for proxy in proxies:
            proxy.reset()
        wait_until(
            lambda: all(proxy.connection_count for proxy in proxies),
            LIMIT_S,
            "each node to have dialled anew",
        )
        for node in pair.nodes.values():
            node.wait_until(lambda n: n.status()["peer"]["connected"], "the link")
    assert pair.active() is pair.master
    assert state_changes(pair) == before


@pytest.mark.parametrize("untold", [{MASTER}, {STANDBY}, {MASTER, STANDBY}])
def test_connections_that_end_untold_change_no_state(
    pair: PairProcesses, untold: set[Role]
) -> None:
    """As when a firewall forgets them, or a reset is lost: new ones pass at once."""
    before = state_changes(pair)
    proxies = pair.link_proxies
    for _ in range(FORGOTTEN_COUNT):
        for dialler, proxy in proxies.items():
            ends = {dialler: End.CALLER, dialler.other: End.TARGET}
            proxy.forget(*(ends[role] for role in untold))
        wait_until(
            lambda: all(proxy.connection_count for proxy in proxies.values()),
            LIMIT_S,
            "each node to have dialled anew",
        )
        for node in pair.nodes.values():
            await_words_of_peer(node)
    assert pair.active() is pair.master
    assert state_changes(pair) == before


def test_a_master_that_is_not_heard_yields_to_the_standby_that_took_over(
    pair: PairProcesses,
) -> None:
    pair.cut_one_way(Role.MASTER)
    wait_until(lambda: pair.standby.is_active, LIMIT_S, "the standby to take over")
    wait_until(lambda: pair.master.is_passive, LIMIT_S, "the master to yield")
    status = pair.master.status()
    assert status["peer"]["hears_us"] is False
    assert "rule=S20" in pair.master.log()
    pair.heal()  # What the master said while it was active may arrive now, before this:
    pair.master.wait_until(lambda n: n.status()["peer"]["hears_us"], "an answer")
    pair.wait_until_settled()
    pair.wait_until_equal()
    wait_until(
        lambda: [e for e in events_told(pair.master) if e.kind == "both-active"],
        LIMIT_S,
        "the record that both were active until the master had yielded",
    )


def test_a_standby_that_is_not_heard_yields_to_the_master(pair: PairProcesses) -> None:
    assert pair.master.http.post("/switch", json={}).status_code == 200
    assert pair.wait_until_settled() is pair.standby
    pair.cut_one_way(Role.STANDBY)
    wait_until(lambda: pair.master.is_active, LIMIT_S, "the master to take over")
    wait_until(lambda: pair.standby.is_passive, LIMIT_S, "the standby to yield")
    pair.heal()
    assert pair.wait_until_settled() is pair.master
