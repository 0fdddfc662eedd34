"""Everything `eventstore` raises, split by what the caller can do about it.

EventStoreError
├── InvalidEntry        fix the request; nothing was stored
├── InvalidLicence      correct the document; nothing was stored
├── NoSuchEntry         there is nothing under that key
├── NoSuchConflict      list the conflicts again; there is nothing to restore
├── NoSuchPoint         name another point of the past
├── EntryChanged        read the entry again and decide
├── StoreUnavailable    retry later; the outcome may be unknown
│   └── StoreRefused    the same; certainly nothing was stored
├── WritesFrozen        retry in a moment; a switch or a resync is under way
├── ResyncRefused       clear the reasons, then order it again; nothing was changed
├── UnsuitableStore     correct the settings of Redis
├── DamagedEvent        stored bytes that are no event; call a human
│   └── DamagedBundle   a file of events that is cut or altered; get it again
├── SecondWriter        another process writes this stream; stop
└── StreamForked        two histories under one name; call a human
"""

from collections.abc import Sequence


class EventStoreError(Exception):
    """Base of every error of this package."""


class InvalidEntry(EventStoreError):
    """A key, value, actor or reason is outside its limits; nothing was stored."""


class InvalidLicence(EventStoreError):
    """A document is no licence; the message names every field that is wrong."""


class NoSuchEntry(EventStoreError):
    """No entry has this key."""


class NoSuchConflict(EventStoreError):
    """No change of this id has lost, or a later one of its entry has settled that."""


class NoSuchPoint(EventStoreError):
    """No node can have been there: events that are not there, or not with their causes."""


class EntryChanged(EventStoreError):
    """The entry is not the version that the caller expected."""

    def __init__(self, key: str, *, expected: str, current: str | None) -> None:
        self.current = current
        """Id of the event that made the entry what it is now; None: no entry."""
        what = "gone" if current is None else f"now {current}"
        super().__init__(f"entry {key!r} is not {expected} any more: it is {what}")


class StoreUnavailable(EventStoreError):
    """Redis did not answer. Whether a change was stored is unknown if the text says so."""


class StoreRefused(StoreUnavailable):
    """Redis cannot be reached, or answered that it will not; nothing was stored."""


class WritesFrozen(EventStoreError):
    """Changes are held back for a switch or a resync, and it took longer than the limit."""


class ResyncRefused(EventStoreError):
    """The standby's data must not be replaced now; nothing was changed.

    Attributes:
        reasons: all of them, at least one.
    """

    def __init__(self, reasons: Sequence[str]) -> None:
        assert reasons, "a refusal gives its reasons"
        super().__init__("; ".join(reasons))
        self.reasons = tuple(reasons)


class ArchiveRefused(EventStoreError):
    """Events must not leave the streams now; nothing was changed.

    Attributes:
        reasons: all of them, at least one.
    """

    def __init__(self, reasons: Sequence[str]) -> None:
        assert reasons, "a refusal gives its reasons"
        super().__init__("; ".join(reasons))
        self.reasons = tuple(reasons)


class UnsuitableStore(EventStoreError):
    """Redis answers, but its settings would lose data: read-only, evicting, no access."""


class DamagedEvent(EventStoreError):
    """Bytes in a stream that are not an event of any version."""


class DamagedBundle(DamagedEvent):
    """A file of events is cut, was altered, or is none; or files do not fit together."""


class SecondWriter(EventStoreError):
    """The own stream holds events that this process did not write. Stop, call a human."""


class StreamForked(EventStoreError):
    """Two different histories under one stream name, or a stream that lost its tail."""
