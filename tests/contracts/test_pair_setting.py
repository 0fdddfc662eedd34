"""`PairSetting`: one order for both nodes, stored at each before it is followed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from eventstore import EventId, Kind, StoreRefused
from node.pair_setting import PairSetting
from node.replication_setting import ReplicationSetting
from node.roles import Role
from tests.contracts.nodes import Node

FIRST = ReplicationSetting()
OFF = FIRST.changed_to(False)
ON_AGAIN = OFF.changed_to(True)


class Setting:
    """The setting of a node, with what it did."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.seen: list[ReplicationSetting] = []
        """What was followed, each time that it was told."""
        self.jobs: list[Callable[[], object]] = []
        self.takes_jobs = True
        self.pair = PairSetting(
            Kind.REPLICATION_CHANGED,
            FIRST,
            store=node.store,
            role=Role.MASTER,
            submit=self._submit,
            changed=lambda: self.seen.append(self.pair.current),
        )

    def _submit(self, job: Callable[[], object]) -> bool:
        if self.takes_jobs:
            self.jobs.append(job)
        return self.takes_jobs

    def turn_off(self) -> None:
        self.pair.order(lambda now: now.changed_to(False), actor="jane", reason="why")

    def peer_said(self, theirs: ReplicationSetting) -> None:
        """A heartbeat, and the thread that may wait for Redis has done its work."""
        self.pair.peer_said(theirs)
        while self.jobs:
            self.jobs.pop()()

    @property
    def stored(self) -> list[tuple[str, ReplicationSetting]]:
        """What the events say, and by whom."""
        found = self.node.store.recent(Kind.REPLICATION_CHANGED)
        return [(e.actor, ReplicationSetting.from_event(e)) for e in found]


@pytest.fixture
def setting(master: Node) -> Setting:
    return Setting(master)


def lose_events(node: Node) -> None:
    """From here on nothing can be stored."""
    node.store.compare_own(EventId(9, 9), bytes(32))
    assert node.store.hindrance is not None


def test_an_order_is_stored_and_followed(setting: Setting) -> None:
    setting.turn_off()
    assert setting.pair.current == OFF
    assert setting.stored == [("jane", OFF)]
    assert setting.seen == [OFF]


def test_an_order_that_cannot_be_stored_is_not_followed(setting: Setting) -> None:
    lose_events(setting.node)
    with pytest.raises(StoreRefused):
        setting.turn_off()
    assert setting.pair.current == FIRST
    assert setting.seen == []


def test_the_peers_newer_order_is_stored_and_followed(setting: Setting) -> None:
    setting.peer_said(OFF)
    assert setting.pair.current == OFF
    assert setting.stored == [("standby node", OFF)]
    assert setting.seen == [OFF]


def test_the_peers_older_order_is_known_and_not_followed(setting: Setting) -> None:
    setting.turn_off()
    setting.peer_said(ON_AGAIN)
    setting.peer_said(OFF)
    assert (setting.pair.current, setting.pair.peers) == (ON_AGAIN, OFF)
    assert [order for _, order in setting.stored] == [OFF, ON_AGAIN]


def test_what_the_peer_said_before_is_no_news(setting: Setting) -> None:
    setting.peer_said(OFF)
    setting.peer_said(OFF)
    assert setting.seen == [OFF]
    setting.pair.peer_said(ON_AGAIN)
    setting.pair.peer_said(ON_AGAIN)
    assert len(setting.jobs) == 1, "it is looked at once"


@pytest.mark.parametrize("own", [FIRST, ON_AGAIN], ids=["newer", "older"])
def test_a_peers_order_that_finds_too_much_waiting_for_redis_is_met_with_a_later_heartbeat(
    setting: Setting, own: ReplicationSetting
) -> None:
    setting.pair.current = own
    setting.takes_jobs = False
    setting.peer_said(OFF)
    assert setting.seen == []
    setting.takes_jobs = True
    setting.peer_said(OFF)
    assert setting.pair.peers == OFF
    assert setting.seen == [OFF if own == FIRST else ON_AGAIN]


def test_a_peers_order_that_cannot_be_stored_is_adopted_with_a_later_heartbeat(
    setting: Setting, standby: Node
) -> None:
    lose_events(setting.node)
    setting.peer_said(OFF)
    assert setting.pair.current == FIRST
    setting.node.recover(standby)
    setting.peer_said(OFF)
    assert setting.pair.current == OFF
    assert setting.stored == [("standby node", OFF)]
