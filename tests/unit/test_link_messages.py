"""The bytes of link messages, and what of them is believed."""

from __future__ import annotations

from typing import Any

import attrs
import msgpack
import pytest

from node.errors import RemoteProtocolError
from node.link_messages import (
    Goodbye,
    Head,
    Hello,
    Message,
    Proof,
    Refusal,
    SwitchMessage,
    pack,
    unpack,
)
from node.roles import Role, State
from node.situation import SwitchStep
from tests.support.links import HEARTBEAT
from tests.support.situations import TO_STANDBY

HELLO = Hello(
    protocol=1,
    oldest=1,
    event_format=1,
    pair="office",
    role=Role.MASTER,
    state=State.ACTIVE,
    instance="m",
    nonce=bytes(16),
    promise=None,
    sequence=7,
    version="1.0",
)
SWITCH = SwitchMessage(SwitchStep.CONFIRM, TO_STANDBY, "7-3")
MESSAGES: dict[str, Message] = {
    "hello": HELLO,
    "hello with a promise": attrs.evolve(HELLO, promise="one"),
    "proof": Proof(bytes(range(32))),
    "refusal": Refusal("wrong secret"),
    "heartbeat": HEARTBEAT,
    "heartbeat with a promise": attrs.evolve(HEARTBEAT, promise="one"),
    "goodbye": Goodbye(),
    "switch": SWITCH,
}


def fields_of(message: Message) -> tuple[str, dict[str, Any]]:
    name, fields = msgpack.unpackb(pack(message))
    return name, fields


def repacked(message: Message, **changes: object) -> bytes:
    """The bytes of `message` with other fields; `...` leaves one out."""
    name, fields = fields_of(message)
    changed = {k: v for k, v in (fields | changes).items() if v is not ...}
    data: bytes = msgpack.packb([name, changed])
    return data


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
def test_a_message_comes_back_as_it_was(message: Message) -> None:
    assert unpack(pack(message)) == message


@pytest.mark.parametrize("step", list(SwitchStep))
def test_every_step_of_a_switch_has_its_bytes(step: SwitchStep) -> None:
    message = attrs.evolve(SWITCH, step=step)
    assert unpack(pack(message)) == message


def test_s18_a_kind_of_a_later_version_is_left_alone() -> None:
    assert unpack(msgpack.packb(["weather", {"rain": True}])) is None
    assert unpack(msgpack.packb([17, {}])) is None


def test_s18_a_step_of_a_later_version_is_left_alone() -> None:
    assert unpack(repacked(SWITCH, step="hesitate")) is None


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
def test_s18_fields_of_a_later_version_are_left_alone(message: Message) -> None:
    assert unpack(repacked(message, weather="rain")) == message


@pytest.mark.parametrize(
    ("field", "default"), [("promise", None), ("version", ""), ("event_format", 1)]
)
def test_s18_a_hello_of_an_earlier_version_may_lack(field: str, default: Any) -> None:
    hello = attrs.evolve(HELLO, promise="one", event_format=7)
    expected = attrs.evolve(hello, **{field: default})
    assert unpack(repacked(hello, **{field: ...})) == expected


OPTIONAL: dict[str, Any] = {
    "digest": "",
    "entry_count": 0,
    "fold_version": 0,
    "problems": {},
    "heads": {},
    "ready": True,
    "replicating": True,
    "replication_revision": 0,
    "replication_enabled": True,
    "calls": 0,
    "version": "",
    "promise": None,
    "state_age_ms": 0,
    "yield_count": 0,
    "pause_revision": 0,
    "paused": False,
    "pause_left_ms": 0,
    "pause_text": "",
    "read_up_to": "0-0",
}


@pytest.mark.parametrize("field", OPTIONAL)
def test_s18_a_heartbeat_of_an_earlier_version_may_lack(field: str) -> None:
    expected = attrs.evolve(HEARTBEAT, **{field: OPTIONAL[field]})
    assert unpack(repacked(HEARTBEAT, **{field: ...})) == expected


def test_heads_of_streams_that_no_node_has_are_left_alone() -> None:
    """They would pile up in what a node remembers of how far each stream goes."""
    heads = {"master": ["5-1", "ab"], "master2": ["6-1", "cd"], "": ["7-1", "ef"]}
    heard = unpack(repacked(HEARTBEAT, heads=heads))
    assert heard == attrs.evolve(HEARTBEAT, heads={"master": Head("5-1", "ab")})


NEEDED = {"instance", "sequence", "heard_sequence", "role", "state"}


def test_every_field_of_a_heartbeat_is_needed_or_optional() -> None:
    names = {field.name for field in attrs.fields(type(HEARTBEAT))}
    assert names == NEEDED | set(OPTIONAL)


