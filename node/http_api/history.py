"""`/history`: what was changed, by whom and why, in pages."""

from collections.abc import Iterator
from typing import Annotated, Any

import attrs
from fastapi import APIRouter, Query, Request
from pydantic import Field

from eventstore import ArchivedEvent, Event, EventId, Origin, told_line
from node.http_api.lanes import Lanes
from node.http_api.pages import Page, first_page
from node.http_api.refusals import Reply
from node.http_api.replies import HistoryReply, OriginName, errors
from node.http_api.request_values import (
    format_archive_cursor,
    format_cursor,
    parse_archive_cursor,
    parse_cursor,
    parse_time_ns,
)
from node.http_api.served_node import ServedNode
from node.http_api.strict_json import encode
from node.roles import Role

PAGE_EVENT_COUNT_MAX = 10_000
_KIND_COUNT_MAX = 20
_KIND_LENGTH_MAX = 64
_STANDBY = Origin(Role.STANDBY.value)
"""Only its changes can lose."""
_TIME = "ISO 8601 (UTC where no zone is named) or milliseconds since 1970."


def history(node: ServedNode, lanes: Lanes) -> APIRouter:
    """The route for the history of `node`."""
    router = APIRouter(tags=["history"])

    @router.get(
        "/history",
        summary="Events of both nodes, oldest first, causes before effects",
        responses={200: {"model": HistoryReply}, **errors(503)},
    )
    async def events(
        request: Request,
        key: Annotated[str | None, Query(description="Exactly this key.")] = None,
        prefix: Annotated[str | None, Query(description="Start of the key.")] = None,
        since: Annotated[str | None, Query(description=f"From: {_TIME}")] = None,
        until: Annotated[str | None, Query(description=f"Before: {_TIME}")] = None,
        actor: str | None = None,
        origin: OriginName | None = None,
        kind: Annotated[
            list[Annotated[str, Field(max_length=_KIND_LENGTH_MAX)]],
            Query(description="One of these kinds.", max_length=_KIND_COUNT_MAX),
        ] = [],  # noqa: B006 - it is only read
        after: Annotated[str | None, Query(description="`next` of a page.")] = None,
        limit: Annotated[int, Query(ge=1, le=PAGE_EVENT_COUNT_MAX)] = 1000,
        archived: Annotated[
            bool, Query(description="The replaced events, archive by archive, instead.")
        ] = False,
    ) -> Reply:
        wanted: dict[str, Any] = {
            "key": key,
            "prefix": prefix,
            "since_ns": parse_time_ns("since", since),
            "until_ns": parse_time_ns("until", until),
            "actor": actor,
            "origin": None if origin is None else Origin(origin),
            "kinds": frozenset(kind) or None,
            "limit": limit + 1,  # One more tells whether there is a next page.
        }
        size = _Size(limit, lanes.limits.page_bytes_max)
        if archived:
            place = parse_archive_cursor(after)
            return Reply(
                await lanes.walks.run(
                    lambda: _archived_page(node.archived(after=place, **wanted), size),
                    request,
                )
            )
        start = parse_cursor(after)
        return Reply(
            await lanes.walks.run(
                lambda: _page(
                    node.history(after=start, **wanted), _open(node), start, size
                ),
                request,
            )
        )

    return router


def _open(node: ServedNode) -> dict[EventId, EventId]:
    """What stands over each change of the standby that lost."""
    found = node.conflicts(limit=None)
    return {loss.loser.id: loss.winner.id for loss in found}


@attrs.frozen
class _Size:
    """Of a page."""

    limit: int
    bytes_max: int


def _page(
    found: Iterator[Event],
    overridden: dict[EventId, EventId],
    start: dict[Origin, EventId] | None,
    size: _Size,
) -> bytes:
    cursor = dict(start or {})

    def encoded(event: Event) -> bytes:
        cursor[event.origin] = event.id
        lost = event.origin == _STANDBY
        return encode(
            told_line(event, overridden_by=overridden.get(event.id) if lost else None)
        )

    page = first_page(found, encoded, limit=size.limit, bytes_max=size.bytes_max)
    return _as_json(page, format_cursor(cursor))


def _archived_page(found: Iterator[ArchivedEvent], size: _Size) -> bytes:
    cursor = ""

    def encoded(archived: ArchivedEvent) -> bytes:
        nonlocal cursor
        cursor = format_archive_cursor(archived.archive, archived.event.id)
        return encode(told_line(archived.event, archive=archived.archive))

    page = first_page(found, encoded, limit=size.limit, bytes_max=size.bytes_max)
    return _as_json(page, cursor)


def _as_json(page: Page, cursor: str) -> bytes:
    following = cursor if page.more else None
    return b'{"events":[%s],"next":%s}' % (b",".join(page.encoded), encode(following))
