"""Histories of a pair for hypothesis: writes, deletes, and partial replication."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from eventstore import EventId, Kind
from eventstore.event import MS_MAX
from tests.support.histories import MASTER, ORIGINS, History, other

KEYS = ("users/a", "users/b", "scripts/a")
ENTRY_KINDS = (Kind.ENTRY_PUT, Kind.ENTRY_PUT, Kind.ENTRY_DELETED)

any_origin = st.sampled_from(ORIGINS)
keys = st.sampled_from(KEYS)
event_ids = st.builds(
    EventId, st.integers(0, MS_MAX), st.integers(0, 2**64 - 1)
) | st.builds(EventId, st.integers(0, 3), st.integers(0, 3))
vectors = st.dictionaries(any_origin, event_ids)


@st.composite
def histories(
    draw: st.DrawFn,
    *,
    actions_max: int = 24,
    kinds: Sequence[str] = ENTRY_KINDS,
    recovered: bool = True,
) -> History:
    """Two writers, each by a clock of its own that goes where it likes.

    `recovered`: some have events whose vectors go back in time, as after a recovery.
    """
    history = History()
    write = st.tuples(
        any_origin, st.sampled_from(kinds), keys, st.integers(0, 5), st.integers(0, 9)
    )
    hear = st.tuples(any_origin, st.integers(1, 4))
    for action in draw(st.lists(write | hear, max_size=actions_max)):
        writer = history.of(action[0])
        if len(action) == 2:
            writer.hear(history.of(other(action[0])), action[1])
        else:
            _, kind, key, value, ms = action
            writer.write(kind, key, value, ms=ms)
    if recovered and draw(st.booleans()):
        _write_in_ignorance(draw, history)
    return history


def _write_in_ignorance(draw: st.DrawFn, history: History) -> None:
    """What a recovery appends anew: events whose vectors go back in time (D9)."""
    history.standby.seen.pop(MASTER, None)
    for key in draw(st.lists(keys, max_size=2)):
        history.standby.put(key, "in ignorance")
