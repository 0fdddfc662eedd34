"""Bundles: events in files, whole or refused."""

from __future__ import annotations

import hashlib
import os
import stat
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

from eventstore import (
    START,
    Bundle,
    Chain,
    DamagedBundle,
    DamagedEvent,
    EventId,
    EventStoreError,
    Export,
    Filter,
    Head,
    Header,
    InvalidEntry,
    Origin,
    PrivateKey,
    Stored,
    StoreUnavailable,
    StreamForked,
    check_bundle,
    closed_ends,
    codec,
    export_events,
    read_history,
    write_bundle,
)
from eventstore import bundle_format as layout
from tests.support.histories import MASTER, ORIGINS, PAIR, STANDBY, Writer
from tests.support.sources import (
    CREATED_NS,
    MemorySource,
    exported,
    small_history,
)

KEY = PrivateKey.new()
ALL = 1_000_000


def told(path: Path) -> str | None:
    """What is wrong with the file; None: nothing."""
    try:
        with Bundle(path) as bundle:
            check_bundle(bundle)
    except DamagedBundle as error:
        assert "\n" not in str(error)
        return str(error)
    return None


@pytest.fixture
def source() -> MemorySource:
    archived = Writer(STANDBY)
    for n in range(3):
        archived.put("users/0", n, ms=500 + n)
    digest = archived.written[-1].digest.hex()[:12]
    name = f"standby-{archived.blobs[0][0]}-{digest}"
    source = MemorySource.of(small_history())
    source.kept[name] = archived.blobs
    return source


