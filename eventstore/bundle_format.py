"""How events are laid out in a file for others to keep: a bundle. Pure.

    "netphone events 1\\n"
    h  header    which pair, who made it and when, what each chain is to hold (JSON)
    b  block     entries of one chain, compressed (zlib); chain after chain
    i  index     a record for each block: its chain, ids, place and SHA-256
    t  trailer   what each chain held; SHA-256 of header, index and all before it (JSON)
    s  seal      SHA-256 of the trailer, and behind it the signature, if there is one
    end          where the index is (8 bytes), "netphone end 1\\n"

Each part is its letter, its length (4 bytes, big endian) and its content. A chain is a stream or an
archive of one, byte for byte as it was stored. So from the end a reader knows every block by its
digest before it reads it, and nothing is decoded that is over a limit below.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

import attrs

from eventstore.codec import DIGEST_BYTES, EVENT_BYTES_MAX
from eventstore.errors import InvalidEntry
from eventstore.event import START, EventId, Origin, check_text
from eventstore.memory import Head, Stored, head_of

ANY_VERSION: Final = b"netphone events "
MAGIC: Final = ANY_VERSION + b"1\n"
END: Final = b"netphone end 1\n"
SIGNED: Final = b"netphone events 1: the trailer\n"
"""Before the digest that is signed, so that the signature is of nothing else."""
EXPORT, SEGMENT = "export", "segment"

TEXT_BYTES_MAX: Final = 256
CHAIN_COUNT_MAX: Final = 1000
JSON_BYTES_MAX: Final = 2 * 1024 * 1024
"""Limit of header and trailer."""
BLOCK_BYTES: Final = 256 * 1024
"""Size at which a block is closed, before compression."""
_ENTRY: Final = struct.Struct(">QQI")
ENTRY_BYTES: Final = _ENTRY.size
"""What an entry takes on top of the event's own bytes."""
BLOCK_BYTES_MAX: Final = BLOCK_BYTES + ENTRY_BYTES + EVENT_BYTES_MAX
BLOCK_PACKED_BYTES_MAX: Final = BLOCK_BYTES_MAX + BLOCK_BYTES_MAX // 1000 + 64
"""zlib makes of what cannot be compressed a little more."""
BLOCK_COUNT_MAX: Final = 400_000

PREFIX: Final = struct.Struct(">cI")
_PLACE: Final = struct.Struct(">Q")
_RECORD: Final = struct.Struct(">HIQQQQQI32s")
INDEX_BYTES_MAX: Final = BLOCK_COUNT_MAX * _RECORD.size
END_BYTES: Final = _PLACE.size + len(END)
SEAL_BYTES_MAX: Final = DIGEST_BYTES + 64


@attrs.frozen(kw_only=True)
class Chain:
    """Events of one origin, one behind the other."""

    origin: Origin
    archive: str | None = None
    """Its name, if these are replaced events; None: the stream."""
    after: Head | None = None
    """What the first event continues: `START` and genesis, or the end of what is in an earlier
    file. None: not known, as of an archive.
    """
    until: EventId
    """The newest event in it; that of `after` if there is none."""

    @property
    def name(self) -> str:
        """As messages call it."""
        if self.archive is None:
            return f"stream {self.origin!r}"
        return f"archive {self.archive!r}"

    @property
    def start(self) -> EventId:
        """Where it begins: every event in it is later."""
        return START if self.after is None else self.after.id


@attrs.frozen(kw_only=True)
class Header:
    """What a bundle says before its events."""

    kind: str
    """`export` or `segment`."""
    pair: str
    created_ns: int
    """Nanoseconds since 1970, by the clock of who made it."""
    by: str
    fold_version: int | None = None
    chains: tuple[Chain, ...]
    """Streams, then archives."""


@attrs.frozen
class Held:
    """What a chain held when it had been written."""

    count: int = 0
    first: Head | None = None
    last: Head | None = None


@attrs.frozen(kw_only=True)
class Trailer:
    """What a bundle says behind its events."""

    header: bytes
    """SHA-256 of the header's content."""
    index: bytes
    """That of the index's."""
    before: bytes
    """That of all bytes before the trailer."""
    key: bytes | None
    """The public key, PEM, of who signed it."""
    held: tuple[Held, ...]
    """For each chain of the header."""


@attrs.frozen
class Record:
    """Where a block is, and what is in it."""

    chain: int
    count: int
    first: EventId
    last: EventId
    offset: int
    length: int
    digest: bytes


def part(kind: bytes, content: bytes) -> bytes:
    """The bytes of one part."""
    return PREFIX.pack(kind, len(content)) + content


def end(index_offset: int) -> bytes:
    """The last bytes of a file whose index is at `index_offset`."""
    return _PLACE.pack(index_offset) + END


def index_offset(ending: bytes) -> int | None:
    """Where the index is, from the last bytes of a file; None: no bundle ends so."""
    if len(ending) != END_BYTES or not ending.endswith(END):
        return None
    place: int = _PLACE.unpack_from(ending)[0]
    return place


# Blocks.


def entry_bytes(stored: Stored) -> bytes:
    """One event as it is in a block, before compression."""
    (ms, n), blob = stored
    return _ENTRY.pack(ms, n, len(blob)) + blob


