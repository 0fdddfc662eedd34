"""Where two copies of a stream part, and what speaks against replacing one by the other."""

from __future__ import annotations

import attrs
import pytest

from eventstore import START, EventId, Kind, codec
from eventstore.memory import Head, Stored, head_of
from eventstore.parting import LISTED_COUNT_MAX, Leaving, Parting, leaving_with, part
from tests.support.histories import MASTER, PAIR, STANDBY, Writer

GENESIS = Head(START, codec.genesis(PAIR, MASTER))
NONE: list[Stored] = []


def written(count: int, *, value: int = 0) -> list[Stored]:
    writer = Writer(MASTER)
    for n in range(count):
        writer.put(f"users/{n}", value if n >= 2 else 0, ms=1000 + n)
    return writer.blobs


def parted(ours: list[Stored], theirs: list[Stored]) -> Parting:
    return part(MASTER, GENESIS, iter(ours), iter(theirs))


@pytest.mark.parametrize("count", [0, 1, 3])
def test_equal_copies_do_not_part(count: int) -> None:
    stored = written(count)
    found = parted(stored, stored)
    end = head_of(stored[-1]) if stored else GENESIS
    assert found == Parting(origin=MASTER, common=end, last=end.id)
    assert not found.is_ours_ahead


def test_a_shorter_copy_lacks_nothing_of_its_own() -> None:
    stored = written(3)
    found = parted(stored[:2], stored)
    assert (found.common, found.event_count) == (head_of(stored[1]), 0)
    assert found.is_theirs_longer


def test_what_is_only_here_is_counted_and_listed() -> None:
    stored = written(5)
    found = parted(stored, stored[:2])
    assert found.common == head_of(stored[1])
    assert (found.event_count, found.change_count) == (3, 3)
    assert [event.id for event in found.listed] == [i for i, _ in stored[2:]]
    assert found.last == stored[-1][0]
    assert found.is_ours_ahead
    assert not found.is_theirs_longer


def test_a_list_is_bounded_and_the_count_is_not() -> None:
    stored = written(LISTED_COUNT_MAX + 7)
    found = parted(stored, NONE)
    assert found.common == GENESIS
    assert found.change_count == LISTED_COUNT_MAX + 7
    assert len(found.listed) == LISTED_COUNT_MAX
    changed = leaving_with(left(), (str(n) for n in range(LISTED_COUNT_MAX + 7)))
    assert changed.changed_count == LISTED_COUNT_MAX + 7
    assert len(changed.changed) == LISTED_COUNT_MAX


def test_a_fork_of_equal_length_parts_where_the_bytes_do() -> None:
    ours, theirs = written(4), written(4, value=1)
    found = parted(ours, theirs)
    assert found.common == head_of(ours[1])
    assert found.event_count == 2
    assert found.is_theirs_longer
    assert found.is_ours_ahead, "each is one history, as far as can be seen"


def test_what_a_node_records_of_itself_is_no_change_of_an_entry() -> None:
    writer = Writer(MASTER)
    writer.put("users/a", ms=1)
    writer.write(Kind.STATE_CHANGED, "", "active", ms=2)
    found = parted(writer.blobs, writer.blobs[:1])
    assert (found.event_count, found.change_count, found.listed) == (1, 0, ())


@pytest.mark.parametrize(
    "spoil",
    [
        lambda stored: stored[:2] + stored[3:],
        lambda stored: [*stored, (EventId(9999, 1), stored[-1][1])],
        lambda stored: [*stored, (EventId(9999, 6), b"x")],
    ],
    ids=["a gap", "an entry copied by hand", "no event at all"],
)
def test_a_damage_is_no_continuation(spoil: object) -> None:
    stored = written(5)
    spoilt: list[Stored] = spoil(stored)  # type: ignore[operator]
    found = parted(spoilt, stored)
    assert found.event_count > 0
    assert not found.is_ours_ahead


def equal(origin: str) -> Parting:
    head = Head(EventId(1, 1), b"d" * 32)
    return Parting(
        origin=MASTER if origin == MASTER else STANDBY, common=head, last=head.id
    )


def left(*, discard: bool = False, **changes: object) -> Leaving:
    found = Leaving(own=equal(STANDBY), copy=equal(MASTER), discard=discard)
    for name, values in changes.items():
        assert isinstance(values, dict)
        found = attrs.evolve(
            found, **{name: attrs.evolve(getattr(found, name), **values)}
        )
    return found


ALONE = {"event_count": 3, "change_count": 2}
RECORDS = {"event_count": 1}


def test_nothing_is_against_replacing_equal_data() -> None:
    assert left().against() == ()
    assert left().is_nothing
    assert left().replaced == ()


@pytest.mark.parametrize("discard", [False, True])
def test_events_that_the_peer_lost_are_not_replaced(discard: bool) -> None:
    ahead = left(discard=discard, copy={"event_count": 4})
    assert ahead.against() == (
        "this node has 4 events of stream 'master' that the peer's Redis lost: the peer "
        "gets them back from here first",
    )
    forgotten = attrs.evolve(left(discard=discard), is_forgotten=True)
    assert len(forgotten.against()) == 1


def test_a_copy_that_is_wrong_is_replaced() -> None:
    wrong = left(copy={"event_count": 4, "is_continuation": False})
    assert wrong.against() == ()
    assert not wrong.is_nothing
    assert wrong.replaced == (wrong.copy,)


def test_own_events_that_only_the_peer_has_come_back_first() -> None:
    (reason,) = left(own={"is_theirs_longer": True}).against()
    assert "come back first" in reason
    discarded = left(discard=True, own={"is_theirs_longer": True})
    assert discarded.against() == ()
    assert discarded.is_own_replaced


def test_all_reasons_are_given_at_once() -> None:
    both = left(copy={"event_count": 1}, own={"is_theirs_longer": True})
    assert len(both.against()) == 2


def test_what_only_this_node_has_leaves_only_if_that_was_ordered() -> None:
    kept, discarded = left(own=ALONE), left(discard=True, own=ALONE)
    assert not kept.is_own_replaced
    assert not kept.is_nothing, "the master takes it over"
    assert kept.not_taken_over() != ()
    assert discarded.is_own_replaced
    assert discarded.not_taken_over() == ()
    assert discarded.replaced == (discarded.own,)
    assert not discarded.is_nothing


@pytest.mark.parametrize("discard", [False, True])
def test_what_a_node_recorded_of_itself_since_is_nothing_to_be_discarded(
    discard: bool,
) -> None:
    again = left(discard=discard, own=RECORDS)
    assert again.is_nothing
    assert again.not_taken_over() == ()


def test_events_that_are_not_here_yet_are_something_to_be_done() -> None:
    assert not left(copy={"is_theirs_longer": True}).is_nothing
