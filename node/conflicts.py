"""Changes that lost against a concurrent one of the master: listed, and restored (D7)."""

from __future__ import annotations

import heapq
from collections.abc import Iterable

import attrs

from eventstore import (
    START,
    EventId,
    EventStore,
    Loss,
    NoSuchConflict,
    Origin,
    Streams,
    read_losses,
)
from node.roles import Role

_MASTER, _STANDBY = Origin(Role.MASTER.value), Origin(Role.STANDBY.value)


@attrs.frozen
class Conflicts:
    """What one node knows of them. Only a change of the standby can lose."""

    _store: EventStore
    _streams: Streams

    def listed(
        self,
        *,
        settled: bool,
        key: str | None,
        prefix: str | None,
        after: EventId | None,
        limit: int | None,
    ) -> list[Loss]:
        """At most `limit` losses behind the one of id `after`, by the ids of the losers.

        Open ones come from memory. With `settled` the whole history is walked, and all that
        ever lost are listed; no more than `limit` are held at a time.

        Raises:
            StoreUnavailable, DamagedEvent: only with `settled`.
        """
        found: Iterable[Loss] = self._store.losses()
        if settled:
            found = read_losses(
                self._streams,
                prevailing=_MASTER,
                other=_STANDBY,
                key=key,
                prefix=prefix,
            )
        wanted = (
            loss
            for loss in found
            if loss.loser.id > (after or START)
            and (key is None or loss.key == key)
            and (prefix is None or loss.key.startswith(prefix))
        )
        if limit is None:
            return sorted(wanted, key=_id_of_loser)
        return heapq.nsmallest(limit, wanted, key=_id_of_loser)

    def open(self, lost: EventId) -> Loss:
        """The open loss of the change `lost`.

        Raises:
            NoSuchConflict: there is none; the text says what the entry is now.
            StoreUnavailable, DamagedEvent: that could not be found out.
        """
        for loss in self._store.losses():
            if loss.loser.id == lost:
                return loss
        raise NoSuchConflict(self._why_not(lost))

    def _why_not(self, lost: EventId) -> str:
        event = self._store.event(_STANDBY, lost)
        if event is None or not event.key:
            return f"no change with the id {lost} has lost against another one"
        entry = self._store.get(event.key)
        now = "gone" if entry is None else f"now {entry.id}"
        return (
            f"change {lost} is not overridden by a concurrent one (any more): entry "
            f"{event.key!r} is {now}"
        )


def _id_of_loser(loss: Loss) -> EventId:
    return loss.loser.id
