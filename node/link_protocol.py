"""One connection of the link, as bytes in and bytes out; never a socket. Pure.

    dialler                              listener
      │ hello: pair, role, state, nonce ─────► │
      │ ◄───── hello: pair, role, state, nonce │   in clear: a claim (S18)
      │ proof ───────────────────────────────► │   HMAC-SHA-256 over both hellos
      │ ◄─────────────────────── proof, or why │   under the pair's secret
      │ heartbeats, switch steps, goodbye ───► │   each with a MAC of its own

A frame is a length of four bytes, most significant first, and that many bytes. Nothing is
decoded before its length was found within the limit. Proofs bind both hellos, so neither
can be replayed or altered; the key of the later MACs comes from them too.

During a rotation a node knows two secrets: it proves the current one and accepts both.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterator
from enum import Enum
from random import Random
from typing import Final

import attrs

from node.errors import LocalProtocolError, NodeError, RemoteProtocolError
from node.link_messages import (
    NONCE_BYTES,
    PROTOCOL_OLDEST,
    PROTOCOL_VERSION,
    Goodbye,
    Heartbeat,
    Hello,
    Proof,
    Refusal,
    SwitchMessage,
    pack,
    unpack,
)
from node.roles import Role, State

FRAME_BYTES_MAX: Final = 32 * 1024
HANDSHAKE_FRAME_BYTES_MAX: Final = 2048
"""Limit of a frame from somebody who has proved nothing yet."""
_LENGTH_BYTES = 4
_MAC_BYTES = 16


class Unacceptable(NodeError):
    """The other side speaks our protocol, but is not our peer, or we are not its."""


@attrs.frozen(kw_only=True)
class Identity:
    """Who this node is; the same for its whole life."""

    pair: str
    role: Role
    instance: str
    version: str
    event_format: int
    """In which this node writes its events; it reads that and all older ones."""
    secrets: tuple[str, ...] = attrs.field(repr=False)
    """The current one first; then the next one, during a rotation."""


@attrs.frozen
class Greeting:
    """What the hello says of this moment."""

    state: State
    promise: str | None
    sequence: int
    """Of our last heartbeat: whichever of the two arrives first, this tells the newer one."""


@attrs.frozen
class Greeted:
    """The other side's hello, proved by nothing: a claim."""

    hello: Hello


@attrs.frozen
class Accepted:
    """The other side is our peer, and has seen that we are its."""

    hello: Hello


@attrs.frozen
class Received:
    """A message of the peer."""

    message: Heartbeat | Goodbye | SwitchMessage


Incident = Greeted | Accepted | Received


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)


class _Step(Enum):
    HELLO = "waiting for its hello"
    PROOF = "waiting for its proof"
    OPEN = "open"


