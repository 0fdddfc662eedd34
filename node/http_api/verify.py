"""`/verify`: whether what is stored is what was written, in pages; and heads for checkpoints."""

import base64
import json
import zlib
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from eventstore import EventId, Origin, Verification
from node.http_api.lanes import Lanes
from node.http_api.refusals import Reply, invalid_request
from node.http_api.replies import Id, OriginName, errors
from node.http_api.request_values import parse_id
from node.http_api.served_node import ServedNode
from node.http_api.strict_json import decode
from node.roles import Role
from node.verifying import StoredHeads, VerifyPage

AT_COUNT_MAX = 100
_ORIGINS = {role.value for role in Role}
_STATE_BYTES_MAX = 64 * 1024


class VerifyReply(BaseModel):
    """How far a verification is; when it is over, what was found."""

    pair: str
    copies: list[str] = Field(description="What was looked at, by name.")
    events: int = Field(description="Events verified so far, archives included.")
    total: int = Field(description="Events of both streams at this moment.")
    state: dict[str, Any] = Field(
        description="The state of the walk, for `eventstore.Verification.from_value`."
    )
    problem: str = Field(description="Why the peer's Redis is not looked at.")
    next: str | None = Field(description="`after` of the next page; null: it is over.")


class HeadReply(BaseModel):
    """The newest event of a stream."""

    id: Id
    digest: str


class DigestsReply(BaseModel):
    """The digest of an event in each copy; null: it is not there."""

    origin: OriginName
    id: Id
    digests: list[str | None]


class HeadsReply(BaseModel):
    """Where the streams end, and the digests of the events that were asked for."""

    pair: str
    copies: list[str]
    heads: dict[OriginName, HeadReply]
    at: list[DigestsReply]


def verify(node: ServedNode, lanes: Lanes) -> APIRouter:
    """The routes for verifying what `node` and its peer have stored."""
    router = APIRouter(tags=["history"])

    @router.get(
        "/verify",
        summary="Verify hash chains, vectors and both copies against each other",
        responses={200: {"model": VerifyReply}, **errors(503)},
    )
    async def verified(
        request: Request,
        after: Annotated[str | None, Query(description="`next` of a page.")] = None,
        compare: Annotated[
            bool, Query(description="With the peer's Redis, if it can be reached.")
        ] = True,
        archives: Annotated[bool, Query(description="Replaced events as well.")] = True,
    ) -> Reply:
        start = None if after is None else _parse_state(after)
        page = await lanes.walks.run(
            lambda: node.verify_page(start, compare=compare, archives=archives), request
        )
        return Reply(_shown(page))

    @router.get(
        "/verify/heads",
        summary="Where the streams end, and the digests of events in both copies",
        responses={200: {"model": HeadsReply}, **errors(503)},
    )
    async def heads(
        request: Request,
        at: Annotated[
            str | None,
            Query(description=f"`ORIGIN=ID,…`, at most {AT_COUNT_MAX}."),
        ] = None,
        compare: Annotated[
            bool, Query(description="In the peer's Redis as well.")
        ] = True,
    ) -> Reply:
        wanted = _parse_at(at)
        found = await lanes.walks.run(
            lambda: node.stored_heads(wanted, compare=compare), request
        )
        return Reply(_heads_shown(wanted, found))

    return router


def _shown(page: VerifyPage) -> dict[str, object]:
    state = page.now.as_value()
    return {
        "pair": page.pair,
        "copies": list(page.names),
        "events": page.now.event_count,
        "total": page.total,
        "state": state,
        "problem": page.problem,
        "next": None if page.now.is_over else _format_state(state),
    }


def _heads_shown(
    wanted: list[tuple[Origin, EventId]], found: StoredHeads
) -> dict[str, object]:
    return {
        "pair": found.pair,
        "copies": list(found.names),
        "heads": {
            origin: {"id": str(head.id), "digest": head.digest.hex()}
            for origin, head in found.heads.items()
        },
        "at": [
            {
                "origin": origin,
                "id": str(event_id),
                "digests": [None if d is None else d.hex() for d in digests],
            }
            for (origin, event_id), digests in zip(wanted, found.digests, strict=True)
        ],
    }


def _format_state(state: object) -> str:
    packed = zlib.compress(json.dumps(state, separators=(",", ":")).encode())
    return base64.urlsafe_b64encode(packed).decode()


def _parse_state(text: str) -> Verification:
    try:
        unpacking = zlib.decompressobj()
        data = unpacking.decompress(base64.urlsafe_b64decode(text), _STATE_BYTES_MAX)
        return Verification.from_value(decode(data))
    except (ValueError, zlib.error):
        raise invalid_request("after is not the `next` of a page") from None


def _parse_at(text: str | None) -> list[tuple[Origin, EventId]]:
    parts = text.split(",") if text else []
    if len(parts) > AT_COUNT_MAX:
        raise invalid_request(
            f"at names {len(parts)} events; the limit is {AT_COUNT_MAX}"
        )
    found = []
    for part in parts:
        origin, _, event_id = part.partition("=")
        if origin not in _ORIGINS:
            raise invalid_request(f"at: {origin[:20]!r} is neither master nor standby")
        found.append((Origin(origin), parse_id("at", event_id)))
    return found
