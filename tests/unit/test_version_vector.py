import pytest

from eventstore import START, EventId
from eventstore.version_vector import Order, Vector, compare, merge
from tests.support.histories import MASTER, STANDBY

ONE, TWO = EventId(5, 1), EventId(5, 2)


@pytest.mark.parametrize(
    ("first", "second", "order"),
    [
        ({}, {}, Order.EQUAL),
        ({MASTER: ONE}, {MASTER: ONE}, Order.EQUAL),
        ({MASTER: START}, {}, Order.EQUAL),
        ({}, {MASTER: ONE}, Order.BEFORE),
        ({MASTER: ONE}, {MASTER: TWO}, Order.BEFORE),
        ({MASTER: ONE}, {MASTER: ONE, STANDBY: ONE}, Order.BEFORE),
        ({MASTER: TWO, STANDBY: ONE}, {MASTER: ONE, STANDBY: ONE}, Order.AFTER),
        ({STANDBY: ONE}, {}, Order.AFTER),
        ({MASTER: ONE}, {STANDBY: ONE}, Order.CONCURRENT),
        ({MASTER: TWO, STANDBY: ONE}, {MASTER: ONE, STANDBY: TWO}, Order.CONCURRENT),
    ],
)
def test_two_vectors_compare(first: Vector, second: Vector, order: Order) -> None:
    assert compare(first, second) is order


def test_merging_takes_the_newest_of_each_origin() -> None:
    merged = merge({MASTER: ONE, STANDBY: ONE}, {MASTER: TWO})
    assert merged == {MASTER: TWO, STANDBY: ONE}
    assert merge({}, {}) == {}


def test_merging_changes_neither_vector() -> None:
    first, second = {MASTER: ONE}, {MASTER: TWO}
    merge(first, second)
    assert (first, second) == ({MASTER: ONE}, {MASTER: TWO})
