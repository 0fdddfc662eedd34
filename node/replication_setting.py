"""Whether the pair replicates (D4): one setting for both nodes. Pure.

Each node stores it as an event and says it in heartbeats. The higher revision is the newer
order; of two given at the same time in a cut, off wins. A node reads only while its own
setting and the peer's last known one are on.
"""

from __future__ import annotations

import attrs

from eventstore import Event, JsonValue
from node.link_messages import REVISION_MAX


def why_unreadable(theirs: int, ours: int) -> str | None:
    """Why events of format `theirs` are not copied by a node that writes `ours`.

    They could be kept, but not applied: what this node changed then would claim to know
    them, and win over them (D4, D6). Every version reads all older formats.
    """
    if theirs <= ours:
        return None
    return (
        f"the peer writes events of format {theirs}, this node reads up to format {ours}; "
        "update this node"
    )


@attrs.frozen
class ReplicationSetting:
    """An operator's order, and the how manieth it is."""

    revision: int = 0
    enabled: bool = True

    @classmethod
    def from_event(cls, event: Event | None) -> ReplicationSetting:
        """What the newest own `replication-changed` says; on when there is none."""
        value = None if event is None else event.value
        if not isinstance(value, dict):
            return cls()
        revision, enabled = value.get("revision"), value.get("enabled")
        if type(revision) is not int or type(enabled) is not bool:
            return cls()
        return cls(revision, enabled) if 0 <= revision <= REVISION_MAX else cls()

    def as_value(self) -> JsonValue:
        return {"revision": self.revision, "enabled": self.enabled}

    def in_words(self) -> str:
        return f"replication {'on' if self.enabled else 'off'}"

    def changed_to(self, enabled: bool) -> ReplicationSetting:
        """The next order."""
        return ReplicationSetting(self.revision + 1, enabled)

    def yields_to(self, peers: ReplicationSetting) -> bool:
        """Whether the peer's setting is the one to adopt."""
        if peers.revision == self.revision:
            return self.enabled and not peers.enabled
        return self.revision < peers.revision <= REVISION_MAX