@pytest.fixture(params=[None, KEY], ids=["unsigned", "signed"])
def file(source: MemorySource, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    path = tmp_path / "office.events"
    exported(source, path, request.param).close()
    return path


# Round trips.


def test_every_byte_comes_back(source: MemorySource, file: Path) -> None:
    with Bundle(file) as bundle:
        assert bundle.pair == PAIR
        for origin in ORIGINS:
            assert bundle.read(origin, START, ALL) == source.streams[origin]
            assert bundle.last(origin) == source.last(origin)
        assert bundle.archives() == source.archives()
        for archive in bundle.archives():
            found = bundle.read_archive(archive.name, START, ALL)
            assert found == source.kept[archive.name]
        assert bundle.read(MASTER, source.streams[MASTER][-1][0], ALL) == []


def test_what_it_holds_is_told(source: MemorySource, file: Path) -> None:
    counted = list[int]()
    with Bundle(file) as bundle:
        master, standby, archive = check_bundle(bundle, counted.append)
        assert (bundle.header.kind, bundle.header.by) == ("export", "jane")
        assert bundle.header.created_ns == CREATED_NS
    assert (master.held.count, standby.held.count, archive.held.count) == (5, 4, 3)
    assert master.held.last == Head(
        source.streams[MASTER][-1][0],
        hashlib.sha256(source.streams[MASTER][-1][1]).digest(),
    )
    assert (master.since_ns, master.until_ns) == (1_000_000_000, 3_000_000_000)
    assert archive.break_at is None
    assert sum(counted) == 12


def test_only_the_owner_can_read_it(file: Path) -> None:
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_pair_without_events_is_a_bundle_too(tmp_path: Path) -> None:
    path = tmp_path / "empty"
    with exported(MemorySource({MASTER: [], STANDBY: []}), path) as _:
        pass
    with Bundle(path) as bundle:
        assert bundle.last(MASTER) is None
        assert bundle.read(MASTER, START, ALL) == []
        assert [checked.held.count for checked in check_bundle(bundle)] == [0, 0]


def long_source(count: int) -> MemorySource:
    writer, peer = Writer(MASTER), Writer(STANDBY)
    for n in range(count):
        writer.put(f"users/{n % 97}", {"n": n, "name": "x" * 200}, ms=1000 + n)
    peer.hear(writer)
    peer.put("users/0", 1)
    return MemorySource({MASTER: writer.blobs, STANDBY: peer.blobs})


@pytest.mark.parametrize("count", [1, 7, 500, 5000])
def test_a_long_one_is_read_in_pages_of_any_size(tmp_path: Path, count: int) -> None:
    source = long_source(3000)  # Several blocks.
    with exported(source, tmp_path / "long") as bundle:
        found, after = list[Stored](), START
        while page := bundle.read(MASTER, after, count):
            assert len(page) <= count
            found += page
            after = page[-1][0]
        assert found == source.streams[MASTER]
        middle = found[1500][0]
        assert bundle.read(MASTER, middle, 3) == found[1501:1504]
        between = EventId(middle.ms, 0)
        assert bundle.read(MASTER, between, 1) == [found[1500]]


def test_history_reads_it_as_it_reads_a_redis(source: MemorySource, file: Path) -> None:
    expected = list(read_history(source, ORIGINS, Filter()))
    with Bundle(file) as bundle:
        assert list(read_history(bundle, ORIGINS, Filter())) == expected
    assert len(expected) == 9


def test_memory_does_not_grow_with_the_events(tmp_path: Path) -> None:
    def peak_bytes(count: int) -> int:
        source = long_source(count)
        path = tmp_path / f"{count}"
        tracemalloc.start()
        with exported(source, path) as bundle:
            check_bundle(bundle)
            for _ in read_history(bundle, ORIGINS, Filter()):
                pass
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    few, many = peak_bytes(2000), peak_bytes(8000)
    assert many < 1.2 * few + 100_000


# Writing: whole or not at all.


@pytest.mark.parametrize(
    ("by", "text"), [("x" * 257, "limit is 256"), ("a\nb", "control character")]
)
def test_a_header_outside_its_limits_is_refused(
    source: MemorySource, tmp_path: Path, by: str, text: str
) -> None:
    export = Export(by=by, created_ns=CREATED_NS, key=None)
    with pytest.raises(InvalidEntry, match=text):
        export_events(source, {}, tmp_path / "bundle", export)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(source: MemorySource, tmp_path: Path) -> None:
    path = tmp_path / "there"
    path.write_text("precious")
    with pytest.raises(FileExistsError, match="there already"):
        exported(source, path)
    assert path.read_text() == "precious"
    assert [found.name for found in tmp_path.iterdir()] == ["there"]


def test_what_came_while_it_was_made_is_not_overwritten(
    source: MemorySource, tmp_path: Path
) -> None:
    path = tmp_path / "bundle"

    def told(_count: int) -> None:
        path.write_text("precious")

    export = Export(by="jane", created_ns=CREATED_NS, key=None, told=told)
    with pytest.raises(FileExistsError, match="there already"):
        export_events(source, closed_ends(source, ORIGINS), path, export)
    assert path.read_text() == "precious"
    assert [found.name for found in tmp_path.iterdir()] == ["bundle"]


def test_a_file_in_the_making_is_left_to_who_makes_it(
    source: MemorySource, tmp_path: Path
) -> None:
    other = tmp_path / "bundle.partial"
    other.write_text("of another export")
    with pytest.raises(FileExistsError):
        exported(source, tmp_path / "bundle")
    assert other.read_text() == "of another export"


def test_what_fails_on_the_way_leaves_nothing(
    source: MemorySource, tmp_path: Path
) -> None:
    def failing(origin: object, after: object, count: int) -> list[Stored]:
        raise StoreUnavailable("Redis is gone")

    source.read_archive = failing  # type: ignore[assignment]
    with pytest.raises(StoreUnavailable):
        exported(source, tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []


def altered(stored: Stored) -> Stored:
    return stored[0], stored[1].replace(b"extension", b"Extension")


@pytest.mark.parametrize(
    "harm",
    [
        lambda s: s.__setitem__(1, altered(s[1])),
        lambda s: s.pop(2),
        lambda s: s.insert(1, s[3]),
        lambda s: s.reverse(),
    ],
    ids=["altered", "removed", "inserted", "swapped"],
)
def test_only_unbroken_histories_are_exported(
    source: MemorySource, tmp_path: Path, harm: Callable[[list[Stored]], object]
) -> None:
    source.streams[MASTER] = list(source.streams[MASTER])
    ends = closed_ends(source, ORIGINS)
    harm(source.streams[MASTER])
    export = Export(by="jane", created_ns=CREATED_NS, key=None)
    with pytest.raises((StreamForked, DamagedEvent)):
        export_events(source, ends, tmp_path / "bundle", export)
    assert list(tmp_path.iterdir()) == []


def test_a_stream_that_lost_its_end_meanwhile_is_told(
    source: MemorySource, tmp_path: Path
) -> None:
    ends = closed_ends(source, ORIGINS)
    source.streams[STANDBY] = source.streams[STANDBY][:-1]
    export = Export(by="jane", created_ns=CREATED_NS, key=None)
    with pytest.raises(DamagedEvent, match="before 2003-4"):
        export_events(source, ends, tmp_path / "bundle", export)


class GrowingSource(MemorySource):
    """Whenever its end is asked for, both nodes have written more, knowing it all."""

    def __init__(self) -> None:
        self.history = small_history()
        self.wanted = 3
        super().__init__({o: self.history.of(o).blobs for o in ORIGINS})

    def last(self, origin: object) -> Stored | None:
        master, standby = self.history.master, self.history.standby
        if self.wanted:
            self.wanted -= 1
            for _ in range(5):
                master.put("users/1", self.wanted)
                standby.hear(master)
                standby.put("users/2", self.wanted)
                master.hear(standby)
        return super().last(origin)  # type: ignore[arg-type]


def test_what_is_exported_knows_nothing_beyond_it(tmp_path: Path) -> None:
    source = GrowingSource()
    with exported(source, tmp_path / "bundle") as bundle:
        master, standby = check_bundle(bundle)
        assert master.held.count == 5 + 5 + 5 + 1
        assert standby.held.count == 4 + 5 + 5
        assert len(list(read_history(bundle, ORIGINS, Filter()))) == 30


def test_events_of_a_later_version_are_kept(tmp_path: Path) -> None:
    writer = Writer(MASTER)
    writer.put("users/1", 1, ms=5)
    previous = writer.written[-1].digest
    later = EventId(6, 2), b"\x92\x02\xc4\x20" + previous
    source = MemorySource({MASTER: [*writer.blobs, later], STANDBY: []})
    with exported(source, tmp_path / "bundle") as bundle:
        master, _ = check_bundle(bundle)
        assert (master.held.count, master.unread_count) == (2, 1)
        assert bundle.last(MASTER) == later


# Archives.


def test_a_break_in_an_archive_is_told_and_kept(
    source: MemorySource, tmp_path: Path
) -> None:
    (stored,) = source.kept.values()
    broken = [stored[0], (stored[1][0], b"no event"), stored[2]]
    source.kept = {"standby-resync-9000-9": broken}
    with exported(source, tmp_path / "bundle") as bundle:
        *_, archive = check_bundle(bundle)
        assert archive.break_at == stored[1][0]
        found = bundle.read_archive("standby-resync-9000-9", START, ALL)
        assert found == broken


def test_an_archive_that_is_not_what_its_name_tells_is_refused(
    source: MemorySource, tmp_path: Path
) -> None:
    ((name, stored),) = source.kept.items()
    source.kept = {name: stored[:-1]}
    exported(source, tmp_path / "bundle").close()
    assert "other events than its name tells" in str(told(tmp_path / "bundle"))


# Tampering.


def test_every_flipped_byte_is_found(file: Path) -> None:
    data = file.read_bytes()
    assert told(file) is None
    with file.open("r+b", buffering=0) as bad:
        for place, byte in enumerate(data):
            bad.seek(place)
            bad.write(bytes([byte ^ 1 << place % 8]))
            assert told(file) is not None, place
            bad.seek(place)
            bad.write(bytes([byte]))
    assert told(file) is None


def test_a_file_that_was_cut_anywhere_is_told_so(file: Path) -> None:
    for length in reversed(range(file.stat().st_size)):
        os.truncate(file, length)
        assert f"cut after {length} bytes" in str(told(file))


def test_bytes_behind_the_end_are_found(file: Path) -> None:
    with file.open("ab") as end:
        end.write(b"\0")
    assert "something was added" in str(told(file))


def test_a_block_taken_from_another_bundle_is_found(
    source: MemorySource, tmp_path: Path
) -> None:
    exported(source, tmp_path / "a").close()
    for origin in ORIGINS:
        source.streams[origin] = list(small_history().of(origin).blobs)
    writer = Writer(STANDBY)
    for n in range(4):
        writer.put("users/0", n + 1, ms=2000 + n)
    source.streams[STANDBY] = writer.blobs
    exported(source, tmp_path / "b").close()
    with Bundle(tmp_path / "a") as a, Bundle(tmp_path / "b") as b:
        (mine,), (theirs,) = a._blocks_of[1], b._blocks_of[1]
        record, old = a._content(mine)
        _, new = b._content(theirs)
    data = bytearray((tmp_path / "a").read_bytes())
    start = record.offset + layout.PREFIX.size
    data[start : start + len(old)] = new[: len(old)].ljust(len(old), b"\0")
    (tmp_path / "a").write_bytes(data)
    assert told(tmp_path / "a") is not None


def test_what_is_no_bundle_is_told(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"PK\3\4 something else that is long enough to have an end")
    assert "no bundle" in str(told(path))
    path.write_bytes(b"netphone events 2\n" + bytes(100))
    assert "another version" in str(told(path))
    assert "no file" in str(told(tmp_path))
    with pytest.raises(StoreUnavailable, match="No such file"):
        Bundle(tmp_path / "none")


# A forger, who makes a file anew that fits itself.


def forged(
    tmp_path: Path,
    pages: Callable[[Chain], list[list[Stored]]],
    header: Header,
    key: PrivateKey | None = None,
) -> Path:
    path = tmp_path / "forged"
    write_bundle(path, header, pages, key)
    return path


def header_of(*chains: Chain, pair: str = PAIR) -> Header:
    return Header(kind="export", pair=pair, created_ns=1, by="eve", chains=chains)


def stream(writer: Writer, pair: str = PAIR) -> Chain:
    return Chain(
        origin=writer.origin,
        after=Head(START, codec.genesis(pair, writer.origin)),
        until=writer.blobs[-1][0],
    )


def test_a_forged_chain_is_found(tmp_path: Path) -> None:
    writer = small_history().master
    blobs = [writer.blobs[0], altered(writer.blobs[1]), *writer.blobs[2:]]
    path = forged(tmp_path, lambda _: [blobs], header_of(stream(writer)))
    assert "event 2001-3: the digest in it of what came before" in str(told(path))


def test_a_gap_is_found(tmp_path: Path) -> None:
    writer = small_history().standby
    blobs = [writer.blobs[0], *writer.blobs[2:]]
    path = forged(tmp_path, lambda _: [blobs], header_of(stream(writer)))
    assert "has a gap" in str(told(path))


def test_an_event_that_knew_what_is_not_there_is_found(tmp_path: Path) -> None:
    writer = small_history().standby
    path = forged(tmp_path, lambda _: [writer.blobs], header_of(stream(writer)))
    assert "knew event 1000-1 of stream 'master', which is not in it" in str(told(path))


def test_an_event_that_knew_less_than_the_one_before_is_found(tmp_path: Path) -> None:
    writer = small_history().master
    writer.seen[STANDBY] = EventId(2000, 1)
    writer.put("users/1", ms=4000)
    path = forged(tmp_path, lambda _: [writer.blobs], header_of(stream(writer)))
    assert "the event before it knew 2003-4 already" in str(told(path))


def test_a_chain_of_no_stream_of_a_pair_is_refused(tmp_path: Path) -> None:
    writer = Writer(Origin("third"))
    writer.put("users/1", 1, ms=5)
    path = forged(tmp_path, lambda _: [writer.blobs], header_of(stream(writer)))
    assert "is of 'third', not of a pair" in str(told(path))


def test_an_event_that_knew_what_comes_after_the_end_is_found(tmp_path: Path) -> None:
    history = small_history()
    first = history.master.blobs[:1]
    header = header_of(
        attrs.evolve(stream(history.master), until=first[0][0]), stream(history.standby)
    )
    blobs = {MASTER: first, STANDBY: history.standby.blobs}
    path = forged(tmp_path, lambda chain: [blobs[chain.origin]], header)
    assert "knew event 1001-2 of stream 'master', which is not in it" in str(told(path))


def test_another_pair_in_the_header_is_found(tmp_path: Path) -> None:
    writer = small_history().master
    header = header_of(stream(writer), pair="other")
    path = forged(tmp_path, lambda _: [writer.blobs], header)
    assert "does not begin as one of pair 'other'" in str(told(path))


def test_the_signature_is_that_of_the_key_in_it(file: Path) -> None:
    with Bundle(file) as bundle:
        if bundle.signer is not None:
            assert bundle.signer.pem == KEY.public.pem
            assert bundle.signer.pem != PrivateKey.new().public.pem


def test_a_signature_that_was_taken_off_is_found(
    source: MemorySource, tmp_path: Path
) -> None:
    path = tmp_path / "signed"
    exported(source, path, KEY).close()
    data = path.read_bytes()
    seal = data[: -layout.END_BYTES][-96:]
    without = layout.part(b"s", seal[:32]) + data[-layout.END_BYTES :]
    path.write_bytes(data[: -layout.END_BYTES - 96 - layout.PREFIX.size] + without)
    assert "signature was removed" in str(told(path))


# Claims that would exhaust memory or time.


def lone() -> Writer:
    """Five events that knew nothing of the standby."""
    writer = Writer(MASTER)
    for n in range(5):
        writer.put("users/1", n, ms=1000 + n)
    return writer


def made_anew(
    path: Path,
    content: bytes,
    *,
    count: int = 5,
    change: Callable[[layout.Record], layout.Record] = lambda record: record,
    tell: Callable[[layout.Trailer], layout.Trailer] = lambda trailer: trailer,
    hidden: bytes = b"",
    seal: Callable[[bytes], bytes] = lambda digest: digest,
) -> None:
    """A file that fits itself, with one block of `content`, and `hidden` before that."""
    writer = lone()
    header = header_of(stream(writer))
    start = layout.MAGIC + layout.part(b"h", layout.header_bytes(header))
    ends = writer.blobs[0][0], writer.blobs[-1][0]
    digest = hashlib.sha256(content).digest()
    record = change(
        layout.Record(0, count, *ends, len(start + hidden), len(content), digest)
    )
    index = layout.record_bytes(record)
    blocks = start + layout.part(b"b", content)
    before = blocks + layout.part(b"i", index)
    trailer = layout.Trailer(
        header=hashlib.sha256(layout.header_bytes(header)).digest(),
        index=hashlib.sha256(index).digest(),
        before=hashlib.sha256(before).digest(),
        key=None,
        held=(layout.held_of(writer.blobs, layout.Held()),),
    )
    told_of = layout.trailer_bytes(tell(trailer))
    sealed = layout.part(b"t", told_of)
    sealed += layout.part(b"s", seal(hashlib.sha256(told_of).digest()))
    sealed += layout.end(len(hidden + blocks))
    path.write_bytes(start + hidden + before.removeprefix(start) + sealed)


def entries(writer: Writer) -> bytes:
    return b"".join(map(layout.entry_bytes, writer.blobs))


def test_such_a_file_is_read_where_it_is_honest(tmp_path: Path) -> None:
    made_anew(tmp_path / "file", zlib.compress(entries(lone())))
    assert told(tmp_path / "file") is None


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"before": bytes(32)}, "not those that its trailer tells of"),
        ({"header": bytes(32)}, "its header was altered"),
        ({"index": bytes(32)}, "its index was altered"),
        ({"held": ()}, "different chains"),
        ({"held": (layout.Held(),)}, "does not begin as the trailer says"),
        ({"key": KEY.public.pem}, "signature was removed"),
    ],
    ids=lambda value: None if isinstance(value, str) else next(iter(value)),
)
def test_claims_of_the_trailer_are_refused(
    tmp_path: Path, changes: dict[str, object], text: str
) -> None:
    content, path = zlib.compress(entries(lone())), tmp_path / "file"
    made_anew(path, content, tell=lambda t: attrs.evolve(t, **changes))  # type: ignore[arg-type]
    assert text in str(told(path))


