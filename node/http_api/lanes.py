"""Where the work of requests is done, and how their bodies become orders."""

import threading
from contextlib import nullcontext
from typing import TypeVar

import attrs
from pydantic import ValidationError

from eventstore import JsonValue
from node.http_api.limits import Bodies, Lane, Limits
from node.http_api.refusals import Refusal, of_model
from node.http_api.replies import Order
from node.http_api.strict_json import InvalidJson, decode

SomeOrder = TypeVar("SomeOrder", bound=Order)

_LARGE_BYTES = 64 * 1024
_LARGE_ONE_BY_ONE = threading.Lock()
"""Decoding holds the interpreter: several large bodies at once would hold up heartbeats."""


@attrs.frozen(init=False)
class Lanes:
    """One lane for each sort of work that may wait, all within the same limits."""

    limits: Limits
    bodies: Bodies
    changes: Lane
    """Writes to Redis."""
    reads: Lane
    """Long lists, from memory."""
    walks: Lane
    """Walks through the history, from Redis, which may be long."""
    orders: Lane
    """Switch and replication: they must get through while writes are stuck."""

    def __init__(self, limits: Limits) -> None:
        self.__attrs_init__(
            limits=limits,
            bodies=Bodies(limits),
            changes=Lane("changes", thread_count=8, waiting_count=32),
            reads=Lane("reads", thread_count=2, waiting_count=16),
            walks=Lane("the history", thread_count=2, waiting_count=16),
            orders=Lane("orders", thread_count=2, waiting_count=4),
        )


def decoded(data: bytearray) -> JsonValue:
    """The JSON value of a body.

    Raises:
        Refusal: it is none.
    """
    try:
        with _LARGE_ONE_BY_ONE if len(data) > _LARGE_BYTES else nullcontext():
            return decode(data)
    except InvalidJson as error:
        raise Refusal(422, "invalid-json", f"the body is not JSON: {error}") from None


def order(model: type[SomeOrder], value: JsonValue) -> SomeOrder:
    """The order that a body gives.

    Raises:
        Refusal: a name or a type in it is not as documented.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise of_model(error) from None
