"""A TCP proxy that does to connections what networks do."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from enum import Enum
from typing import Any, TypeVar

from tests.support.ports import free_port

T = TypeVar("T")

HOST = "127.0.0.1"
CHUNK_BYTES = 65_536
CONTROL_LIMIT_S = 5.0
REFUSED_FOR_S = 0.5


class Replies(Enum):
    """What happens to what the target sends."""

    PASS = "pass"
    DROP = "drop"
    RESET = "reset"


class End(Enum):
    """An end of a connection through a proxy."""

    CALLER = "caller"
    TARGET = "target"


class TcpProxy:
    """Listens on `port` of 127.0.0.1 and carries each connection to `target_port`.

    All methods are for the thread of the test and have happened when they return.

    A target that refuses is passed on: the caller is reset, and the next ones are refused
    for half a second, so a process that is gone looks gone through a proxy too.
    """

    delay_s = 0.0
    """How long each piece of data is held back, in either direction."""

    def __init__(self, target_port: int) -> None:
        self.port = free_port()
        self.target_port = target_port
        self._replies = Replies.PASS
        self._connections: set[asyncio.Task[None]] = set()
        self._untold: frozenset[End] = frozenset()
        self._forgotten: list[socket.socket] = []
        """Ends that were not told that their connection is over."""
        self._listener: socket.socket | None = None
        self._reopening: asyncio.TimerHandle | None = None
        self._loop = asyncio.new_event_loop()
        self._open = asyncio.Event()
        self._open.set()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name=f"proxy-{self.port}", daemon=True
        )
        self._thread.start()
        self._do(self._listen)

    def __enter__(self) -> TcpProxy:
        return self

    def __exit__(self, *details: object) -> None:
        self.close()

    @property
    def connection_count(self) -> int:
        """Connections carried, or held, at this moment."""
        return len(self._connections)

    def heal(self) -> None:
        """Forward everything again; what a black hole held back flows on."""
        self._do(self._heal)

    def black_hole(self) -> None:
        """Let nothing through, and nothing be noticed, as when a cable is cut.

        Connections stay open, new ones are accepted and left waiting, and what is sent,
        ends of connections included, arrives after `heal`.
        """
        self._do(self._open.clear)

    def reset(self) -> None:
        """Reset the connections there are; new ones are carried."""
        self._run(self._reset())

    def forget(self, *untold: End) -> None:
        """End the connections there are without telling these ends; new ones are carried.

        What such an end sends is taken, and goes nowhere; it hears nothing any more.
        """
        self._run(self._forget(frozenset(untold)))

    def refuse(self) -> None:
        """Reset the connections there are, and refuse new ones until `heal`."""
        self._run(self._refuse())

    def drop_replies(self) -> None:
        """Carry requests to the target and lose its replies: done, but not answered."""
        self._replies = Replies.DROP

    def reset_at_reply(self) -> None:
        """Carry requests to the target, and reset the connection when it replies."""
        self._replies = Replies.RESET

    def close(self) -> None:
        """End everything; the proxy cannot be used again."""
        if self._thread.is_alive():
            self._run(self._refuse())
            for end in self._forgotten:
                end.close()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(CONTROL_LIMIT_S)
            self._loop.close()

    def _do(self, action: Callable[[], object]) -> None:
        async def act() -> None:
            action()

        self._run(act())

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(
            CONTROL_LIMIT_S
        )

    # What follows runs in the thread of the loop.

    def _listen(self) -> None:
        if self._listener is None:
            self._listener = socket.create_server((HOST, self.port))
            self._listener.setblocking(False)
            self._loop.add_reader(self._listener, self._accept, self._listener)

    def _accept(self, listener: socket.socket) -> None:
        try:
            caller, _ = listener.accept()
        except OSError:
            return  # The caller went away in between.
        connection = self._loop.create_task(self._carry(caller))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)
        # A task that is cancelled before it began would leave it open.
        connection.add_done_callback(lambda _: self._close(caller))

    def _close(self, end: socket.socket) -> None:
        if end not in self._forgotten:
            end.close()

    def _stop_listening(self) -> None:
        if self._listener is not None:
            self._loop.remove_reader(self._listener)
            self._listener.close()
            self._listener = None

    async def _carry(self, caller: socket.socket) -> None:
        caller.setblocking(False)
        target = socket.socket()
        target.setblocking(False)
        ended_by_itself = False
        try:
            await self._open.wait()
            await self._loop.sock_connect(target, (HOST, self.target_port))
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(self._pump(caller, target))
                pumps.create_task(self._pump(target, caller, is_reply=True))
            ended_by_itself = True
        except ConnectionRefusedError:
            self._refuse_for_a_moment()
        except (OSError, ExceptionGroup):
            pass  # One side was reset: so is the other, below.
        finally:
            for name, end in ((End.CALLER, caller), (End.TARGET, target)):
                if name in self._untold:
                    self._forgotten.append(end)
                    continue
                if not ended_by_itself:
                    _reset_when_closed(end)
                end.close()

    async def _pump(
        self, source: socket.socket, sink: socket.socket, *, is_reply: bool = False
    ) -> None:
        while True:
            data = await self._loop.sock_recv(source, CHUNK_BYTES)
            if self.delay_s > 0:
                await asyncio.sleep(self.delay_s)
            await self._open.wait()
            if is_reply and self._replies is Replies.RESET:
                raise ConnectionResetError("at the first reply, as the test wants it")
            if not data:
                sink.shutdown(socket.SHUT_WR)
                return
            if not (is_reply and self._replies is Replies.DROP):
                await self._loop.sock_sendall(sink, data)

    def _heal(self) -> None:
        self._replies = Replies.PASS
        self._open.set()
        self._listen()

    def _refuse_for_a_moment(self) -> None:
        if self._listener is not None:
            self._stop_listening()
            self._reopening = self._loop.call_later(REFUSED_FOR_S, self._listen)

    async def _reset(self) -> None:
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _forget(self, untold: frozenset[End]) -> None:
        self._untold = untold
        try:
            await self._reset()
        finally:
            self._untold = frozenset()

    async def _refuse(self) -> None:
        if self._reopening is not None:
            self._reopening.cancel()
        self._stop_listening()
        await self._reset()


def _reset_when_closed(connection: socket.socket) -> None:
    """Closing sends RST instead of FIN, and drops what was not sent yet."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
