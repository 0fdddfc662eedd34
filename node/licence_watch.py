"""Watches on the standby how long the master is not reached (L2): `licence_grace` with clocks.

The count is in memory, in a note in the own Redis, replaced every few minutes, and in the
event of each start of the node. A Redis that falls back under a running node changes nothing:
the note is written anew. Where the note is gone, the event of the last start stands in for
it, as if the master had not been reached since, unless it wrote something later.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable

import attrs

from eventstore import (
    START,
    EventStore,
    EventStoreError,
    JsonValue,
    Kind,
    Origin,
    Streams,
)
from node.bookkeeping import Record
from node.clock import Clock, boot_id, is_synchronised, iso_utc
from node.config import NodeConfig
from node.licence_grace import DAY_S, Count, News, Reading, told
from node.notifications import LicenceWarning
from node.roles import Role

_log = logging.getLogger("netphone.licences")

NOTE = "licence-grace"
_KINDS = {
    News.LAPSED: Kind.LICENCES_LAPSED,
    News.RESTORED: Kind.LICENCES_RESTORED,
}
_LEVELS = {
    News.WARNING: logging.WARNING,
    News.LAPSED: logging.ERROR,
    News.RESTORED: logging.INFO,
}


@attrs.frozen
class GraceView:
    """Whether licences hold on this node, as far as the master's absence is concerned."""

    grace_over: bool
    grace_days_left: float | None
    """Until they do not, if the master stays away; None on the master: always."""


def readings(clock: Clock, instance: str) -> Callable[[], Reading]:
    """Reads all clocks of this machine; `instance` is this process."""
    boot = boot_id()

    def read() -> Reading:
        now_s = clock.now_s()
        return Reading(
            now_s=now_s,
            boot=boot or f"process {instance}",
            up_s=now_s if boot else 0.0,
            wall_ns=clock.wall_ns(),
            synchronised=is_synchronised(),
        )

    return read


