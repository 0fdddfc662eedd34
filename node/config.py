"""How one node of a pair is set up: `NodeConfig`, from Python, a mapping or a TOML file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs

from node import config_checks as checks
from node.addresses import Address
from node.config_file import fields_of, in_file_terms, read_toml
from node.errors import ConfigError
from node.licence_grace import DAY_S
from node.roles import Role


def _as_words(value: Iterable[str]) -> tuple[str, ...]:
    """A list becomes a tuple; a string stays one, to be refused, not split in letters."""
    return tuple(value) if isinstance(value, list | tuple) else value  # type: ignore[return-value]


@attrs.frozen(kw_only=True)
class NodeConfig:
    """How one node is set up: checked when made, never changed, safe to log.

    Raises:
        ConfigError: a value is outside its limits, or two do not fit each other.
    """

    pair: str = attrs.field(validator=checks.is_pair_name)
    """Name of the pair, the same on both nodes: 1 to 64 of `A-Z a-z 0-9 _ . -`."""

    role: Role = attrs.field(validator=checks.is_role)
    """What this node is for good. One node of a pair is the master, the other not."""

    listen: str = attrs.field(validator=checks.is_address)
    """`host:port` on which this node awaits its peer; an IPv6 host is in brackets."""

    peer: str = attrs.field(validator=checks.is_address)
    """`host:port` on which the peer listens."""

    secret: str = attrs.field(repr=False, validator=checks.is_secret)
    """What both nodes prove to each other that they know: at least 16 characters."""

    next_secret: str | None = attrs.field(
        default=None, repr=False, validator=checks.is_secret
    )
    """A second secret that is also accepted, while the secret is being replaced."""

    redis_url: str = attrs.field(validator=checks.is_redis_url)
    """This node's own Redis: `redis://`, `rediss://` or `unix://`, without a password."""

    redis_password: str | None = attrs.field(
        default=None, repr=False, validator=checks.is_password
    )
    """Password of the own Redis; None where it wants none."""

    peer_redis_url: str = attrs.field(validator=checks.is_redis_url)
    """The peer's Redis, as it is reached from here."""

    peer_redis_password: str | None = attrs.field(
        default=None, repr=False, validator=checks.is_password
    )
    """Password of the peer's Redis; None where it wants none."""

    heartbeat_interval_s: float = attrs.field(default=1.0, validator=checks.is_seconds)
    """Time between two heartbeats, in seconds."""

    peer_lost_after_s: float = attrs.field(default=3.0, validator=checks.is_seconds)
    """Silence after which the peer counts as lost, in seconds.

    At least two heartbeat intervals, or one late message starts a takeover. Raising it
    lengthens every takeover after a silence by the same amount.
    """

    start_window_s: float = attrs.field(default=3.0, validator=checks.is_seconds)
    """How long a starting node listens for its peer before it activates, in seconds.

    At least one heartbeat interval, or it cannot have heard a peer that is well.
    """

    switch_step_s: float = attrs.field(default=1.0, validator=checks.is_seconds)
    """How long the taker's promise holds in a planned switch, in seconds.

    Below `peer_lost_after_s`, so that a promise has run out before silence counts.
    """

    switch_timeout_s: float = attrs.field(default=5.0, validator=checks.is_seconds)
    """Limit of a planned switch from its first step to its last, in seconds."""

    takeover_hold_off_s: float = attrs.field(default=0.0, validator=checks.is_hold_off)
    """After a takeover, how long this node does not take over again; 0: no hold-off.

    Against flapping: meanwhile nobody may serve. An orderly stop of the peer is no failure
    and is taken over at any time.
    """

    takeovers_per_hour_max: int = attrs.field(
        default=0, validator=checks.is_takeover_count
    )
    """How often within an hour this node takes over by itself; 0: as often as needed."""

    witness_addresses: tuple[str, ...] = attrs.field(
        default=(), converter=_as_words, validator=checks.is_address_list
    )
    """`host:port` of others, such as the gateway. One of them must answer before silence
    alone makes this node active; empty: none is asked.
    """

    witness_command: tuple[str, ...] = attrs.field(
        default=(), converter=_as_words, validator=checks.is_command
    )
    """Program and arguments that must end with 0 before silence alone makes this node
    active; empty: none.
    """

    witness_deadline_s: float = attrs.field(default=1.0, validator=checks.is_seconds)
    """Limit for an answer of the witness, in seconds; it prolongs a takeover by as much."""

    http_listen: str | None = attrs.field(default=None, validator=checks.is_address)
    """`host:port` of the HTTP interface; None: there is none."""

    read_token: str | None = attrs.field(
        default=None, repr=False, validator=checks.is_token
    )
    """Bearer token that may read; needed where there is an HTTP interface."""

    change_token: str | None = attrs.field(
        default=None, repr=False, validator=checks.is_token
    )
    """Bearer token that may read and change; needed where there is an HTTP interface."""

    on_active: tuple[str, ...] = attrs.field(
        default=(), converter=_as_words, validator=checks.is_command
    )
    """Program and arguments to run when this node becomes active; empty: none."""

    on_passive: tuple[str, ...] = attrs.field(
        default=(), converter=_as_words, validator=checks.is_command
    )
    """Program and arguments to run when this node becomes passive; empty: none."""

    hook_deadline_s: float = attrs.field(default=3.0, validator=checks.is_seconds)
    """Limit for each of the two commands and each callback, in seconds.

    Below `switch_timeout_s`, because a planned switch waits for the giver's.
    """

    realm: str | None = attrs.field(default=None, validator=checks.is_realm)
    """Realm in which phones log on; None: the pair's name.

    Stored password digests hold for one realm only: changing it locks every phone out.
    """

    vendor_key: str | None = attrs.field(
        default=None, repr=False, validator=checks.is_public_key
    )
    """Ed25519 public key in PEM of the vendor of licences.

    None: signatures cannot be checked, and licences without one are accepted.
    """
    grace_days: float = attrs.field(default=28.0, validator=checks.is_grace_days)
    """On the standby, licences become invalid when the master was not reached for so long.

    In days, 28 at most; a fraction of a day may be given.
    """

    def __attrs_post_init__(self) -> None:
        for problem in _relations_broken(self):
            raise ConfigError(problem)

    @property
    def grace_s(self) -> float:
        """`grace_days` in seconds."""
        return self.grace_days * DAY_S

    @property
    def witness_ask_again_s(self) -> float | None:
        """How long after a question the witness is asked again; None: there is none."""
        if not (self.witness_addresses or self.witness_command):
            return None
        return self.witness_deadline_s + self.heartbeat_interval_s

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any], directory: Path) -> NodeConfig:
        """The configuration in `mapping`, which has the sections of the TOML file.

        Secrets are read from the files that it names, relative to `directory`.

        Raises:
            ConfigError: a key is unknown, missing or of the wrong type, a file of a
                secret cannot be used, or the values cannot (see the class).
        """
        fields = fields_of(mapping, directory)
        try:
            return cls(**fields)
        except ConfigError as error:
            raise ConfigError(in_file_terms(str(error))) from None

    @classmethod
    def from_file(cls, path: str | Path) -> NodeConfig:
        """The configuration in the TOML file `path`; see `from_mapping`.

        Raises:
            ConfigError: as there, or the file cannot be read, is over 1 MiB, or is not
                TOML. The message starts with the file's name.
        """
        path = Path(path)
        mapping = read_toml(path)
        try:
            return cls.from_mapping(mapping, path.parent)
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from None


