"""Reads a bundle like the streams of a Redis, in the memory of a block for each chain.

And of 82 bytes for each block there is. The layout is in `bundle_format`.
"""

from __future__ import annotations

import hashlib
import os
import stat
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from eventstore import bundle_format as layout
from eventstore.codec import DIGEST_BYTES
from eventstore.errors import DamagedBundle, StoreUnavailable
from eventstore.event import EventId, Origin
from eventstore.memory import Stored
from eventstore.signing import KeyRefused, PublicKey
from eventstore.streams import Archive


class Bundle:
    """A file of events, to be read; a `Source`. Close it at the end. Thread-safe.

    Opening it checks header, index, trailer and signature; each block is checked against the
    index when it is read. That all of it is one unbroken history tells `check_bundle`.
    """

    def __init__(self, path: Path) -> None:
        """Open the file at `path`.

        Raises:
            StoreUnavailable: it cannot be read.
            DamagedBundle: it is no bundle, is cut, or was altered.
        """
        self.path = path
        # Without O_NONBLOCK, the open of a pipe would wait for somebody to write into it.
        with self._told():
            self._file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                self._open()
            except BaseException:
                self.close()
                raise

    def _open(self) -> None:
        found = os.fstat(self._file)
        if not stat.S_ISREG(found.st_mode):
            raise ValueError("it is no file")
        self.size_bytes = found.st_size
        self._check_start()
        place = max(self.size_bytes - layout.END_BYTES, 0)
        index_offset = layout.index_offset(self._bytes(place, layout.END_BYTES))
        if index_offset is None:
            raise ValueError(
                f"it was cut after {self.size_bytes} bytes, or something was added: it "
                "does not end as a bundle does"
            )
        self._index, trailer_offset = self._part(
            b"i", index_offset, layout.INDEX_BYTES_MAX
        )
        content, seal_offset = self._part(b"t", trailer_offset, layout.JSON_BYTES_MAX)
        seal, end_offset = self._part(b"s", seal_offset, layout.SEAL_BYTES_MAX)
        if end_offset != place:
            raise ValueError("its seal is not at its end")
        self._check_digest("trailer", content, seal[:DIGEST_BYTES])
        self.trailer = layout.parsed_trailer(content)
        self.signer = self._signer(seal)
        content, first_block = self._part(
            b"h", len(layout.MAGIC), layout.JSON_BYTES_MAX
        )
        self._check_digest("header", content, self.trailer.header)
        self._check_digest("index", self._index, self.trailer.index)
        self.header = layout.parsed_header(content)
        """What it says before its events."""
        self._blocks_of = layout.block_ranges(
            self._index, self.header, self.trailer, range(first_block, index_offset)
        )
        self._first_block = first_block
        chains = list(enumerate(self.header.chains))
        self._streams = {c.origin: n for n, c in chains if c.archive is None}
        self._archives = {c.archive: n for n, c in chains if c.archive is not None}
        self._newest: dict[int, tuple[int, list[Stored]]] = {}
        """For each chain the block that was read last."""

    def __enter__(self) -> Bundle:
        return self

    def __exit__(self, *_details: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    @property
    def pair(self) -> str:
        """Whose events these are."""
        return self.header.pair

    def read(self, origin: Origin, after: EventId, count: int) -> list[Stored]:
        """At most `count` entries of the stream behind `after`, oldest first.

        Raises:
            StoreUnavailable: the file cannot be read any more.
            DamagedBundle: it was altered there.
        """
        return self._read_chain(self._streams.get(origin), after, count)

    def last(self, origin: Origin) -> Stored | None:
        """The newest entry of the stream; None: there is none.

        Raises: as `read`.
        """
        number = self._streams.get(origin)
        if number is None or not self._blocks_of[number]:
            return None
        return self._block(number, self._blocks_of[number][-1])[-1]

    def archives(self) -> list[Archive]:
        """The archives of replaced events in it, by name."""
        untils = {
            name: self.header.chains[n].until for name, n in self._archives.items()
        }
        return [Archive(name, untils[name]) for name in sorted(untils)]

    def read_archive(self, archive: str, after: EventId, count: int) -> list[Stored]:
        """At most `count` entries of an archive behind `after`, oldest first.

        Raises: as `read`.
        """
        return self._read_chain(self._archives.get(archive), after, count)

    def walk(self) -> Iterator[tuple[int, list[Stored]]]:
        """All of it once, in its order: the number of the chain, and its next events.

        Raises:
            StoreUnavailable, DamagedBundle: as `read`, while iterating.
        """
        with self._told():
            sha256 = hashlib.sha256(self._bytes(0, self._first_block))
            for number, blocks in enumerate(self._blocks_of):
                for place in blocks:
                    record, content = self._content(place)
                    sha256.update(layout.part(b"b", content))
                    yield number, layout.checked_block(record, content)
            sha256.update(layout.part(b"i", self._index))
            if sha256.digest() != self.trailer.before:
                raise ValueError("its bytes are not those that its trailer tells of")

    def _read_chain(
        self, number: int | None, after: EventId, count: int
    ) -> list[Stored]:
        if number is None:
            return []
        blocks, found = self._blocks_of[number], list[Stored]()
        place = bisect_right(blocks, after, key=self._last_of)
        for block in blocks[place:]:
            entries = self._block(number, block)
            start = bisect_right(entries, after, key=lambda stored: stored[0])
            found += entries[start : start + count - len(found)]
            if len(found) == count:
                break
        return found

    def _last_of(self, block: int) -> EventId:
        return layout.record_at(self._index, block).last

    def _block(self, number: int, block: int) -> list[Stored]:
        kept = self._newest.get(number)
        if kept is not None and kept[0] == block:
            return kept[1]
        with self._told():
            entries = layout.checked_block(*self._content(block))
        self._newest[number] = block, entries
        return entries

    def _content(self, block: int) -> tuple[layout.Record, bytes]:
        record = layout.record_at(self._index, block)
        content, _ = self._part(b"b", record.offset, layout.BLOCK_PACKED_BYTES_MAX)
        return record, content

    # Parts of the file.

    def _check_start(self) -> None:
        start = self._bytes(0, min(len(layout.MAGIC), self.size_bytes))
        if start == layout.MAGIC:
            return
        if layout.MAGIC.startswith(start):
            raise ValueError(f"it was cut after {self.size_bytes} bytes")
        if start.startswith(layout.ANY_VERSION):
            raise ValueError("it has another version of the format than this program")
        raise ValueError("it is no bundle of events")

    def _signer(self, seal: bytes) -> PublicKey | None:
        digest, signature = seal[:DIGEST_BYTES], seal[DIGEST_BYTES:]
        if self.trailer.key is None and not signature:
            return None
        if self.trailer.key is None or not signature:
            raise ValueError("its signature was removed or added")
        try:
            key = PublicKey.from_pem(self.trailer.key)
        except KeyRefused as error:
            raise ValueError(f"its public key cannot be used: {error}") from None
        if not key.verifies(signature, layout.SIGNED + digest):
            raise ValueError(f"its signature is not by the key {key.fingerprint} in it")
        return key

    def _check_digest(self, what: str, content: bytes, digest: bytes) -> None:
        if hashlib.sha256(content).digest() != digest:
            raise ValueError(f"its {what} was altered")

    def _part(self, kind: bytes, offset: int, bytes_max: int) -> tuple[bytes, int]:
        """The content of the part at `offset`, and where the next part is."""
        start = offset + layout.PREFIX.size
        found, length = layout.PREFIX.unpack(self._bytes(offset, layout.PREFIX.size))
        if found != kind:
            raise ValueError(f"there is no part {kind.decode()!r} at byte {offset}")
        if length > bytes_max or start + length > self.size_bytes:
            raise ValueError(
                f"the part at byte {offset} claims {length} bytes; its limit is "
                f"{min(bytes_max, max(self.size_bytes - start, 0))}"
            )
        return self._bytes(start, length), start + length

    def _bytes(self, offset: int, length: int) -> bytes:
        if offset + length > self.size_bytes:
            raise ValueError(f"it was cut after {self.size_bytes} bytes")
        found = bytearray()
        while len(found) < length:
            more = os.pread(self._file, length - len(found), offset + len(found))
            if not more:
                raise ValueError(f"it was cut after {offset + len(found)} bytes")
            found += more
        return bytes(found)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except ValueError as error:
            raise DamagedBundle(f"{self.path}: {error}; get it again") from None
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise StoreUnavailable(f"cannot read {self.path}: {reason}") from error
