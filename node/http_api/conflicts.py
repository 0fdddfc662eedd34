"""`/conflicts`: changes that lost against a concurrent one, and how one is restored."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request

from eventstore import Event, EventId, Loss, format_time
from node.http_api.lanes import Lanes
from node.http_api.pages import first_page
from node.http_api.refusals import Reply
from node.http_api.replies import ConflictsReply, StoredReply, errors
from node.http_api.request_values import (
    actor_of,
    parse_id,
    parse_id_or_none,
    reason_of,
)
from node.http_api.served_node import ServedNode
from node.http_api.strict_json import encode

PAGE_CONFLICT_COUNT_MAX = 1000
_WHY = "concurrent with the master's change"


def conflicts(node: ServedNode, lanes: Lanes) -> APIRouter:
    """The routes for what lost on `node`."""
    router = APIRouter(tags=["conflicts"])

    @router.get(
        "/conflicts",
        summary="Changes that a concurrent one of the master overrode, by their ids",
        responses={200: {"model": ConflictsReply}, **errors(503)},
    )
    async def listed(
        request: Request,
        settled: Annotated[
            bool,
            Query(description="Also those that a later change of the entry settled."),
        ] = False,
        key: Annotated[str | None, Query(description="Exactly this key.")] = None,
        prefix: Annotated[str | None, Query(description="Start of the key.")] = None,
        after: Annotated[str | None, Query(description="`next` of a page.")] = None,
        limit: Annotated[
            int, Query(ge=1, le=PAGE_CONFLICT_COUNT_MAX)
        ] = PAGE_CONFLICT_COUNT_MAX,
    ) -> Reply:
        start = parse_id_or_none("after", after)

        def page() -> bytes:
            found = node.conflicts(
                settled=settled,
                key=key,
                prefix=prefix,
                after=start,
                limit=limit + 1,  # One more tells whether there is a next page.
            )
            return _page(found, limit, lanes.limits.page_bytes_max)

        lane = lanes.walks if settled else lanes.reads
        return Reply(await lane.run(page, request))

    @router.post(
        "/conflicts/{id}/restore",
        summary="Make a change that lost again, if the one that overrode it still stands",
        responses={200: {"model": StoredReply}, **errors(403, 404, 409, 503)},
    )
    async def restore(
        request: Request,
        lost: Annotated[str, Path(alias="id", description="Of the change that lost.")],
    ) -> Reply:
        actor, reason = actor_of(request), reason_of(request)
        event_id = parse_id("id", lost)
        event = await lanes.changes.run(
            lambda: node.restore(event_id, actor=actor, reason=reason)
        )
        return Reply({"id": str(event.id)})

    return router


def _page(found: Sequence[Loss], limit: int, bytes_max: int) -> bytes:
    page = first_page(
        found, lambda loss: encode(_shown(loss)), limit=limit, bytes_max=bytes_max
    )
    last: EventId | None = found[len(page.encoded) - 1].loser.id if page.more else None
    following = None if last is None else str(last)
    return b'{"conflicts":[%s],"next":%s}' % (
        b",".join(page.encoded),
        encode(following),
    )


def _shown(loss: Loss) -> dict[str, object]:
    settled_by = loss.settled_by
    return {
        **_change(loss.loser),
        "key": loss.key,
        "value": loss.loser.value,
        "why": _WHY,
        "winner": _change(loss.winner),
        "settled_by": None if settled_by is None else _change(settled_by),
    }


def _change(event: Event) -> dict[str, object]:
    return {
        "id": str(event.id),
        "origin": event.origin,
        "kind": event.kind,
        "actor": event.actor,
        "reason": event.reason,
        "time": format_time(event.wall_ns),
    }
