"""What changed, on both nodes of a pair: events, streams, folding and replication.

This package knows nothing of links, takeover or HTTP, and which origin wins a conflict
is an argument. Programs may read a pair's history with these names when no node is up.
"""

from eventstore.bundle import Bundle
from eventstore.bundle_check import CheckedChain, check_bundle
from eventstore.bundle_format import Chain, Header, Held, Trailer
from eventstore.bundle_writer import write_bundle
from eventstore.codec import FORMAT_VERSION
from eventstore.configuration import FOLD_VERSION, Configuration, Entry, Folded, Loss
from eventstore.errors import (
    DamagedBundle,
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
from eventstore.export import (
    Export,
    KeepingSource,
    closed_ends,
    export_events,
    read_stored,
)
from eventstore.history import (
    ArchivedEvent,
    Filter,
    read_archived,
    read_history,
    read_losses,
)
from eventstore.joined import Joined
from eventstore.memory import Head, Snapshot, Stored
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
    "Bundle",
    "Chain",
    "Change",
    "CheckedChain",
    "Configuration",
    "DamagedBundle",
    "DamagedEvent",
    "Delete",
    "Entry",
    "EntryChanged",
    "Event",
    "EventId",
    "EventStore",
    "EventStoreError",
    "Export",
    "Filter",
    "Folded",
    "Head",
    "Header",
    "Held",
    "InvalidEntry",
    "Joined",
    "JsonValue",
    "KeepingSource",
    "KeyRefused",
    "Kind",
    "Leaving",
    "Loss",
    "NoSuchConflict",
    "NoSuchEntry",
    "Order",
    "Origin",
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
    "Stored",
    "StreamForked",
    "Streams",
    "Suitability",
    "Trailer",
    "UnsuitableStore",
    "WritesFrozen",
    "check_bundle",
    "check_key",
    "check_text",
    "closed_ends",
    "compare",
    "connect",
    "display_url",
    "export_events",
    "read_archived",
    "read_history",
    "read_losses",
    "read_stored",
    "write_bundle",
]
