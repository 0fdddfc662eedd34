"""`/replay`, `/diff`, `/blame` and `/explain`: what was, who made it so, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import attrs
from fastapi import APIRouter, Query, Request

from eventstore import (
    Blame,
    Difference,
    Entry,
    EventId,
    Origin,
    Replayed,
    Until,
    diff,
    format_vector,
    parse_point,
    parse_vector,
    told_changed,
    told_difference,
    told_event,
    told_explanation,
    told_standing,
)
from node.http_api.departure import until_departure
from node.http_api.kept_replays import KeptReplays
from node.http_api.lanes import Lanes
from node.http_api.pages import first_page
from node.http_api.past_replies import (
    BlameReply,
    DiffReply,
    ExplanationReply,
    ReplayReply,
)
from node.http_api.refusals import Reply, invalid_request
from node.http_api.replies import errors
from node.http_api.request_values import no_time
from node.http_api.served_past import ServedPast
from node.http_api.strict_json import encode

PAGE_COUNT_MAX = 10_000
CHANGE_COUNT_MAX = 1000
_POINT = (
    "A time (ISO 8601, UTC where no zone is named, or milliseconds since 1970), or a "
    "vector `master=ID,standby=ID`."
)
_KEY = Query(description="Exactly this key.")
_PREFIX = Query(description="Start of the key.")
_AFTER = Query(description="`next` of a page, which also holds the points.")
_LIMIT = Query(ge=1, le=PAGE_COUNT_MAX)


def past(node: ServedPast, lanes: Lanes) -> APIRouter:
    """The routes for what was on `node`."""
    router = APIRouter(tags=["history"])
    reader = _Reader(node, lanes, KeptReplays())

    @router.get(
        "/replay",
        summary="Entries as they were at a point of the past, by their keys",
        responses={200: {"model": ReplayReply}, **errors(404, 503)},
    )
    async def replay(
        request: Request,
        until: Annotated[str | None, Query(description=f"{_POINT} Else: now.")] = None,
        key: Annotated[str | None, _KEY] = None,
        prefix: Annotated[str | None, _PREFIX] = None,
        after: Annotated[str | None, _AFTER] = None,
        limit: Annotated[int, _LIMIT] = PAGE_COUNT_MAX,
    ) -> Reply:
        asked = _Asked(key, prefix, limit, lanes.limits.page_bytes_max)
        (point,), start = _points(after, ("until", until))
        (found,) = await reader.replayed([point], asked, request)
        page, more = await lanes.reads.run(lambda: _entries(found, start, asked))
        if more:
            reader.keep([found], asked)
        return Reply(page)

    @router.get(
        "/diff",
        summary="What became of entries between two points, by their keys",
        responses={200: {"model": DiffReply}, **errors(404, 503)},
    )
    async def difference(
        request: Request,
        from_: Annotated[str | None, Query(alias="from", description=_POINT)] = None,
        to: Annotated[str | None, Query(description=f"{_POINT} Else: now.")] = None,
        key: Annotated[str | None, _KEY] = None,
        prefix: Annotated[str | None, _PREFIX] = None,
        after: Annotated[str | None, _AFTER] = None,
        limit: Annotated[int, _LIMIT] = PAGE_COUNT_MAX,
    ) -> Reply:
        if from_ is None and after is None:
            raise invalid_request("from is missing: a time or a vector")
        asked = _Asked(key, prefix, limit, lanes.limits.page_bytes_max)
        points, start = _points(after, ("from", from_), ("to", to))
        found = await reader.replayed(points, asked, request)
        page, more = await lanes.reads.run(
            lambda: _differences(found[0], found[1], start, asked)
        )
        if more:
            reader.keep(found, asked)
        return Reply(page)

    @router.get(
        "/blame",
        summary="The changes that were the value of an entry, newest first",
        responses={200: {"model": BlameReply}, **errors(404, 503)},
    )
    async def blame(
        request: Request,
        key: Annotated[str, _KEY],
        until: Annotated[str | None, Query(description=f"{_POINT} Else: now.")] = None,
        limit: Annotated[int, Query(ge=1, le=CHANGE_COUNT_MAX)] = 100,
    ) -> Reply:
        point = _point("until", until)
        bytes_max = lanes.limits.page_bytes_max
        async with until_departure(request) as watch:
            return Reply(
                await lanes.walks.run(
                    lambda: _blame(
                        node.blame(key, point, limit=limit, watch=watch), bytes_max
                    ),
                    request,
                )
            )

    @router.get(
        "/explain",
        summary="Which changes compete for an entry, and why which one stands",
        responses={200: {"model": ExplanationReply}, **errors(404, 503)},
    )
    async def explain(
        request: Request,
        key: Annotated[str, _KEY],
        until: Annotated[str | None, Query(description=f"{_POINT} Else: now.")] = None,
    ) -> Reply:
        point = _point("until", until)
        async with until_departure(request) as watch:
            return Reply(
                await lanes.walks.run(
                    lambda: told_explanation(node.explain(key, point, watch=watch)),
                    request,
                )
            )

    return router


@attrs.frozen
class _Asked:
    """Which entries, and how many at a time."""

    key: str | None
    prefix: str | None
    limit: int
    bytes_max: int


@attrs.frozen
class _Reader:
    """Folds what is asked for, or finds it kept from the page before."""

    _node: ServedPast
    _lanes: Lanes
    _kept: KeptReplays

    async def replayed(
        self, points: list[Until], asked: _Asked, request: Request
    ) -> list[Replayed]:
        """The entries at each of `points`."""
        return [await self._one(point, asked, request) for point in points]

    def keep(self, found: list[Replayed], asked: _Asked) -> None:
        """Keep them for the next page."""
        for replayed in found:
            self._kept.keep(replayed, asked.key, asked.prefix)

    async def _one(self, point: Until, asked: _Asked, request: Request) -> Replayed:
        kept = self._kept.find(point, asked.key, asked.prefix)
        if kept is not None:
            return kept
        async with until_departure(request) as watch:
            return await self._lanes.walks.run(
                lambda: self._node.replay(
                    point, key=asked.key, prefix=asked.prefix, watch=watch
                ),
                request,
            )


def _entries(found: Replayed, start: str, asked: _Asked) -> tuple[bytes, bool]:
    last: str | None = None

    def encoded(entry: Entry) -> bytes:
        nonlocal last
        last = entry.key
        return encode(entry.key) + b":" + encode(told_event(entry.event))

    entries = (e for e in found.configuration.entries() if e.key > start)
    page = first_page(entries, encoded, limit=asked.limit, bytes_max=asked.bytes_max)
    content = b'{"at":%s,"entries":{%s},"next":%s}' % (
        encode(_told(found.cut)),
        b",".join(page.encoded),
        encode(_cursor([found], last) if page.more else None),
    )
    return content, page.more


def _differences(
    before: Replayed, after: Replayed, start: str, asked: _Asked
) -> tuple[bytes, bool]:
    last: str | None = None

    def encoded(difference: Difference) -> bytes:
        nonlocal last
        last = difference.key
        return encode(told_difference(difference))

    found = (d for d in diff(before, after) if d.key > start)
    page = first_page(found, encoded, limit=asked.limit, bytes_max=asked.bytes_max)
    content = b'{"from":%s,"to":%s,"differences":[%s],"next":%s}' % (
        encode(_told(before.cut)),
        encode(_told(after.cut)),
        b",".join(page.encoded),
        encode(_cursor([before, after], last) if page.more else None),
    )
    return content, page.more


def _blame(found: Blame, bytes_max: int) -> bytes:
    page = first_page(
        found.changes,
        lambda changed: encode(told_changed(changed)),
        limit=len(found.changes),
        bytes_max=bytes_max,
    )
    return b'%s,"changes":[%s],"more":%s}' % (
        encode(told_standing(found))[:-1],
        b",".join(page.encoded),
        encode(len(page.encoded) < found.change_count),
    )


def _told(cut: Mapping[Origin, EventId]) -> dict[str, str]:
    return {origin: str(cut[origin]) for origin in sorted(cut)}


def _cursor(found: list[Replayed], last: str | None) -> str:
    """Where the next page goes on: the points as vectors, and the last key."""
    points = ";".join(format_vector(replayed.cut) for replayed in found)
    return f"{points}:{last}"


def _points(
    after: str | None, *given: tuple[str, str | None]
) -> tuple[list[Until], str]:
    """The points that are asked for, and the key behind which to go on.

    Raises:
        Refusal: a point is none, or `after` is not what a page gave as `next`.
    """
    if after is None:
        return [_point(name, text) for name, text in given], ""
    vectors, colon, key = after.partition(":")
    texts = vectors.split(";")
    if not colon or len(texts) != len(given):
        raise invalid_request("after is not the `next` of a page")
    return [_vector(text) for text in texts], key


def _point(name: str, text: str | None) -> Until:
    if text is None:
        return None
    try:
        return parse_point(text)
    except ValueError:
        raise invalid_request(no_time(name, text)) from None


def _vector(text: str) -> Until:
    return parse_vector(text) if text else {}
