"""The directory of a pair on one machine: config files, secrets, data and logs.

    lock  environment  pair.secret  read.token  change.token
    master.toml   master.log   master-redis.password   master-redis/
    standby.toml  standby.log  standby-redis.password  standby-redis/

Secrets and data stay from one run to the next; the config files, which carry the ports,
and `environment` are written at each start. Only the owner may read any of it.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shlex
from collections.abc import Mapping
from pathlib import Path

from node.errors import NodeError
from node.pair.ports import HOST, PairPorts, other_role
from node.private_files import write_private_file
from node.roles import Role
from node.secrets import read_secret

PAIR_NAME = "office"
READ_TOKEN = "read.token"  # noqa: S105  the name of a file
CHANGE_TOKEN = "change.token"  # noqa: S105  the name of a file
SECRET = "pair.secret"  # noqa: S105  the name of a file

Settings = dict[str, dict[str, object]]
"""Sections of a config file, each with its keys."""


class DirectoryRefused(NodeError):
    """The directory is not for this pair, or is in use; the message names the remedy."""


class PairDirectory:
    """The files of one pair; while it is open, nobody else can open it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None

    def open(self) -> None:
        """Make the directory and its secrets, where they are missing, and lock it.

        Raises:
            DirectoryRefused: another pair runs in it, or it belongs to something else.
            OSError: it cannot be made or written.
        """
        lock_path = self.path / "lock"
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not lock_path.exists() and any(self.path.iterdir()):
            raise DirectoryRefused(
                f"{self.path} has files in it that are not of a pair; name a new "
                "directory with --directory"
            )
        self.path.chmod(0o700)
        self._lock = _locked(lock_path)
        for name in (SECRET, READ_TOKEN, CHANGE_TOKEN, *map(_password_file, Role)):
            if not (self.path / name).exists():
                write_private_file(self.path / name, secrets.token_urlsafe(32) + "\n")

    def close(self) -> None:
        """Let others open it."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @property
    def environment_path(self) -> Path:
        """To be read by a shell, for the admin tool."""
        return self.path / "environment"

    def config_path(self, role: Role) -> Path:
        return self.path / f"{role}.toml"

    def log_path(self, role: Role) -> Path:
        return self.path / f"{role}.log"

    def redis_path(self, role: Role) -> Path:
        return self.path / f"{role}-redis"

    def redis_password(self, role: Role) -> str:
        return read_secret(self.path / _password_file(role))

    def change_token(self) -> str:
        return read_secret(self.path / CHANGE_TOKEN)

    def read_token(self) -> str:
        return read_secret(self.path / READ_TOKEN)

    def write_config(self, role: Role, settings: Settings) -> Path:
        """Write the node's config file, and return where."""
        path = self.config_path(role)
        write_private_file(path, "# Written at each start.\n" + toml_text(settings))
        return path

    def write_environment(self, node_url: str) -> None:
        """Write the file that tells the admin tool of this pair."""
        write_private_file(
            self.environment_path,
            f"export NETPHONE_NODE={shlex.quote(node_url)}\n"
            f"export NETPHONE_TOKEN={shlex.quote(self.change_token())}\n",
        )


def settings_of(role: Role, ports: PairPorts) -> Settings:
    """The config of one node of a pair, all on 127.0.0.1, with all times by default."""
    peer_role = other_role(role)
    own, peer = ports.of(role), ports.of(peer_role)
    return {
        "node": {
            "pair": PAIR_NAME,
            "role": str(role),
            "listen": f"{HOST}:{own.link}",
            "peer": f"{HOST}:{peer.link}",
            "secret_file": SECRET,
        },
        "redis": {
            "url": f"redis://{HOST}:{own.redis}/0",
            "password_file": _password_file(role),
            "peer_url": f"redis://{HOST}:{peer.redis}/0",
            "peer_password_file": _password_file(peer_role),
        },
        "http": {
            "listen": f"{HOST}:{own.http}",
            "read_token_file": READ_TOKEN,
            "change_token_file": CHANGE_TOKEN,
        },
    }


def toml_text(settings: Mapping[str, Mapping[str, object]]) -> str:
    """Sections of strings, numbers, truth values and lists of them, as TOML.

    Of these, JSON and TOML are written alike.
    """
    lines: list[str] = []
    for section, values in settings.items():
        lines.append(f"[{section}]")
        lines += [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    return "\n".join(lines) + "\n"


def _password_file(role: Role) -> str:
    return f"{role}-redis.password"


def _locked(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise DirectoryRefused(
            f"a pair runs in {path.parent} already; stop it, or name another directory "
            "with --directory and other ports with --base-port (python -m node pair)"
        ) from None
    return descriptor
