"""A replay from Redis gives what nodes had: random changes, random copying, clocks that jump."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from eventstore import (
    START,
    DamagedEvent,
    Delete,
    EventId,
    NoSuchPoint,
    Origin,
    Put,
    read_blame,
    read_explanation,
    replay,
)
from eventstore.codec import digest_of
from tests.contracts.conftest import Connect
from tests.contracts.nodes import Clock, Node
from tests.support import past_oracle
from tests.support.histories import MASTER, STANDBY

STATE_COUNT = 100
KEYS = tuple(f"users/{n}" for n in range(6))
PAIR: dict[str, Any] = {"prevailing": MASTER, "other": STANDBY}
State = tuple[dict[Origin, EventId], str, dict[str, tuple[bytes, bytes]]]


def state_of(node: Node) -> State:
    """Vector, digest and entries, byte for byte."""
    snapshot = node.store.snapshot
    entries = {e.key: (e.event.packed, e.event.digest) for e in node.store.entries()}
    return dict(snapshot.vector), snapshot.digest, entries


def replayed(node: Node, vector: dict[Origin, EventId]) -> State:
    found = replay(node.streams, vector, **PAIR)
    entries = {
        entry.key: (entry.event.packed, entry.event.digest)
        for entry in found.configuration.entries()
    }
    return found.cut, found.configuration.digest, entries


class Pair:
    """Two nodes with clocks of their own, and what they had."""

    def __init__(self, connect_to: Connect, seed: int) -> None:
        self.random = Random(seed)
        self.clocks = Clock(), Clock()
        self.nodes = (
            Node(lambda: connect_to(0), MASTER, self.clocks[0]),
            Node(lambda: connect_to(1), STANDBY, self.clocks[1]),
        )
        self.states: list[State] = []

    def step(self) -> None:
        place = self.random.randrange(2)
        node, peer = self.nodes[place], self.nodes[1 - place]
        self.clocks[place].ms += self.random.choice((0, 1, 5, 900, -400, 86_400_000))
        if self.clocks[place].ms > Clock().ms + 80_000_000:  # The leap is corrected.
            self.clocks[place].ms = Clock().ms + self.random.randrange(5000)
        if self.random.random() < 0.35:
            node.pull(peer, self.random.randrange(1, 6))
        else:
            self.change(node)
        self.states.append(state_of(node))

    def change(self, node: Node) -> None:
        key = self.random.choice(KEYS)
        if self.random.random() < 0.2 and node.store.get(key):
            node.store.append([Delete(key)], actor="joe")
        else:
            node.store.append([Put(key, self.random.randrange(4))], actor="jane")

    def meet(self) -> None:
        for node, peer in (self.nodes, self.nodes[::-1]):
            node.pull(peer)


@pytest.fixture(params=range(3))
def pair(connect_to: Connect, request: pytest.FixtureRequest) -> Pair:
    pair = Pair(connect_to, request.param)
    while len(pair.states) < STATE_COUNT:
        pair.step()
    pair.meet()
    return pair


def test_at_a_hundred_points_a_replay_gives_what_a_node_had(pair: Pair) -> None:
    points = pair.random.sample(pair.states, STATE_COUNT)
    assert len({tuple(sorted(vector.items())) for vector, _, _ in points}) > 50
    for state in points:
        for node in pair.nodes:
            assert replayed(node, state[0]) == state


def test_at_any_time_both_nodes_replay_the_same_as_the_oracle_says(pair: Pair) -> None:
    found = [event for node in pair.nodes for event, _ in node.told]
    events = list({event.digest: event for event in found}.values())
    for event in pair.random.sample(events, 30):
        until_ns = event.wall_ns + pair.random.choice((-1, 0, 1))
        cut = past_oracle.cut_at(events, until_ns)
        for node in pair.nodes:
            assert replay(node.streams, until_ns, **PAIR).cut == cut


def test_now_is_what_both_nodes_have(pair: Pair) -> None:
    for node in pair.nodes:
        found = replay(node.streams, **PAIR)
        assert found.configuration.digest == node.store.snapshot.digest
        assert found.cut == node.store.snapshot.vector


def test_after_a_recovery_it_is_the_history_as_it_is_now(
    pair: Pair, connect_to: Connect
) -> None:
    node, peer = pair.nodes
    saved = node.saved()
    for _ in range(10):
        pair.change(node)
    peer.pull(node)
    node.put_back(saved)
    node.restart()
    for _ in range(5):  # Made in ignorance of what was lost.
        node.store.append([Put(pair.random.choice(KEYS), {"a": 1})], actor="ann")
    node.recover(peer)
    pair.meet()
    for each in pair.nodes:
        assert replay(each.streams, **PAIR).configuration.digest == (
            each.store.snapshot.digest
        )
        for key in KEYS:
            found = read_blame(each.streams, key, limit=1000, **PAIR)
            entry = each.store.get(key)
            assert (
                read_explanation(each.streams, key, **PAIR).standing == found.standing
            )
            if entry is None:
                assert found.standing is None or found.standing.kind == "entry-deleted"
            else:
                assert found.standing == entry.event


def test_what_comes_while_it_reads_is_left_out(master: Node, standby: Node) -> None:
    master.put("users/a", 1)
    cut = dict(master.store.snapshot.vector)

    def write_more(_: int) -> None:
        master.put("users/a", 2)

    found = replay(master.streams, **PAIR, watch=write_more)
    assert found.cut == cut
    entry = found.configuration.get("users/a")
    assert entry is not None
    assert entry.value == 1


def test_causes_that_are_not_there_are_told(master: Node, standby: Node) -> None:
    master.put("users/a", 1)
    standby.pull(master)
    standby.put("users/a", 2)
    standby.client.delete(standby.streams.key(MASTER))
    text = (
        "ends with 0-0, and an event of this history knew .*: that stream lost events"
    )
    for until in (None, 10**20):
        with pytest.raises(DamagedEvent, match=text):
            replay(standby.streams, until, **PAIR)


def test_events_of_a_later_version_are_in_the_cut_and_not_applied(master: Node) -> None:
    master.put("users/a", 1)
    last = master.stored()[-1][0]
    later = EventId(last.ms, last.n + 1)
    blob = b"\x92\x02\xc4\x20" + digest_of(b"")
    assert master.streams.append(MASTER, last, [(later, blob)]) is None
    for until in (None, {MASTER: later}):
        found = replay(master.streams, until, **PAIR)
        assert (found.cut, len(found.configuration)) == ({MASTER: later}, 1)
    assert replay(master.streams, 10**20, **PAIR).cut == {MASTER: last}


def test_an_empty_redis_has_no_past(master: Node) -> None:
    for until in (None, 0, {}, {MASTER: START}):
        assert replay(master.streams, until, **PAIR).cut == {}
    with pytest.raises(NoSuchPoint):
        replay(master.streams, {STANDBY: EventId(1, 1)}, **PAIR)