def _relations_broken(config: NodeConfig) -> Iterable[str]:
    """What two fields, each good by itself, say against each other."""
    yield from _times_at_odds(config)
    yield from _places_at_odds(config)
    tokens = {"read_token": config.read_token, "change_token": config.change_token}
    missing = [name for name, token in tokens.items() if token is None]
    if config.http_listen is not None and missing:
        yield f"{' and '.join(missing)} must be given where http_listen is"
    if config.http_listen is None and len(missing) < len(tokens):
        yield "http_listen must be given where read_token or change_token is"
    if config.read_token is not None and config.read_token == config.change_token:
        yield "read_token is the same as change_token, so readers could change"


def _times_at_odds(config: NodeConfig) -> Iterable[str]:
    lost_s, interval_s = config.peer_lost_after_s, config.heartbeat_interval_s
    step_s, timeout_s = config.switch_step_s, config.switch_timeout_s
    if lost_s < 2 * interval_s:
        yield (
            f"peer_lost_after_s is {lost_s}, below 2 x heartbeat_interval_s "
            f"({interval_s})"
        )
    if config.start_window_s < interval_s:
        yield (
            f"start_window_s is {config.start_window_s}, below heartbeat_interval_s "
            f"({interval_s})"
        )
    if step_s >= lost_s:
        yield f"switch_step_s is {step_s}, not below peer_lost_after_s ({lost_s})"
    if step_s > timeout_s:
        yield f"switch_step_s is {step_s}, above switch_timeout_s ({timeout_s})"
    if config.hook_deadline_s >= timeout_s:
        yield (
            f"hook_deadline_s is {config.hook_deadline_s}, not below "
            f"switch_timeout_s ({timeout_s})"
        )


def _places_at_odds(config: NodeConfig) -> Iterable[str]:
    listen, peer = Address.parse(config.listen), Address.parse(config.peer)
    if peer.is_wildcard:
        yield f"peer is {config.peer}, an address that cannot be dialled"
    if listen == peer:
        yield f"peer is {config.peer}, the same as listen: a node is not its own peer"
    if config.http_listen and Address.parse(config.http_listen) == listen:
        yield f"http_listen is {config.http_listen}, the same as listen"
    if config.redis_url == config.peer_redis_url:
        yield "peer_redis_url is the same as redis_url: each node has its own Redis"
