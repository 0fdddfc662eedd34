"""Replays that are kept for their next page: few, and for a short time."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from eventstore import Replayed, Until
from eventstore import format_vector as text_of

KEPT_COUNT_MAX = 4
KEPT_S = 30.0
"""Since the last page. Whoever takes longer waits for another fold, and gets the same."""

_Place = tuple[str, str | None, str | None]


class KeptReplays:
    """By their cut and what was asked for. Used by one event loop."""

    def __init__(self, for_s: float = KEPT_S) -> None:
        self._for_s = for_s
        self._kept: OrderedDict[_Place, tuple[Replayed, asyncio.TimerHandle]] = (
            OrderedDict()
        )

    def __len__(self) -> int:
        return len(self._kept)

    def find(
        self, until: Until, key: str | None, prefix: str | None
    ) -> Replayed | None:
        """The one up to the vector `until`, if it is kept."""
        if until is None or isinstance(until, int):
            return None
        found = self._kept.get((text_of(until), key, prefix))
        return None if found is None else found[0]

    def keep(self, replayed: Replayed, key: str | None, prefix: str | None) -> None:
        """Keep `replayed` from now on, in place of the one that waited for longest."""
        place = text_of(replayed.cut), key, prefix
        self._drop(place)
        timer = asyncio.get_running_loop().call_later(self._for_s, self._drop, place)
        self._kept[place] = replayed, timer
        if len(self._kept) > KEPT_COUNT_MAX:
            self._drop(next(iter(self._kept)))

    def _drop(self, place: _Place) -> None:
        found = self._kept.pop(place, None)
        if found is not None:
            found[1].cancel()
