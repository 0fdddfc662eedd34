"""`/events` and `/archives`: events as they are stored, byte for byte.

The node only reads and passes on. What a walk through a long history costs, decoding, folding
and verifying, is done where it was asked for.
"""

from base64 import b64encode
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Annotated

from fastapi import APIRouter, Query, Request

from eventstore import START, EventId, KeepingSource, Origin, Stored
from node.http_api.lanes import Lanes
from node.http_api.pages import first_page
from node.http_api.refusals import Reply, invalid_request
from node.http_api.replies import ArchivesReply, EventsReply, OriginName, errors
from node.http_api.request_values import parse_id_or_none
from node.http_api.served_node import ServedNode
from node.http_api.strict_json import encode

PAGE_EVENT_COUNT_MAX = 5000
_READ_COUNT = 100
"""At a time, so that large events are not held by the thousand."""
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
        newest: Annotated[
            bool, Query(description="Only the newest event of a stream.")
        ] = False,
        limit: Annotated[int, Query(ge=1, le=PAGE_EVENT_COUNT_MAX)] = 1000,
    ) -> Reply:
        if (origin is None) == (archive is None):
            raise invalid_request("give either origin or archive")
        if newest and origin is None:
            raise invalid_request("newest goes with origin")
        start = parse_id_or_none("after", after) or START
        stream = None if origin is None else Origin(origin)

        def page() -> bytes:
            if newest and stream is not None:
                last = node.source.last(stream)
                # As one that could be two: nothing follows it.
                return _page([] if last is None else [last], 2, bytes_max)
            found = _behind(node.source, stream, archive, start)
            return _page(found, limit, bytes_max)

        bytes_max = lanes.limits.page_bytes_max
        return Reply(await lanes.walks.run(page, request))

    @router.get(
        "/archives",
        summary="The archives of events that a recovery or a resync replaced here",
        responses={200: {"model": ArchivesReply}, **errors(503)},
    )
    async def archives(request: Request) -> Reply:
        found = await lanes.walks.run(lambda: node.source.archives(), request)
        told = [{"name": archive.name, "last": str(archive.last)} for archive in found]
        return Reply({"archives": told})

    return router


def _behind(
    source: KeepingSource, origin: Origin | None, archive: str | None, after: EventId
) -> Iterator[Stored]:
    def read() -> list[Stored]:
        if archive is not None:
            return source.read_archive(archive, after, _READ_COUNT)
        assert origin is not None, "a stream or an archive is named"
        return source.read(origin, after, _READ_COUNT)

    while page := read():
        yield from page
        after = page[-1][0]


def _page(found: Iterable[Stored], limit: int, bytes_max: int) -> bytes:
    last = START

    def encoded(stored: Stored) -> bytes:
        nonlocal last
        last, blob = stored
        return encode({"id": str(last), "stored": b64encode(blob).decode()})

    # One more event, to see whether there is one, would cost another page from Redis.
    kept = islice(found, limit)
    page = first_page(kept, encoded, limit=limit, bytes_max=bytes_max)
    more = page.more or len(page.encoded) == limit
    following = encode(str(last) if more else None)
    return b'{"events":[%s],"next":%s}' % (b",".join(page.encoded), following)
