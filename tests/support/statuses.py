"""What a well master knows at one moment, and the status that this gives."""

from __future__ import annotations

from typing import Any

import attrs

from eventstore import EventId, Head, Origin, Progress, Snapshot, Suitability
from node.link_messages import Head as SaidHead
from node.notifications import StateChange
from node.roles import Role, State
from node.runtime import View
from node.service import Counts
from node.status import Sources, status_of
from node.takeover_pause import TakeoverPause
from tests.simulation.world import config_of
from tests.support.links import HEARTBEAT

MASTER, STANDBY = Origin("master"), Origin("standby")
PEER = attrs.evolve(
    HEARTBEAT,
    role=Role.STANDBY,
    state=State.PASSIVE,
    heads={"master": SaidHead("0-0", "aa"), "standby": SaidHead("1700-7", "bb")},
)
SOURCES = Sources(
    config=config_of(Role.MASTER, realm="phones"),
    version="1.0.0",
    now_s=100.0,
    state=State.ACTIVE,
    since="2026-01-01T00:00:00.000000Z",
    change=StateChange(1, State.ACTIVE, "peer lost", "S6", {}, 0),
    view=View(
        state=State.ACTIVE, connected=True, hears_us=True, heard_s=99.5996, peer=PEER
    ),
    snapshot=Snapshot(
        heads={
            MASTER: Head(EventId(1800, 42), b"m"),
            STANDBY: Head(EventId(1700, 5), b"s"),
        },
        digest="ab" * 32,
        entry_count=1042,
        conflict_count=3,
        unknown_count=1,
    ),
    progress=Progress(connected=True, problem=None, complete_at_s=98.25),
    replication_enabled=True,
    resync=None,
    resync_due="new software",
    pause=TakeoverPause(),
    both_active=(),
    licences={
        "valid": True,
        "reason": None,
        "ends_in_days": 40,
        "seats": 50,
        "in_use": 12,
        "options": {},
        "grace_over": False,
        "grace_days_left": 27.5,
    },
    health={"redis": "ok"},
    durability=Suitability("7.0.15", True, "everysec"),
    switch=None,
    calls=2,
    counts=Counts(failed=1, timed_out=2, dropped=3),
    recovery=None,
    not_ready=(),
)


def status(**changed: object) -> dict[str, Any]:
    return status_of(attrs.evolve(SOURCES, **changed))  # type: ignore[arg-type]
