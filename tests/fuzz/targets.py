"""The parsers that read what others wrote, and what must hold for any bytes.

A check returns when the bytes gave a value that keeps its promise, or the documented error.
Anything else that it raises is a finding. What it must be given, however long it takes and
however much memory, is for the engine to bound.
"""

from __future__ import annotations

import atexit
import contextlib
import tempfile
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import attrs
import msgpack

from admin.importing.entry_limits import check_entry
from admin.importing.freepbx import parse_extensions
from admin.importing.json_lines import parse_json_lines, written_json_lines
from admin.importing.parsed import BrokenLines
from admin.json_text import JsonValue, parsed_json, same_json, written_json
from eventstore import (
    Bundle,
    DamagedBundle,
    DamagedEvent,
    Event,
    EventId,
    Origin,
    PrivateKey,
    bundle_format,
    check_bundle,
    codec,
)
from node.config import NodeConfig
from node.errors import ConfigError, RemoteProtocolError
from node.http_api import strict_json
from node.link_messages import (
    Goodbye,
    Hello,
    Message,
    Proof,
    Refusal,
    SwitchMessage,
    pack,
    unpack,
)
from node.link_protocol import Connection, Incident, Unacceptable
from node.roles import Role, State
from node.situation import Switch, SwitchStep
from tests.support.histories import MASTER, Writer
from tests.support.links import HEARTBEAT, ends, framed, opened
from tests.support.sources import MemorySource, exported, small_history

TOP = Path(__file__).parents[2]
DATA = TOP / "tests" / "data"
SHARED = TOP.parent / "shared" / "data"
"""Beside a checkout of the project: real exports, which are not part of it."""
REGRESSIONS = Path(__file__).parent / "regressions"
"""For each target a folder: what once went wrong, each input in a file."""

INPUT_LIMIT_S = 10
"""An input that takes longer is a finding."""


@attrs.frozen
class Target:
    """One parser."""

    name: str
    check: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]
    bytes_max: int
    """No longer inputs are tried; the product has limits of its own."""

    def regressions(self) -> list[bytes]:
        """Inputs that once were findings."""
        folder = REGRESSIONS / self.name
        return [path.read_bytes() for path in sorted(folder.glob("*"))]


# Frames of the link: three ways in, chosen by the first byte.


def check_frames(data: bytes) -> None:
    """In two pieces they give what they give in one, and only the documented refusals."""
    way, at, body = data[:1], int.from_bytes(data[1:3]), data[3:]
    assert _heard(way, body, at) == _heard(way, body, 0)


def _heard(way: bytes, body: bytes, at: int) -> list[Incident | str]:
    """The incidents, and the refusal that ended them, of `body` cut in two at `at`."""
    connection, sent = _end(way, body)
    seen: list[Incident | str] = []
    try:
        for part in (sent[:at], sent[at:]):
            seen += connection.receive(part)
    except (RemoteProtocolError, Unacceptable) as error:
        seen.append(str(error))
    return seen


def _end(way: bytes, body: bytes) -> tuple[Connection, bytes]:
    """An end of a connection, and what comes in there."""
    if way == b"p":  # From the peer, proved: the body is where a message should be.
        dialler, listener = opened()
        return listener, framed(dialler._mac(body) + body)
    dialler, listener = ends()
    return dialler if way == b"d" else listener, body


def seeds_of_frames() -> list[bytes]:
    dialler, _ = ends()
    hello = dialler.take_outbox()
    cut = (7).to_bytes(2)
    proved = [b"p" + cut + body for body in seeds_of_messages()]
    return [b"l" + cut + hello, b"d" + cut + hello, *proved]


# Messages of the link.


def check_messages(data: bytes) -> None:
    """What is understood is told on as it was understood."""
    try:
        message = unpack(data)
    except RemoteProtocolError:
        return
    if message is not None:
        assert unpack(pack(message)) == message


def seeds_of_messages() -> list[bytes]:
    switch = Switch("s1", "m", "s", Role.MASTER, "jane", "maintenance")
    hello = Hello(
        protocol=1, oldest=1, event_format=1, pair="office", role=Role.MASTER,
        state=State.ACTIVE, instance="m", nonce=bytes(16), promise="s1", sequence=7,
        version="1.0",
    )  # fmt: skip
    said: list[Message] = [
        HEARTBEAT,
        hello,
        Goodbye(),
        Proof(bytes(32)),
        Refusal("wrong secret"),
        SwitchMessage(SwitchStep.CONFIRM, switch, "1767225600000-42"),
        SwitchMessage(SwitchStep.ABORT, switch, "why not"),
    ]
    return [pack(message) for message in said]


