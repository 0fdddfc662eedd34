"""A cut cable: both nodes serve and take changes; healed, nothing is lost (D2, D5, S5)."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

import attrs
import pytest

from eventstore import Event, EventId, Origin
from node.roles import Role
from tests.support import oracle
from tests.support.processes import NodeProcess, PairProcesses
from tests.support.redis_servers import require_redis
from tests.support.told import entries_told, events_told
from tests.support.waiting import wait_until

pytestmark = pytest.mark.redis

MASTER = Origin(Role.MASTER)
CUT_COUNT = 2
CHANGES_PER_CUT = 25
AGREED_LIMIT_S = 2.0
BOTH_ACTIVE_LIMIT_S = 15.0
EQUAL_LIMIT_S = 20.0


@pytest.fixture
def cuttable_pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PairProcesses]:
    """A settled pair with proxies on every path, with all times as they are by default."""
    require_redis()
    directory = tmp_path_factory.mktemp("cuttable-pair")
    with PairProcesses(directory, proxied=True, supervision={}) as processes:
        processes.start()
        yield processes


@attrs.define
class Changes:
    """Changes nodes by chance, and remembers every event that they acknowledged."""

    chance: random.Random
    acknowledged: list[tuple[Origin, EventId]] = attrs.field(factory=list)
    count: int = 0

    def put(self, node: NodeProcess, key: str) -> None:
        self.count += 1
        value = {"by": str(node.role), "number": self.count}
        self._remember(node, node.put(key, value))

    def delete(self, node: NodeProcess, key: str) -> None:
        self._remember(node, node.client.ask("DELETE", f"/entries/{key}")["id"])

    def some(self, node: NodeProcess, count: int) -> None:
        """Puts and deletes, of keys that both nodes change and keys of this one only."""
        for _ in range(count):
            owner = self.chance.choice(["both", str(node.role)])
            key = f"{owner}/{self.chance.randrange(8)}"
            if self.chance.random() < 0.3 and node.value(key) is not None:
                self.delete(node, key)
            else:
                self.put(node, key)

    def _remember(self, node: NodeProcess, event_id: str) -> None:
        self.acknowledged.append((Origin(node.role), EventId.parse(event_id)))


def cut_until_both_are_active(pair: PairProcesses) -> None:
    pair.cut()
    wait_until(
        lambda: pair.master.is_active and pair.standby.is_active,
        BOTH_ACTIVE_LIMIT_S,
        "both nodes to be active",
    )


def heal_and_measure_s(pair: PairProcesses) -> float:
    """Heal, and return how long it took until the master alone was active."""
    began_s = time.monotonic()
    pair.heal()
    wait_until(
        lambda: pair.standby.is_passive and pair.master.is_active,
        BOTH_ACTIVE_LIMIT_S,
        "the master to be active and the standby passive",
    )
    return time.monotonic() - began_s


def change_both_sides(changes: Changes, pair: PairProcesses, number: int) -> None:
    """One cut's worth of changes, whatever chance gives with a case of each kind."""
    for _ in range(CHANGES_PER_CUT):
        changes.some(changes.chance.choice([pair.master, pair.standby]), 1)
    # Neither knows of the other's change: the master's wins, in whatever order.
    for node in changes.chance.sample([pair.master, pair.standby], 2):
        changes.put(node, f"conflicts/{number}")
    # The standby deletes what the master changes, and the other way round.
    changes.delete(pair.standby, "known/kept")
    changes.put(pair.master, "known/kept")
    changes.put(pair.standby, "known/deleted")
    changes.delete(pair.master, "known/deleted")
    # The standby knew the master's newest change, made before the cut: it wins.
    changes.put(pair.standby, f"covering/{number}")
    changes.delete(pair.standby, f"covering-delete/{number}")


