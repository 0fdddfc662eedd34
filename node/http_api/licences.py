"""`/licences`: which are installed and what they are worth; installed and removed here."""

from typing import Annotated

from fastapi import APIRouter, Path, Request

from eventstore import LICENCE_BYTES_MAX, format_time
from node.http_api.lanes import Lanes, decoded
from node.http_api.refusals import Reply
from node.http_api.replies import LicencesReply, StoredReply, errors
from node.http_api.request_values import actor_of, reason_of
from node.http_api.served_node import ServedNode
from node.licences import Standing

_DOCUMENT = {
    "requestBody": {
        "required": True,
        "description": "The licence, as its vendor issued it.",
        "content": {"application/json": {"schema": {"type": "object"}}},
    }
}


def licences(node: ServedNode, lanes: Lanes) -> APIRouter:
    """The routes for the licences of `node`."""
    router = APIRouter(tags=["licences"])

    @router.get(
        "/licences",
        summary="The licences that are installed, and what they are worth now",
        responses={200: {"model": LicencesReply}, **errors()},
    )
    async def listed() -> Reply:
        told = node.status()["licences"]
        assert isinstance(told, dict)
        found = [_shown(standing) for standing in node.licences().standings]
        return Reply({**told, "licences": found})

    @router.post(
        "/licences",
        summary="Install a licence; only the master takes this order",
        responses={200: {"model": StoredReply}, **errors(403, 409, 413, 503)},
        openapi_extra=_DOCUMENT,
    )
    async def install(request: Request) -> Reply:
        actor, reason = actor_of(request), reason_of(request)
        async with lanes.bodies.read(request, LICENCE_BYTES_MAX) as data:
            event = await lanes.changes.run(
                lambda: node.install_licence(decoded(data), actor=actor, reason=reason)
            )
        return Reply({"id": str(event.id)})

    @router.delete(
        "/licences/{id}",
        summary="Remove a licence; only the master takes this order",
        responses={200: {"model": StoredReply}, **errors(403, 404, 409, 503)},
    )
    async def remove(
        request: Request,
        licence: Annotated[str, Path(alias="id", description="Of the licence.")],
    ) -> Reply:
        actor, reason = actor_of(request), reason_of(request)
        event = await lanes.changes.run(
            lambda: node.remove_licence(licence, actor=actor, reason=reason)
        )
        return Reply({"id": str(event.id)})

    return router


def _shown(standing: Standing) -> dict[str, object]:
    installed = standing.installed
    event = installed.event
    return {
        "id": installed.id,
        "valid": standing.valid,
        "reason": standing.reason,
        "signature": installed.signature.value,
        "document": event.value,
        "event": str(event.id),
        "installed": format_time(event.wall_ns),
        "actor": event.actor,
    }
