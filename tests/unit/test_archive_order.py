"""What must hold before events leave the streams of a pair."""

from __future__ import annotations

import attrs
import pytest

from node.archive_order import AGE_S_MIN, OwnFacts, failed_checks, too_young
from node.roles import Role


@attrs.frozen
class Peer:
    ready: bool = True
    problems: dict[str, str] = attrs.field(factory=dict)
    replication_enabled: bool = True


WELL = OwnFacts(
    role=Role.MASTER,
    replication_enabled=True,
    replicates=True,
    hindrance=None,
    link_open=True,
)


def test_nothing_speaks_against_it_in_a_well_pair() -> None:
    assert failed_checks(WELL, Peer()) == ()


@pytest.mark.parametrize(
    ("own", "peer", "text"),
    [
        (attrs.evolve(WELL, hindrance="lost events"), Peer(), "lost events"),
        (attrs.evolve(WELL, replication_enabled=False), Peer(), "replication is off"),
        (attrs.evolve(WELL, replicates=False), Peer(), "stands still"),
        (attrs.evolve(WELL, link_open=False), Peer(), "not connected"),
        (WELL, None, "not connected"),
        (WELL, Peer(replication_enabled=False), "off at the standby"),
        (WELL, Peer(ready=False, problems={"redis": "gone"}), "redis: gone"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_fault_is_a_reason(own: OwnFacts, peer: Peer | None, text: str) -> None:
    (reason,) = failed_checks(own, peer)
    assert text in reason


def test_what_one_machine_may_forget_stays() -> None:
    now_ns = 10**18
    least_ns = int(AGE_S_MIN * 1e9)
    assert too_young(now_ns - least_ns, now_ns) == ()
    (reason,) = too_young(now_ns - least_ns + 10**9, now_ns)
    assert "at least 60 s ago" in reason
