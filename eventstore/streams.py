"""The two streams of a pair in one Redis: append, read, follow.

Keys, each with the pair's name in braces, which keep a pair in one slot of a Redis Cluster:

    netphone:{PAIR}:events:ORIGIN      a Redis stream for each origin
    netphone:{PAIR}:archive:NAME       events that were replaced, as they were: a stream
    netphone:{PAIR}:archives           a hash: the name of each archive -> its newest id
    netphone:{PAIR}:snapshot:NAME      a snapshot: a stream of its parts (`snapshot_format`)
    netphone:{PAIR}:first-digests      a hash: origin -> SHA-256 of its event 1, once archived
    netphone:{PAIR}:temporary:…        what is in the making; left-overs are removed at start
    netphone:{PAIR}:note:NAME          a small fact of this node that changes too often for events

Each stream entry has one field, `e`, with the bytes of `codec.encode`; its Redis id is the
event's id.

Clients are made here and nowhere else. They never retry by themselves: redis-py would
send an append twice (pitfalls R1). RESP2 keeps one shape of replies (R6).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar, cast
from urllib.parse import urlsplit

import attrs
import redis
from redis.backoff import NoBackoff
from redis.exceptions import NoPermissionError
from redis.retry import Retry

from eventstore.errors import (
    DamagedEvent,
    StoreRefused,
    StoreUnavailable,
    UnsuitableStore,
)
from eventstore.event import START, EventId, Origin
from eventstore.memory import Stored

PAGE_EVENT_COUNT: Final = 500
"""Events read at once; at the limit of event size a page has 34 MB."""
NOTE_BYTES_MAX: Final = 1024
FIELD: Final = b"e"
_ID_MAX: Final = EventId(2**64 - 1, 2**64 - 1)

# Answers the id that the stream really ends with when it is not the predecessor named,
# and then adds nothing. An error within the script can only come from its first XADD.
_APPEND: Final = """
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
local found = '0-0'
if last[1] then found = last[1][1] end
if found ~= ARGV[1] then return found end
for i = 2, #ARGV, 2 do
  redis.call('XADD', KEYS[1], ARGV[i], 'e', ARGV[i + 1])
end
return 'appended'
"""

# Puts streams in the place of others, all or none, and only if each stream, the one that
# replaces it and its archive still end with the ids named: a call that arrives late, when
# what was made is cleared, must not empty a stream. Four keys for each: the stream, the one
# that replaces it, the archive in the making, and its place.
_SWAP: Final = """
for i = 1, #ARGV / 4 do
  for part = 0, 2 do
    local key = KEYS[4 * i - 2 + part]
    local last = redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)
    local found = '0-0'
    if last[1] then found = last[1][1] end
    if found ~= ARGV[4 * i - 3 + part] then return found end
  end
end
for i = 1, #ARGV / 4 do
  local at = 4 * i - 2
  if redis.call('EXISTS', KEYS[at + 2]) == 1 then
    redis.call('RENAME', KEYS[at + 2], KEYS[at + 3])
    redis.call('HSET', KEYS[1], ARGV[4 * i], ARGV[4 * i - 1])
  end
  if redis.call('EXISTS', KEYS[at + 1]) == 1 then
    redis.call('RENAME', KEYS[at + 1], KEYS[at])
  else
    redis.call('DEL', KEYS[at])
  end
end
return 'swapped'
"""

# Puts a stream in the place of another, or of none, if both still end with the ids named: a
# call that arrives late must not put there what is half made.
_PUT: Final = """
for i = 1, 2 do
  local last = redis.call('XREVRANGE', KEYS[i], '+', '-', 'COUNT', 1)
  local found = '0-0'
  if last[1] then found = last[1][1] end
  if found ~= ARGV[i] then return found end
end
redis.call('RENAME', KEYS[2], KEYS[1])
return 'put'
"""

# Removes all entries before the one named from each stream, if it is there with these bytes,
# and the snapshot of what is then gone still ends with the id named. In all streams, or none.
_TRIM: Final = """
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
if not last[1] or last[1][1] ~= ARGV[1] then return 'snapshot' end
for i = 2, #KEYS do
  local at = redis.call('XRANGE', KEYS[i], ARGV[2 * i - 2], ARGV[2 * i - 2])
  if not at[1] or at[1][2][2] ~= ARGV[2 * i - 1] then return KEYS[i] end
end
for i = 2, #KEYS do
  redis.call('XTRIM', KEYS[i], 'MINID', '=', ARGV[2 * i - 2])
