"""One node of a pair: supervision, link, takeover and the planned switch.

Services import `NetPhoneNode`; operators run `python -m node`.
"""

from node.config import NodeConfig
from node.errors import (
    ConfigError,
    NodeError,
    NotMaster,
    NotReplicated,
    PortInUse,
    ResyncRolledBack,
    SwitchFailed,
    SwitchRefused,
    SwitchRolledBack,
)
from node.netphone_node import NetPhoneNode
from node.notifications import Conflict, EntryChange, LicenceWarning, StateChange
from node.resyncing import ResyncReport
from node.roles import Role, State
from node.switching import SwitchReport

__all__ = [
    "ConfigError",
    "Conflict",
    "EntryChange",
    "LicenceWarning",
    "NetPhoneNode",
    "NodeConfig",
    "NodeError",
    "NotMaster",
    "NotReplicated",
    "PortInUse",
    "ResyncReport",
    "ResyncRolledBack",
    "Role",
    "State",
    "StateChange",
    "SwitchFailed",
    "SwitchRefused",
    "SwitchReport",
    "SwitchRolledBack",
]
