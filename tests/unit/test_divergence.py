"""Equal streams, equal entries; anything else is named (D8)."""

from __future__ import annotations

import attrs
import pytest

from node.divergence import divergence, may_be_missing
from node.link_messages import Head
from tests.support.links import HEARTBEAT

SAME = attrs.evolve(
    HEARTBEAT,
    heads={"master": Head("10-3", "aa"), "standby": Head("11-2", "bb")},
    digest="dd",
)


def _heads(master: Head, standby: Head) -> dict[str, Head]:
    return {"master": master, "standby": standby}


def test_equal_nodes_are_well() -> None:
    assert divergence(SAME, SAME, own="master") is None


def test_a_peer_that_is_behind_is_well() -> None:
    behind = attrs.evolve(
        SAME, heads=_heads(Head("9-2", "a2"), Head("11-2", "bb")), digest="d2"
    )
    assert divergence(SAME, behind, own="master") is None


def test_the_same_position_with_another_digest_is_a_fork() -> None:
    other = attrs.evolve(SAME, heads=_heads(Head("10-3", "ax"), Head("11-2", "bb")))
    found = divergence(SAME, other, own="master")
    assert found is not None
    assert "stream 'master' has forked" in found.text


def test_the_same_position_with_another_id_is_a_fork() -> None:
    other = attrs.evolve(SAME, heads=_heads(Head("10-3", "aa"), Head("12-2", "bb")))
    found = divergence(SAME, other, own="master")
    assert found is not None
    assert "stream 'standby' has forked" in found.text


def test_a_peer_that_has_more_of_our_own_stream_shows_that_we_lost_events() -> None:
    more = attrs.evolve(SAME, heads=_heads(Head("12-5", "a5"), Head("11-2", "bb")))
    found = divergence(SAME, more, own="master")
    assert found is not None
    assert "the peer has 5 events of stream 'master', this node only 3" in found.text
    assert divergence(SAME, more, own="standby") is None


def test_equal_streams_with_unequal_entries_are_a_divergence() -> None:
    other = attrs.evolve(SAME, digest="ee")
    found = divergence(SAME, other, own="master")
    assert found is not None
    assert "different entries" in found.text
    assert found.of_entries


def test_entries_are_not_compared_between_fold_versions() -> None:
    other = attrs.evolve(SAME, digest="ee", fold_version=SAME.fold_version + 1)
    assert divergence(SAME, other, own="master") is None


@pytest.mark.parametrize(
    ("theirs", "met", "looked_up"),
    [
        (Head("10-3", "aa"), False, False),
        (Head("9-2", "a2"), False, True),
        (Head("9-2", "a2"), True, False),
        (Head("10-3", "ax"), True, True),
        (Head("12-5", "a5"), True, True),
    ],
    ids=["the same", "shorter, new process", "shorter, met", "another", "longer"],
)
def test_what_the_peer_holds_of_us_is_looked_up_where_it_may_be_missing(
    theirs: Head, met: bool, looked_up: bool
) -> None:
    assert may_be_missing(Head("10-3", "aa"), theirs, met=met) is looked_up