end
return 'trimmed'
"""

_Reply = TypeVar("_Reply")


@attrs.frozen
class Swap:
    """The stream of `origin`, which ends with `last`, gives way to the one in the making.

    That one ends with `made`; `START`: the stream becomes empty. What was put in the archive
    in the making, up to `archived`, is kept as `archive`; `START`: nothing was.
    """

    origin: Origin
    last: EventId
    made: EventId
    archived: EventId
    archive: str


@attrs.frozen
class Archive:
    """Events of one origin that were replaced: readable like a stream."""

    name: str
    last: EventId

    @property
    def origin(self) -> Origin:
        return Origin(self.name.partition("-")[0])


@attrs.frozen
class Suitability:
    """What Redis says of its own durability; None where it would not say."""

    version: str | None
    appendonly: bool | None
    appendfsync: str | None


def connect(
    url: str, *, password: str | None, timeout_s: float, connect_timeout_s: float = 1.0
) -> redis.Redis:
    """A client that neither retries nor waits longer than told, for one purpose."""
    return redis.Redis.from_url(
        url,
        password=password,
        protocol=2,
        decode_responses=False,
        retry=Retry(NoBackoff(), 0),
        socket_timeout=timeout_s,
        socket_connect_timeout=connect_timeout_s,
    )


class Streams:
    """The streams of `pair` behind `client`. Thread-safe, as the client is."""

    def __init__(self, client: redis.Redis, pair: str, *, name: str) -> None:
        self._client = client
        self._pair = pair
        self._name = name
        self._append = client.register_script(_APPEND)
        self._swap = client.register_script(_SWAP)
        self._put = client.register_script(_PUT)
        self._trim = client.register_script(_TRIM)

    @property
    def pair(self) -> str:
        return self._pair

    def key(self, origin: Origin) -> str:
        return f"netphone:{{{self._pair}}}:events:{origin}"

    def append(
        self, origin: Origin, after: EventId, batch: Sequence[Stored]
    ) -> EventId | None:
        """Add `batch` behind `after`, all or none, in one round trip.

        None: appended, and durable at the `appendfsync` level of this Redis. An id: the
        stream ends there and not with `after`; nothing was added. Repeating a call is
        harmless.

        Raises:
            StoreUnavailable: no answer, so the outcome is unknown, or Redis refused.
        """
        return self._append_to(self.key(origin), after, batch)

    def _append_to(
        self, key: str, after: EventId, batch: Sequence[Stored]
    ) -> EventId | None:
        arguments: list[str | bytes] = [str(after)]
        for event_id, blob in batch:
            arguments += (str(event_id), blob)
        reply = cast(
            bytes, self._call(lambda: self._append(keys=[key], args=arguments))
        )
        return None if reply == b"appended" else _parse_id(reply)

    def read(self, origin: Origin, after: EventId, count: int) -> list[Stored]:
        """At most `count` entries behind `after`, oldest first.

        Raises:
            StoreUnavailable: Redis did not answer.
            DamagedEvent: an entry has not the one field that events have.
        """
        return self._read_from(self.key(origin), after, count)

    def _read_from(self, key: str, after: EventId, count: int) -> list[Stored]:
        if after == _ID_MAX:
            return []  # Nothing can be behind it, and Redis takes the question amiss.
        first = f"({after}" if after != START else "-"
        return _entries(self._call(lambda: self._client.xrange(key, first, "+", count)))

    def read_back(
        self, origin: Origin, before: EventId | None, count: int
    ) -> list[Stored]:
        """At most `count` entries before `before` (None: from the end), newest first.

        Raises: as `read`.
        """
        first = "+" if before is None else f"({before}"
        key = self.key(origin)
        return _entries(
            self._call(lambda: self._client.xrevrange(key, first, "-", count))
        )

    def first(self, origin: Origin) -> Stored | None:
        """The oldest entry; None: there is none.

        Where its number is above 1, all before it was archived and is not here any more.

        Raises: as `read`.
        """
        found = self.read(origin, START, 1)
        return found[0] if found else None

    def trim(
        self, first: Mapping[Origin, Stored], snapshot: str, snapshot_end: EventId
    ) -> None:
        """Let each stream begin with the entry given: what is before it is gone.

        Done in all streams or none, in one step, and only while the snapshot ends with
        `snapshot_end`: it has what the entries up to there left. Doing it again changes
        nothing.

        Raises:
            StoreUnavailable: no answer, or an entry or the snapshot is not there.
        """
        keys, arguments = [self._snapshot(snapshot)], list[str | bytes]()
        arguments.append(str(snapshot_end))
        for origin, (event_id, blob) in first.items():
            keys.append(self.key(origin))
            arguments += (str(event_id), blob)
        reply = cast(bytes, self._call(lambda: self._trim(keys=keys, args=arguments)))
        if reply != b"trimmed":
            raise StoreUnavailable(
                f"{self._name}: {reply.decode()} is not what it was, and nothing was trimmed"
            )

    def first_digests(self) -> dict[Origin, bytes]:
        """The digests of the first events of streams of which they were archived.

        Raises:
            StoreUnavailable: Redis did not answer.
        """
        found = cast(
            dict[bytes, bytes],
            self._call(lambda: self._client.hgetall(self._first_digests)),
        )
        return {Origin(o.decode("utf-8", "replace")): d for o, d in found.items()}

    def keep_first_digests(self, digests: Mapping[Origin, bytes]) -> None:
        """Remember these beside the streams; they never change.

        Raises:
            StoreUnavailable: Redis did not answer.
        """
        mapping: dict[Any, Any] = {str(o): digest for o, digest in digests.items()}
        self._call(lambda: self._client.hset(self._first_digests, mapping=mapping))

    # Replacing a stream: everything in the making is not yet there for anybody.

    def clear(self, origins: Sequence[Origin]) -> None:
        """Remove what an interrupted replacement left in the making.

        Raises:
            StoreUnavailable: Redis did not answer.
        """
        keys = [key(o) for o in origins for key in (self._making, self._archiving)]
        self._call(lambda: self._client.delete(*keys))

    def make(self, origin: Origin, after: EventId, batch: Sequence[Stored]) -> None:
        """Add `batch` to the stream in the making, which ends with `after`.

        Raises:
            StoreUnavailable: no answer, or somebody else makes one: `clear`, and begin anew.
        """
        self._make_in(self._making(origin), after, batch)

    def make_archive(
        self, origin: Origin, after: EventId, batch: Sequence[Stored]
    ) -> None:
        """Add `batch` to the archive in the making.

        Raises: as `make`.
        """
        self._make_in(self._archiving(origin), after, batch)

    def swap(self, swaps: Sequence[Swap]) -> None:
        """Let what was made take its place, all or none, in one step.

        Durable at the `appendfsync` level of this Redis.

        Raises:
            StoreUnavailable: no answer, or a stream does not end as it did: nothing is
                lost; look at the streams, and begin anew where it did not happen.
        """
        keys, arguments = [self._archives], []
        for swap in swaps:
            keys += [
                self.key(swap.origin),
                self._making(swap.origin),
                self._archiving(swap.origin),
                self._archive(swap.archive),
            ]
            ends = swap.last, swap.made, swap.archived
            arguments += [*(str(end) for end in ends), swap.archive]
        reply = cast(bytes, self._call(lambda: self._swap(keys=keys, args=arguments)))
        if reply != b"swapped":
            raise StoreUnavailable(
                f"{self._name}: a stream ends with {reply.decode()} and was not replaced"
            )

    def archives(self) -> list[Archive]:
        """All archives, by name.

        Raises:
            StoreUnavailable: Redis did not answer.
            DamagedEvent: an entry of the list is no id.
        """
        found = cast(
            dict[bytes, bytes],
            self._call(lambda: self._client.hgetall(self._archives)),
        )
        return [
            Archive(name.decode("utf-8", "replace"), _parse_id(last))
            for name, last in sorted(found.items())
        ]

    def read_archive(self, archive: str, after: EventId, count: int) -> list[Stored]:
        """At most `count` entries of an archive behind `after`, oldest first.

        Raises: as `read`.
        """
        return self._read_from(self._archive(archive), after, count)

    # Snapshots, by name: each is a stream of parts, and in place as a whole or not at all.

    def snapshot_parts(self, name: str, after: EventId, count: int) -> list[Stored]:
        """At most `count` parts of a snapshot behind `after`, in order.

        Raises: as `read`.
        """
        return self._read_from(self._snapshot(name), after, count)

    def snapshot_end(self, name: str) -> EventId:
        """The id of the last part; `START`: there is no such snapshot.

        Raises: as `last`.
        """
        found = self._last_of(self._snapshot(name))
        return START if found is None else found[0]

    def clear_snapshot(self, name: str) -> None:
        """Remove what an interrupted writing left in the making.

        Raises:
            StoreUnavailable: Redis did not answer.
        """
        self._call(lambda: self._client.delete(self._making_snapshot(name)))

    def make_snapshot(self, name: str, after: EventId, batch: Sequence[Stored]) -> None:
        """Add parts to the snapshot in the making, which ends with `after`.

        Raises: as `make`.
        """
        self._make_in(self._making_snapshot(name), after, batch)

    def put_snapshot(self, name: str, *, last: EventId, made: EventId) -> None:
        """Let the snapshot in the making, which ends with `made`, replace the one before.

        That one ends with `last`; `START`: there is none. Both or neither, in one step.

        Raises:
            StoreUnavailable: no answer, or one of them does not end so; one of both is there.
        """
        keys = [self._snapshot(name), self._making_snapshot(name)]
        ends = [str(last), str(made)]
        reply = cast(bytes, self._call(lambda: self._put(keys=keys, args=ends)))
        if reply != b"put":
            raise StoreUnavailable(
                f"{self._name}: snapshot {name!r} ends with {reply.decode()} and was not "
                "replaced"
            )

    def _snapshot(self, name: str) -> str:
        return f"netphone:{{{self._pair}}}:snapshot:{name}"

    def _making_snapshot(self, name: str) -> str:
        return f"netphone:{{{self._pair}}}:temporary:snapshot:{name}"

    @property
    def _first_digests(self) -> str:
        return f"netphone:{{{self._pair}}}:first-digests"

    @property
    def _archives(self) -> str:
        return f"netphone:{{{self._pair}}}:archives"

    def _archive(self, name: str) -> str:
        return f"netphone:{{{self._pair}}}:archive:{name}"

    def _making(self, origin: Origin) -> str:
        return f"netphone:{{{self._pair}}}:temporary:events:{origin}"

    def _archiving(self, origin: Origin) -> str:
        return f"netphone:{{{self._pair}}}:temporary:archive:{origin}"

    def _make_in(self, key: str, after: EventId, batch: Sequence[Stored]) -> None:
        found = self._append_to(key, after, batch)
        if found is not None and found != batch[-1][0]:
            raise StoreUnavailable(
                f"{self._name}: {key} ends with {found}, not with {after}"
            )

    # Notes: each is one string, replaced as a whole.

    def note(self, name: str) -> bytes | None:
        """What was noted as `name`; None: nothing, or what cannot have been noted.

        Raises:
            StoreUnavailable: Redis did not answer.
        """
        key = self._note(name)
        try:
            reply = self._call(lambda: self._client.getrange(key, 0, NOTE_BYTES_MAX))
        except StoreRefused as error:
            if "WRONGTYPE" in str(error):
                return None
            raise
        found = cast(bytes, reply)
        return found if 0 < len(found) <= NOTE_BYTES_MAX else None

    def put_note(self, name: str, text: bytes) -> None:
        """Note `text` as `name`, in the place of what was noted before.

        Durable at the `appendfsync` level of this Redis.

        Raises:
            StoreUnavailable: Redis did not answer, or refused.
        """
        assert 0 < len(text) <= NOTE_BYTES_MAX, "a note is small"
        self._call(lambda: self._client.set(self._note(name), text))

    def _note(self, name: str) -> str:
        return f"netphone:{{{self._pair}}}:note:{name}"

    def last(self, origin: Origin) -> Stored | None:
        """The newest entry.

        Raises:
            StoreUnavailable: Redis did not answer.
            DamagedEvent: it has not the one field that events have.
        """
        return self._last_of(self.key(origin))

    def _last_of(self, key: str) -> Stored | None:
        found = _entries(self._call(lambda: self._client.xrevrange(key, count=1)))
        return found[0] if found else None

    def at(self, origin: Origin, event_id: EventId) -> bytes | None:
        """The bytes stored under `event_id`.

        Raises:
            StoreUnavailable: Redis did not answer.
            DamagedEvent: the entry has not the one field that events have.
        """
        key, place = self.key(origin), str(event_id)
        found = _entries(self._call(lambda: self._client.xrange(key, place, place)))
        return found[0][1] if found else None

    def follow(
        self, origin: Origin, after: EventId, count: int, block_ms: int | None
    ) -> list[Stored]:
        """As `read`, but wait up to `block_ms` for the first one; None: do not.

        The client's timeout must be longer than the block.
        """
        key = self.key(origin)
        reply = self._call(
            lambda: self._client.xread({key: str(after)}, count, block_ms)
        )
        pairs = cast(list[tuple[bytes, Any]], reply or [])
        return [stored for _, found in pairs for stored in _entries(found)]

    def check(self) -> Suitability:
        """Whether this Redis can be trusted with events.

        Redis that keeps some of the facts to itself (a managed one) is believed.

        Raises:
            StoreUnavailable: Redis did not answer.
            UnsuitableStore: it is a replica, evicts keys, or does not let us in.
        """
        self.ping()
        facts = self._facts()
        if facts.get("role") in ("slave", "replica"):
            raise UnsuitableStore(
                f"{self._name} is a read-only replica; name the Redis that takes writes"
            )
        policy = facts.get("maxmemory_policy")
        if policy not in (None, "noeviction"):
            raise UnsuitableStore(
                f"{self._name} has maxmemory-policy {policy}, which would throw events "
                "away; set it to noeviction"
            )
        aof = facts.get("aof_enabled")
        return Suitability(
            version=facts.get("redis_version"),
            appendonly=None if aof is None else str(aof) == "1",
            appendfsync=self._setting("appendfsync"),
        )

    def ping(self) -> None:
        """See that Redis answers.

        Raises:
            StoreUnavailable, UnsuitableStore: it does not, or not us.
        """
        self._call(self._client.ping)

    def probe(self) -> None:
        """See that Redis takes writes: a write that changes nothing goes through.

        Raises:
            StoreUnavailable, UnsuitableStore: it does not answer, or not us, or refuses
                writes (full memory or disk, read-only).
        """
        key = f"netphone:{{{self._pair}}}:probe"
        self._call(lambda: self._client.setrange(key, 0, ""))

    def close(self) -> None:
        """Close the client's connections."""
        self._client.close()

    def _facts(self) -> dict[str, Any]:
        try:
            return self._call(self._client.info)
        except UnsuitableStore:
            return {}  # The user may not ask; nothing can be concluded from that.

    def _setting(self, name: str) -> str | None:
        try:
            found = self._call(lambda: self._client.config_get(name))
        except UnsuitableStore:
            return None
        value = cast(dict[Any, Any], found)
        text = value.get(name, value.get(name.encode()))
        return text.decode() if isinstance(text, bytes) else text

    def _call(self, command: Callable[[], _Reply]) -> _Reply:
        """Run `command`, in our own errors.

        Order matters: a loading Redis is a ConnectionError to redis-py, a wrong
        password too.
        """
        try:
            return command()
        except (redis.AuthenticationError, NoPermissionError) as error:
            raise UnsuitableStore(f"{self._name} refuses us: {error}") from error
        except redis.BusyLoadingError as error:
            raise StoreRefused(f"{self._name} is still loading its data") from error
        except redis.TimeoutError as error:
            raise StoreUnavailable(f"{self._name} did not answer in time") from error
        except (redis.ConnectionError, OSError) as error:
            # These two can only come from connecting: nothing was sent.
            refusals = (ConnectionRefusedError, FileNotFoundError)
            unsent = isinstance(error.__context__, refusals)
            kind = StoreRefused if unsent else StoreUnavailable
            raise kind(f"{self._name} cannot be reached: {error}") from error
        except redis.ResponseError as error:
            if "unknown command" in str(error):
                raise UnsuitableStore(f"{self._name} lacks it: {error}") from error
            if str(error).startswith("NOAUTH"):
                raise UnsuitableStore(f"{self._name} wants a password") from error
            raise StoreRefused(f"{self._name} refused: {_refusal(error)}") from error
        except redis.RedisError as error:
            raise StoreUnavailable(
                f"{self._name} does not answer as Redis does: {error}"
            ) from error