def signed_by(key: PrivateKey, digest: bytes) -> bytes:
    return digest + key.sign(layout.SIGNED + digest)


@pytest.mark.parametrize(
    ("seal", "text"),
    [
        (lambda _digest: bytes(32), "its trailer was altered"),
        (lambda d: bytes(32) + signed_by(KEY, d)[32:], "its trailer was altered"),
        (lambda d: signed_by(PrivateKey.new(), d), "its signature is not by the key"),
        (lambda d: d + KEY.sign(d), "its signature is not by the key"),
        (lambda d: d + bytes(64), "its signature is not by the key"),
        (lambda d: signed_by(KEY, d) + b"x", "claims 97 bytes; its limit is 96"),
    ],
    ids=["digest", "digest, signed", "other key", "other words", "zeros", "longer"],
)
def test_a_seal_is_of_the_trailer_and_by_its_key(
    tmp_path: Path, seal: Callable[[bytes], bytes], text: str
) -> None:
    content, path = zlib.compress(entries(lone())), tmp_path / "file"

    def tell(trailer: layout.Trailer) -> layout.Trailer:
        return attrs.evolve(trailer, key=KEY.public.pem)

    made_anew(path, content, tell=tell, seal=lambda digest: signed_by(KEY, digest))
    assert told(path) is None
    made_anew(path, content, tell=tell, seal=seal)
    assert text in str(told(path))


