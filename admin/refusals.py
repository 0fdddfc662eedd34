"""A node's error reply -> the exception that says what can be done. Pure."""

from __future__ import annotations

import attrs

from admin.errors import (
    AdminError,
    NotAuthorised,
    Refused,
    ReplyUnclear,
    TimedOut,
    UsageProblem,
)
from admin.fields import shortened
from admin.json_text import JsonValue

_ERROR_CHARACTER_COUNT_MAX = 1000
_REASON_COUNT_MAX = 100

BY_CODE: dict[str, type[AdminError]] = {
    "not-authorised": NotAuthorised,
    "no-such-entry": Refused,
    "no-such-conflict": Refused,
    "no-such-licence": Refused,
    "no-such-point": Refused,
    "entry-changed": Refused,
    "refused": Refused,
    "not-master": Refused,
    "store-unavailable": Refused,
    "writes-frozen": Refused,
    "not-replicated": TimedOut,
    "rolled-back": TimedOut,
    "switch-failed": TimedOut,
    "invalid-entry": UsageProblem,
    "invalid-licence": UsageProblem,
    "invalid-json": UsageProblem,
    "too-large": UsageProblem,
    "no-such-path": ReplyUnclear,
}
"""The node's codes. A code of a later version is judged by its HTTP status instead."""

_BY_STATUS: dict[int, type[AdminError]] = {
    400: UsageProblem,
    401: NotAuthorised,
    403: NotAuthorised,
    404: Refused,
    409: Refused,
    413: UsageProblem,
    422: UsageProblem,
    429: Refused,
    500: AdminError,
    503: Refused,
    504: TimedOut,
}


@attrs.frozen
class Caller:
    """What a remedy depends on."""

    url: str
    has_token: bool


def refusal(status: int, reply: JsonValue, caller: Caller) -> AdminError:
    """The error that the reply `reply` with the HTTP status `status` means."""
    if not isinstance(reply, dict) or not isinstance(reply.get("error"), str):
        return ReplyUnclear(
            f"{caller.url} answered {status} without saying why; is this the URL of a node?"
        )
    code = reply.get("code")
    code = code if isinstance(code, str) else ""
    kind = BY_CODE.get(code) or _BY_STATUS.get(status, ReplyUnclear)
    text = one_line(str(reply["error"]))
    return kind(
        text + _remedy(kind, status, caller), code=code, reasons=_reasons(reply)
    )


def one_line(text: str) -> str:
    """`text` on one line of bounded length, without control characters."""
    plain = "".join(c if c.isprintable() else " " for c in text)
    return shortened(" ".join(plain.split()), _ERROR_CHARACTER_COUNT_MAX)


def _reasons(reply: dict[str, JsonValue]) -> list[str]:
    reasons = reply.get("reasons")
    if not isinstance(reasons, list):
        return []
    return [one_line(str(reason)) for reason in reasons[:_REASON_COUNT_MAX]]


def _remedy(kind: type[AdminError], status: int, caller: Caller) -> str:
    if kind is NotAuthorised and not caller.has_token:
        return "; no token was given: use --token-file FILE or NETPHONE_TOKEN"
    if kind is NotAuthorised and status == 403:
        return "; use the token that may change"
    if kind is NotAuthorised:
        return "; the token is not one of this node's: check --token-file or NETPHONE_TOKEN"
    if kind is ReplyUnclear:
        return f"; is {caller.url} the URL of a node, without a path?"
    return ""