def packed_block(entries: bytes) -> bytes:
    """The content of a block."""
    return zlib.compress(entries)


def unpacked_block(content: bytes) -> list[Stored]:
    """The events in a block.

    Raises:
        ValueError: it is no block, or over its limit.
    """
    unpacker = zlib.decompressobj()
    try:
        raw = unpacker.decompress(content, BLOCK_BYTES_MAX + 1)
    except zlib.error:
        raise ValueError("a block cannot be decompressed") from None
    if len(raw) > BLOCK_BYTES_MAX:
        raise ValueError(f"a block has over {BLOCK_BYTES_MAX} bytes, the limit")
    if not unpacker.eof or unpacker.unused_data:
        raise ValueError("a block is not one compressed piece")
    return list(_entries(raw))


def _entries(raw: bytes) -> Iterator[Stored]:
    place = 0
    while place < len(raw):
        if place + ENTRY_BYTES > len(raw):
            raise ValueError("a block ends within an entry")
        ms, n, length = _ENTRY.unpack_from(raw, place)
        place += ENTRY_BYTES
        if length > EVENT_BYTES_MAX or place + length > len(raw):
            raise ValueError(f"an entry of a block claims {length} bytes")
        yield EventId(ms, n), raw[place : place + length]
        place += length


# The index.


def record_bytes(record: Record) -> bytes:
    """A record as it is in the index."""
    at = record.offset, record.length, record.digest
    return _RECORD.pack(record.chain, record.count, *record.first, *record.last, *at)


def record_at(index: bytes, number: int) -> Record:
    """The record of block `number`."""
    chain, count, ms, n, last_ms, last_n, offset, length, digest = _RECORD.unpack_from(
        index, number * _RECORD.size
    )
    return Record(
        chain, count, EventId(ms, n), EventId(last_ms, last_n), offset, length, digest
    )


