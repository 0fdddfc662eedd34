"""What nodes tell each other, and its bytes. Pure.

A message is the msgpack array `[name, {field: value}]`. Unknown names and fields are left
alone and missing optional ones have a default, so that neighbouring versions go on watching
each other (S18). Every field is checked against its type and limit; nothing else of a message
is believed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs
import msgpack

from eventstore import EventId
from node.errors import RemoteProtocolError
from node.roles import Role, State
from node.situation import Switch, SwitchStep

PROTOCOL_VERSION: Final = 1
PROTOCOL_OLDEST: Final = 1
"""The oldest version that this one still understands."""
_FORMAT_UNSAID = 1
"""What versions wrote whose hello did not name the format of their events."""

TEXT_LENGTH_MAX: Final = 1024
"""Characters; a message with a longer text ends its connection."""
REVISION_MAX: Final = 2**63 - 2**32
"""No order has a higher one; what says so is garbage, and the next ones must fit a message."""
_ITEM_COUNT_MAX = 64
_NO_EVENT = "0-0"
NONCE_BYTES: Final = 16
_UNPACK_ERRORS = (
    ValueError,
    TypeError,
    OverflowError,
    RecursionError,
    msgpack.exceptions.UnpackException,
)


@attrs.frozen
class Head:
    """The newest event of a stream: its id and its digest in hex."""

    id: str
    digest: str


@attrs.frozen(kw_only=True)
class Hello:
    """The first message of either side, in clear.

    Its present fields stay in every version: even a peer that is too far away must be
    understood this far (S18).
    """

    protocol: int
    oldest: int
    """The oldest protocol that the sender still understands."""
    event_format: int
    """In which the sender writes its events (D4)."""
    pair: str
    role: Role
    state: State
    instance: str
    nonce: bytes
    promise: str | None
    sequence: int
    """Of the sender's last heartbeat before it, to whichever connection."""
    version: str


@attrs.frozen
class Proof:
    """That the sender knows the pair's secret."""

    mac: bytes


@attrs.frozen
class Refusal:
    """Why the sender will not talk to us."""

    problem: str


@attrs.frozen(kw_only=True)
class Heartbeat:
    """What a node says of itself once a second, and whenever that changes."""

    instance: str
    sequence: int
    heard_sequence: int
    """The last sequence heard from the receiver; 0: none."""
    role: Role
    state: State
    promise: str | None
    state_age_ms: int
    """How long the sender has been in this state."""
    yield_count: int
    """How often this process gave way because both nodes were active (S5, S20)."""
    heads: Mapping[str, Head]
    """By origin, at most both; with `digest` and `entry_count` one snapshot (D8)."""
    digest: str
    entry_count: int
    fold_version: int
    problems: Mapping[str, str]
    """Failing health checks by name; empty: well."""
    ready: bool
    replicating: bool
    """Whether it reads our stream at this moment."""
    replication_revision: int
    replication_enabled: bool
    pause_revision: int
    paused: bool
    """The sender's order about automatic takeover; it may have run out."""
    pause_left_ms: int
    pause_text: str
    read_up_to: str
    """The event of its stream up to which the sender wants to be read although replication
    is off (D12); `0-0`: none.
    """
    calls: int
    version: str


@attrs.frozen
class Goodbye:
    """The sender stops in order (S11)."""


@attrs.frozen
class SwitchMessage:
    """One step of a planned switch (S14)."""

    step: SwitchStep
    switch: Switch
    text: str


Message = Hello | Proof | Refusal | Heartbeat | Goodbye | SwitchMessage


def pack(message: Message) -> bytes:
    """The bytes of `message`."""
    match message:
        case Heartbeat():
            fields = attrs.asdict(message)
            fields["heads"] = {o: [h.id, h.digest] for o, h in message.heads.items()}
        case _:
            fields = attrs.asdict(message)
    packed: bytes = msgpack.packb([_NAMES[type(message)], fields])
    return packed


def unpack(body: bytes) -> Message | None:
    """The message in `body`; None if it is of a kind that this version does not know.

    `body` is bounded by the frame that held it.

    Raises:
        RemoteProtocolError: it is no message, or a field is outside its limits.
    """
    try:
        found = msgpack.unpackb(body)
    except _UNPACK_ERRORS as error:
        raise RemoteProtocolError(f"a frame is not msgpack: {error}") from None
    if type(found) is not list or len(found) != 2 or type(found[1]) is not dict:
        raise RemoteProtocolError("a frame is not a name and its fields")
    name, fields = found
    reader = _READERS.get(name) if type(name) is str else None
    return reader(_Fields(name, fields)) if reader else None