def _refusal(error: Exception) -> str:
    """What Redis said, without the place in our script, and what to do about it."""
    text = _SCRIPT_PLACE.sub("", str(error))
    remedy = next((r for code, r in _REMEDIES.items() if code in text), None)
    return f"{text.rstrip('.')}; {remedy}" if remedy else text


_SCRIPT_PLACE: Final = re.compile(r"^Error running script.*@user_script: ?\d+: -?")
_REMEDIES: Final = {
    "MISCONF": "free space on its disk",
    "maxmemory": "raise its maxmemory, or free memory",
    "READONLY": "name the Redis that takes writes",
}


def display_url(url: str) -> str:
    """`url` for messages: no user, no password, no query."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"


def _parse_id(raw: bytes) -> EventId:
    try:
        return EventId.parse(raw.decode("ascii", "replace"))
    except ValueError as error:
        raise DamagedEvent(str(error)) from None


def _entries(reply: Any) -> list[Stored]:
    found: list[Stored] = []
    for raw_id, fields in reply:
        if set(fields) != {FIELD}:
            raise DamagedEvent(
                f"stream entry {raw_id.decode('ascii', 'replace')} is no event: its "
                f"fields are not {FIELD.decode()!r} alone"
            )
        found.append((_parse_id(raw_id), fields[FIELD]))
    return found
