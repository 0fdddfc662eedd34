"""Writes a bundle: whole or not at all, in the memory of one block and 82 bytes for each."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from eventstore import bundle_format as layout
from eventstore.bundle_format import Chain, Header, Held, Record, Trailer
from eventstore.errors import InvalidEntry
from eventstore.memory import Stored
from eventstore.signing import PrivateKey

Pages = Callable[[Chain], Iterable[Sequence[Stored]]]
"""The events of a chain in order, all of them, in pages."""


def write_bundle(
    path: Path, header: Header, pages: Pages, key: PrivateKey | None = None
) -> Trailer:
    """Write a new file with the events of every chain in `header`, signed with `key`.

    Durable when this returns, and only its owner can read it. It is written to `path`.partial,
    which becomes `path` when it is whole; whatever fails, nothing is left.

    Raises:
        InvalidEntry: what the header says, or all of it, is over a limit.
        OSError: it cannot be written; `FileExistsError`: one of the two is there already.
        Whatever `pages` raises.
    """
    _check_absent(path)
    partial = path.with_name(path.name + ".partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            trailer = _write(_Output(file), header, pages, key)
            file.flush()
            os.fsync(file.fileno())
        _check_absent(path)
        partial.rename(path)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise
    _sync_folder(path.parent)
    return trailer


def _check_absent(path: Path) -> None:
    if os.path.lexists(path):
        raise FileExistsError(errno.EEXIST, "is there already", str(path))


class _Output:
    """Writes and counts."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.sha256 = hashlib.sha256()
        self.offset = 0

    def write(self, data: bytes) -> None:
        self._file.write(data)
        self.sha256.update(data)
        self.offset += len(data)


def _write(
    output: _Output, header: Header, pages: Pages, key: PrivateKey | None
) -> Trailer:
    content, index, all_held = _checked(header), bytearray(), list[Held]()
    output.write(layout.MAGIC + layout.part(b"h", content))
    for number, chain in enumerate(header.chains):
        held = Held()
        for entries in _blocks(pages(chain)):
            if len(index) == layout.INDEX_BYTES_MAX:
                raise InvalidEntry(
                    f"a bundle has at most {layout.BLOCK_COUNT_MAX} blocks of "
                    f"{layout.BLOCK_BYTES} bytes; this is more"
                )
            index += _write_block(output, number, entries)
            held = layout.held_of(entries, held)
        assert held.last is None or held.last.id == chain.until, "it ends as promised"
        all_held.append(held)
    index_offset = output.offset
    output.write(layout.part(b"i", bytes(index)))
    trailer = Trailer(
        header=hashlib.sha256(content).digest(),
        index=hashlib.sha256(index).digest(),
        before=output.sha256.digest(),
        key=None if key is None else key.public.pem,
        held=tuple(all_held),
    )
    content = layout.trailer_bytes(trailer)
    digest = hashlib.sha256(content).digest()
    signature = b"" if key is None else key.sign(layout.SIGNED + digest)
    output.write(layout.part(b"t", content) + layout.part(b"s", digest + signature))
    output.write(layout.end(index_offset))
    return trailer


def _checked(header: Header) -> bytes:
    content = layout.header_bytes(header)
    try:
        layout.parsed_header(content)
    except ValueError as error:
        raise InvalidEntry(f"the bundle cannot be made: {error}") from None
    return content


def _blocks(pages: Iterable[Sequence[Stored]]) -> Iterator[list[Stored]]:
    kept, size_bytes = list[Stored](), 0
    for page in pages:
        for stored in page:
            kept.append(stored)
            size_bytes += layout.ENTRY_BYTES + len(stored[1])
            if size_bytes >= layout.BLOCK_BYTES:
                yield kept
                kept, size_bytes = [], 0
    if kept:
        yield kept


def _write_block(output: _Output, chain: int, entries: Sequence[Stored]) -> bytes:
    """The record of the block."""
    content = layout.packed_block(b"".join(map(layout.entry_bytes, entries)))
    record = Record(
        chain=chain,
        count=len(entries),
        first=entries[0][0],
        last=entries[-1][0],
        offset=output.offset,
        length=len(content),
        digest=hashlib.sha256(content).digest(),
    )
    output.write(layout.part(b"b", content))
    return layout.record_bytes(record)


def _sync_folder(folder: Path) -> None:
    # Without it, the name may be lost with the power although the bytes are safe.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
