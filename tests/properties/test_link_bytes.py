"""Whatever bytes come, in whatever pieces: the same incidents, or one clean refusal."""

from __future__ import annotations

import contextlib
import itertools

import attrs
import msgpack
from hypothesis import given
from hypothesis import strategies as st

from node.errors import RemoteProtocolError
from node.link_messages import (
    Goodbye,
    Head,
    Heartbeat,
    SwitchMessage,
    pack,
    unpack,
)
from node.link_protocol import (
    FRAME_BYTES_MAX,
    Connection,
    Incident,
    Received,
    Unacceptable,
)
from node.roles import Role, State
from node.situation import Switch, SwitchStep
from tests.support.links import HEARTBEAT, ends, exchange, framed, opened

texts = st.text(st.characters(codec="utf-8"), max_size=20)
numbers = st.integers(0, 2**63 - 1)
ids = st.builds("{}-{}".format, st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
heartbeats = st.builds(
    Heartbeat,
    instance=texts,
    sequence=numbers,
    heard_sequence=numbers,
    role=st.sampled_from(Role),
    state=st.sampled_from(State),
    promise=st.none() | texts,
    state_age_ms=numbers,
    yield_count=numbers,
    heads=st.dictionaries(
        st.sampled_from([role.value for role in Role]), st.builds(Head, ids, texts)
    ),
    digest=texts,
    entry_count=numbers,
    fold_version=numbers,
    problems=st.dictionaries(texts, texts, max_size=3),
    ready=st.booleans(),
    replicating=st.booleans(),
    replication_revision=numbers,
    replication_enabled=st.booleans(),
    pause_revision=numbers,
    paused=st.booleans(),
    pause_left_ms=numbers,
    pause_text=texts,
    read_up_to=ids,
    calls=numbers,
    version=texts,
)
switches = st.builds(
    Switch, texts, texts, texts, st.sampled_from(Role), texts, texts, st.booleans()
)
# Only the question for a head has a text with a form of its own.
other_steps = st.sampled_from([s for s in SwitchStep if s is not SwitchStep.CONFIRM])
switch_messages = st.builds(SwitchMessage, other_steps, switches, texts) | st.builds(
    SwitchMessage, st.just(SwitchStep.CONFIRM), switches, ids
)
messages = heartbeats | switch_messages | st.just(Goodbye())
cuts = st.lists(st.integers(0, 5000), max_size=12)


def pieces(data: bytes, at: list[int]) -> list[bytes]:
    places = [0, *sorted(place % (len(data) + 1) for place in at), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(places)]


def heard(listener: Connection, parts: list[bytes]) -> list[Incident | str]:
    """The incidents, and the refusal that ended them."""
    seen: list[Incident | str] = []
    try:
        for part in parts:
            seen += listener.receive(part)
    except (RemoteProtocolError, Unacceptable) as error:
        seen.append(str(error))
    return seen


@given(messages)
def test_a_message_comes_back_as_it_was(
    message: Heartbeat | SwitchMessage | Goodbye,
) -> None:
    assert unpack(pack(message)) == message


@given(st.lists(messages, max_size=5), cuts)
def test_any_pieces_give_the_same_messages(
    said: list[Heartbeat | SwitchMessage | Goodbye], at: list[int]
) -> None:
    dialler, listener = opened()
    for message in said:
        dialler.send(message)
    parts = pieces(dialler.take_outbox(), at)
    assert heard(listener, parts) == [Received(message) for message in said]


@given(cuts)
def test_any_pieces_give_the_same_handshake(at: list[int]) -> None:
    dialler, listener = ends()
    for _ in range(2):
        for part in pieces(dialler.take_outbox(), at):
            list(listener.receive(part))
        for part in pieces(listener.take_outbox(), at):
            list(dialler.receive(part))
    assert dialler.is_open
    assert listener.is_open


@given(st.binary(max_size=300), cuts, st.booleans())
def test_garbage_is_refused_cleanly_and_alike_in_any_pieces(
    data: bytes, at: list[int], is_open: bool
) -> None:
    make = opened if is_open else ends
    whole = heard(make()[1], [data])
    assert heard(make()[1], pieces(data, at)) == whole


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.binary(max_size=40)
    | texts | st.floats(),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(texts | st.binary(max_size=3), inner, max_size=4),
    max_leaves=10,
)  # fmt: skip
NAMES = ["hello", "proof", "refusal", "heartbeat", "goodbye", "switch", "later"]


@given(st.sampled_from(NAMES), st.dictionaries(texts, plain, max_size=4), plain)
def test_any_value_in_a_message_is_read_or_refused(
    name: str, fields: dict[str, object], value: object
) -> None:
    for body in (msgpack.packb([name, fields]), msgpack.packb(value)):
        with contextlib.suppress(RemoteProtocolError):
            unpack(body)


KNOWN = [field.name for field in attrs.fields(Heartbeat)]


@given(st.sampled_from(KNOWN), plain)
def test_any_value_in_a_heartbeat_is_read_or_refused(field: str, value: object) -> None:
    name, fields = msgpack.unpackb(pack(HEARTBEAT))
    with contextlib.suppress(RemoteProtocolError):
        unpack(msgpack.packb([name, fields | {field: value}]))


@given(st.binary(min_size=1, max_size=100))
def test_any_frames_before_the_proof_are_refused_cleanly(body: bytes) -> None:
    for end in ends():
        heard(end, [framed(body)])
        assert not end.is_open


@given(st.lists(messages, min_size=1, max_size=3), st.data())
def test_one_changed_bit_is_never_believed(
    said: list[Heartbeat | SwitchMessage | Goodbye], data: st.DataObject
) -> None:
    dialler, listener = opened()
    for message in said:
        dialler.send(message)
    sent = bytearray(dialler.take_outbox())
    bit = data.draw(st.integers(0, 8 * len(sent) - 1))
    sent[bit // 8] ^= 1 << bit % 8
    seen = heard(listener, [bytes(sent)])
    received = [incident for incident in seen if isinstance(incident, Received)]
    assert received == [Received(message) for message in said[: len(received)]]
    assert len(received) < len(said)


@given(st.lists(messages, min_size=2, max_size=4), st.data())
def test_frames_out_of_order_are_never_believed(
    said: list[Heartbeat | SwitchMessage | Goodbye], data: st.DataObject
) -> None:
    dialler, listener = opened()
    frames = []
    for message in said:
        dialler.send(message)
        frames.append(dialler.take_outbox())
    order = data.draw(st.lists(st.integers(0, len(said) - 1), max_size=6))
    right = 0
    while right < len(order) and order[right] == right:
        right += 1
    seen = heard(listener, [frames[place] for place in order])
    received = [incident for incident in seen if isinstance(incident, Received)]
    assert received == [Received(message) for message in said[:right]]


@given(st.integers(0, 2**32 - 1), st.booleans())
def test_nothing_is_kept_of_a_frame_over_the_limit(size: int, is_open: bool) -> None:
    listener = (opened if is_open else ends)()[1]
    limit = FRAME_BYTES_MAX if is_open else 2048
    refused = heard(listener, [size.to_bytes(4)])
    assert bool(refused) is (size > limit or size == 0)


@given(st.integers(0, 9))
def test_both_directions_have_keys_of_their_own(seed: int) -> None:
    there, back = opened(seed=seed), opened(seed=seed + 1)
    there[0].send(Goodbye())
    data = there[0].take_outbox()
    assert heard(back[1], [data]) != [Received(Goodbye())]
    assert exchange(*there) == []
