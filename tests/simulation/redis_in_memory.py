"""As much of Redis as `eventstore.streams` uses, in memory and fast.

`tests/contracts/test_redis_in_memory.py` holds it against fakeredis and a real redis-server.
Ids are compared as numbers, errors have the texts of Redis; what is not used is not there.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import attrs
import redis

from eventstore.streams import _APPEND, _PUT, _SWAP, _TRIM

Id = tuple[int, int]
Fields = dict[bytes, bytes]
_LEAST: Id = (0, 0)
_GREATEST: Id = (2**64 - 1, 2**64 - 1)


@attrs.define
class _Stream:
    """Entries by id, and the last id given, which outlives its entry."""

    ids: list[Id] = attrs.field(factory=list)
    fields: list[Fields] = attrs.field(factory=list)
    top: Id = _LEAST

    def copy(self) -> _Stream:
        return _Stream(list(self.ids), list(self.fields), self.top)

    def add(self, entry_id: Id, fields: Fields) -> None:
        if entry_id <= self.top:
            raise redis.ResponseError(
                "The ID specified in XADD is equal or smaller than the target stream top item"
            )
        self.ids.append(entry_id)
        self.fields.append(fields)
        self.top = entry_id

    def between(self, least: str, most: str) -> range:
        first = bisect_left(self.ids, _least(least))
        if most.startswith("("):
            return range(first, bisect_left(self.ids, _id(most[1:])))
        return range(
            first, bisect_right(self.ids, _GREATEST if most == "+" else _id(most))
        )

    def entries(self, places: Sequence[int]) -> Entries:
        return [(_raw(self.ids[place]), self.fields[place]) for place in places]


Content = Mapping[str, "_Stream | dict[bytes, bytes]"]
"""Everything that a Redis holds."""
_Value = _Stream | dict[bytes, bytes]
Entries = list[tuple[bytes, Fields]]
OnReplaced = Callable[[str, Entries, Entries], None]
"""Told of a stream that gave way: its key, what of it is gone, and what was archived."""


OnTrimmed = Callable[[str, Entries], None]
"""Told of a stream that was trimmed: its key, and what of it is gone."""


class RedisInMemory:
    """The server and its client in one: what `Streams` calls, by the names of redis-py."""

    def __init__(self) -> None:
        self.on_replaced: OnReplaced = lambda _key, _gone, _archive: None
        self.on_trimmed: OnTrimmed = lambda _key, _gone: None
        self._values: dict[str, _Value] = {}

    def content(self) -> Content:
        """Everything, as of now."""
        return {key: value.copy() for key, value in self._values.items()}

    def restore(self, content: Content) -> None:
        """Hold this and nothing else, as after a start from another file."""
        self._values = {key: value.copy() for key, value in content.items()}

    # Streams.

    def xadd(self, key: str, fields: Mapping[bytes, bytes], entry_id: str) -> None:
        stream = self._values.setdefault(key, _Stream())
        assert isinstance(stream, _Stream)
        try:
            stream.add(_id(entry_id), dict(fields))
        finally:
            if not stream.ids:
                del self._values[key]

    def xrange(
        self, key: str, least: str = "-", most: str = "+", count: int | None = None
    ) -> Entries:
        stream = self._stream(key)
        return stream.entries(stream.between(least, most)[:count])

    def xrevrange(
        self, key: str, most: str = "+", least: str = "-", count: int | None = None
    ) -> Entries:
        stream = self._stream(key)
        return stream.entries(stream.between(least, most)[::-1][:count])

    def xread(
        self, after: Mapping[str, str], count: int | None, block: int | None
    ) -> list[list[object]]:
        """Never waits: whoever follows a simulated stream is woken when it grows."""
        found: list[list[object]] = [
            [key.encode(), self.xrange(key, f"({entry_id}", "+", count)]
            for key, entry_id in after.items()
        ]
        return [pair for pair in found if pair[1]]

    # Other keys.

    def delete(self, *keys: str) -> int:
        return sum(self._values.pop(key, None) is not None for key in keys)

    def hgetall(self, key: str) -> dict[bytes, bytes]:
        found = self._values.get(key, {})
        assert isinstance(found, dict)
        return dict(found)

    def hset(self, key: str, *, mapping: Mapping[str, bytes]) -> int:
        found = self._values.setdefault(key, {})
        assert isinstance(found, dict)
        before = len(found)
        found.update({name.encode(): value for name, value in mapping.items()})
        return len(found) - before

    def setrange(self, key: str, offset: int, value: str) -> int:
        """As `Streams.probe` calls it: a write that changes nothing."""
        assert (offset, value) == (0, ""), "only this one is known"
        return 0

    def ping(self) -> bool:
        return True

    def close(self) -> None:
        """There is no connection."""

    # Scripts.

    def register_script(self, script: str) -> Callable[[list[str], list[Any]], bytes]:
        """The product's own scripts, in Python."""
        run = {
            _APPEND: self._append,
            _SWAP: self._swap,
            _PUT: self._put,
            _TRIM: self._trim,
        }[script]
        return lambda keys, args: run(keys, args)

    def _append(self, keys: list[str], arguments: list[Any]) -> bytes:
        last = self._last(keys[0])
        if last.decode() != arguments[0]:
            return last
        for entry_id, blob in zip(arguments[1::2], arguments[2::2], strict=True):
            self.xadd(keys[0], {b"e": blob}, entry_id)
        return b"appended"

    def _swap(self, keys: list[str], arguments: list[str]) -> bytes:
        places = [keys[at : at + 4] for at in range(1, len(keys), 4)]
        named = [arguments[at : at + 4] for at in range(0, len(arguments), 4)]
        for keys_of_one, ends in zip(places, named, strict=True):
            for key, end in zip(keys_of_one[:3], ends[:3], strict=True):
                if self._last(key).decode() != end:
                    return self._last(key)
        for (stream, making, archiving, archive), (*_, archived, name) in zip(
            places, named, strict=True
        ):
            if archiving in self._values:
                self._values[archive] = self._values.pop(archiving)
                archives = cast(
                    dict[bytes, bytes], self._values.setdefault(keys[0], {})
                )
                archives[name.encode()] = archived.encode()
            before = self.xrange(stream)
            self._values.pop(stream, None)
            if making in self._values:
                self._values[stream] = self._values.pop(making)
            gone = [entry for entry in before if entry not in self.xrange(stream)]
            self.on_replaced(stream, gone, self.xrange(archive))
        return b"swapped"

    def _put(self, keys: list[str], ends: list[str]) -> bytes:
        for key, end in zip(keys, ends, strict=True):
            if self._last(key).decode() != end:
                return self._last(key)
        if keys[1] not in self._values:
            raise redis.ResponseError("no such key")
        self._values[keys[0]] = self._values.pop(keys[1])
        return b"put"

    def _trim(self, keys: list[str], arguments: list[Any]) -> bytes:
        if not self.xrange(keys[0]) or self._last(keys[0]).decode() != arguments[0]:
            return b"snapshot"
        first = list(zip(keys[1:], arguments[1::2], arguments[2::2], strict=True))
        for key, entry_id, blob in first:
            found = self.xrange(key, entry_id, entry_id)
            if not found or found[0][1] != {b"e": blob}:
                return key.encode()
        for key, entry_id, _ in first:
            stream = self._stream(key)
            kept = stream.between(entry_id, "+")
            gone = stream.entries(range(kept.start))
            del stream.ids[: kept.start], stream.fields[: kept.start]
            self.on_trimmed(key, gone)
        return b"trimmed"

    def _last(self, key: str) -> bytes:
        found = self.xrevrange(key, count=1)
        return found[0][0] if found else b"0-0"

    def _stream(self, key: str) -> _Stream:
        found = self._values.get(key)
        if found is None:
            return _Stream()
        assert isinstance(found, _Stream)
        return found


def _id(text: str) -> Id:
    ms, _, n = text.partition("-")
    return int(ms), int(n)


def _least(text: str) -> Id:
    if text == "-":
        return _LEAST
    if text.startswith("("):
        ms, n = _id(text[1:])
        return ms, n + 1
    return _id(text)


def _raw(entry_id: Id) -> bytes:
    return b"%d-%d" % entry_id
