"""The handshake, who is accepted, and what may be said afterwards."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
from random import Random
from typing import Any

import attrs
import msgpack
import pytest

from node import link_messages
from node.errors import LocalProtocolError, RemoteProtocolError
from node.link_messages import (
    Goodbye,
    Heartbeat,
    Hello,
    Proof,
    Refusal,
    SwitchMessage,
    pack,
    unpack,
)
from node.link_protocol import (
    FRAME_BYTES_MAX,
    HANDSHAKE_FRAME_BYTES_MAX,
    Accepted,
    Connection,
    Greeted,
    Greeting,
    Identity,
    Received,
    Unacceptable,
)
from node.roles import Role, State
from node.situation import SwitchStep
from tests.support.links import (
    HEARTBEAT,
    MASTER,
    NEXT_SECRET,
    SECRET,
    STANDBY,
    connection,
    ends,
    exchange,
    framed,
    opened,
)
from tests.support.situations import TO_STANDBY


def bodies(data: bytes) -> list[bytes]:
    """The frames in `data`."""
    found = []
    while data:
        end = 4 + int.from_bytes(data[:4])
        found.append(data[4:end])
        data = data[end:]
    return found


def changed(hello: bytes, **changes: object) -> bytes:
    """A framed hello with other fields."""
    name, fields = msgpack.unpackb(hello[4:])
    return framed(msgpack.packb([name, fields | changes]))


def test_both_ends_accept_each_other() -> None:
    dialler, listener = ends()
    assert not dialler.is_open
    assert not listener.is_open
    assert dialler.peer is None
    seen = exchange(dialler, listener)
    assert dialler.is_open
    assert listener.is_open
    kinds = [type(incident) for incident in seen]
    assert kinds == [Greeted, Greeted, Accepted, Accepted]
    assert dialler.peer is not None
    assert listener.peer is not None
    assert (dialler.peer.instance, listener.peer.instance) == ("s", "m")


def test_a_hello_says_who_we_are_at_that_moment() -> None:
    said = Greeting(State.ACTIVE, "one", 7)
    dialler = Connection(MASTER, dialled=True, greeting=lambda: said, rng=Random(5))
    (hello,) = bodies(dialler.take_outbox())
    found = unpack(hello)
    assert isinstance(found, Hello)
    assert attrs.evolve(found, nonce=b"") == Hello(
        protocol=link_messages.PROTOCOL_VERSION,
        oldest=link_messages.PROTOCOL_OLDEST,
        event_format=1,
        pair="office",
        role=Role.MASTER,
        state=State.ACTIVE,
        instance="m",
        nonce=b"",
        promise="one",
        sequence=7,
        version="1.0",
    )
    assert len(found.nonce) == 16


@pytest.mark.parametrize(
    "later", [Greeting(State.ACTIVE, None, 8), Greeting(State.PASSIVE, "one", 8)]
)
def test_what_a_hello_said_holds_when_the_dial_is_accepted(later: Greeting) -> None:
    """Or both nodes could become active. Found by the exploration."""
    said = [later, Greeting(State.PASSIVE, None, 7)]
    dialler = connection(MASTER, dialled=True)
    listener = Connection(STANDBY, dialled=False, greeting=said.pop, rng=Random(5))
    list(listener.receive(dialler.take_outbox()))
    list(dialler.receive(listener.take_outbox()))
    with pytest.raises(RemoteProtocolError, match="hello does not hold"):
        list(listener.receive(dialler.take_outbox()))
    assert not listener.take_outbox()


def test_a_heartbeat_between_hello_and_proof_changes_nothing() -> None:
    said = [Greeting(State.PASSIVE, None, 8), Greeting(State.PASSIVE, None, 7)]
    dialler = connection(MASTER, dialled=True)
    listener = Connection(STANDBY, dialled=False, greeting=said.pop, rng=Random(5))
    exchange(dialler, listener)
    assert dialler.is_open


def test_no_two_hellos_have_one_nonce() -> None:
    rng = Random(5)
    said = Greeting(State.PASSIVE, None, 0)
    hellos = {
        Connection(MASTER, dialled=True, greeting=lambda: said, rng=rng).take_outbox()
        for _ in range(10)
    }
    assert len(hellos) == 10


@pytest.mark.parametrize(
    "message",
    [HEARTBEAT, Goodbye(), SwitchMessage(SwitchStep.GIVE, TO_STANDBY, "")],
    ids=["heartbeat", "goodbye", "switch"],
)
def test_the_dialler_speaks_and_the_listener_hears(
    message: Heartbeat | Goodbye | SwitchMessage,
) -> None:
    dialler, listener = opened()
    dialler.send(message)
    assert exchange(dialler, listener) == [Received(message)]


def test_only_the_dialler_may_speak() -> None:
    _, listener = opened()
    with pytest.raises(LocalProtocolError):
        listener.send(Goodbye())


def test_nobody_speaks_before_the_peer_is_proved() -> None:
    dialler, _ = ends()
    with pytest.raises(LocalProtocolError):
        dialler.send(Goodbye())


def test_a_listener_that_speaks_is_dropped() -> None:
    dialler, _ = opened()
    with pytest.raises(RemoteProtocolError, match="only the dialler"):
        list(dialler.receive(framed(bytes(40))))


def test_too_long_a_message_is_our_own_mistake() -> None:
    dialler, _ = opened()
    long = attrs.evolve(HEARTBEAT, problems={str(i): "x" * 1000 for i in range(40)})
    with pytest.raises(LocalProtocolError, match=str(FRAME_BYTES_MAX)):
        dialler.send(long)


# Who is not accepted (S18).


STRANGERS = {
    "wrong secret": attrs.evolve(MASTER, secrets=("another pair's secret",)),
    "one is of pair 'office', the other of 'shop'": attrs.evolve(MASTER, pair="shop"),
    "both nodes have the role standby": attrs.evolve(MASTER, role=Role.STANDBY),
    "'peer' is its own address": attrs.evolve(MASTER, instance="s"),
}


@pytest.mark.parametrize("problem", STRANGERS)
def test_s18_the_listener_says_why_it_does_not_accept(problem: str) -> None:
    dialler, listener = ends(dialler=STRANGERS[problem])
    hello = dialler.take_outbox()
    with pytest.raises(Unacceptable) as raised:
        list(listener.receive(hello))
        list(dialler.receive(listener.take_outbox()))
        list(listener.receive(dialler.take_outbox()))
    expected = problem
    if "pair" in problem:
        expected = "one is of pair 'office', the other of 'shop'"
    assert expected in str(raised.value)
    assert not listener.is_open
    refusal = unpack(bodies(listener.take_outbox())[-1])
    assert refusal == Refusal(str(raised.value))


@pytest.mark.parametrize("problem", STRANGERS)
def test_s18_the_dialler_learns_that_it_is_not_accepted(problem: str) -> None:
    dialler, listener = ends(dialler=STRANGERS[problem])
    with pytest.raises(Unacceptable):
        while True:
            to_listener = dialler.take_outbox()
            with contextlib.suppress(Unacceptable):
                list(listener.receive(to_listener))
            list(dialler.receive(listener.take_outbox()))
    assert not dialler.is_open
    assert dialler.peer is not None  # Its claim, for S3 to S6.


def test_s18_a_listener_without_the_secret_is_not_believed() -> None:
    listener = attrs.evolve(STANDBY, secrets=("not the secret",))
    dialler, _ = ends()
    theirs = connection(listener, dialled=False)
    list(theirs.receive(dialler.take_outbox()))
    list(dialler.receive(theirs.take_outbox()))
    dialler.take_outbox()
    with pytest.raises(Unacceptable, match="wrong secret"):
        list(dialler.receive(framed(pack(Proof(bytes(32))))))
    assert dialler.take_outbox() == b""  # The dialler only closes.


@pytest.mark.parametrize(
    ("protocol", "oldest", "accepted"),
    [(1, 1, True), (2, 1, True), (9, 1, True), (2, 2, False), (0, 0, False)],
)
def test_s18_neighbouring_protocol_versions_go_on_watching_each_other(
    protocol: int, oldest: int, accepted: bool
) -> None:
    dialler, listener = ends()
    hello = changed(dialler.take_outbox(), protocol=protocol, oldest=oldest)
    if accepted:
        (incident,) = listener.receive(hello)
        assert isinstance(incident, Greeted)
    else:
        with pytest.raises(
            Unacceptable, match=f"1 to 1 here, {oldest} to {protocol} at the other node"
        ):
            list(listener.receive(hello))


def test_s18_the_claim_is_known_even_when_the_peer_is_not_accepted() -> None:
    dialler, listener = ends(dialler=attrs.evolve(MASTER, pair="shop"))
    seen = []
    with pytest.raises(Unacceptable):
        for incident in listener.receive(dialler.take_outbox()):
            seen.append(incident)
    assert [type(incident) for incident in seen] == [Greeted]
    assert listener.peer is not None
    assert listener.peer.pair == "shop"


def test_the_problem_of_another_is_shown_in_bounded_length() -> None:
    dialler, _ = ends()
    with pytest.raises(Unacceptable) as raised:
        list(dialler.receive(framed(pack(Refusal("x" * 1000)))))
    assert str(raised.value) == f"the peer refuses us: {'x' * 200}"


# Proofs.


def test_a_proof_cannot_be_reflected() -> None:
    dialler, listener = ends()
    list(listener.receive(dialler.take_outbox()))
    list(dialler.receive(listener.take_outbox()))
    own_proof = dialler.take_outbox()
    with pytest.raises(Unacceptable, match="wrong secret"):
        list(dialler.receive(own_proof))


def test_a_hello_cannot_be_reflected() -> None:
    dialler, _ = ends()
    with pytest.raises(Unacceptable, match="its own address"):
        list(dialler.receive(dialler.take_outbox()))


def test_a_proof_of_another_connection_does_not_count() -> None:
    earlier, answering = ends(seed=1)
    list(answering.receive(earlier.take_outbox()))
    list(earlier.receive(answering.take_outbox()))
    proof = earlier.take_outbox()
    dialler, listener = ends(seed=2)
    list(listener.receive(dialler.take_outbox()))
    with pytest.raises(Unacceptable, match="wrong secret"):
        list(listener.receive(proof))


def test_a_recorded_connection_cannot_be_played_again() -> None:
    dialler, listener = ends(seed=1)
    first, answer = dialler.take_outbox(), None
    list(listener.receive(first))
    answer = listener.take_outbox()
    list(dialler.receive(answer))
    proof = dialler.take_outbox()
    _, again = ends(seed=2)
    list(again.receive(first))
    with pytest.raises(Unacceptable, match="wrong secret"):
        list(again.receive(proof))


def test_a_hello_altered_on_its_way_makes_the_proof_wrong() -> None:
    dialler, listener = ends()
    list(listener.receive(changed(dialler.take_outbox(), state="active")))
    list(dialler.receive(listener.take_outbox()))
    with pytest.raises(Unacceptable, match="wrong secret"):
        list(listener.receive(dialler.take_outbox()))


# Rotation.


def identities(*secrets: str) -> tuple[Identity, Identity]:
    return attrs.evolve(MASTER, secrets=secrets), attrs.evolve(STANDBY, secrets=secrets)


STAGES = [
    (SECRET,),
    (SECRET, NEXT_SECRET),
    (NEXT_SECRET, SECRET),
    (NEXT_SECRET,),
]


@pytest.mark.parametrize("stage", range(len(STAGES) - 1))
def test_a_rotation_keeps_the_link_in_every_order(stage: int) -> None:
    masters = [identities(*STAGES[stage + later])[0] for later in (0, 1)]
    standbys = [identities(*STAGES[stage + later])[1] for later in (0, 1)]
    for master in masters:
        for standby in standbys:
            for pair in ((master, standby), (standby, master)):
                dialler, listener = opened(*pair)
                assert dialler.is_open
                assert listener.is_open
                dialler.send(Goodbye())
                assert exchange(dialler, listener) == [Received(Goodbye())]


def test_without_a_common_secret_there_is_no_link() -> None:
    dialler, listener = ends(identities(SECRET)[0], identities(NEXT_SECRET)[1])
    with pytest.raises(Unacceptable, match="wrong secret"):
        exchange(dialler, listener)


def test_only_the_current_secret_is_proved() -> None:
    ahead = identities(NEXT_SECRET)[1]
    dialler, listener = ends(identities(SECRET, NEXT_SECRET)[0], ahead)
    with pytest.raises(Unacceptable, match="wrong secret"):
        exchange(dialler, listener)


def test_a_secret_is_not_shown() -> None:
    assert SECRET not in repr(MASTER)


# Frames.


def test_an_altered_frame_is_noticed() -> None:
    dialler, listener = opened()
    dialler.send(HEARTBEAT)
    data = bytearray(dialler.take_outbox())
    data[-1] ^= 1
    with pytest.raises(RemoteProtocolError, match="altered"):
        list(listener.receive(bytes(data)))


def test_a_repeated_frame_is_noticed() -> None:
    dialler, listener = opened()
    dialler.send(Goodbye())
    data = dialler.take_outbox()
    assert list(listener.receive(data)) == [Received(Goodbye())]
    with pytest.raises(RemoteProtocolError, match="altered"):
        list(listener.receive(data))


def test_a_missing_frame_is_noticed() -> None:
    dialler, listener = opened()
    dialler.send(HEARTBEAT)
    dialler.take_outbox()
    dialler.send(Goodbye())
    with pytest.raises(RemoteProtocolError, match="altered"):
        list(listener.receive(dialler.take_outbox()))


def test_a_frame_of_another_connection_is_noticed() -> None:
    (other, _), (_, listener) = opened(seed=1), opened(seed=2)
    other.send(Goodbye())
    with pytest.raises(RemoteProtocolError, match="altered"):
        list(listener.receive(other.take_outbox()))


def test_a_frame_too_short_for_its_mac_is_noticed() -> None:
    _, listener = opened()
    with pytest.raises(RemoteProtocolError, match="altered"):
        list(listener.receive(framed(b"")))


def test_the_bytes_on_the_wire_are_those_of_version_1() -> None:
    """Another version must be able to talk to this one (S18): change none of it."""
    dialler, listener = ends()
    hellos = [dialler.take_outbox()]
    list(listener.receive(hellos[0]))
    hellos.append(listener.take_outbox())
    list(dialler.receive(hellos[1]))
    proofs = [dialler.take_outbox()]
    list(listener.receive(proofs[0]))
    proofs.append(listener.take_outbox())
    list(dialler.receive(proofs[1]))

    both = b"".join(hashlib.sha256(hello[4:]).digest() for hello in hellos)

    def derived(label: bytes) -> bytes:
        text = b"netphone link 1 " + label + both
        return hmac.digest(SECRET.encode(), text, "sha256")

    assert [unpack(bodies(proof)[0]) for proof in proofs] == [
        Proof(derived(b"dialler")),
        Proof(derived(b"listener")),
    ]
    said: list[Heartbeat | Goodbye] = [HEARTBEAT, Goodbye()]
    for number, message in enumerate(said):
        dialler.send(message)
        counted = number.to_bytes(8, "big") + pack(message)
        mac = hmac.digest(derived(b"frames"), counted, "sha256")[:16]
        assert dialler.take_outbox() == framed(mac + pack(message))


def test_the_limits_of_frames() -> None:
    assert (HANDSHAKE_FRAME_BYTES_MAX, FRAME_BYTES_MAX) == (2048, 32768)
    dialler, _ = opened()
    for size, fits in ((32768 - 16, True), (32768 - 15, False)):
        spare = size - len(pack(attrs.evolve(HEARTBEAT, digest="x" * 1000)))
        message = attrs.evolve(HEARTBEAT, digest="x" * (1000 + spare))
        assert len(pack(message)) == size
        if fits:
            dialler.send(message)
        else:
            with pytest.raises(LocalProtocolError):
                dialler.send(message)


def sealed(dialler: Connection, body: bytes) -> bytes:
    """A frame such as a later version might send."""
    return framed(dialler._mac(body) + body)


def test_s18_a_message_of_a_later_version_is_left_alone() -> None:
    dialler, listener = opened()
    data = sealed(dialler, msgpack.packb(["weather", {}]))
    dialler.send(Goodbye())
    assert list(listener.receive(data + dialler.take_outbox())) == [Received(Goodbye())]


@pytest.mark.parametrize("message", [Proof(bytes(32)), Refusal("why")])
def test_there_is_one_handshake_in_a_connection(message: Any) -> None:
    dialler, listener = opened()
    with pytest.raises(RemoteProtocolError, match="second handshake"):
        list(listener.receive(sealed(dialler, pack(message))))


@pytest.mark.parametrize(
    "message", [Proof(bytes(32)), Goodbye(), HEARTBEAT], ids=["proof", "bye", "beat"]
)
def test_before_the_hello_nothing_else_is_heard(message: Any) -> None:
    _, listener = ends()
    with pytest.raises(RemoteProtocolError, match="waiting for its hello"):
        list(listener.receive(framed(pack(message))))


def test_before_the_proof_nothing_else_is_heard() -> None:
    dialler, listener = ends()
    hello = dialler.take_outbox()
    list(listener.receive(hello))
    with pytest.raises(RemoteProtocolError, match="waiting for its proof"):
        list(listener.receive(hello))


@pytest.mark.parametrize("is_open", [False, True])
def test_too_long_a_frame_is_refused_before_it_is_there(is_open: bool) -> None:
    listener = opened()[1] if is_open else ends()[1]
    limit = FRAME_BYTES_MAX if is_open else HANDSHAKE_FRAME_BYTES_MAX
    assert list(listener.receive(limit.to_bytes(4))) == []
    listener = opened()[1] if is_open else ends()[1]
    with pytest.raises(RemoteProtocolError, match=str(limit)):
        list(listener.receive((limit + 1).to_bytes(4)))


def test_another_protocol_is_told_by_its_first_bytes() -> None:
    _, listener = ends()
    with pytest.raises(RemoteProtocolError, match="not this protocol"):
        list(listener.receive(b"GET / HTTP/1.1\r\n"))