class Connection:
    """The protocol of one connection, from either end."""

    def __init__(
        self,
        identity: Identity,
        *,
        dialled: bool,
        greeting: Callable[[], Greeting],
        rng: Random,
    ) -> None:
        self.dialled = dialled
        self._identity = identity
        self._greeting = greeting
        self._rng = rng
        self._step = _Step.HELLO
        self._buffer = bytearray()
        self._outbox = bytearray()
        self._said: Greeting | None = None
        self._hellos = {True: b"", False: b""}  # By: sent by the dialler.
        self._peer: Hello | None = None
        self._key = b""
        self._frame_count = 0
        if dialled:
            self._say_hello()

    @property
    def is_open(self) -> bool:
        """Whether both sides have proved themselves."""
        return self._step is _Step.OPEN

    @property
    def peer(self) -> Hello | None:
        """The other side's hello, once it has come."""
        return self._peer

    def take_outbox(self) -> bytes:
        """The bytes to send now."""
        data = bytes(self._outbox)
        self._outbox.clear()
        return data

    def send(self, message: Heartbeat | Goodbye | SwitchMessage) -> None:
        """Put `message` in the outbox.

        Raises:
            LocalProtocolError: this end only listens, or the peer is not proved yet.
        """
        if not (self.dialled and self.is_open):
            raise LocalProtocolError("only the dialler of an open connection may send")
        body = pack(message)
        if len(body) + _MAC_BYTES > FRAME_BYTES_MAX:
            raise LocalProtocolError(
                f"a message of {len(body)} bytes is over the frame limit {FRAME_BYTES_MAX}"
            )
        self._put_frame(self._mac(body) + body)

    def receive(self, data: bytes) -> Iterator[Incident]:
        """What `data` completes, in order. The outbox may fill meanwhile.

        Raises:
            Unacceptable: it is not our peer; send the outbox, then close.
            RemoteProtocolError: the bytes are not of this protocol; close.
        """
        self._buffer += data
        while (body := self._next_frame()) is not None:
            if self.is_open:
                yield from self._open_frame(body)
            else:
                yield from self._handshake_frame(body)

    def _next_frame(self) -> bytes | None:
        if len(self._buffer) < _LENGTH_BYTES:
            return None
        limit = FRAME_BYTES_MAX if self.is_open else HANDSHAKE_FRAME_BYTES_MAX
        size = int.from_bytes(self._buffer[:_LENGTH_BYTES])
        if size > limit:
            raise RemoteProtocolError(
                f"a frame claims {size} bytes; the limit is {limit}: not this protocol?"
            )
        end = _LENGTH_BYTES + size
        if len(self._buffer) < end:
            return None
        body = bytes(self._buffer[_LENGTH_BYTES:end])
        del self._buffer[:end]
        return body

    def _put_frame(self, body: bytes) -> None:
        self._outbox += len(body).to_bytes(_LENGTH_BYTES) + body

    # The handshake.

    def _say_hello(self) -> None:
        self._said = greeting = self._greeting()
        mine = self._identity
        hello = pack(
            Hello(
                protocol=PROTOCOL_VERSION,
                oldest=PROTOCOL_OLDEST,
                event_format=mine.event_format,
                pair=mine.pair,
                role=mine.role,
                state=greeting.state,
                instance=mine.instance,
                nonce=self._rng.randbytes(NONCE_BYTES),
                promise=greeting.promise,
                sequence=greeting.sequence,
                version=mine.version,
            )
        )
        self._hellos[self.dialled] = hello
        self._put_frame(hello)

    def _handshake_frame(self, body: bytes) -> Iterator[Incident]:
        match unpack(body):
            case Hello() as hello if self._step is _Step.HELLO:
                self._hellos[not self.dialled] = body
                self._peer = hello
                if not self.dialled:
                    self._say_hello()
                yield Greeted(hello)
                self._check_hello(hello)
                self._step = _Step.PROOF
                if self.dialled:
                    self._put_frame(pack(Proof(self._proof(0, by_dialler=True))))
            case Proof(mac) if self._step is _Step.PROOF:
                self._check_proof(mac)
                assert self._peer is not None
                yield Accepted(self._peer)
            case Refusal(problem):
                raise Unacceptable(f"the peer refuses us: {_printable(problem[:200])}")
            case _:
                raise RemoteProtocolError(f"unexpected frame, {self._step.value}")

    def _check_hello(self, hello: Hello) -> None:
        mine = self._identity
        if hello.instance == mine.instance:
            problem = "this is the same node: 'peer' is its own address"
        elif hello.pair != mine.pair:
            problem = f"one is of pair {mine.pair!r}, the other of {hello.pair[:64]!r}"
        elif hello.role is mine.role:
            problem = f"both nodes have the role {mine.role}"
        elif hello.protocol < PROTOCOL_OLDEST or hello.oldest > PROTOCOL_VERSION:
            problem = (
                f"incompatible protocols: {PROTOCOL_OLDEST} to {PROTOCOL_VERSION} here, "
                f"{hello.oldest} to {hello.protocol} at the other node; update the older one"
            )
        else:
            return
        self._refuse(problem)

    def _check_proof(self, mac: bytes) -> None:
        for place in range(len(self._identity.secrets)):
            wanted = self._proof(place, by_dialler=not self.dialled)
            if hmac.compare_digest(mac, wanted):
                break
        else:
            self._refuse("wrong secret")
        self._check_own_hello()
        self._key = self._derive(place, b"frames")
        if not self.dialled:
            self._put_frame(pack(Proof(self._proof(place, by_dialler=False))))
        self._step = _Step.OPEN

    def _check_own_hello(self) -> None:
        """What the dialler is about to believe must still be so, or it may act on it."""
        if self.dialled:
            return
        said, now = self._said, self._greeting()
        assert said is not None
        if (said.state, said.promise) != (now.state, now.promise):
            raise RemoteProtocolError("our hello does not hold any more; dial again")

    def _refuse(self, problem: str) -> None:
        if not self.dialled:
            self._put_frame(pack(Refusal(problem)))
        raise Unacceptable(problem)

    def _proof(self, place: int, *, by_dialler: bool) -> bytes:
        return self._derive(place, b"dialler" if by_dialler else b"listener")

    def _derive(self, place: int, label: bytes) -> bytes:
        secret = self._identity.secrets[place].encode()
        both = [hashlib.sha256(self._hellos[by]).digest() for by in (True, False)]
        return hmac.digest(
            secret, b"netphone link 1 " + label + b"".join(both), "sha256"
        )

    # After it.

    def _open_frame(self, body: bytes) -> Iterator[Incident]:
        if self.dialled:
            raise RemoteProtocolError("the listener sent a frame; only the dialler may")
        mac, inner = body[:_MAC_BYTES], body[_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(inner)):
            raise RemoteProtocolError("a frame was altered on its way")
        match unpack(inner):
            case (Heartbeat() | Goodbye() | SwitchMessage()) as message:
                yield Received(message)
            case None:
                return  # Of a later version (S18).
            case _:
                raise RemoteProtocolError("a second handshake in one connection")

    def _mac(self, body: bytes) -> bytes:
        counted = self._frame_count.to_bytes(8) + body
        self._frame_count += 1
        return hmac.digest(self._key, counted, "sha256")[:_MAC_BYTES]
