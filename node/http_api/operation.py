"""What operators ask and order: status, switch and replication."""

from fastapi import APIRouter, Request

from eventstore import REASON_BYTES_MAX, format_time
from node.http_api.lanes import Lanes, decoded, order
from node.http_api.refusals import Reply
from node.http_api.replies import (
    ReplicationOrder,
    ResyncOrder,
    ResyncReply,
    SwitchOrder,
    SwitchReply,
    TakeoverOrder,
    body,
    errors,
)
from node.http_api.request_values import (
    actor_of,
    checked_line,
    reason_of,
)
from node.http_api.served_node import ResyncReport, ServedNode, SwitchReport


def operation(node: ServedNode, lanes: Lanes) -> APIRouter:
    """The routes for operating `node`."""
    router = APIRouter(tags=["operation"])

    @router.get(
        "/status", summary="All that this node knows of the pair", responses=errors()
    )
    async def status() -> Reply:
        return Reply(node.status())

    @router.post(
        "/switch",
        summary="Let the other node become active; only the master takes this order",
        responses={200: {"model": SwitchReply}, **errors(403, 409, 503, 504)},
        openapi_extra=body(SwitchOrder, required=False),
    )
    async def switch(request: Request) -> Reply:
        async with lanes.bodies.read(
            request, lanes.limits.order_body_bytes_max
        ) as data:
            wanted = order(SwitchOrder, decoded(data) if data else {})
        actor, given = actor_of(request), wanted.reason.encode()
        reason = checked_line("reason", given, REASON_BYTES_MAX) or reason_of(request)
        report = await lanes.orders.run(
            lambda: node.switch(
                actor=actor,
                when=wanted.when,
                reason=reason,
                dry_run=wanted.dry_run,
                wait_s=wanted.wait_s,
            )
        )
        return _shown(report)

    @router.delete(
        "/switch",
        summary="Take back a switch that waits for the calls to end",
        responses={200: {"model": SwitchReply}, **errors(403, 409, 503)},
    )
    async def cancel(request: Request) -> Reply:
        actor = actor_of(request)
        return _shown(await lanes.orders.run(lambda: node.cancel_switch(actor=actor)))

    @router.get("/replication", summary="How replication goes", responses=errors())
    async def replication() -> Reply:
        return Reply(node.status()["replication"])

    @router.post(
        "/replication",
        summary="Switch replication of the pair on or off",
        responses=errors(403, 503),
        openapi_extra=body(ReplicationOrder),
    )
    async def set_replication(request: Request) -> Reply:
        actor, reason = actor_of(request), reason_of(request)
        async with lanes.bodies.read(
            request, lanes.limits.order_body_bytes_max
        ) as data:
            enabled = order(ReplicationOrder, decoded(data)).enabled
        await lanes.orders.run(
            lambda: node.set_replication(enabled, actor=actor, reason=reason)
        )
        return Reply(node.status()["replication"])

    @router.post(
        "/replication/resync",
        summary="Replace the data of this standby by the master's",
        responses={200: {"model": ResyncReply}, **errors(403, 409, 503, 504)},
        openapi_extra=body(ResyncOrder, required=False),
    )
    async def resync(request: Request) -> Reply:
        actor, reason = actor_of(request), reason_of(request)
        async with lanes.bodies.read(
            request, lanes.limits.order_body_bytes_max
        ) as data:
            wanted = order(ResyncOrder, decoded(data) if data else {})
        report = await lanes.orders.run(
            lambda: node.resync(
                actor=actor,
                reason=reason,
                discard=wanted.discard,
                dry_run=wanted.dry_run,
            )
        )
        return Reply(_resync_shown(report))

    @router.get(
        "/takeover", summary="Whether nodes take over by themselves", responses=errors()
    )
    async def takeover() -> Reply:
        return Reply(node.status()["takeover"])

    @router.post(
        "/takeover",
        summary="Pause or resume automatic takeover on both nodes",
        responses=errors(403, 503),
        openapi_extra=body(TakeoverOrder),
    )
    async def set_takeover(request: Request) -> Reply:
        actor, reason = actor_of(request), reason_of(request)
        async with lanes.bodies.read(
            request, lanes.limits.order_body_bytes_max
        ) as data:
            for_s = order(TakeoverOrder, decoded(data)).pause_s
        if for_s:
            await lanes.orders.run(
                lambda: node.pause_takeover(for_s, actor=actor, reason=reason)
            )
        else:
            await lanes.orders.run(
                lambda: node.resume_takeover(actor=actor, reason=reason)
            )
        return Reply(node.status()["takeover"])

    return router


def _shown(report: SwitchReport) -> Reply:
    return Reply(
        {
            "outcome": report.outcome,
            "id": report.id,
            "text": report.text,
            "active": report.active,
            "duration_s": report.duration_s,
        }
    )


def _resync_shown(report: ResyncReport) -> dict[str, object]:
    left = report.left
    return {
        "outcome": report.outcome,
        "text": report.text,
        "discard": left.discard,
        "events": left.own.event_count,
        "changes": left.own.change_count,
        "listed": [
            {
                "id": str(event.id),
                "kind": event.kind,
                "key": event.key,
                "actor": event.actor,
                "time": format_time(event.wall_ns),
            }
            for event in left.own.listed
        ],
        "entries": left.changed_count,
        "keys": list(left.changed),
        "replaced": {part.origin: part.event_count for part in left.replaced},
        "id": None if report.event is None else str(report.event.id),
        "duration_s": report.duration_s,
    }
