"""One replication setting for both nodes (D4)."""

from __future__ import annotations

import itertools

import attrs
import pytest

from eventstore import JsonValue, Kind
from node.link_messages import REVISION_MAX
from node.replication_setting import ReplicationSetting, why_unreadable
from tests.support.histories import MASTER, History

ON, OFF = ReplicationSetting(3, True), ReplicationSetting(3, False)


def from_value(value: JsonValue) -> ReplicationSetting:
    history = History()
    event = history.of(MASTER).write(Kind.REPLICATION_CHANGED, "", value)
    return ReplicationSetting.from_event(event)


def test_without_an_order_it_is_on() -> None:
    assert ReplicationSetting.from_event(None) == ReplicationSetting(0, True)


@pytest.mark.parametrize("setting", [ON, OFF])
def test_it_comes_back_from_its_event(setting: ReplicationSetting) -> None:
    assert from_value(setting.as_value()) == setting


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        "on",
        {},
        {"revision": 1},
        {"enabled": False},
        {"revision": True, "enabled": False},
        {"revision": 1.0, "enabled": False},
        {"revision": "1", "enabled": False},
        {"revision": 1, "enabled": 0},
        {"revision": 1, "enabled": None},
        {"revision": -1, "enabled": False},
        {"revision": REVISION_MAX + 1, "enabled": False},
    ],
)
def test_an_event_that_says_something_else_counts_for_nothing(value: JsonValue) -> None:
    assert from_value(value) == ReplicationSetting()


def test_each_order_has_the_next_revision() -> None:
    assert ON.changed_to(False) == ReplicationSetting(4, False)
    assert OFF.changed_to(False) == ReplicationSetting(4, False)


@pytest.mark.parametrize(
    ("own", "peers", "yields"),
    [
        (ON, ReplicationSetting(4, False), True),
        (OFF, ReplicationSetting(4, True), True),
        (OFF, ReplicationSetting(2, True), False),
        (ON, ReplicationSetting(REVISION_MAX, False), True),
        (ON, ReplicationSetting(REVISION_MAX + 1, False), False),
        (ON, ReplicationSetting(2, False), False),
        (ON, OFF, True),
        (OFF, ON, False),
        (ON, ON, False),
        (OFF, OFF, False),
    ],
)
def test_the_newer_order_stands_and_of_two_at_once_off(
    own: ReplicationSetting, peers: ReplicationSetting, yields: bool
) -> None:
    assert own.yields_to(peers) is yields


def test_of_any_two_settings_at_most_one_yields() -> None:
    settings = [ReplicationSetting(r, e) for r in range(3) for e in (True, False)]
    for one, two in itertools.permutations(settings, 2):
        assert one.yields_to(two) is not two.yields_to(one)
    assert attrs.fields(ReplicationSetting).revision.type is not None


@pytest.mark.parametrize(("theirs", "ours"), [(0, 1), (1, 1), (1, 2), (1, 9)])
def test_d4_every_older_format_is_read(theirs: int, ours: int) -> None:
    assert why_unreadable(theirs, ours) is None


@pytest.mark.parametrize(("theirs", "ours"), [(2, 1), (9, 1)])
def test_d4_a_newer_format_is_not_read_and_both_are_named(
    theirs: int, ours: int
) -> None:
    assert why_unreadable(theirs, ours) == (
        f"the peer writes events of format {theirs}, this node reads up to format {ours}; "
        "update this node"
    )
