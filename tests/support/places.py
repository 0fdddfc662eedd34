"""Where one side of a pair runs: on this machine as it is, or in a network of its own."""

from __future__ import annotations

import attrs

from node.pair.ports import HOST


@attrs.frozen
class Place:
    """The addresses of one side, and how a program is started there."""

    address: str = HOST
    """Where this process reaches its servers."""
    peer_address: str = HOST
    """Where the other side reaches them."""
    listen: str = HOST
    """Where they listen."""
    within: tuple[str, ...] = ()
    """A program, by its absolute path, and its arguments: it becomes the command behind."""


HERE = Place()