# Stored events.


def check_events(data: bytes) -> None:
    """What is accepted is the same event again when it is written and read."""
    origin, event_id = _place(data)
    try:
        event = codec.decode(origin, event_id, data)
    except DamagedEvent as error:
        assert "\n" not in str(error)
        return
    assert event.digest == codec.digest_of(data)
    if isinstance(event, Event):
        again = codec.decode(origin, event_id, codec.encode_event(event))
        # msgpack has more than one spelling; ours is the shortest, with another digest.
        assert isinstance(again, Event)
        assert attrs.evolve(again, digest=event.digest) == event


def _place(data: bytes) -> tuple[Origin, EventId]:
    """Where the event says that it stands, or a place like any other."""
    with contextlib.suppress(Exception):
        _, _, origin, stored_id, *_ = msgpack.unpackb(data)
        return Origin(str(origin)), EventId.parse(str(stored_id))
    return MASTER, EventId(1, 1)


def seeds_of_events() -> list[bytes]:
    writer = Writer(MASTER)
    writer.put("users/jane", {"name": "Jane", "numbers": [1, -2.5, None, True, "ä"]})
    writer.delete("users/jane", ms=1767225600000)
    writer.write("state-changed", "", {"state": "active"})
    return [blob for _, blob in writer.blobs]


# The configuration file.


def check_config(data: bytes) -> None:
    """A configuration, or one line that says what is wrong."""
    path = _config_folder() / "node.toml"
    path.write_bytes(data)
    try:
        NodeConfig.from_file(path)
    except ConfigError as error:
        assert "\n" not in str(error)
        assert str(error)


@cache
def _config_folder() -> Path:
    folder = tempfile.TemporaryDirectory(prefix="netphone-fuzz-")
    atexit.register(folder.cleanup)
    for name in ("pair.secret", "next.secret", "read.token", "change.token"):
        path = Path(folder.name) / name
        path.write_text(f"what is in {name}")
        path.chmod(0o600)
    return Path(folder.name)


_NODE_TOML = b"""
[node]
pair = "office"
role = "master"
listen = "10.0.0.1:7400"
peer = "[2001:db8::2]:7400"
secret_file = "pair.secret"
next_secret_file = "next.secret"
[redis]
url = "redis://127.0.0.1:6379/0"
peer_url = "rediss://jane@10.0.0.2:6379/0?ssl_cert_reqs=none"
[supervision]
heartbeat_interval_s = 1.0
peer_lost_after_s = 3
switch_step_s = 0.5
takeovers_per_hour_max = 3
[witness]
addresses = ["10.0.0.254:80"]
command = ["ping", "-c1", "10.0.0.254"]
[http]
listen = "127.0.0.1:7480"
read_token_file = "read.token"
change_token_file = "change.token"
[hooks]
on_active = ["/etc/take-address"]
deadline_s = 3.0
[telephony]
realm = "office"
"""


def seeds_of_config() -> list[bytes]:
    return [_NODE_TOML, b'[node]\npair = "a"\n', b"node.pair = 1979-05-27T07:32:00Z\n"]


# What `import` reads.


def check_csv(data: bytes) -> None:
    """Users that a node would store and JSON can carry, or the lines that are broken."""
    try:
        entries = parse_extensions(data).parsed("office").entries
    except BrokenLines as broken:
        _check_reasons(broken)
        return
    assert entries
    for key, value in entries.items():
        check_entry(key, value)
        assert same_json(parsed_json(written_json(value)), value)


def seeds_of_csv() -> list[bytes]:
    files = [*DATA.glob("*.csv"), *SHARED.glob("*.csv")]
    dialects = [
        "extension,name,secret\r\n1001,Jane,a secret\r\n",
        '\ufeffsep=;\r\nextension;name;secret\r\n1001;"Jane; ""J""";x\r\n',
        "extension\tname\tsecret\n1001\t'\"\tx\n",
        "'extension','name','secret'\n'1001','J\u00fcrgen\nzwei','x'\n",
    ]
    heads = [_whole_lines(path.read_bytes(), 4096) for path in files]
    return [*heads, *(text.encode() for text in dialects)]


def _whole_lines(data: bytes, bytes_max: int) -> bytes:
    """The first lines of `data`: a large file takes long and shows nothing more."""
    return (
        data if len(data) <= bytes_max else data[: data.rindex(b"\n", 0, bytes_max) + 1]
    )


def check_json_lines(data: bytes) -> None:
    """Entries that come back from what is written of them, or the lines that are broken."""
    try:
        entries = parse_json_lines(data).entries
    except BrokenLines as broken:
        _check_reasons(broken)
        return
    text = "".join(written_json_lines(entries.items()))
    again = parse_json_lines(text.encode()).entries
    assert again.keys() == entries.keys()
    assert all(same_json(again[key], value) for key, value in entries.items())


