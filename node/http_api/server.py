"""The thread that serves HTTP: uvicorn without its timer, signals and logs."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading

import uvicorn

from node.addresses import Address
from node.config import NodeConfig
from node.errors import NodeError
from node.http_api.app import create_app
from node.http_api.connection import bounded_protocol
from node.http_api.limits import Limits
from node.http_api.served_node import ServedNode
from node.listening import BACKLOG_COUNT, bound, listen

logger = logging.getLogger(__name__)

HEAD_BYTES_MAX = 16 * 1024
_KNOB = "http.listen"
KEEP_ALIVE_S = 5
CANCEL_S = 0.5
JOIN_MARGIN_S = 3


class HttpServer:
    """Serves a node over HTTP, in a daemon thread with an event loop of its own."""

    def __init__(
        self, node: ServedNode, config: NodeConfig, limits: Limits | None = None
    ) -> None:
        """A server for `node`; `config` must have `http_listen`."""
        assert config.http_listen is not None, "the caller checks for http_listen"
        self._address = Address.parse(config.http_listen)
        self._node = node
        self._config = config
        self._limits = limits or Limits()
        self._listener: socket.socket | None = None
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def bind(self) -> None:
        """Take the address, without answering on it yet.

        Raises:
            PortInUse: another process listens there.
            ConfigError: the address is not one of this machine, or not allowed.
        """
        assert self._listener is None, "bound once"
        self._listener = bound(self._address, _KNOB)

    def start(self) -> None:
        """Listen and serve; requests are taken when this returns. Binds if need be.

        Raises:
            PortInUse, ConfigError: as `bind`.
            NodeError: the thread could not begin to serve.
        """
        assert self._thread is None, "start() is called once, or again after stop()"
        listener, self._listener = self._listener or bound(self._address, _KNOB), None
        try:
            listen(listener, self._address, _KNOB)
            server = _Server(self._uvicorn_config())
            thread = threading.Thread(
                target=server.run, args=([listener],), name="http", daemon=True
            )
            thread.start()
        except BaseException:
            listener.close()
            raise
        self._server, self._thread = server, thread
        server.settled.wait()
        if not server.serves:
            self._server = self._thread = None
            raise NodeError("the HTTP thread ended at its start; the log says why")
        logger.info("HTTP on %s", self._address)

    def stop(self) -> None:
        """Take no more requests, let those under way end, and return within seconds.

        May be called twice, and without `start`.
        """
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        server, thread = self._server, self._thread
        if server is None or thread is None:
            return
        server.request_stop()
        thread.join(self._limits.stop_deadline_s + JOIN_MARGIN_S)
        if thread.is_alive():
            logger.warning("the HTTP thread did not end; it is left behind")
        self._server = self._thread = None

    def _uvicorn_config(self) -> uvicorn.Config:
        return uvicorn.Config(
            create_app(self._node, self._config, self._limits),
            loop="asyncio",
            http=bounded_protocol(self._limits),
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="error",  # Its warnings are about what strangers sent.
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            backlog=BACKLOG_COUNT,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=self._limits.stop_deadline_s,
            h11_max_incomplete_event_size=HEAD_BYTES_MAX,
        )


class _Server(uvicorn.Server):
    """uvicorn that sleeps until it is told to stop, instead of looking ten times a second."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop_requested = asyncio.Event()
        self.settled = threading.Event()
        """Set when requests are taken, or never will be."""

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            super().run(sockets)
        finally:
            self.settled.set()

    async def main_loop(self) -> None:
        self._loop = asyncio.get_running_loop()
        await self.on_tick(0)
        self.settled.set()
        await self._stop_requested.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        if cancelled := set(self.server_state.tasks):
            await asyncio.wait(cancelled, timeout=CANCEL_S)  # Each says "stopping".
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)  # Lets the transports close before the loop does.

    @property
    def serves(self) -> bool:
        """Whether requests were ever taken."""
        return self._loop is not None

    def request_stop(self) -> None:
        assert self._loop is not None, "start() waited until it is known"
        self._loop.call_soon_threadsafe(self._stop_requested.set)
