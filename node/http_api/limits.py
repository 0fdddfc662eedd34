"""How much of a node the HTTP interface may take: bytes, threads, connections, time."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable
from typing import TypeVar, cast

import attrs
from fastapi import Request
from starlette.requests import ClientDisconnect

from node.http_api.refusals import Refusal

Result = TypeVar("Result")
_MIB = 1024 * 1024


@attrs.frozen(kw_only=True)
class Limits:
    """The limits of one server. The defaults suit a small machine; tests choose others."""

    body_bytes_max: int = 4 * _MIB
    """Size of a batch of changes; above it the answer is 413.

    Decoding JSON holds the interpreter, and with it the heartbeats: 4 MiB for about 0.2 s.
    """

    value_body_bytes_max: int = _MIB // 2
    """Size of the JSON of one value, which packed has at most 64 KiB."""

    order_body_bytes_max: int = 16 * 1024
    """Size of an order, to switch or to replicate."""

    bodies_bytes_max: int = 64 * _MIB
    """Size of all bodies that are held at one time; above it the answer is 503."""

    page_bytes_max: int = 4 * _MIB
    """Size at which a page of entries or events ends before its limit."""

    connection_count_max: int = 256
    """Open connections; one more ends the one that has been idle for longest."""

    request_count_max: int = 200
    """Requests under way, probes apart; above it the answer is 503."""

    request_deadline_s: float = 30.0
    """Time in which a request must have arrived, head and body, in seconds."""

    reply_deadline_s: float = 120.0
    """Time in which a client must have read a reply, in seconds."""

    stop_deadline_s: int = 2
    """How long `stop` lets requests go on, in seconds."""


class Bodies:
    """Reads bodies within the limits; used by one event loop."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._held_bytes = 0

    @contextlib.asynccontextmanager
    async def read(self, request: Request, bytes_max: int) -> AsyncIterator[bytearray]:
        """The whole body of `request`, counted until the context ends.

        Raises:
            Refusal: it is over a limit; found while it arrives, not when it is there.
        """
        body = bytearray()
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and int(declared[:20]) > bytes_max:
            raise _too_large(bytes_max)
        try:
            async for chunk in request.stream():
                body += chunk
                self._held_bytes += len(chunk)
                if len(body) > bytes_max:
                    raise _too_large(bytes_max)
                if self._held_bytes > self._limits.bodies_bytes_max:
                    raise _busy("too many large requests are under way already")
            yield body
        finally:
            self._held_bytes -= len(body)


def _too_large(bytes_max: int) -> Refusal:
    error = f"this body has at most {bytes_max} bytes; send it in parts"
    return Refusal(413, "too-large", error)


def _busy(error: str) -> Refusal:
    return Refusal(503, "busy", error, headers={"retry-after": "1"})


class Lane:
    """A few threads for one sort of work that may wait, and a short queue before them.

    One sort cannot hold up another, and none of them the loop. A thread lives for one
    piece of work and is a daemon: nothing that hangs keeps the process from ending.
    """

    def __init__(self, name: str, *, thread_count: int, waiting_count: int) -> None:
        self._name = name
        self._threads = asyncio.Semaphore(thread_count)
        self._place_count = thread_count + waiting_count
        self._under_way_count = 0

    async def run(
        self, work: Callable[[], Result], wanted_by: Request | None = None
    ) -> Result:
        """What `work` returns or raises, called in a thread.

        Raises:
            Refusal: the queue is full; `work` was not called.
            ClientDisconnect: nor was it, for the sender of `wanted_by` left the queue.
        """
        if self._under_way_count == self._place_count:
            raise _busy(
                f"{self._place_count} requests for {self._name} are under way already"
            )
        self._under_way_count += 1
        try:
            await self._admit(wanted_by)
        except BaseException:
            self._under_way_count -= 1
            raise
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[Result] = loop.create_future()

        def settle(result: Result | None, error: BaseException | None) -> None:
            self._threads.release()
            self._under_way_count -= 1
            if outcome.cancelled():
                return  # The server is being stopped; nobody waits for it any more.
            if error is None:
                outcome.set_result(cast(Result, result))
            else:
                outcome.set_exception(error)

        def call() -> None:
            result, error = None, None
            try:
                result = work()
            except BaseException as raised:  # noqa: BLE001  it is raised in the loop
                error = raised
            with contextlib.suppress(RuntimeError):  # The loop is closed by now.
                loop.call_soon_threadsafe(settle, result, error)

        threading.Thread(target=call, name=f"http-{self._name}", daemon=True).start()
        return await outcome

    async def _admit(self, wanted_by: Request | None) -> None:
        await self._threads.acquire()
        has_left = True
        try:
            has_left = wanted_by is not None and await wanted_by.is_disconnected()
        finally:
            if has_left:
                self._threads.release()
        if has_left:
            raise ClientDisconnect
