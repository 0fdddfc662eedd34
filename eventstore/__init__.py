"""What changed, on both nodes of a pair: events, streams, folding and replication.

This package knows nothing of links, takeover or HTTP, and which origin wins a conflict
is an argument. Programs may read a pair's history with these names when no node is up.
"""

from eventstore.archived import Archived, archived_of
from eventstore.archiving import Archiving
from eventstore.beginnings import missing_text
from eventstore.blame import Blame, Changed
from eventstore.bundle import Bundle
from eventstore.bundle_check import CheckedChain, check_bundle
from eventstore.bundle_format import SEGMENT, Chain, Header, Held, Trailer
from eventstore.bundle_writer import write_bundle
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
    ArchiveRefused,
    DamagedBundle,
    DamagedEvent,
    EntryChanged,
    EventStoreError,
    InvalidEntry,
    InvalidLicence,
    NoSuchConflict,
    NoSuchEntry,
    NoSuchPoint,
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
    LICENCES,
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
from eventstore.explanation import Explanation
from eventstore.export import (
    Export,
    KeepingSource,
    chain_pages,
    closed_ends,
    export_events,
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
from eventstore.joined import Joined
from eventstore.licence import (
    LICENCE_BYTES_MAX,
    Licence,
    LicenceSignature,
    read_licence,
    sign_licence,
)
from eventstore.memory import Head, Memory, Snapshot, Stored
from eventstore.parting import Leaving
from eventstore.replay import (
    Difference,
    Replayed,
    Until,
    Watch,
    diff,
    read_blame,
    read_explanation,
    replay,
)
from eventstore.replication import Progress, Replication, Replicator
from eventstore.resync import Resynced, ResyncOrder
from eventstore.retention import closed_cut, least
from eventstore.signing import (
    KEY_FILE_BYTES_MAX,
    KeyRefused,
    PrivateKey,
    PublicKey,
)
from eventstore.source import Source
from eventstore.store import BATCH_EVENT_COUNT_MAX, EventStore
from eventstore.streams import Archive, Streams, Suitability, connect, display_url
from eventstore.telling import (
    format_time,
    parse_point,
    parse_time,
    told_changed,
    told_difference,
    told_event,
    told_explanation,
    told_line,
    told_place,
    told_standing,
)
from eventstore.trimming import beginning
from eventstore.verified import Verification, VerifyReport, Witness
from eventstore.verifying import begin_verification, verify, verify_on
from eventstore.version_vector import Order, compare, format_vector, parse_vector
from eventstore.witnesses import accusations, accused_by

__all__ = [
    "ACTOR_BYTES_MAX",
    "BATCH_EVENT_COUNT_MAX",
    "CHECKPOINT_BYTES_MAX",
    "FOLD_VERSION",
    "FORMAT_VERSION",
    "KEY_BYTES_MAX",
    "KEY_FILE_BYTES_MAX",
    "LICENCES",
    "LICENCE_BYTES_MAX",
    "REASON_BYTES_MAX",
    "SEGMENT",
    "START",
    "VALUE_BYTES_MAX",
    "Accusation",
    "Archive",
    "ArchiveRefused",
    "Archived",
    "ArchivedEvent",
    "Archiving",
    "Bad",
    "Blame",
    "Bundle",
    "Chain",
    "Change",
    "Changed",
    "CheckedChain",
    "Checkpoint",
    "CheckpointRefused",
    "Configuration",
    "DamagedBundle",
    "DamagedEvent",
    "Delete",
    "Difference",
    "Entry",
    "EntryChanged",
    "Event",
    "EventId",
    "EventStore",
    "EventStoreError",
    "Explanation",
    "Export",
    "Filter",
    "Folded",
    "Head",
    "Header",
    "Held",
    "HistoryLine",
    "InvalidEntry",
    "InvalidLicence",
    "Joined",
    "JsonValue",
    "Judged",
    "KeepingSource",
    "KeyRefused",
    "Kind",
    "Leaving",
    "Licence",
    "LicenceSignature",
    "Loss",
    "Memory",
    "NoSuchConflict",
    "NoSuchEntry",
    "NoSuchPoint",
    "Order",
    "Origin",
    "Overridden",
    "PrivateKey",
    "Progress",
    "PublicKey",
    "Put",
    "Recovered",
    "Replayed",
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
    "Until",
    "Verification",
    "VerifyReport",
    "Watch",
    "Witness",
    "WritesFrozen",
    "accusations",
    "accused_by",
    "archived_of",
    "begin_verification",
    "beginning",
    "chain_pages",
    "check_bundle",
    "check_key",
    "check_text",
    "closed_cut",
    "closed_ends",
    "compare",
    "connect",
    "diff",
    "digest_of",
    "display_url",
    "export_events",
    "format_time",
    "format_vector",
    "least",
    "missing_text",
    "parse_point",
    "parse_time",
    "parse_vector",
    "read_archived",
    "read_blame",
    "read_checkpoints",
    "read_explanation",
    "read_history",
    "read_history_lines",
    "read_licence",
    "read_losses",
    "read_overridden",
    "replay",
    "sign_licence",
    "stored_at",
    "told_changed",
    "told_difference",
    "told_event",
    "told_explanation",
    "told_line",
    "told_place",
    "told_standing",
    "verify",
    "verify_on",
    "write_bundle",
]
