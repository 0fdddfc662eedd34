"""Other versions of this software, made from the tree, and nodes that run them."""

from __future__ import annotations

import shutil
from pathlib import Path

from node.roles import Role
from tests.support.documents import REPOSITORY

PACKAGES = ("eventstore", "node", "admin")

OLDER, NEWER = "1.0.0", "2.0.0"

_OF_OLDER = {"node/version.py": f'VERSION = "{OLDER}"'}
_OF_NEWER = {
    "node/version.py": f'VERSION = "{NEWER}"',
    # Another layout of events; the one before is still read.
    "eventstore/codec.py": """
FORMAT_VERSION = 2
_encode_fields = encode


def encode(**fields):
    version, previous, *rest = msgpack.unpackb(_encode_fields(**fields))
    return msgpack.packb([version, previous, rest, "written in the attic"])


def _decode_version_2(origin, event_id, fields, digest):
    _version, previous, rest, _where = fields
    return _decode_version_1(origin, event_id, [1, previous, *rest], digest)


_DECODERS[2] = _decode_version_2
""",
    "eventstore/configuration.py": "FOLD_VERSION = 2",
    # A newer protocol, with more to say in each message.
    "node/link_messages.py": """
PROTOCOL_VERSION = 2
_pack_fields = pack


def pack(message):
    name, fields = msgpack.unpackb(_pack_fields(message))
    return msgpack.packb([name, fields | {"where": "attic"}])
""",
    # A new kind of event.
    "node/netphone_node.py": """
_open_stream = NetPhoneNode._open_stream


def _open_stream_and_say_where(self):
    _open_stream(self)
    self._store.record("site-named", {"where": "attic"}, actor="a later version")


NetPhoneNode._open_stream = _open_stream_and_say_where
""",
}
_TOO_NEW = "PROTOCOL_VERSION = PROTOCOL_OLDEST = 9"
"""A protocol that has nothing in common with ours."""


class Versions:
    """What is installed for each role; nodes find it by `environments`.

    An installation replaces what a node imports at its next start, as with real machines.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._make("older", _OF_OLDER)
        self._make("newer", _OF_NEWER)
        messages = _OF_NEWER["node/link_messages.py"] + _TOO_NEW
        self._make("too new", {**_OF_NEWER, "node/link_messages.py": messages})
        for role in Role:
            self.install(role, "older")

    @property
    def environments(self) -> dict[Role, dict[str, str]]:
        """For the nodes: without PYTHONSAFEPATH the working directory would come first."""
        return {
            role: {"PYTHONPATH": str(self._installed(role)), "PYTHONSAFEPATH": "1"}
            for role in Role
        }

    def install(self, role: Role, version: str) -> None:
        """`older`, `newer` or `too new`."""
        made = self._directory / version
        assert made.is_dir()
        link = self._installed(role)
        link.unlink(missing_ok=True)
        link.symlink_to(made)

    def _installed(self, role: Role) -> Path:
        return self._directory / f"installed for the {role}"

    def _make(self, version: str, added: dict[str, str]) -> None:
        root = self._directory / version
        for package in PACKAGES:
            shutil.copytree(
                REPOSITORY / package,
                root / package,
                ignore=shutil.ignore_patterns("__pycache__"),
            )
        for name, text in added.items():
            with (root / name).open("a", encoding="utf-8") as file:
                file.write(f"\n{text}\n")
