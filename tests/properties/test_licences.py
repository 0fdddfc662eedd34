"""Licences are the same on both nodes, in whatever order and pages the events arrive."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from eventstore import LICENCES, Event, Kind, Origin
from eventstore.memory import Memory, Stored
from node.licences import Licences, validity
from tests.support.histories import MASTER, ORIGINS, PAIR, STANDBY, Writer
from tests.support.licences import KEY, NOW_NS, signed

IDS = ("L-1", "L-2", "L-3")
DOCUMENTS = {
    (i, seats): signed(i, seats=seats, option=option)
    for i, option in zip(IDS, (None, None, "rec"), strict=True)
    for seats in (5, 50)
}
steps = st.lists(
    st.tuples(
        st.sampled_from([Kind.LICENCE_INSTALLED, Kind.LICENCE_REMOVED, Kind.ENTRY_PUT]),
        st.sampled_from(sorted(DOCUMENTS)),
    ),
    max_size=12,
)
Step = tuple[Kind, tuple[str, int]]


def written(origin: Origin, chosen: Sequence[Step]) -> Writer:
    writer = Writer(origin)
    for kind, (licence_id, seats) in chosen:
        prefix = "users/" if kind is Kind.ENTRY_PUT else LICENCES
        writer.write(kind, prefix + licence_id, DOCUMENTS[licence_id, seats])
    return writer


def memory_of(turns: Sequence[tuple[Origin, Sequence[Stored]]]) -> Memory:
    memory = Memory(PAIR, ORIGINS, prevailing=MASTER)
    for origin, page in turns:
        if page:
            memory.fold(origin, page, memory.chained(origin, page))
    return memory


def judged(events: Sequence[Event]) -> object:
    known = Licences.of_events(events, KEY.public)
    return validity(known, now_wall_ns=NOW_NS, grace_over=False)


@given(steps, steps, st.data())
def test_any_order_gives_the_same_licences(
    masters: list[Step], standbys: list[Step], data: st.DataObject
) -> None:
    blobs = {
        MASTER: written(MASTER, masters).blobs,
        STANDBY: written(STANDBY, standbys).blobs,
    }
    turns = list[tuple[Origin, Sequence[Stored]]]()
    left = {origin: list(found) for origin, found in blobs.items()}
    while any(left.values()):
        origin = data.draw(st.sampled_from([o for o in ORIGINS if left[o]]))
        count = data.draw(st.integers(1, len(left[origin])))
        turns.append((origin, left[origin][:count]))
        left[origin] = left[origin][count:]
    mixed = memory_of(turns)
    alone = memory_of([(MASTER, blobs[MASTER])])
    assert mixed.licences == alone.licences, "the standby's stream has no say"
    assert judged(list(mixed.licences.values())) == judged(
        list(reversed(alone.licences.values()))
    )
    expected = {}
    for kind, (licence_id, seats) in masters:
        if kind is Kind.LICENCE_INSTALLED:
            expected[licence_id] = seats
        elif kind is Kind.LICENCE_REMOVED:
            expected.pop(licence_id, None)
    found = Licences.of_events(mixed.licences.values(), KEY.public).installed
    assert {f.id: f.licence.seats for f in found if f.licence} == expected
