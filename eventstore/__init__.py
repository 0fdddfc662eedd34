"""What changed, on both nodes of a pair: events, streams, folding and replication.

This package knows nothing of links, takeover or HTTP, and which origin wins a conflict
is an argument. Programs may read a pair's history with these names when no node is up.
"""

from eventstore.checkpoint import (
    CHECKPOINT_BYTES_MAX,
    Checkpoint,
    CheckpointRefused,
    read_checkpoints,
)
from eventstore.codec import FORMAT_VERSION, digest_of
from eventstore.comparing import Accusation, Bad, Judged, stored_at
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
from eventstore.verified import Verification, VerifyReport, Witness
from eventstore.verifying import verify, verify_on
from eventstore.version_vector import Order, compare
from eventstore.witnesses import accusations, accused_by

__all__ = [
    "ACTOR_BYTES_MAX",
    "BATCH_EVENT_COUNT_MAX",
    "CHECKPOINT_BYTES_MAX",
    "FOLD_VERSION",
    "FORMAT_VERSION",
    "KEY_BYTES_MAX",
    "KEY_FILE_BYTES_MAX",
    "REASON_BYTES_MAX",
    "SIGNATURE_BYTES",
    "START",
    "VALUE_BYTES_MAX",
    "Accusation",
    "Archive",
    "ArchivedEvent",
    "Bad",
    "Change",
    "Checkpoint",
    "CheckpointRefused",
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
    "InvalidEntry",
    "JsonValue",
    "Judged",
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
    "StreamForked",
    "Streams",
    "Suitability",
    "UnsuitableStore",
    "Verification",
    "VerifyReport",
    "Witness",
    "WritesFrozen",
    "accusations",
    "accused_by",
    "check_key",
    "check_text",
    "compare",
    "connect",
    "digest_of",
    "display_url",
    "read_archived",
    "read_checkpoints",
    "read_history",
    "read_losses",
    "stored_at",
    "verify",
    "verify_on",
]
