"""Ends the work for a request when its sender has left."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator

from fastapi import Request
from starlette.requests import ClientDisconnect

from eventstore import Watch

_LOOK_INTERVAL_S = 0.25


@contextlib.asynccontextmanager
async def until_departure(request: Request) -> AsyncIterator[Watch]:
    """A watch for a walk in another thread, to be called between two pages.

    It raises `ClientDisconnect` once the sender of `request` has left, or the context ended.
    """
    left = threading.Event()

    async def look() -> None:
        while not await request.is_disconnected():
            await asyncio.sleep(_LOOK_INTERVAL_S)
        left.set()

    def watch(_: int) -> None:
        if left.is_set():
            raise ClientDisconnect

    looking = asyncio.create_task(look())
    try:
        yield watch
    finally:
        left.set()
        looking.cancel()