def block_ranges(
    index: bytes, header: Header, trailer: Trailer, blocks: range
) -> list[range]:
    """Which blocks each chain has, if the index fits all else; `blocks`: where they are.

    Raises:
        ValueError: it does not fit.
    """
    if len(index) % _RECORD.size:
        raise ValueError("the index ends within a record")
    if len(header.chains) != len(trailer.held):
        raise ValueError("header and trailer speak of different chains")
    records = (record_at(index, n) for n in range(len(index) // _RECORD.size))
    found, number, offset = list[range](), 0, blocks.start
    record = next(records, None)
    for place, (chain, held) in enumerate(
        zip(header.chains, trailer.held, strict=True)
    ):
        start, count, last = number, 0, chain.start
        while record is not None and record.chain == place:
            _check_record(record, chain, last, offset)
            if count == 0 and (held.first is None or record.first != held.first.id):
                raise ValueError(f"{chain.name} does not begin as the trailer says")
            offset += PREFIX.size + record.length
            count, last, number = count + record.count, record.last, number + 1
            record = next(records, None)
        told = chain.start if held.last is None else held.last.id
        if count != held.count or not last == told == chain.until:
            raise ValueError(f"the index does not hold all events of {chain.name}")
        found.append(range(start, number))
    if record is not None or offset != blocks.stop:
        raise ValueError("the index does not fit the blocks")
    return found


def _check_record(record: Record, chain: Chain, last: EventId, offset: int) -> None:
    if record.offset != offset or record.length > BLOCK_PACKED_BYTES_MAX:
        raise ValueError(f"a block of {chain.name} is not where the index says")
    if not last < record.first <= record.last or not record.count:
        raise ValueError(f"the blocks of {chain.name} are not in order")
    if chain.archive is None and record.count != record.last.n - record.first.n + 1:
        raise ValueError(f"a block of {chain.name} has a gap")


def checked_block(record: Record, content: bytes) -> list[Stored]:
    """The events in `content`, if it is the block that `record` names.

    Raises:
        ValueError: it is not.
    """
    if hashlib.sha256(content).digest() != record.digest:
        raise ValueError(
            f"the block with events {record.first} to {record.last} was altered"
        )
    entries = unpacked_block(content)
    if (
        len(entries) != record.count
        or (entries[0][0], entries[-1][0]) != (record.first, record.last)
        or any(a[0] >= b[0] for a, b in pairwise(entries))
    ):
        raise ValueError(
            f"the block with events {record.first} to {record.last} has others"
        )
    return entries


# Header and trailer.


def header_bytes(header: Header) -> bytes:
    """The content of the header."""
    chains = [
        {
            "origin": chain.origin,
            "archive": chain.archive,
            "after": _written_head(chain.after),
            "until": str(chain.until),
        }
        for chain in header.chains
    ]
    return _written({**attrs.asdict(header, recurse=False), "chains": chains})


def parsed_header(content: bytes) -> Header:
    """The header in `content`.

    Raises:
        ValueError: it is none.
    """
    fields = _parsed("header", content, Header)
    if fields["kind"] not in (EXPORT, SEGMENT):
        raise ValueError(f"it is neither an {EXPORT} nor a {SEGMENT}")
    _check_count("created_ns", fields["created_ns"])
    if fields["fold_version"] is not None:
        _check_count("fold_version", fields["fold_version"])
    chains = tuple(_chain(found) for found in _list("chains", fields["chains"]))
    names = [(c.archive is None, c.archive or c.origin) for c in chains]
    if len(set(names)) < len(names) or names != sorted(names, key=lambda n: not n[0]):
        raise ValueError(
            "the header names a chain twice, or an archive before a stream"
        )
    return Header(
        kind=fields["kind"],
        pair=_line("pair", fields["pair"]),
        created_ns=fields["created_ns"],
        by=_line("by", fields["by"]),
        fold_version=fields["fold_version"],
        chains=chains,
    )


def trailer_bytes(trailer: Trailer) -> bytes:
    """The content of the trailer."""
    digests = {n: getattr(trailer, n).hex() for n in ("header", "index", "before")}
    key = None if trailer.key is None else trailer.key.decode("ascii")
    held = [
        {
            "count": h.count,
            "first": _written_head(h.first),
            "last": _written_head(h.last),
        }
        for h in trailer.held
    ]
    return _written({**digests, "key": key, "held": held})


def parsed_trailer(content: bytes) -> Trailer:
    """The trailer in `content`.

    Raises:
        ValueError: it is none.
    """
    fields = _parsed("trailer", content, Trailer)
    key = fields["key"]
    return Trailer(
        header=_digest(fields["header"]),
        index=_digest(fields["index"]),
        before=_digest(fields["before"]),
        key=None if key is None else _text("key", key, 4096).encode(),
        held=tuple(_held(found) for found in _list("held", fields["held"])),
    )


def _written(value: Mapping[str, object]) -> bytes:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode()


def _parsed(what: str, content: bytes, shape: type) -> dict[str, Any]:
    if len(content) > JSON_BYTES_MAX:
        raise ValueError(f"its {what} has over {JSON_BYTES_MAX} bytes, the limit")
    try:
        value = json.loads(content)
        is_written_so = type(value) is dict and _written(value) == content
    except (ValueError, RecursionError):
        is_written_so, value = False, None
    if not is_written_so:
        raise ValueError(f"its {what} is not JSON as it is written there")
    return _fields(what, value, {field.name for field in attrs.fields(shape)})


def _fields(what: str, value: Any, names: set[str]) -> dict[str, Any]:
    if type(value) is not dict or set(value) != names:
        raise ValueError(f"its {what} does not have the fields {sorted(names)}")
    return value


def _list(name: str, value: Any) -> list[Any]:
    if type(value) is not list or len(value) > CHAIN_COUNT_MAX:
        raise ValueError(f"its {name} are no list of at most {CHAIN_COUNT_MAX}")
    return value


def _chain(found: Any) -> Chain:
    fields = _fields("chain", found, {"origin", "archive", "after", "until"})
    archive = fields["archive"]
    chain = Chain(
        origin=Origin(_line("origin", fields["origin"])),
        archive=None if archive is None else _line("archive", archive),
        after=_head(fields["after"]),
        until=_id(fields["until"]),
    )
    if (chain.archive is None) != (chain.after is not None):
        raise ValueError(f"{chain.name} does not say what it continues as it should")
    return chain


def _held(found: Any) -> Held:
    fields = _fields("chain", found, {"count", "first", "last"})
    _check_count("count", fields["count"])
    held = Held(fields["count"], _head(fields["first"]), _head(fields["last"]))
    if not (held.count == 0) == (held.first is None) == (held.last is None):
        raise ValueError("a chain of the trailer has a count that does not fit")
    return held


def _written_head(head: Head | None) -> object:
    if head is None:
        return None
    return {"id": str(head.id), "digest": head.digest.hex()}


def _head(found: Any) -> Head | None:
    if found is None:
        return None
    fields = _fields("place", found, {"id", "digest"})
    return Head(_id(fields["id"]), _digest(fields["digest"]))


def _id(found: Any) -> EventId:
    return EventId.parse(_text("id", found, 50))


def _digest(found: Any) -> bytes:
    text = _text("digest", found, 2 * DIGEST_BYTES)
    digest = bytes.fromhex(text)
    if len(digest) != DIGEST_BYTES or digest.hex() != text:
        raise ValueError(f"a digest is not {2 * DIGEST_BYTES} hex digits")
    return digest


def _line(name: str, found: Any) -> str:
    text = _text(name, found, TEXT_BYTES_MAX)
    if not text.isprintable():
        raise ValueError(f"its {name} has a control character")
    return text


def _text(name: str, found: Any, bytes_max: int) -> str:
    try:
        return check_text(f"its {name}", found, bytes_max)
    except InvalidEntry as error:
        raise ValueError(str(error)) from None


def _check_count(name: str, found: Any) -> None:
    if type(found) is not int or not 0 <= found < 2**64:
        raise ValueError(f"its {name} is no count")


def held_of(entries: Sequence[Stored], held: Held) -> Held:
    """What a chain holds when `entries` are added to what it `held`."""
    first = held.first or head_of(entries[0])
    return Held(held.count + len(entries), first, head_of(entries[-1]))