def test_the_blocks_of_an_archive_are_in_order() -> None:
    """A stream has the numbers of its events besides; of an archive only this is known."""
    ids = [EventId(5, n) for n in range(1, 5)]
    heads = [Head(event_id, bytes(32)) for event_id in ids]
    chain = layout.Chain(origin=MASTER, archive="master-5-1", until=ids[3])
    trailer = layout.Trailer(
        header=b"",
        index=b"",
        before=b"",
        key=None,
        held=(layout.Held(4, heads[0], heads[3]),),
    )

    def ranges(middle: EventId) -> list[range]:
        size = layout.PREFIX.size + 10
        records = [
            layout.Record(0, 2, ids[0], middle, 0, 10, bytes(32)),
            layout.Record(0, 2, ids[2], ids[3], size, 10, bytes(32)),
        ]
        index = b"".join(map(layout.record_bytes, records))
        return layout.block_ranges(index, header_of(chain), trailer, range(2 * size))

    assert ranges(ids[1]) == [range(2)]
    for middle in (ids[2], ids[3], EventId(4, 2)):
        with pytest.raises(ValueError, match="not in order"):
            ranges(middle)


def test_bytes_that_nothing_tells_of_are_found(tmp_path: Path) -> None:
    content, path = zlib.compress(entries(lone())), tmp_path / "file"
    made_anew(path, content, hidden=b"hidden")
    assert "not where the index says" in str(told(path))
    made_anew(path, content)
    data = path.read_bytes()
    ending = data[-layout.END_BYTES :]
    path.write_bytes(data.removesuffix(ending) + b"hidden" + ending)
    assert "not at its end" in str(told(path))


