"""`/events` and `/archives`: events as they are stored, byte for byte, for audits."""

import base64
from collections.abc import Iterator
from itertools import islice
from typing import Annotated

from fastapi import APIRouter, Query, Request

from eventstore import START, Origin, Stored
from node.http_api.lanes import Lanes
from node.http_api.pages import first_page
from node.http_api.refusals import Reply, invalid_request
from node.http_api.replies import ArchivesReply, EventsReply, OriginName, errors
from node.http_api.request_values import parse_id_or_none
from node.http_api.served_node import ServedNode
from node.http_api.strict_json import encode

PAGE_EVENT_COUNT_MAX = 5000
_NAME_LENGTH_MAX = 256


def events(node: ServedNode, lanes: Lanes) -> APIRouter:
    """The routes for the stored events of `node`."""
    router = APIRouter(tags=["history"])

    @router.get(
        "/events",
        summary="The events of one stream or archive as they are stored, oldest first",
        responses={200: {"model": EventsReply}, **errors(503)},
    )
    async def stored(
        request: Request,
        origin: Annotated[OriginName | None, Query(description="A stream.")] = None,
        archive: Annotated[
            str | None,
            Query(max_length=_NAME_LENGTH_MAX, description="Or an archive."),
        ] = None,
        after: Annotated[str | None, Query(description="`next` of a page.")] = None,
        limit: Annotated[int, Query(ge=1, le=PAGE_EVENT_COUNT_MAX)] = 1000,
    ) -> Reply:
        if (origin is None) == (archive is None):
            raise invalid_request("give either origin or archive")
        start = parse_id_or_none("after", after) or START
        stream = None if origin is None else Origin(origin)
        bytes_max = lanes.limits.page_bytes_max
        return Reply(
            await lanes.walks.run(
                lambda: _page(
                    node.stored(origin=stream, archive=archive, after=start),
                    limit,
                    bytes_max,
                ),
                request,
            )
        )

    @router.get(
        "/archives",
        summary="The archives of events that a recovery or a resync replaced here",
        responses={200: {"model": ArchivesReply}, **errors(503)},
    )
    async def archives(request: Request) -> Reply:
        found = await lanes.walks.run(node.archives, request)
        told = [{"name": archive.name, "last": str(archive.last)} for archive in found]
        return Reply({"archives": told})

    return router


def _page(found: Iterator[Stored], limit: int, bytes_max: int) -> bytes:
    last = START

    def encoded(stored: Stored) -> bytes:
        nonlocal last
        last, blob = stored
        return encode({"id": str(last), "stored": base64.b64encode(blob).decode()})

    # One more event, to see whether there is one, would cost another page from Redis.
    kept = islice(found, limit)
    page = first_page(kept, encoded, limit=limit, bytes_max=bytes_max)
    more = page.more or len(page.encoded) == limit
    following = encode(str(last) if more else None)
    return b'{"events":[%s],"next":%s}' % (b",".join(page.encoded), following)
