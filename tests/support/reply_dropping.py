"""A proxy before Redis that loses one request, or its answer.

fakeredis fails before a command is run, never after it, and a proxy that loses whatever
passes would lose the greeting of the client's next connection too. This one takes requests
and answers apart, names each command, and waits for the one that it is told to lose.
"""

from __future__ import annotations

import contextlib
import hashlib
import socket
import threading
from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Final

import attrs
import hiredis

from eventstore import streams

HOST = "127.0.0.1"
CHUNK_BYTES = 65_536

_CONTAINERS: Final = {"CLIENT", "CONFIG", "SCRIPT"}
_SCRIPTS: Final = {
    hashlib.sha1(text.encode()).hexdigest(): name.strip("_").lower()
    for name, text in vars(streams).items()
    if isinstance(text, str) and "redis.call(" in text
}
"""Of each script of the product the name, by what EVALSHA calls it."""


class Loss(Enum):
    """What is lost of a command."""

    REQUEST = "request"
    """It never reaches Redis; the connection is cut."""
    ANSWER = "answer"
    """Redis has done it; the connection is cut before the client learns."""
    SILENCE = "silence"
    """Redis has done it; the client waits for the answer until its timeout."""


def name_of(command: Sequence[bytes]) -> str:
    """Subcommand or script and all, and what key of the pair it is about."""
    words = [word.decode("utf-8", "replace") for word in command[:8]]
    name = words[0].upper()
    if name in _CONTAINERS:
        name += f" {words[1].upper()}"
    elif name == "EVALSHA":
        name += f" {_SCRIPTS.get(words[1], words[1])}"
    keys = (word.partition("}:")[2] for word in words if word.startswith("netphone:{"))
    return f"{name} {next(keys, '')}".rstrip()


@attrs.frozen(eq=False)
class Order:
    """To lose something of one command; each is carried out once."""

    name: str
    loss: Loss


class LossyProxy:
    """Carries connections from `port` to Redis at `target_port`, both on 127.0.0.1."""

    def __init__(self, target_port: int) -> None:
        self.names: set[str] = set()
        """Every command that came through, by `name_of`."""
        self._target_port = target_port
        self._orders: list[Order] = []
        self._deciding = threading.Lock()
        self._listener = socket.create_server((HOST, 0))
        self.port: int = self._listener.getsockname()[1]
        self._sockets = [self._listener]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> LossyProxy:
        return self

    def __exit__(self, *details: object) -> None:
        with self._deciding:
            for end in self._sockets:
                _hang_up(end)

    def lose(self, name: str, *losses: Loss) -> None:
        """Lose something of each of the next commands of that name, in order.

        A name of one word stands for all that begin with it. A script that Redis does not
        know yet was not run: that answer passes.
        """
        with self._deciding:
            self._orders += [Order(name, loss) for loss in losses]

    @property
    def pending_count(self) -> int:
        """Losses that are still to come."""
        return len(self._orders)

    def order_for(self, name: str) -> Order | None:
        """A command passes: what is to be lost of it?"""
        with self._deciding:
            self.names.add(name)
            if self._orders and f"{name} ".startswith(f"{self._orders[0].name} "):
                return self._orders[0]
            return None

    def takes(self, order: Order | None) -> bool:
        """Whether to carry out `order` now; the same command may pass elsewhere, too."""
        with self._deciding:
            if order is None or order not in self._orders:
                return False
            self._orders.remove(order)
            return True

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return  # Closed: the test is over.
            try:
                target = socket.create_connection((HOST, self._target_port))
            except OSError:
                _hang_up(client)
                continue
            with self._deciding:
                self._sockets += [client, target]
            threading.Thread(
                target=_carry, args=(self, client, target), daemon=True
            ).start()


def _carry(proxy: LossyProxy, client: socket.socket, target: socket.socket) -> None:
    """One request and its answer after the other: so each is known for what it is."""
    try:
        answers = _messages(target)
        for request, _ in _messages(client):
            assert isinstance(request, list)
            order = proxy.order_for(name_of(request))
            if order and order.loss is Loss.REQUEST and proxy.takes(order):
                return
            target.sendall(hiredis.pack_command(tuple(request)))
            answer, data = next(answers)
            if not _is_not_run(answer) and proxy.takes(order):
                assert order is not None
                while order.loss is Loss.SILENCE and client.recv(CHUNK_BYTES):
                    pass  # Until the client gives up.
                return
            client.sendall(data)
    except (OSError, StopIteration):
        pass  # One side hung up.
    finally:
        _hang_up(client)
        _hang_up(target)


def _messages(end: socket.socket) -> Iterator[tuple[object, bytes]]:
    """Each message, and the bytes that came with it: its own, where only one is under way."""
    reader, data = hiredis.Reader(), b""
    while True:
        while (message := reader.gets()) is not False:
            yield message, data
            data = b""
        received = end.recv(CHUNK_BYTES)
        if not received:
            return
        reader.feed(received)
        data += received


def _is_not_run(answer: object) -> bool:
    return isinstance(answer, hiredis.ReplyError) and str(answer).startswith("NOSCRIPT")


def _hang_up(end: socket.socket) -> None:
    with contextlib.suppress(OSError):  # It is closed, or was never connected.
        end.shutdown(socket.SHUT_RDWR)
    end.close()
