"""What changed, on both nodes of a pair: events, streams, folding and replication.

This package knows nothing of links, takeover or HTTP, and which origin wins a conflict
is an argument. Programs may read a pair's history with these names when no node is up.
"""

from eventstore.codec import FORMAT_VERSION
from eventstore.configuration import FOLD_VERSION, Configuration, Entry, Folded, Loss
from eventstore.errors import (
    DamagedEvent,
    EntryChanged,
    EventStoreError,
    InvalidEntry,
    NoSuchConflict,
    NoSuchEntry,
    ResyncRefused,
    SecondWriter,
    StoreRefused,
    StoreUnavailable,
    StreamForked,
    UnsuitableStore,
    WritesFrozen,
)
from eventstore.event import (
    ACTOR_BYTES_MAX,
    KEY_BYTES_MAX,
    REASON_BYTES_MAX,
    START,
    VALUE_BYTES_MAX,
    Change,
    Delete,
    Event,
    EventId,
    JsonValue,
    Kind,
    Origin,
    Put,
    Recovered,
    check_key,
    check_text,
)
from eventstore.history import (
    ArchivedEvent,
    Filter,
    read_archived,
    read_history,
    read_losses,
)
from eventstore.history_lines import (
    HistoryLine,
    Overridden,
    read_history_lines,
    read_overridden,
)
from eventstore.memory import Head, Snapshot
from eventstore.parting import Leaving
from eventstore.replication import Progress, Replication, Replicator
from eventstore.resync import Resynced, ResyncOrder
from eventstore.signing import (
    KEY_FILE_BYTES_MAX,
    SIGNATURE_BYTES,
    KeyRefused,
    PrivateKey,
    PublicKey,
)
from eventstore.source import Source
from eventstore.store import BATCH_EVENT_COUNT_MAX, EventStore
from eventstore.streams import Archive, Streams, Suitability, connect, display_url
from eventstore.version_vector import Order, compare

__all__ = [
    "ACTOR_BYTES_MAX",
    "BATCH_EVENT_COUNT_MAX",
    "FOLD_VERSION",
    "FORMAT_VERSION",
    "KEY_BYTES_MAX",
    "KEY_FILE_BYTES_MAX",
    "REASON_BYTES_MAX",
    "SIGNATURE_BYTES",
    "START",
    "VALUE_BYTES_MAX",
    "Archive",
    "ArchivedEvent",
    "Change",
    "Configuration",
    "DamagedEvent",
    "Delete",
    "Entry",
    "EntryChanged",
    "Event",
    "EventId",
    "EventStore",
    "EventStoreError",
    "Filter",
    "Folded",
    "Head",
    "HistoryLine",
    "InvalidEntry",
    "JsonValue",
    "KeyRefused",
    "Kind",
    "Leaving",
    "Loss",
    "NoSuchConflict",
    "NoSuchEntry",
    "Order",
    "Origin",
    "Overridden",
    "PrivateKey",
    "Progress",
    "PublicKey",
    "Put",
    "Recovered",
    "Replication",
    "Replicator",
    "ResyncOrder",
    "ResyncRefused",
    "Resynced",
    "SecondWriter",
    "Snapshot",
    "Source",
    "StoreRefused",
    "StoreUnavailable",
    "StreamForked",
    "Streams",
    "Suitability",
    "UnsuitableStore",
    "WritesFrozen",
    "check_key",
    "check_text",
    "compare",
    "connect",
    "display_url",
    "read_archived",
    "read_history",
    "read_history_lines",
    "read_losses",
    "read_overridden",
]