def seeds_of_json_lines() -> list[bytes]:
    entries: list[tuple[str, JsonValue]] = [
        (
            "users/jane",
            {"name": "J\u00fcrgen \u2028", "numbers": [1, -2.5e3, None, True]},
        ),
        ("a/b", 2**64 - 1),
    ]
    text = "".join(written_json_lines(entries))
    return [text.encode(), b'{"key": "a/b", "value": "\\ud83d\\ude00"}\n\n']


def _check_reasons(broken: BrokenLines) -> None:
    assert broken.problems
    assert all(line > 0 and reason for line, reason in broken.problems.items())
    assert not any("\n" in reason for reason in broken.problems.values())


# Bodies of HTTP requests.


def check_http_json(data: bytes) -> None:
    """A value that can be told on and is the same then, or where it is no JSON."""
    try:
        value = strict_json.decode(data)
    except strict_json.InvalidJson as error:
        assert "\n" not in str(error)
        return
    again = strict_json.decode(strict_json.encode(value))
    assert repr(again) == repr(value)


def seeds_of_http_json() -> list[bytes]:
    return [
        b'{"value": {"name": "Jane", "numbers": [1, -2.5e3, null, true]}}',
        '{"reason": "J\u00fcrgen", "value": "\\ud83d\\ude00\\u0000"}'.encode(),
    ]


# Bundles, which come from somebody else.


def check_bundles(data: bytes) -> None:
    """Read whole as the events that it says it holds, or refused in one line."""
    path = _config_folder() / "bundle"
    path.write_bytes(data)
    try:
        with Bundle(path) as bundle:
            chains = check_bundle(bundle)
            for checked in chains:
                if checked.chain.archive is None:
                    after = checked.chain.start
                    found = bundle.read(checked.chain.origin, after, 100_000)
                    assert len(found) == checked.held.count
    except DamagedBundle as error:
        assert "\n" not in str(error)


def check_parts_of_bundles(data: bytes) -> None:
    """Each parser of a part by itself: behind digests, changed bytes never come so far."""
    with contextlib.suppress(ValueError):
        header = bundle_format.parsed_header(data)
        assert bundle_format.header_bytes(header) == data
    with contextlib.suppress(ValueError):
        trailer = bundle_format.parsed_trailer(data)
        assert bundle_format.trailer_bytes(trailer) == data
    with contextlib.suppress(ValueError):
        entries = bundle_format.unpacked_block(data)
        raw = b"".join(map(bundle_format.entry_bytes, entries))
        assert len(raw) <= bundle_format.BLOCK_BYTES_MAX
        assert raw == zlib.decompress(data)


def seeds_of_bundles() -> list[bytes]:
    source = MemorySource.of(small_history())
    source.kept["standby-resync-9000-9"] = source.streams[Origin("standby")][1:]
    found = []
    for number, key in enumerate((None, PrivateKey.new())):
        path = _config_folder() / f"seed-{number}"
        path.unlink(missing_ok=True)
        exported(source, path, key).close()
        found.append(path.read_bytes())
    return found


def seeds_of_parts_of_bundles() -> list[bytes]:
    path = _config_folder() / "seed-parts"
    path.write_bytes(seeds_of_bundles()[1])
    with Bundle(path) as bundle:
        header = bundle_format.header_bytes(bundle.header)
        trailer = bundle_format.trailer_bytes(bundle.trailer)
    entries = small_history().master.blobs
    raw = b"".join(map(bundle_format.entry_bytes, entries))
    plain = [zlib.compress(raw, 0), zlib.compress(raw)]
    return [header, trailer, *plain]


TARGETS = {
    target.name: target
    for target in (
        Target("frames", check_frames, seeds_of_frames, 64 * 1024),
        Target("messages", check_messages, seeds_of_messages, 32 * 1024),
        Target("events", check_events, seeds_of_events, 80 * 1024),
        Target("bundles", check_bundles, seeds_of_bundles, 64 * 1024),
        Target(
            "bundle-parts",
            check_parts_of_bundles,
            seeds_of_parts_of_bundles,
            64 * 1024,
        ),
        Target("config", check_config, seeds_of_config, 16 * 1024),
        Target("csv", check_csv, seeds_of_csv, 8 * 1024),
        Target("json-lines", check_json_lines, seeds_of_json_lines, 16 * 1024),
        Target("http-json", check_http_json, seeds_of_http_json, 16 * 1024),
    )
}
