"""`/history/stored`: a stream as it is stored, for programs that fold or verify it themselves.

The node only reads and passes on. What a walk through a long history costs, decoding and
folding, is done where it was asked for.
"""

from base64 import b64encode
from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Query, Request

from eventstore import START, EventId, Origin, Source
from node.http_api.lanes import Lanes
from node.http_api.pages import first_page
from node.http_api.refusals import Reply
from node.http_api.replies import OriginName, StoredEventsReply, errors
from node.http_api.request_values import parse_id_or_none
from node.http_api.served_node import ServedNode
from node.http_api.strict_json import encode

PAGE_STORED_COUNT_MAX = 1000
_READ_COUNT = 100
"""At a time, so that large events are not held by the thousand."""

Stored = tuple[EventId, bytes]


def stored(node: ServedNode, lanes: Lanes) -> APIRouter:
    """The route for the streams in the Redis of `node`."""
    router = APIRouter(tags=["history"])

    @router.get(
        "/history/stored",
        summary="Events of one stream as they are stored, oldest first",
        responses={200: {"model": StoredEventsReply}, **errors(503)},
    )
    async def events(
        request: Request,
        origin: OriginName,
        after: Annotated[str | None, Query(description="`next` of a page.")] = None,
        newest: Annotated[bool, Query(description="Only the newest event.")] = False,
        limit: Annotated[
            int, Query(ge=1, le=PAGE_STORED_COUNT_MAX)
        ] = PAGE_STORED_COUNT_MAX,
    ) -> Reply:
        stream = Origin(origin)
        start = parse_id_or_none("after", after) or START

        def page() -> bytes:
            if newest:
                last = node.source.last(stream)
                found = iter(() if last is None else (last,))
            else:
                found = _behind(node.source, stream, start)
            return _page(found, limit, lanes.limits.page_bytes_max)

        return Reply(await lanes.walks.run(page, request))

    return router


def _behind(source: Source, origin: Origin, after: EventId) -> Iterator[Stored]:
    while page := source.read(origin, after, _READ_COUNT):
        yield from page
        after = page[-1][0]


def _page(found: Iterator[Stored], limit: int, bytes_max: int) -> bytes:
    last = START

    def encoded(event: Stored) -> bytes:
        nonlocal last
        last = event[0]
        return encode({"id": str(last), "event": b64encode(event[1]).decode()})

    page = first_page(found, encoded, limit=limit, bytes_max=bytes_max)
    following = encode(str(last) if page.more else None)
    return b'{"events":[%s],"next":%s}' % (b",".join(page.encoded), following)