@pytest.mark.parametrize("field", sorted(NEEDED))
def test_a_heartbeat_without_what_it_needs_is_refused(field: str) -> None:
    with pytest.raises(RemoteProtocolError, match=f"'{field}' of a 'heartbeat'"):
        unpack(repacked(HEARTBEAT, **{field: ...}))


@pytest.mark.parametrize(
    ("message", "field", "value"),
    [
        (HELLO, "protocol", "1"),
        (HELLO, "protocol", True),
        (HELLO, "protocol", -1),
        (HELLO, "oldest", 2**63),
        (HELLO, "oldest", 1.0),
        (HELLO, "event_format", "1"),
        (HELLO, "event_format", -1),
        (HELLO, "pair", "x" * 1025),
        (HELLO, "pair", b"office"),
        (HELLO, "role", "slave"),
        (HELLO, "role", 5),
        (HELLO, "state", "starting"),
        (HELLO, "state", None),
        (HELLO, "instance", None),
        (HELLO, "nonce", bytes(15)),
        (HELLO, "nonce", bytes(17)),
        (HELLO, "nonce", "x" * 16),
        (HELLO, "promise", 5),
        (Proof(bytes(32)), "mac", bytes(31)),
        (Refusal("why"), "problem", ...),
        (HEARTBEAT, "ready", 1),
        (HEARTBEAT, "calls", -1),
        (HEARTBEAT, "heads", []),
        (HEARTBEAT, "heads", {"master": "5-1"}),
        (HEARTBEAT, "heads", {"master": ["5-1"]}),
        (HEARTBEAT, "heads", {"master": ["5-1", "ab", "cd"]}),
        (HEARTBEAT, "heads", {"master": ["5", "ab"]}),
        (HEARTBEAT, "heads", {"master": ["5-1", None]}),
        (HEARTBEAT, "heads", {"master": None}),
        (HEARTBEAT, "heads", {b"master": ["5-1", "ab"]}),
        (HEARTBEAT, "read_up_to", ""),
        (HEARTBEAT, "read_up_to", None),
        (HEARTBEAT, "problems", {"sip": None}),
        (HEARTBEAT, "problems", {str(i): "" for i in range(65)}),
        (SWITCH, "switch", {}),
        (SWITCH, "switch", None),
        (SWITCH, "step", 3),
        (SWITCH, "step", ...),
        (SWITCH, "text", None),
    ],
)
def test_a_field_outside_its_limits_is_refused_by_name(
    message: Message, field: str, value: object
) -> None:
    with pytest.raises(RemoteProtocolError):
        unpack(repacked(message, **{field: value}))


NEEDED_OF_SWITCH = [
    f.name for f in attrs.fields(type(TO_STANDBY)) if f.name != "urgent"
]


@pytest.mark.parametrize("field", NEEDED_OF_SWITCH)
def test_every_field_of_a_switch_is_needed(field: str) -> None:
    _, fields = fields_of(SWITCH)
    del fields["switch"][field]
    with pytest.raises(RemoteProtocolError, match=f"'{field}' of a 'switch'"):
        unpack(msgpack.packb(["switch", fields]))


def test_s18_a_switch_of_an_earlier_version_is_not_urgent() -> None:
    _, fields = fields_of(SWITCH)
    del fields["switch"]["urgent"]
    assert unpack(msgpack.packb(["switch", fields])) == SWITCH


def test_s18_heads_of_streams_of_a_later_version_are_left_alone() -> None:
    _, fields = fields_of(HEARTBEAT)
    more = {**fields["heads"], "witness": ["5-1", "ab"], "": "what it likes"}
    assert unpack(repacked(HEARTBEAT, heads=more)) == HEARTBEAT


def test_the_limits_are_what_may_still_be_said() -> None:
    problems = {str(i): "" for i in range(64)}
    for message in (
        attrs.evolve(HELLO, pair="x" * 1024, protocol=2**63 - 1, oldest=0),
        attrs.evolve(HEARTBEAT, problems=problems),
    ):
        assert unpack(pack(message)) == message


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        b"\x93\xa1a",
        b"\x01\x02",
        b"\xa5hello",
        msgpack.packb(["hello"]),
        msgpack.packb(["hello", {}, {}]),
        msgpack.packb(["hello", []]),
        msgpack.packb({"hello": {}}),
        msgpack.packb(["hello", {1: 2}]),
        msgpack.packb(["hello", {"role": "\ud800"}], unicode_errors="surrogatepass"),
        b"\x91" * 2000 + b"\x90",
        b"\xdd\xff\xff\xff\xff",
    ],
)
def test_what_is_no_message_is_refused(body: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        unpack(body)
