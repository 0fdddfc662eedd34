"""What the HTTP interface needs of a node to tell what was; a part of `ServedNode`."""

from __future__ import annotations

from typing import Protocol

from eventstore import Blame, Explanation, Replayed, Until, Watch


class ServedPast(Protocol):
    """Long walks through the history; what `watch` raises ends them."""

    def replay(
        self,
        until: Until = None,
        *,
        key: str | None = None,
        prefix: str | None = None,
        watch: Watch | None = None,
    ) -> Replayed:
        """The entries as they were.

        Raises:
            NoSuchPoint, StoreUnavailable, DamagedEvent.
        """

    def blame(
        self,
        key: str,
        until: Until = None,
        *,
        limit: int = 1000,
        watch: Watch | None = None,
    ) -> Blame:
        """The newest `limit` changes of an entry.

        Raises: as `replay`.
        """

    def explain(
        self, key: str, until: Until = None, *, watch: Watch | None = None
    ) -> Explanation:
        """Why an entry is what it is.

        Raises: as `replay`.
        """
