"""How a request is refused: one JSON shape for every error, and a code for programs."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from eventstore import (
    ArchiveRefused,
    EntryChanged,
    EventStoreError,
    InvalidEntry,
    InvalidLicence,
    NoSuchConflict,
    NoSuchEntry,
    NoSuchPoint,
    ResyncRefused,
    WritesFrozen,
)
from node.errors import (
    LicenceRefused,
    NodeError,
    NoSuchLicence,
    NotMaster,
    NotReplicated,
    ResyncRolledBack,
    SwitchFailed,
    SwitchRefused,
    SwitchRolledBack,
)
from node.http_api.strict_json import encode

logger = logging.getLogger(__name__)
SHOWN_CHARACTERS_MAX = 60


class Reply(Response):
    """A JSON value; never kept by a cache, because all of it is true only now."""

    media_type = "application/json"

    def __init__(
        self,
        content: object,
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(
            content if isinstance(content, bytes) else encode(content),
            status_code,
            {"cache-control": "no-store", **(headers or {})},
        )


class ErrorReply(BaseModel):
    """Every answer with a status of 400 or above."""

    error: str = Field(description="What is wrong, in one line for people.")
    code: str = Field(description="What is wrong, for programs.")
    reasons: list[str] | None = Field(
        None, description="Every reason why a switch, resync or licence is refused."
    )
    id: str | None = Field(
        None, description="`entry-changed`: the id now; `not-replicated`: stored as."
    )


class Refusal(Exception):
    """A request ends here; `reply()` is what its sender gets."""

    def __init__(
        self,
        status: int,
        code: str,
        error: str,
        *,
        headers: Mapping[str, str] | None = None,
        **more: object,
    ) -> None:
        super().__init__(error)
        self.status, self.code, self.error = status, code, error
        self.headers, self.more = headers, more

    def reply(self) -> Reply:
        """The answer, in the shape of `ErrorReply`."""
        error = " ".join(self.error.split()).encode(errors="replace").decode()
        content = {"error": error, "code": self.code, **self.more}
        return Reply(content, self.status, self.headers)


def invalid_request(error: str) -> Refusal:
    """A header, a parameter or the shape of a body is not as documented."""
    return Refusal(422, "invalid-request", error)


def internal_error() -> Refusal:
    """Something that was not foreseen; the client learns nothing about it."""
    return Refusal(500, "internal-error", "internal error; see the node's log")


def of_model(error: ValidationError | RequestValidationError) -> Refusal:
    """A parameter or a part of a body that is outside its limits."""
    first = error.errors()[0]
    place: Sequence[object] = first["loc"]
    names = [str(p) for p in place if p not in ("query", "header", "path")]
    text = repr(first["input"]) if first["type"] != "missing" else "missing"
    if len(text) > SHOWN_CHARACTERS_MAX:
        text = text[:SHOWN_CHARACTERS_MAX] + "…"
    name = ".".join(names)[:SHOWN_CHARACTERS_MAX] or "the body"
    return invalid_request(f"{name} is {text}: {first['msg']}")


def of_error(error: Exception) -> Refusal:
    """What the sender is told about an error of the store or of the node."""
    text = str(error)
    match error:
        case Refusal():
            return error
        case RequestValidationError():
            return of_model(error)
        case HTTPException():
            return _of_routing(error)
        case InvalidEntry():
            return Refusal(422, "invalid-entry", text)
        case InvalidLicence():
            return Refusal(422, "invalid-licence", text)
        case NoSuchLicence():
            return Refusal(404, "no-such-licence", text)
        case NoSuchEntry():
            return Refusal(404, "no-such-entry", text)
        case NoSuchConflict():
            return Refusal(404, "no-such-conflict", text)
        case NoSuchPoint():
            return Refusal(404, "no-such-point", text)
        case EntryChanged():
            return Refusal(409, "entry-changed", text, id=error.current)
        case WritesFrozen():
            return Refusal(503, "writes-frozen", text)
        case ResyncRefused() | ArchiveRefused():
            return Refusal(409, "refused", text, reasons=list(error.reasons))
        case EventStoreError():  # For a client, all others come to "not now".
            return Refusal(503, "store-unavailable", text)
        case NotReplicated():
            return Refusal(504, "not-replicated", text, id=str(error.event_id))
        case NotMaster():
            return Refusal(409, "not-master", text)
        case SwitchRefused() | LicenceRefused():
            return Refusal(409, "refused", text, reasons=list(error.reasons))
        case SwitchRolledBack() | ResyncRolledBack():
            return Refusal(504, "rolled-back", text)
        case SwitchFailed():
            return Refusal(504, "switch-failed", text)
        case ClientDisconnect():
            return Refusal(400, "disconnected", "the request ended early")
        case _:
            logger.error("unexpected error in an HTTP request", exc_info=error)
            return internal_error()


def _of_routing(error: HTTPException) -> Refusal:
    if error.status_code == 404:
        return Refusal(404, "no-such-path", "there is nothing at this path")
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "")
        return Refusal(
            405,
            "method-not-allowed",
            f"this path allows {allowed}",
            headers=error.headers,
        )
    return Refusal(error.status_code, "invalid-request", str(error.detail))


async def answer(_: Request, error: Exception) -> Response:
    """The handler of FastAPI for all errors that are foreseen."""
    return of_error(error).reply()


FORESEEN: tuple[type[Exception], ...] = (
    Refusal,
    RequestValidationError,
    HTTPException,
    EventStoreError,
    NodeError,
    ClientDisconnect,
)
