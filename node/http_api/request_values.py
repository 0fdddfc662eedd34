"""What a request says outside its body: who asks and why, the key, ids and times."""

from typing import Annotated, get_origin
from urllib.parse import unquote_to_bytes

from fastapi import Depends, Path, Request
from fastapi.routing import APIRoute

from eventstore import ACTOR_BYTES_MAX, REASON_BYTES_MAX, EventId, Origin, parse_time
from node.http_api.refusals import Refusal, invalid_request
from node.roles import Role

ENTRIES_PATH = b"/entries/"


def actor_of(request: Request) -> str:
    """Who asks: the `X-Actor` header, else the name of the token.

    Raises:
        Refusal: the header is over its limit, or not text of one line.
    """
    named = _header(request, b"x-actor", ACTOR_BYTES_MAX)
    return named or str(request.scope["access"])


def reason_of(request: Request) -> str:
    """Why: the `X-Reason` header, else nothing.

    Raises:
        Refusal: as for the actor.
    """
    return _header(request, b"x-reason", REASON_BYTES_MAX)


def _header(request: Request, name: bytes, bytes_max: int) -> str:
    values = [value for key, value in request.scope["headers"] if key == name]
    shown = "-".join(word.capitalize() for word in name.decode().split("-"))
    if len(values) > 1:
        raise invalid_request(f"{shown} is given {len(values)} times")
    return checked_line(
        shown, unquote_to_bytes(values[0]) if values else b"", bytes_max
    )


def checked_line(name: str, data: bytes, bytes_max: int) -> str:
    """`data` as one line of text, which can go to a log.

    Raises:
        Refusal: it is over `bytes_max`, not UTF-8, or has a control character.
    """
    if len(data) > bytes_max:
        raise invalid_request(f"{name} has {len(data)} bytes; the limit is {bytes_max}")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise invalid_request(f"{name} is not UTF-8") from None
    if not text.isprintable():
        raise invalid_request(f"{name} has a control character")
    return text.strip()


async def _entry_key(
    request: Request,
    key: Annotated[
        str, Path(description="Key, percent-encoded; slashes may stay as they are.")
    ],
) -> str:
    """The key of `/entries/{key}`.

    Taken from the bytes of the path: in the decoded path, bytes that are not UTF-8 are
    replaced already, and the request would be about another key.
    """
    try:
        raw: bytes = request.scope["raw_path"]
        return unquote_to_bytes(raw.removeprefix(ENTRIES_PATH)).decode()
    except UnicodeDecodeError:
        raise Refusal(422, "invalid-entry", f"key {key!r} is not UTF-8") from None


EntryKey = Annotated[str, Depends(_entry_key)]


async def refuse_unknown_parameters(request: Request) -> None:
    """Refuse what would be ignored: a misspelt `expected` must not store without it.

    Raises:
        Refusal: a parameter is unknown, or given twice and takes one value.
    """
    route = request.scope["route"]
    assert isinstance(route, APIRoute)
    parameters = route.dependant.query_params
    known = {parameter.alias for parameter in parameters}
    many = {p.alias for p in parameters if get_origin(p.field_info.annotation) is list}
    given = [name for name, _ in request.query_params.multi_items()]
    for name in given:
        if name not in known:
            listed = ", ".join(sorted(known)) or "none"
            raise invalid_request(
                f"unknown parameter {name[:40]!r}; known here: {listed}"
            )
        if given.count(name) > 1 and name not in many:
            raise invalid_request(f"{name} is given {given.count(name)} times")


def parse_id_or_none(name: str, text: str | None) -> EventId | None:
    """The event id in the parameter `name`, if it is given.

    Raises:
        Refusal: it is none.
    """
    return None if text is None else parse_id(name, text)


def parse_id(name: str, text: str) -> EventId:
    """The event id in the parameter `name`.

    Raises:
        Refusal: it is none.
    """
    try:
        return EventId.parse(text)
    except ValueError as error:
        raise invalid_request(f"{name}: {error}") from None


def parse_time_ns(name: str, text: str | None) -> int | None:
    """The instant in the parameter `name`, in nanoseconds since 1970.

    As `parse_time` of `eventstore` reads it.

    Raises:
        Refusal: it is none.
    """
    if text is None:
        return None
    try:
        return parse_time(text)
    except ValueError:
        raise invalid_request(no_time(name, text)) from None


def no_time(name: str, text: str) -> str:
    """Why the parameter `name` is refused."""
    return (
        f"{name} is {text[:40]!r}, neither ISO 8601 nor milliseconds since 1970 "
        "(write + as %2B)"
    )


def parse_cursor(text: str | None) -> dict[Origin, EventId] | None:
    """Where a page of history ended; see `format_cursor`.

    Raises:
        Refusal: `text` is not what a page gave as `next`.
    """
    if text is None:
        return None
    cursor: dict[Origin, EventId] = {}
    for part in text.split(","):
        origin, _, event_id = part.partition("=")
        try:
            cursor[Origin(Role(origin))] = EventId.parse(event_id)
        except ValueError:
            raise invalid_request("after is not the `next` of a page") from None
    return cursor


def format_cursor(cursor: dict[Origin, EventId]) -> str:
    """The newest event of each origin up to the end of a page, for its successor."""
    return ",".join(f"{origin}={cursor[origin]}" for origin in sorted(cursor))


def parse_archive_cursor(text: str | None) -> tuple[str, EventId] | None:
    """Where a page of archived events ended; see `format_archive_cursor`.

    Raises:
        Refusal: `text` is not what a page gave as `next`.
    """
    if text is None:
        return None
    archive, _, event_id = text.rpartition("=")
    try:
        return archive, EventId.parse(event_id)
    except ValueError:
        raise invalid_request("after is not the `next` of a page") from None


def format_archive_cursor(archive: str, event_id: EventId) -> str:
    """The last event of a page of archived ones, for its successor."""
    return f"{archive}={event_id}"