@attrs.frozen
class _Fields:
    """The fields of a message from outside, each read with its check."""

    name: str
    values: Mapping[Any, Any]

    def text(self, field: str, *, default: str | None = None) -> str:
        value = self.values.get(field, default)
        if type(value) is not str or len(value) > TEXT_LENGTH_MAX:
            raise self._wrong(field, f"a string of at most {TEXT_LENGTH_MAX}")
        return value

    def optional_text(self, field: str) -> str | None:
        return None if self.values.get(field) is None else self.text(field)

    def number(self, field: str, *, default: int | None = None) -> int:
        value = self.values.get(field, default)
        if type(value) is not int or not 0 <= value < 2**63:
            raise self._wrong(field, "a number of 0 or more")
        return value

    def truth(self, field: str, *, default: bool) -> bool:
        value = self.values.get(field, default)
        if type(value) is not bool:
            raise self._wrong(field, "true or false")
        return value

    def octets(self, field: str, count: int) -> bytes:
        value = self.values.get(field)
        if type(value) is not bytes or len(value) != count:
            raise self._wrong(field, f"{count} bytes")
        return value

    def role(self, field: str) -> Role:
        try:
            return Role(self.text(field))
        except ValueError:
            raise self._wrong(field, "a role") from None

    def state(self, field: str) -> State:
        try:
            return State(self.text(field))
        except ValueError:
            raise self._wrong(field, "a state") from None

    def items(self, field: str) -> dict[str, Any]:
        value = self.values.get(field, {})
        if type(value) is not dict or len(value) > _ITEM_COUNT_MAX:
            raise self._wrong(field, f"at most {_ITEM_COUNT_MAX} items")
        if not all(type(key) is str for key in value):
            raise self._wrong(field, "a map with strings as keys")
        return value

    def texts(self, field: str) -> dict[str, str]:
        items = _Fields(self.name, self.items(field))
        return {key: items.text(key) for key in items.values}

    def heads(self, field: str) -> dict[str, Head]:
        heads = {}
        items = self.items(field)
        # Other names are left alone: what is kept of each heartbeat must not grow.
        for origin in Role:
            if origin not in items:
                continue
            value = items[origin]
            if type(value) is not list or len(value) != 2:
                raise self._wrong(field, "pairs of id and digest")
            both = _Fields(self.name, {"id": value[0], "digest": value[1]})
            head = Head(both.text("id"), both.text("digest"))
            self.check_id(field, head.id)
            heads[origin.value] = head
        return heads

    def event_id(self, field: str, *, default: str) -> str:
        text = self.text(field, default=default)
        self.check_id(field, text)
        return text

    def check_id(self, field: str, text: str) -> None:
        try:
            EventId.parse(text)
        except ValueError:
            raise self._wrong(field, "an event id") from None

    def _wrong(self, field: str, wanted: str) -> RemoteProtocolError:
        return RemoteProtocolError(f"{field!r} of a {self.name!r} is not {wanted}")


def _read_hello(fields: _Fields) -> Hello:
    return Hello(
        protocol=fields.number("protocol"),
        oldest=fields.number("oldest"),
        event_format=fields.number("event_format", default=_FORMAT_UNSAID),
        pair=fields.text("pair"),
        role=fields.role("role"),
        state=fields.state("state"),
        instance=fields.text("instance"),
        nonce=fields.octets("nonce", NONCE_BYTES),
        promise=fields.optional_text("promise"),
        sequence=fields.number("sequence", default=0),
        version=fields.text("version", default=""),
    )


def _read_heartbeat(fields: _Fields) -> Heartbeat:
    return Heartbeat(
        instance=fields.text("instance"),
        sequence=fields.number("sequence"),
        heard_sequence=fields.number("heard_sequence"),
        role=fields.role("role"),
        state=fields.state("state"),
        promise=fields.optional_text("promise"),
        state_age_ms=fields.number("state_age_ms", default=0),
        yield_count=fields.number("yield_count", default=0),
        heads=fields.heads("heads"),
        digest=fields.text("digest", default=""),
        entry_count=fields.number("entry_count", default=0),
        fold_version=fields.number("fold_version", default=0),
        problems=fields.texts("problems"),
        ready=fields.truth("ready", default=True),
        replicating=fields.truth("replicating", default=True),
        replication_revision=fields.number("replication_revision", default=0),
        replication_enabled=fields.truth("replication_enabled", default=True),
        pause_revision=fields.number("pause_revision", default=0),
        paused=fields.truth("paused", default=False),
        pause_left_ms=fields.number("pause_left_ms", default=0),
        pause_text=fields.text("pause_text", default=""),
        read_up_to=fields.event_id("read_up_to", default=_NO_EVENT),
        calls=fields.number("calls", default=0),
        version=fields.text("version", default=""),
    )


def _read_switch(fields: _Fields) -> SwitchMessage | None:
    inner = _Fields(fields.name, fields.items("switch"))
    switch = Switch(
        id=inner.text("id"),
        giver_instance=inner.text("giver_instance"),
        taker_instance=inner.text("taker_instance"),
        giver=inner.role("giver"),
        actor=inner.text("actor"),
        reason=inner.text("reason"),
        urgent=inner.truth("urgent", default=False),
    )
    named = fields.text("step")
    if named not in set(SwitchStep):
        return None  # A step of a later version; its deadline will end the switch.
    step, text = SwitchStep(named), fields.text("text", default="")
    if step is SwitchStep.CONFIRM:
        fields.check_id("text", text)
    return SwitchMessage(step, switch, text)


_READERS: Mapping[str, Callable[[_Fields], Message | None]] = {
    "hello": _read_hello,
    "proof": lambda fields: Proof(fields.octets("mac", 32)),
    "refusal": lambda fields: Refusal(fields.text("problem")),
    "heartbeat": _read_heartbeat,
    "goodbye": lambda _fields: Goodbye(),
    "switch": _read_switch,
}
_NAMES: Mapping[type[Message], str] = {
    Hello: "hello",
    Proof: "proof",
    Refusal: "refusal",
    Heartbeat: "heartbeat",
    Goodbye: "goodbye",
    SwitchMessage: "switch",
}
