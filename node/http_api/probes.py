"""What load balancers and supervisors ask; it needs no token and never waits."""

from fastapi import APIRouter

from node.http_api.refusals import Reply
from node.http_api.replies import LiveReply, ReadyReply, StateReply
from node.http_api.served_node import ServedNode
from node.roles import State


def probes(node: ServedNode) -> APIRouter:
    """The routes of `node` that anyone may read."""
    router = APIRouter(tags=["probes"])

    def state(wanted: State) -> Reply:
        now = node.state
        content = {"role": node.role, "state": now}
        return Reply(content, 200 if now is wanted else 503)

    @router.get(
        "/active",
        summary="200 while this node is active",
        responses={200: {"model": StateReply}, 503: {"model": StateReply}},
    )
    async def active() -> Reply:
        return state(State.ACTIVE)

    @router.get(
        "/passive",
        summary="200 while this node is passive",
        responses={200: {"model": StateReply}, 503: {"model": StateReply}},
    )
    async def passive() -> Reply:
        return state(State.PASSIVE)

    @router.get(
        "/live",
        summary="200 while the node's own loop runs; restart it otherwise",
        responses={200: {"model": LiveReply}, 503: {"model": LiveReply}},
    )
    async def live() -> Reply:
        is_live = node.is_live()
        return Reply({"live": is_live}, 200 if is_live else 503)

    @router.get(
        "/ready",
        summary="200 while this node could take over, else every reason why not",
        responses={200: {"model": ReadyReply}, 503: {"model": ReadyReply}},
    )
    async def ready() -> Reply:
        is_ready, reasons = node.is_ready()
        content = {"ready": is_ready, "reasons": list(reasons)}
        return Reply(content, 200 if is_ready else 503)

    return router
