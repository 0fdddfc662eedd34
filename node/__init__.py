"""One node of a pair: supervision, link, takeover and the planned switch.

Services import `NetPhoneNode`; operators run `python -m node`.
"""

from node.config import NodeConfig
from node.errors import (
    ConfigError,
    LicenceRefused,
    NodeError,
    NoSeat,
    NoSuchLicence,
    NotMaster,
    NotReplicated,
    PortInUse,
    ResyncRolledBack,
    SwitchFailed,
    SwitchRefused,
    SwitchRolledBack,
)
from node.licences import Standing, Validity
from node.licensing import Seats
from node.netphone_node import NetPhoneNode
from node.notifications import Conflict, EntryChange, LicenceWarning, StateChange
from node.resyncing import ResyncReport
from node.roles import Role, State
from node.switching import SwitchReport

__all__ = [
    "ConfigError",
    "Conflict",
    "EntryChange",
    "LicenceRefused",
    "LicenceWarning",
    "NetPhoneNode",
    "NoSeat",
    "NoSuchLicence",
    "NodeConfig",
    "NodeError",
    "NotMaster",
    "NotReplicated",
    "PortInUse",
    "ResyncReport",
    "ResyncRolledBack",
    "Role",
    "Seats",
    "Standing",
    "State",
    "StateChange",
    "SwitchFailed",
    "SwitchRefused",
    "SwitchReport",
    "SwitchRolledBack",
    "Validity",
]
