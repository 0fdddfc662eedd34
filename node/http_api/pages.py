"""Long answers in pages: bounded in number and in bytes, each with where to go on. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

import attrs

Item = TypeVar("Item")


@attrs.frozen
class Page:
    """Some of many items."""

    encoded: list[bytes]
    """The items, as JSON."""
    more: bool
    """Whether there are further ones."""


def first_page(
    items: Iterable[Item],
    encoded: Callable[[Item], bytes],
    *,
    limit: int,
    bytes_max: int,
) -> Page:
    """The first of `items`: at most `limit`, and one more item after `bytes_max` is none.

    At least one item, if there is one, so that a reader always gets on.
    """
    page: list[bytes] = []
    size_bytes = 0
    for item in items:
        if len(page) == limit or size_bytes >= bytes_max:
            return Page(page, more=True)
        page.append(encoded(item))
        size_bytes += len(page[-1])
    return Page(page, more=False)
