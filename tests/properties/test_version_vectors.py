from hypothesis import given

from eventstore import START
from eventstore.version_vector import Order, Vector, compare, merge
from tests.properties.pairs import vectors
from tests.support.histories import ORIGINS

MIRRORED = {
    Order.EQUAL: Order.EQUAL,
    Order.BEFORE: Order.AFTER,
    Order.AFTER: Order.BEFORE,
    Order.CONCURRENT: Order.CONCURRENT,
}


def same(first: Vector, second: Vector) -> bool:
    return all(first.get(o, START) == second.get(o, START) for o in ORIGINS)


@given(vectors, vectors)
def test_comparing_the_other_way_round_mirrors(first: Vector, second: Vector) -> None:
    assert compare(second, first) is MIRRORED[compare(first, second)]
    assert (compare(first, second) is Order.EQUAL) == same(first, second)


@given(vectors, vectors, vectors)
def test_before_is_transitive(a: Vector, b: Vector, c: Vector) -> None:
    if compare(a, b) is Order.BEFORE and compare(b, c) is Order.BEFORE:
        assert compare(a, c) is Order.BEFORE


@given(vectors, vectors, vectors)
def test_merging_commutes_associates_and_is_idempotent(
    a: Vector, b: Vector, c: Vector
) -> None:
    assert same(merge(a, b), merge(b, a))
    assert same(merge(merge(a, b), c), merge(a, merge(b, c)))
    assert same(merge(a, a), a)


@given(vectors, vectors, vectors)
def test_the_merged_is_the_least_that_has_seen_both(
    a: Vector, b: Vector, c: Vector
) -> None:
    seen = (Order.EQUAL, Order.BEFORE)
    merged = merge(a, b)
    assert compare(a, merged) in seen
    assert compare(b, merged) in seen
    if compare(a, c) in seen and compare(b, c) in seen:
        assert compare(merged, c) in seen