def test_a_block_is_checked_when_it_is_read(tmp_path: Path) -> None:
    content, path = zlib.compress(entries(lone())), tmp_path / "file"
    made_anew(path, content, change=lambda r: attrs.evolve(r, digest=bytes(32)))
    with Bundle(path) as bundle, pytest.raises(DamagedBundle, match="was altered"):
        bundle.read(MASTER, START, 1)


@pytest.mark.parametrize("end", ["first", "last"])
def test_digests_in_the_trailer_are_those_of_the_events(
    tmp_path: Path, end: str
) -> None:
    def tell(trailer: layout.Trailer) -> layout.Trailer:
        (held,) = trailer.held
        heads = {"first": held.first, "last": held.last}
        heads[end] = Head(getattr(held, end).id, bytes(32))
        return attrs.evolve(trailer, held=(layout.Held(held.count, **heads),))

    content, path = zlib.compress(entries(lone())), tmp_path / "file"
    made_anew(path, content, tell=tell)
    assert "has not the ends that the trailer tells" in str(told(path))


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (zlib.compress(bytes(30 * 1024 * 1024)), "the limit"),
        (zlib.compress(bytes(200_000)), "has others"),
        (b"no zlib", "cannot be decompressed"),
        (zlib.compress(b"")[:-1], "not one compressed piece"),
        (zlib.compress(b"") * 2, "not one compressed piece"),
        (zlib.compress(bytes(7)), "ends within an entry"),
        (zlib.compress(bytes(16) + b"\xff" * 4), "claims 4294967295 bytes"),
        (zlib.compress(b""), "has others"),
    ],
    ids=["bomb", "empty", "none", "short", "two", "half", "length", "nothing"],
)
def test_hostile_blocks_are_refused_within_their_limit(
    tmp_path: Path, content: bytes, text: str
) -> None:
    made_anew(tmp_path / "file", content)
    tracemalloc.start()
    assert text in str(told(tmp_path / "file"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * 1024 * 1024


@pytest.mark.parametrize(
    "changes",
    [
        {"count": 2**32 - 1},
        {"count": 0},
        {"chain": 7},
        {"offset": 2**63},
        {"length": 2**32 - 1},
        {"first": EventId(2**64 - 1, 2**64 - 1)},
        {"last": START},
    ],
    ids=str,
)
def test_claims_of_the_index_are_refused(
    tmp_path: Path, changes: dict[str, object]
) -> None:
    content = zlib.compress(entries(lone()))
    path = tmp_path / "file"
    made_anew(path, content, change=lambda r: attrs.evolve(r, **changes))  # type: ignore[arg-type]
    assert told(path) is not None


@pytest.mark.parametrize("kind", [b"i", b"t", b"s"])
def test_a_part_that_claims_to_be_huge_is_refused(
    file: Path, tmp_path: Path, kind: bytes
) -> None:
    data = bytearray(file.read_bytes())
    place = layout.index_offset(bytes(data[-layout.END_BYTES :]))
    assert place is not None
    while data[place : place + 1] != kind:
        place += layout.PREFIX.size + layout.PREFIX.unpack_from(data, place)[1]
    data[place + 1 : place + 5] = b"\xff" * 4
    file.write_bytes(data)
    assert "claims 4294967295 bytes" in str(told(file))


@pytest.mark.parametrize(
    "content",
    [b"", b"[" * 100_000, b"{}", b'{"a":NaN}', b"1" * 5000, b"\xff\xff", b"null"],
    ids=["empty", "deep", "fields", "nan", "digits", "bytes", "null"],
)
def test_a_header_or_trailer_that_is_none_is_one_line(content: bytes) -> None:
    for parse in (layout.parsed_header, layout.parsed_trailer):
        with pytest.raises(ValueError, match=r"^its (header|trailer) .*$"):
            parse(content)


def test_errors_of_bundles_are_errors_of_events() -> None:
    assert issubclass(DamagedBundle, DamagedEvent)
    assert issubclass(DamagedBundle, EventStoreError)
