"""Connections of clients: bounded in number, and none is waited for without end."""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from node.http_api.limits import Limits
from node.http_api.refusals import Refusal

_REQUEST_OUTSTANDING = (h11.IDLE, h11.SEND_BODY)
_MAY_ANSWER = (h11.IDLE, h11.SEND_RESPONSE)


def bounded_protocol(limits: Limits) -> type[H11Protocol]:
    """The HTTP/1.1 protocol of uvicorn with `limits`, which it does not have itself.

    uvicorn waits for ever for the first byte, the head and the body of a request, and
    for a client to read the reply; and at its limit it refuses the newest client, who may
    be a load balancer, and not the one who has been idle for longest.
    """
    oldest_first: dict[BoundedProtocol, None] = {}

    class BoundedProtocol(H11Protocol):
        def connection_made(  # type: ignore[override]
            self, transport: asyncio.Transport
        ) -> None:
            super().connection_made(transport)
            self._request = _Deadline(limits.request_deadline_s, transport, self.loop)
            self._reply = _Deadline(limits.reply_deadline_s, transport, self.loop)
            oldest_first[self] = None
            if len(oldest_first) > limits.connection_count_max:
                idle = (c for c in oldest_first if not c._answers())
                next(idle, self).transport.abort()
            self._request.set()

        def _answers(self) -> bool:
            cycle: RequestResponseCycle | None = (
                self.cycle
            )  # None before the first one.
            return cycle is not None and not cycle.response_complete

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.conn.their_state not in _REQUEST_OUTSTANDING:
                self._request.clear()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._expect_request()

        def _expect_request(self) -> None:
            """Wait for the next request, or for the rest of a refused one.

            Not before the client has read the last reply: a slow line takes its time.
            """
            outstanding = self.conn.their_state in _REQUEST_OUTSTANDING
            if outstanding and not self.flow.write_paused:
                self._request.set()

        def pause_writing(self) -> None:
            super().pause_writing()
            self._reply.set()

        def resume_writing(self) -> None:
            super().resume_writing()
            self._reply.clear()
            self._expect_request()

        def connection_lost(self, exc: Exception | None) -> None:
            oldest_first.pop(self, None)
            self._request.clear()
            self._reply.clear()
            super().connection_lost(exc)

        def send_400_response(self, msg: str) -> None:
            if self.conn.our_state in _MAY_ANSWER:
                self._send_refusal(Refusal(400, "invalid-http", msg))
            self.transport.close()

        def _send_refusal(self, refusal: Refusal) -> None:
            reply = refusal.reply()
            headers = [*reply.raw_headers, (b"connection", b"close")]
            for event in (
                h11.Response(status_code=refusal.status, headers=headers),
                h11.Data(data=bytes(reply.body)),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")

    return BoundedProtocol


class _Deadline:
    """Cuts a connection off when it is set and not cleared in time."""

    def __init__(
        self,
        after_s: float,
        transport: asyncio.Transport,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._after_s, self._transport, self._loop = after_s, transport, loop
        self._timer: asyncio.TimerHandle | None = None

    def set(self) -> None:
        """Count from now."""
        self.clear()
        self._timer = self._loop.call_later(self._after_s, self._transport.abort)

    def clear(self) -> None:
        """Count no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