class LicenceWatch:
    """The count of one node, with a thread of its own. On a master it does nothing."""

    def __init__(
        self,
        config: NodeConfig,
        *,
        store: EventStore,
        streams: Streams,
        read: Callable[[], Reading],
        instance: str,
        contact_s: Callable[[], float | None],
        hand_in: Callable[[Record], object],
        warn: Callable[[LicenceWarning], object],
    ) -> None:
        """`contact_s` says when, by `read`, the master was there for sure, last."""
        self._config = config
        self._grace_s = config.grace_s
        self._counts = config.role is Role.STANDBY
        self._store = store
        self._streams = streams
        self._read = read
        self._instance = instance
        self._contact_s = contact_s
        self._hand_in = hand_in
        self._warn = warn
        self._count = Count.begun(self._read())
        self._saved: Count | None = None
        self._save_failed = False
        self._lapsed = False
        """What the last event of this said."""
        self._quiet_until_s = 0.0
        """A node that starts first looks whether the master is there."""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="grace", daemon=True)

    def open(self) -> None:
        """Go on with what earlier processes counted; the store is open.

        Raises:
            StoreUnavailable: Redis did not answer.
        """
        if not self._counts:
            return
        lapsed, restored = (
            event.id if event else START
            for event in map(self._store.latest, _KINDS.values())
        )
        self._lapsed = lapsed > restored
        now = self._read()
        self._count = (self._noted() or self._told_at_start(now) or self._count).at(now)

    def start(self) -> None:
        if self._counts:
            window_s = self._config.start_window_s + self._config.peer_lost_after_s
            self._quiet_until_s = self._read().now_s + window_s
            self._thread.start()

    def stop(self, limit_s: float) -> None:
        """End, and note the count."""
        self._stopping.set()
        if self._counts:
            self._thread.join(limit_s)
            self._save(self._count.at(self._read(), self._contact_s()))

    def at_start(self) -> dict[str, JsonValue]:
        """What the event of this process's start says of it."""
        return {"grace": self._count.as_value()} if self._counts else {}

    def view(self) -> GraceView:
        """How it stands at this moment, from memory."""
        if not self._counts:
            return GraceView(False, None)
        count = self._count.at(self._read(), self._contact_s())
        return GraceView(count.is_over(self._grace_s), self._days_left(count))

    def _run(self) -> None:
        while not self._stopping.wait(self._config.heartbeat_interval_s):
            try:
                self.look()
            except Exception:  # noqa: BLE001 the thread must outlive any bug
                _log.exception("how long the master is away was not looked at")

    def look(self) -> None:
        """Go on counting; tell and note what is due. Its thread does it at each interval."""
        contact_s, now = self._contact_s(), self._read()
        count, news = self._count.at(now, contact_s), None
        if contact_s is not None or now.now_s >= self._quiet_until_s:
            count, news = told(count, self._grace_s, lapsed=self._lapsed)
        self._count = count
        if news is not None:
            self._tell(news, count)
        if count.must_save(self._saved, self._grace_s):
            self._save(count)

    def _tell(self, news: News, count: Count) -> None:
        text = self._in_words(news, count)
        _log.log(_LEVELS[news], "%s", text)
        self._lapsed = news is News.LAPSED
        if news in _KINDS:
            value: dict[str, JsonValue] = {
                "unreached_s": round(count.counted_s, 3),
                "grace_s": self._grace_s,
                "instance": self._instance,
                "decided": iso_utc(count.reading.wall_ns),
            }
            actor = f"{self._config.role} node"
            self._hand_in(Record(_KINDS[news], value, actor, text))
        warning = LicenceWarning(not self._lapsed, self._days_left(count), text)
        self._warn(warning)

    def _in_words(self, news: News, count: Count) -> str:
        away, grace = _span(count.counted_s), _span(self._grace_s)
        match news:
            case News.WARNING:
                left = _span(count.left_s(self._grace_s))
                return (
                    f"the master was not reached for {away}: licences become invalid on "
                    f"this standby in {left}"
                )
            case News.LAPSED:
                return (
                    f"the master was not reached for more than {grace}: licences are "
                    "invalid on this standby until it is"
                )
            case News.RESTORED:
                return f"licences are valid again: the master was reached {away} ago"

    def _days_left(self, count: Count) -> float:
        return round(count.left_s(self._grace_s) / DAY_S, 3)

    # What is stored.

    def _save(self, count: Count) -> None:
        text = json.dumps(count.as_value()).encode()
        try:
            self._streams.put_note(NOTE, text)
        except EventStoreError as error:
            if not self._save_failed:
                _log.warning(
                    "how long the master is away cannot be noted yet: %s", error
                )
            self._save_failed = True
            return
        self._saved, self._save_failed = count, False

    def _noted(self) -> Count | None:
        text = self._streams.note(NOTE)
        try:
            return None if text is None else Count.from_value(json.loads(text))
        except (ValueError, RecursionError):
            return None  # Whatever is there instead: it is written anew.

    def _told_at_start(self, now: Reading) -> Count | None:
        opened = self._store.latest(Kind.STREAM_OPENED)
        value = opened.value if opened else None
        count = (
            Count.from_value(value.get("grace")) if isinstance(value, dict) else None
        )
        if count is None:
            return None  # No earlier process counted.
        count = count.at(now)
        wrote_ms = self._store.snapshot.heads[Origin(Role.MASTER.value)].id.ms
        if now.synchronised and wrote_ms:
            count = count.at_most((now.wall_ns / 1e6 - wrote_ms) / 1e3)
        _log.warning(
            "the Redis here does not say any more how long the master was not reached; it "
            "counts as %s until it is",
            _span(count.counted_s),
        )
        return count


def _span(seconds: float) -> str:
    if seconds >= DAY_S:
        return f"{seconds / DAY_S:.1f} days"
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds:.1f} s"
