"""The TCP link: listen, dial, carry bytes. It decides nothing.

One thread with an event loop of its own, so nothing depends on the host's. What happens is
posted to the node's inbox; `core` makes the bytes and understands them.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import socket
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import attrs

from node.addresses import Address
from node.listening import bound, listen

_log = logging.getLogger("netphone.link")

READ_BYTES_MAX = 16 * 1024
_KNOB = "node.listen"
_UNPROVED_COUNT_MAX = 16
"""Accepted connections that may be open beside the peer's; one more ends the oldest."""
_UNSENT_BYTES_MAX = 256 * 1024
"""What may wait for a peer that does not read; then the connection is given up."""

_FLUSH_LIMIT_S = 0.5
"""How long the last words may take when the node stops."""


@attrs.frozen
class Opened:
    """A connection stands."""

    connection: int
    dialled: bool


@attrs.frozen
class Data:
    """Bytes of a connection."""

    connection: int
    data: bytes


@attrs.frozen
class Closed:
    """A connection has ended."""

    connection: int


@attrs.frozen
class DialFailed:
    """The dial came to nothing."""

    refused: bool


LinkEvent = Opened | Data | Closed | DialFailed


class Link:
    """Carries bytes between this node and its peer. `bind`, then `start`."""

    def __init__(
        self,
        *,
        listen: str,
        peer: str,
        dial_limit_s: float,
        unacknowledged_limit_s: float,
        post: Callable[[LinkEvent], bool],
    ) -> None:
        """`post` hands an event to the inbox, and says False when that is full.

        A connection ends when what it sent is not acknowledged, by the other side's
        kernel, within `unacknowledged_limit_s`.
        """
        self._listen = Address.parse(listen)
        self._peer = Address.parse(peer)
        self._dial_limit_s = dial_limit_s
        self._unacknowledged_limit_s = unacknowledged_limit_s
        self._post = post
        self._numbers = itertools.count(1)
        self._writers: dict[int, asyncio.StreamWriter] = {}
        self._accepted: list[int] = []
        self._kept: int | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._carrying: set[asyncio.Future[Any]] = set()
        self._loop: asyncio.AbstractEventLoop
        self._socket: socket.socket | None = None
        self._thread = threading.Thread(target=self._run, name="link", daemon=True)
        self._listening = threading.Event()

    def bind(self) -> None:
        """Take the address, without answering on it yet: a dial is still refused.

        Raises:
            PortInUse, ConfigError: it cannot be had.
        """
        self._socket = bound(self._listen, _KNOB)

    def listen(self) -> None:
        """Let the peer dial; it is answered from `start` on.

        Raises:
            PortInUse: somebody else listens there since `bind`.
        """
        assert self._socket is not None, "bind first"
        listen(self._socket, self._listen, _KNOB)

    def start(self) -> None:
        """Answer and dial. Call `listen` before."""
        self._loop = asyncio.new_event_loop()
        self._thread.start()
        self._listening.wait()

    def dial(self) -> None:
        """One attempt to connect to the peer; its end is posted."""
        self._loop.call_soon_threadsafe(lambda: self._spawn(self._dial()))

    def send(self, connection: int, data: bytes) -> None:
        """Write `data`; a connection that does not take it ends."""
        self._loop.call_soon_threadsafe(self._send, connection, data)

    def close(self, connection: int) -> None:
        """Close `connection` once what was sent is out; nothing more is posted of it."""
        self._loop.call_soon_threadsafe(self._close, connection)

    def keep(self, connection: int | None) -> None:
        """Which accepted connection is the peer's, and never has to make room."""
        self._kept = connection

    def stop(self, limit_s: float) -> None:
        """End the thread, and with it every connection, after what was sent is out."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(lambda: self._spawn(self._end()))
            self._thread.join(limit_s)
        if self._socket is not None:
            self._socket.close()

    # In the loop's thread from here on.

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            server = self._loop.run_until_complete(
                asyncio.start_server(
                    self._accept, sock=self._socket, limit=READ_BYTES_MAX
                )
            )
        finally:
            self._listening.set()
        try:
            self._loop.run_forever()
        finally:
            server.close()
            for task in asyncio.all_tasks(self._loop):
                task.cancel()
            pending = asyncio.gather(
                *asyncio.all_tasks(self._loop), return_exceptions=True
            )
            self._loop.run_until_complete(pending)
            self._loop.close()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        # The loop itself keeps no hold of its tasks.
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _dial(self) -> None:
        try:
            reader, writer = await asyncio.wait_for(
                asyncio.open_connection(
                    self._peer.host, self._peer.port, limit=READ_BYTES_MAX
                ),
                self._dial_limit_s,
            )
        except Exception as error:  # noqa: BLE001 a name can fail in many ways
            self._post(DialFailed(isinstance(error, ConnectionRefusedError)))
            return
        await self._carry(reader, writer, dialled=True)

    def _accept(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        # In a task of ours: asyncio prints one of its own that is cancelled as the node
        # ends, before it began, as a failure.
        self._spawn(self._carry(reader, writer, dialled=False))

    async def _carry(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        dialled: bool,
    ) -> None:
        task = asyncio.current_task()
        assert task is not None, "runs in a task"
        self._carrying.add(task)
        task.add_done_callback(self._carrying.discard)
        number = next(self._numbers)
        self._writers[number] = writer
        raw = writer.get_extra_info("socket")
        with suppress(OSError):
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # After a cut TCP would go on trying the old connection, for minutes and at
            # ever longer intervals; a new one stands as soon as the network is back.
            if hasattr(socket, "TCP_USER_TIMEOUT"):
                limit_ms = int(self._unacknowledged_limit_s * 1000)
                raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, limit_ms)
        if not dialled:
            self._make_room(number)
        try:
            if self._post(Opened(number, dialled)):
                await self._read(number, reader)
        except OSError:
            pass  # A reset is an end like any other.
        finally:
            if self._writers.pop(number, None) is not None:
                self._post(Closed(number))
            if not dialled:
                self._accepted.remove(number)
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _read(self, number: int, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(READ_BYTES_MAX):
            if number not in self._writers or not self._post(Data(number, data)):
                return

    def _make_room(self, number: int) -> None:
        """Whoever holds connections open must not keep the peer out."""
        self._accepted.append(number)
        if len(self._accepted) > _UNPROVED_COUNT_MAX:
            oldest = next((n for n in self._accepted if n != self._kept), None)
            if oldest is not None and oldest in self._writers:
                self._writers[oldest].transport.abort()

    def _send(self, number: int, data: bytes) -> None:
        writer = self._writers.get(number)
        if writer is None:
            return
        if writer.transport.get_write_buffer_size() > _UNSENT_BYTES_MAX:
            _log.warning("link connection %d does not take what is sent", number)
            writer.transport.abort()
            return
        writer.write(data)

    def _close(self, number: int) -> None:
        writer = self._writers.pop(number, None)
        if writer is not None:
            writer.close()

    async def _end(self) -> None:
        for writer in list(self._writers.values()):
            writer.close()
        if self._carrying:
            await asyncio.wait(self._carrying, timeout=_FLUSH_LIMIT_S)
        self._loop.stop()
