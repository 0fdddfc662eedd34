"""One setting of both nodes: stored at each as an event, said in heartbeats, the newer adopted."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Generic, Protocol, Self, TypeVar

from eventstore import EventStore, EventStoreError, JsonValue, Kind
from node.roles import Role

_log = logging.getLogger("netphone")


class Setting(Protocol):
    """An operator's order, of which a newer one has a higher revision."""

    def as_value(self) -> JsonValue: ...
    def yields_to(self, peers: Self, /) -> bool: ...
    def in_words(self) -> str: ...


T = TypeVar("T", bound=Setting)


class PairSetting(Generic[T]):
    """The newest order known here. Thread-safe; `peer_said` never waits."""

    def __init__(
        self,
        kind: Kind,
        initial: T,
        *,
        store: EventStore,
        role: Role,
        submit: Callable[[Callable[[], object]], bool],
        changed: Callable[[], object],
    ) -> None:
        """`submit` does a job in a thread that may wait for Redis; False: it does not.

        `changed` is called when this node's setting, or what it knows of the peer's, has
        changed: one call at a time, so that the last one sees the last setting.
        """
        self.current = initial
        self.peers = initial
        """What the peer last said."""
        self._kind = kind
        self._store = store
        self._role = role
        self._submit = submit
        self._changed = changed
        self._lock = threading.Lock()
        self._meeting = False
        """Whether `_meet` is queued already."""

    def order(self, following: Callable[[T], T], *, actor: str, reason: str) -> None:
        """Store what follows on the present order, then follow it.

        Raises:
            EventStoreError: it could not be stored; all is as before.
        """
        with self._lock:
            self._store_setting(following(self.current), actor, reason)
            self._changed()

    def apply(self) -> None:
        """Call `changed` again: something else that it depends on is another one."""
        with self._lock:
            self._changed()

    def peer_said(self, theirs: T) -> None:
        """Adopt the peer's order if it is newer."""
        before, self.peers = self.peers, theirs
        news = theirs != before or self.current.yields_to(theirs)
        if news and not self._meeting:
            self._meeting = True
            if not self._submit(self._meet):
                # Said again with the next heartbeat, and still news then.
                self._meeting, self.peers = False, before

    def _meet(self) -> None:
        self._meeting = False
        theirs = self.peers
        with self._lock:
            if self.current.yields_to(theirs):
                actor = f"{self._role.other} node"
                try:
                    self._store_setting(theirs, actor, "set at the peer")
                except EventStoreError as error:
                    _log.warning("a setting of the peer waits to be stored: %s", error)
            self._changed()

    def _store_setting(self, setting: T, actor: str, reason: str) -> None:
        self._store.record(self._kind, setting.as_value(), actor=actor, reason=reason)
        self.current = setting
        _log.info("%s by %s", setting.in_words(), actor)
