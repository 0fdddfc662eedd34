"""A pause of automatic takeover: who adopts whose, and when it runs out."""

from __future__ import annotations

import attrs
import pytest

from eventstore import Event, Kind
from node.link_messages import REVISION_MAX, pack, unpack
from node.takeover_pause import PAUSE_S_MAX, TakeoverPause
from tests.support.histories import History
from tests.support.links import HEARTBEAT

NOW_S = 1000.0
WALL_MS = 1_767_225_600_000


def event_of(pause: TakeoverPause) -> Event:
    return History().master.write(
        Kind.TAKEOVER_CHANGED, "", pause.as_value(), ms=WALL_MS
    )


def read(event: Event | None, *, later_s: float) -> TakeoverPause:
    wall_ns = WALL_MS * 1_000_000 + int(later_s * 1e9)
    return TakeoverPause.from_event(event, now_s=NOW_S, wall_ns=wall_ns)


PAUSED = TakeoverPause().paused_for(60.0, NOW_S, "by jane: new switch")


def test_at_first_nothing_is_paused() -> None:
    assert read(None, later_s=0.0) == TakeoverPause()
    assert TakeoverPause().left_s(NOW_S) == 0.0


def test_a_pause_runs_out_by_itself() -> None:
    assert PAUSED.left_s(NOW_S) == 60.0
    assert PAUSED.left_s(NOW_S + 59.0) == 1.0
    assert PAUSED.left_s(NOW_S + 61.0) == 0.0


@pytest.mark.parametrize(
    ("later_s", "left_s"), [(0.0, 60.0), (20.0, 40.0), (600.0, 0.0), (-3600.0, 60.0)]
)
def test_a_restart_goes_on_with_what_is_left_and_never_with_more(
    later_s: float, left_s: float
) -> None:
    found = read(event_of(PAUSED), later_s=later_s)
    assert found == PAUSED
    assert found.left_s(NOW_S) == left_s
    assert found.text == "by jane: new switch"


def test_an_event_cannot_pause_for_ever() -> None:
    found = read(event_of(attrs.evolve(PAUSED, for_s=1e12)), later_s=0.0)
    assert found.left_s(NOW_S) == PAUSE_S_MAX


@pytest.mark.parametrize("letter", ["r", "ü", "\U0001f4de"])
def test_however_long_its_reason_a_heartbeat_carries_it(letter: str) -> None:
    text = f"by {256 * 'a'}: {1024 * letter}"
    paused = TakeoverPause().paused_for(60.0, NOW_S, text)
    for pause in (paused, read(event_of(paused), later_s=0.0)):
        heartbeat = attrs.evolve(HEARTBEAT, pause_text=pause.text)
        assert unpack(pack(heartbeat)) == heartbeat
        assert pause.text[:-1] == text[: len(pause.text) - 1]
        assert pause.text[-1] == "…"


def test_a_peer_cannot_pause_for_ever() -> None:
    heartbeat = attrs.evolve(HEARTBEAT, paused=True, pause_left_ms=2**63 - 1)
    assert TakeoverPause.said(heartbeat, NOW_S).left_s(NOW_S) == PAUSE_S_MAX


def test_an_order_without_end_is_garbage_and_not_adopted() -> None:
    """Else the next order could not be said or stored, on either node."""
    assert PAUSED.yields_to(TakeoverPause(REVISION_MAX))
    assert not PAUSED.yields_to(TakeoverPause(REVISION_MAX + 1))


@pytest.mark.parametrize(
    "value",
    [
        None,
        5,
        {},
        {"revision": "1", "for_s": 5},
        {"revision": -1, "for_s": 5},
        {"revision": REVISION_MAX + 1, "for_s": 5},
    ],
)
def test_an_event_of_another_shape_is_no_pause(value: object) -> None:
    event = History().master.write(
        Kind.TAKEOVER_CHANGED,
        "",
        value,  # type: ignore[arg-type]
        ms=WALL_MS,
    )
    assert read(event, later_s=0.0) == TakeoverPause()


def test_the_newer_order_is_adopted() -> None:
    resumed = PAUSED.resumed()
    assert PAUSED.yields_to(resumed)
    assert not resumed.yields_to(PAUSED)
    again = resumed.paused_for(5.0, NOW_S, "")
    assert resumed.yields_to(again)


def test_of_two_given_at_the_same_time_service_comes_first() -> None:
    resumed = TakeoverPause().resumed()
    assert resumed.revision == PAUSED.revision
    assert PAUSED.yields_to(resumed)
    assert not resumed.yields_to(PAUSED)


def test_a_pause_that_runs_out_a_little_earlier_at_the_peer_is_no_news() -> None:
    theirs = attrs.evolve(PAUSED, until_s=NOW_S + 59.0)
    assert theirs == PAUSED
    assert not PAUSED.yields_to(theirs)
