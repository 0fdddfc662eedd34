"""`/archive`: which events may leave the streams, and the order that lets them."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Query, Request

from eventstore import Archived, ArchiveRefused, Head, Origin, archived_of
from node.http_api.lanes import Lanes, decoded, order
from node.http_api.refusals import Reply, invalid_request
from node.http_api.replies import (
    ArchivableReply,
    ArchiveOrder,
    StoredReply,
    body,
    errors,
)
from node.http_api.request_values import actor_of, parse_time_ns, reason_of
from node.http_api.served_node import ServedNode
from node.roles import Role

_ORIGINS = tuple(Origin(role.value) for role in Role)
_BEFORE = "A time: ISO 8601, or milliseconds since 1970."


def archive(node: ServedNode, lanes: Lanes) -> APIRouter:
    """The routes for what leaves the streams of `node`."""
    router = APIRouter(tags=["history"])

    @router.get(
        "/archive",
        summary="Which events may leave for a file; only the master tells",
        responses={200: {"model": ArchivableReply}, **errors(409, 503)},
    )
    async def archivable(
        request: Request, before: Annotated[str, Query(description=_BEFORE)]
    ) -> Reply:
        before_ns = _time_ns(before)
        found = await lanes.walks.run(lambda: node.archivable(before_ns), request)
        return Reply({"after": _shown(found.after), "until": _shown(found.until)})

    @router.post(
        "/archive",
        summary="Let both nodes forget what is in a file; only the master takes this",
        responses={200: {"model": StoredReply}, **errors(403, 409, 503)},
        openapi_extra=body(ArchiveOrder),
    )
    async def give(request: Request) -> Reply:
        actor, reason = actor_of(request), reason_of(request)
        async with lanes.bodies.read(
            request, lanes.limits.order_body_bytes_max
        ) as data:
            wanted = order(ArchiveOrder, decoded(data))
        archived, before_ns = _archived(wanted), _time_ns(wanted.before)
        event = await lanes.orders.run(
            lambda: node.archive(archived, before_ns, actor=actor, reason=reason)
        )
        return Reply({"id": str(event.id)})

    return router


def _time_ns(before: str) -> int:
    found = parse_time_ns("before", before)
    assert found is not None, "it was given"
    return found


def _archived(wanted: ArchiveOrder) -> Archived:
    value = wanted.model_dump(exclude={"before"})
    found = archived_of(value, _ORIGINS)
    if found is None or set(wanted.streams) - set(_ORIGINS):
        raise invalid_request(
            "file is not a name, sha256 or a digest not 64 hex digits, or a place in "
            "streams is no event of master or standby"
        )
    if not found.heads:
        raise ArchiveRefused(["the order names no event"])
    return found


def _shown(heads: Mapping[Origin, Head]) -> dict[str, dict[str, str]]:
    return {
        str(origin): {"id": str(head.id), "digest": head.digest.hex()}
        for origin, head in heads.items()
    }