def prepare(changes: Changes, pair: PairProcesses, number: int) -> None:
    """What both nodes know before a cut."""
    keys = [f"covering/{number}", f"covering-delete/{number}"]
    for key in [*keys, "known/kept", "known/deleted"]:
        changes.put(pair.master, key)
    changes.some(pair.standby, 3)
    pair.wait_until_equal(EQUAL_LIMIT_S)


def assert_as_the_oracle_says(pair: PairProcesses) -> list[Event]:
    """Both nodes tell the same events, and the entries which these must leave."""
    events = events_told(pair.master)
    told = {event.digest: event for event in events}
    assert {e.digest: e for e in events_told(pair.standby)} == told
    expected = {
        key: (event.value, event.id, event.origin)
        for key, event in oracle.entries(events, prevailing=MASTER).items()
    }
    assert entries_told(pair.master) == expected
    assert entries_told(pair.standby) == expected
    return events


def assert_record(
    pair: PairProcesses, count: int, made: list[tuple[Origin, EventId]]
) -> None:
    """The node that gave way wrote it; both know, and name what lost of `made`."""
    for node in pair.nodes.values():
        node.wait_until(
            lambda n: n.status()["both_active"]["count"] == count, "the record"
        )
    last = pair.standby.status()["both_active"]["last"]
    assert pair.master.status()["both_active"]["last"] == last
    assert last["lasted_s"] > 0
    assert last["vectors"]["master"] != last["vectors"]["standby"]
    lost = oracle.open_losses(events_told(pair.master), prevailing=MASTER)
    assert last["losers"] == [
        {"key": key, "id": str(loser.id), "overridden_by": str(winner.id)}
        for key, (loser, winner) in sorted(lost.items(), key=lambda x: x[1][0].id)
        if {(e.origin, e.id) for e in (loser, winner)} & set(made)
    ]
    keys = {loser["key"] for loser in last["losers"]}
    assert keys >= {f"conflicts/{count - 1}", "known/kept", "known/deleted"}
    assert (last["more_losers"], last["losers_complete"]) == (0, True)
    print(f"both active for {last['lasted_s']} s: {len(keys)} changes lost")


def covering_keys(events: list[Event]) -> set[str]:
    """Keys where the standby's change stands over one of the master that it knew."""
    winners = oracle.winners(events, prevailing=MASTER)
    return {
        key
        for key, standing in winners.items()
        if standing.origin != MASTER
        and any(e.key == key and e.origin == MASTER for e in events)
    }


def test_after_a_cut_the_master_serves_and_all_changes_are_there_on_both(
    cuttable_pair: PairProcesses,
) -> None:
    pair = cuttable_pair
    changes = Changes(random.Random(7))
    for number in range(CUT_COUNT):
        prepare(changes, pair, number)
        cut_until_both_are_active(pair)
        made_before = len(changes.acknowledged)
        change_both_sides(changes, pair, number)
        assert pair.standby.is_active, "the cut did not hold"
        agreed_s = heal_and_measure_s(pair)
        print(f"cut {number + 1} healed: master alone active after {agreed_s:.3f} s")
        assert agreed_s <= AGREED_LIMIT_S
        pair.wait_until_equal(EQUAL_LIMIT_S)
        assert pair.active() is pair.master
        assert_record(pair, number + 1, changes.acknowledged[made_before:])

    pair.wait_until_equal(EQUAL_LIMIT_S)
    events = assert_as_the_oracle_says(pair)
    ids = {(event.origin, event.id) for event in events}
    assert [found for found in changes.acknowledged if found not in ids] == []
    conflicts = oracle.conflict_keys(events, prevailing=MASTER)
    for node in pair.nodes.values():
        assert node.status()["replication"]["conflicts"] == len(conflicts)
    covering = covering_keys(events)
    print(
        f"{len(changes.acknowledged)} changes acknowledged, {len(events)} events, "
        f"{len(conflicts)} keys in conflict, {len(covering)} won by covering"
    )
    for number in range(CUT_COUNT):
        assert f"conflicts/{number}" in conflicts
        assert f"covering/{number}" in covering
        assert f"covering-delete/{number}" in covering
