"""A proxy before Redis that loses one request, or its answer, and then hangs up.

fakeredis fails before a command is run, never after it, and a proxy that loses whatever
passes would lose the greeting of the client's next connection too. This one waits for
the command it is told to.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from enum import Enum

HOST = "127.0.0.1"
CHUNK_BYTES = 65_536


class Loss(Enum):
    """What is lost of a command."""

    REQUEST = "request"
    """It never reaches Redis."""
    ANSWER = "answer"
    """Redis has done it, and the client never learns."""


class LossyProxy:
    """Carries connections from `port` to Redis at `target_port`, both on 127.0.0.1."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._losses: list[tuple[bytes, Loss]] = []
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

    def lose(self, command: str, *losses: Loss) -> None:
        """Lose something of each of the next requests that hold `command`, in order."""
        with self._deciding:
            self._losses += [(command.encode(), loss) for loss in losses]

    @property
    def pending_count(self) -> int:
        """Losses that are still to come."""
        return len(self._losses)

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
            _Connection(self, client, target).start()

    def next_loss(self, request: bytes) -> Loss | None:
        """What to lose of `request`; a loss happens once."""
        with self._deciding:
            if self._losses and self._losses[0][0] in request:
                return self._losses.pop(0)[1]
            return None


class _Connection:
    def __init__(
        self, proxy: LossyProxy, client: socket.socket, target: socket.socket
    ) -> None:
        self._proxy, self._client, self._target = proxy, client, target
        self._loses_answer = False

    def start(self) -> None:
        for carry in (self._carry_requests, self._carry_answers):
            threading.Thread(
                target=self._until_closed, args=(carry,), daemon=True
            ).start()

    def _until_closed(self, carry: object) -> None:
        assert callable(carry)
        try:
            carry()
        except OSError:
            pass  # The other direction hung up.
        finally:
            _hang_up(self._client)
            _hang_up(self._target)

    def _carry_requests(self) -> None:
        while data := self._client.recv(CHUNK_BYTES):
            loss = self._proxy.next_loss(data)
            if loss is Loss.REQUEST:
                return
            if loss is Loss.ANSWER:
                self._loses_answer = True
            self._target.sendall(data)

    def _carry_answers(self) -> None:
        while data := self._target.recv(CHUNK_BYTES):
            if self._loses_answer:
                return
            self._client.sendall(data)


def _hang_up(end: socket.socket) -> None:
    with contextlib.suppress(OSError):  # It is closed, or was never connected.
        end.shutdown(socket.SHUT_RDWR)
    end.close()
