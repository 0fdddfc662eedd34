"""`/entries`: the configuration, read from memory and changed through the store."""

from collections.abc import Mapping, Sequence
from typing import Annotated

from fastapi import APIRouter, Query, Request

from eventstore import Change, Delete, Entry, JsonValue, NoSuchEntry, Put
from node.http_api.lanes import Lanes, decoded, order
from node.http_api.pages import first_page
from node.http_api.refusals import Refusal, Reply
from node.http_api.replies import (
    ANY_BODY,
    BatchOrder,
    BatchReply,
    EntriesReply,
    EntryReply,
    StoredReply,
    body,
    errors,
)
from node.http_api.request_values import EntryKey, actor_of, parse_id_or_none, reason_of
from node.http_api.served_node import ServedNode
from node.http_api.strict_json import encode

PAGE_ENTRY_COUNT_MAX = 10_000
BATCH_CHANGE_COUNT_MAX = 1_000
REPLICATED_WITHIN_S_MAX = 60.0

Expected = Annotated[
    str | None, Query(description="Only if the entry was left by this event.")
]


def entries(node: ServedNode, lanes: Lanes) -> APIRouter:
    """The routes for the configuration of `node`."""
    router = APIRouter(tags=["entries"])

    @router.get(
        "/entries/{key:path}",
        summary="One entry",
        responses={200: {"model": EntryReply}, **errors(404)},
    )
    async def read(key: EntryKey) -> Reply:
        entry = node.entry(key)
        if entry is None:
            raise NoSuchEntry(f"there is no entry {key[:256]!r}")
        return Reply({"key": key, **_shown(entry)})

    @router.put(
        "/entries/{key:path}",
        summary="Store a value; durable here when it is answered",
        responses={200: {"model": StoredReply}, **errors(403, 409, 413, 503, 504)},
        openapi_extra=ANY_BODY,
    )
    async def put(
        request: Request,
        key: EntryKey,
        expected: Expected = None,
        replicated_within_s: Annotated[
            float | None,
            Query(
                gt=0,
                le=REPLICATED_WITHIN_S_MAX,
                description="Also wait until the peer has it, in seconds.",
            ),
        ] = None,
    ) -> Reply:
        actor, reason = actor_of(request), reason_of(request)
        version = parse_id_or_none("expected", expected)
        async with lanes.bodies.read(
            request, lanes.limits.value_body_bytes_max
        ) as data:
            event = await lanes.changes.run(
                lambda: node.put(
                    key,
                    decoded(data),
                    actor=actor,
                    reason=reason,
                    expected=version,
                    replicated_within_s=replicated_within_s,
                )
            )
        return Reply({"id": str(event.id)})

    @router.delete(
        "/entries/{key:path}",
        summary="Delete an entry; durable here when it is answered",
        responses={200: {"model": StoredReply}, **errors(403, 404, 409, 503)},
    )
    async def delete(
        request: Request, key: EntryKey, expected: Expected = None
    ) -> Reply:
        actor, reason = actor_of(request), reason_of(request)
        version = parse_id_or_none("expected", expected)
        event = await lanes.changes.run(
            lambda: node.delete(key, actor=actor, reason=reason, expected=version)
        )
        return Reply({"id": str(event.id)})

    @router.get(
        "/entries",
        summary="Entries by the start of their keys, in the order of their keys",
        responses={200: {"model": EntriesReply}, **errors(503)},
    )
    async def listed(
        prefix: str = "",
        after: Annotated[str | None, Query(description="`next` of a page.")] = None,
        limit: Annotated[
            int, Query(ge=1, le=PAGE_ENTRY_COUNT_MAX)
        ] = PAGE_ENTRY_COUNT_MAX,
    ) -> Reply:
        bytes_max = lanes.limits.page_bytes_max
        return Reply(
            await lanes.reads.run(
                lambda: _page(node.list(prefix), after, limit, bytes_max)
            )
        )

    @router.post(
        "/entries",
        summary="Store and delete up to 1000 entries, all or none",
        responses={200: {"model": BatchReply}, **errors(403, 404, 413, 503)},
        openapi_extra=body(BatchOrder),
    )
    async def change(request: Request) -> Reply:
        actor, reason = actor_of(request), reason_of(request)

        def store(data: bytearray) -> dict[str, str]:
            changes = _changes(order(BatchOrder, decoded(data)))
            if not changes:
                return {}
            events = node.change_many(changes, actor=actor, reason=reason)
            return {event.key: str(event.id) for event in events}

        async with lanes.bodies.read(request, lanes.limits.body_bytes_max) as data:
            return Reply({"ids": await lanes.changes.run(lambda: store(data))})

    return router


def _shown(entry: Entry) -> dict[str, JsonValue]:
    return {"value": entry.value, "id": str(entry.id), "origin": str(entry.origin)}


def _page(
    found: Mapping[str, Entry], after: str | None, limit: int, bytes_max: int
) -> bytes:
    """The answer to a listing, encoded piece by piece: the whole can be large."""
    keys = sorted(key for key in found if after is None or key > after)
    page = first_page(
        keys,
        lambda key: encode(key) + b":" + encode(_shown(found[key])),
        limit=limit,
        bytes_max=bytes_max,
    )
    following = keys[len(page.encoded) - 1] if page.more else None
    return b'{"entries":{%s},"next":%s}' % (b",".join(page.encoded), encode(following))


def _changes(batch: BatchOrder) -> Sequence[Change]:
    """The changes of a batch.

    Raises:
        Refusal: they are too many, or two of them are about one key.
    """
    keys = [*batch.put, *batch.delete]
    if len(keys) > BATCH_CHANGE_COUNT_MAX:
        raise Refusal(
            422,
            "invalid-entry",
            f"{len(keys)} changes in one request; the limit is "
            f"{BATCH_CHANGE_COUNT_MAX}",
        )
    if len(set(keys)) < len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise Refusal(422, "invalid-entry", f"key {twice[:256]!r} is changed twice")
    return [
        *(Put(key, value) for key, value in batch.put.items()),
        *(Delete(key) for key in batch.delete),
    ]
