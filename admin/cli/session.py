"""What a command works with: the node, the output, the input, and a way to wait."""

from __future__ import annotations

import getpass
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO, TextIO

import attrs
import httpx
import typer

from admin.cli.output import Output
from admin.client import NodeClient
from admin.errors import UsageProblem
from admin.files import reason_of
from admin.http_exchange import Exchange, NodeAddress
from admin.token_file import find_token

NODE_VARIABLE = "NETPHONE_NODE"
TIMEOUT_S = 10.0
_TIMEOUT_S_MAX = 3600.0
INPUT_BYTES_MAX = 256 * 1024 * 1024


@attrs.frozen(kw_only=True)
class World:
    """Everything outside that a command touches, so that tests can bring their own."""

    environ: Mapping[str, str]
    stdin: BinaryIO
    stdout: TextIO
    stderr: TextIO
    sleep: Callable[[float], None]
    """Waits so many seconds."""
    now_ns: Callable[[], int]
    """The wall clock, in nanoseconds since 1970."""
    transport: httpx.BaseTransport | None
    """Carries requests instead of the network; None: the network."""


@attrs.define(kw_only=True)
class Session:
    """One run of the command line. The options are filled in before a command starts."""

    world: World
    output: Output
    node: str | None = None
    token_file: Path | None = None
    actor: str | None = None
    timeout_s: float = TIMEOUT_S

    def client(self) -> NodeClient:
        """The node that the options or the environment name.

        Raises:
            UsageProblem: no node is named, or the token cannot be read.
        """
        url = self.node or self.world.environ.get(NODE_VARIABLE)
        if not url:
            raise UsageProblem(
                "no node is named: use --node URL or NETPHONE_NODE, such as "
                "http://10.0.0.1:7480"
            )
        if not (math.isfinite(self.timeout_s) and 0 < self.timeout_s <= _TIMEOUT_S_MAX):
            raise UsageProblem(
                f"--timeout-s is {self.timeout_s:g}; it must be above 0 and at most "
                f"{_TIMEOUT_S_MAX:g}"
            )
        address = NodeAddress(
            url=url,
            token=find_token(self.token_file, self.world.environ),
            actor=self.actor or _login_name(),
            timeout_s=self.timeout_s,
        )
        return NodeClient(Exchange(address, transport=self.world.transport))

    @property
    def actor_name(self) -> str:
        """Who acts, for what is made without a node."""
        return self.actor or _login_name() or "unknown"

    def read(self, name: str, bytes_max: int = INPUT_BYTES_MAX) -> bytes:
        """The bytes of the file `name`, or of standard input for `-`.

        Raises:
            UsageProblem: it cannot be read, or is over `bytes_max`.
        """
        try:
            if name == "-":
                data = self.world.stdin.read(bytes_max + 1)
            else:
                with Path(name).open("rb") as file:
                    data = file.read(bytes_max + 1)
        except OSError as error:
            raise UsageProblem(f"cannot read {name}: {reason_of(error)}") from error
        if len(data) > bytes_max:
            limit = f"{bytes_max // 2**10} KiB"
            if bytes_max == INPUT_BYTES_MAX:
                limit = f"{bytes_max // 2**20} MiB; split it"
            raise UsageProblem(f"{name} is over the limit of {limit}")
        return data


def session_of(context: typer.Context) -> Session:
    """The session that `main` gave to the command line library."""
    session = context.obj
    assert isinstance(session, Session)
    return session


def _login_name() -> str | None:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return None  # No such user, as in some containers: the token's name stands.
