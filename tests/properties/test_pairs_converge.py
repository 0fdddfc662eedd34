"""Two stores over Redis that hear of each other whenever it happens to be (D1, D8)."""

from __future__ import annotations

import contextlib

import fakeredis
from hypothesis import given, settings
from hypothesis import strategies as st

from eventstore import Delete, Event, NoSuchEntry, Origin, Put, codec
from tests.contracts.nodes import Clock, Node, entries_of
from tests.properties.pairs import any_origin, keys
from tests.support import oracle
from tests.support.histories import MASTER, ORIGINS, STANDBY, other

changes = st.builds(Put, keys, st.integers(0, 5)) | st.builds(Delete, keys)
writes = st.tuples(
    any_origin, st.lists(changes, min_size=1, max_size=3), st.integers(0, 9)
)
pulls = st.tuples(any_origin, st.integers(1, 4))
restarts = any_origin.map(lambda origin: (origin,))


def new_node(origin: Origin, clock: Clock) -> Node:
    server = fakeredis.FakeServer(version=(7,))
    return Node(lambda: fakeredis.FakeRedis(server=server), origin, clock)


def stored_events(node: Node) -> list[Event]:
    found = [codec.decode(o, *place) for o in ORIGINS for place in node.stored(o)]
    return [event for event in found if isinstance(event, Event)]


@settings(max_examples=50)
@given(st.lists(writes | pulls | restarts, max_size=16))
def test_a_pair_converges_to_what_the_oracle_says(
    actions: list[tuple[Origin, list[Put | Delete], int] | tuple[Origin, int]],
) -> None:
    clocks = {origin: Clock(5) for origin in ORIGINS}
    nodes = {origin: new_node(origin, clocks[origin]) for origin in ORIGINS}
    for action in actions:
        node, there = nodes[action[0]], nodes[other(action[0])]
        match action:
            case (_, list(changes), int(ms)):
                clocks[node.origin].ms = ms
                with contextlib.suppress(NoSuchEntry):
                    node.store.append(changes, actor="jane")
            case (_, int(count)):
                node.pull(there, count)
            case _:
                node.store = node.reopened()
        expected = oracle.entries(stored_events(node), prevailing=MASTER)
        assert {e.key: e.event for e in node.store.entries()} == expected
    for origin in ORIGINS:
        nodes[origin].pull(nodes[other(origin)])
    master, standby = nodes[MASTER], nodes[STANDBY]
    assert entries_of(master.store) == entries_of(standby.store)
    assert master.store.snapshot == standby.store.snapshot
    assert master.reopened().snapshot == master.store.snapshot
    for origin in ORIGINS:
        assert master.stored(origin) == standby.stored(origin)
        assert [i.n for i in master.stored_ids(origin)] == list(
            range(1, len(master.stored(origin)) + 1)
        )
