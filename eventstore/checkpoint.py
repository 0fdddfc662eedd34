"""Checkpoints: where both streams ended at a time, signed with a key of the operator's.

Kept off the pair, they find even a history that was rewritten in both Redis. A file of them
holds a line of JSON each:

    {"heads": {ORIGIN: {"digest": HEX, "id": "<ms>-<n>", "n": N}, …}, "key": FINGERPRINT,
     "pair": NAME, "signature": HEX, "time": ISO 8601, "version": 1}

The signature is of all the rest: JSON with sorted names and no spaces, behind a line that says
what is signed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import attrs

from eventstore.errors import EventStoreError
from eventstore.event import EventId, JsonValue, Origin
from eventstore.memory import Head
from eventstore.signing import PrivateKey, PublicKey
from eventstore.verified import ORIGINS, Witness

CHECKPOINT_BYTES_MAX: Final = 4096
"""Limit of a line; one has about 600 bytes."""
_SIGNED: Final = b"netphone checkpoint 1\n"
_VERSION: Final = 1
_TIME_LENGTH_MAX: Final = 40


class CheckpointRefused(EventStoreError):
    """A line that is no checkpoint, or not signed with the key that is trusted."""


@attrs.frozen
class Checkpoint:
    """Where the streams of `pair` ended at `time`."""

    pair: str
    time: str
    """ISO 8601, by the clock of who made it."""
    heads: Mapping[Origin, Head]

    def signed(self, key: PrivateKey) -> bytes:
        """The line, without its end."""
        fields: dict[str, JsonValue] = {
            "version": _VERSION,
            "pair": self.pair,
            "time": self.time,
            "heads": {
                origin: {
                    "id": str(head.id),
                    "n": head.id.n,
                    "digest": head.digest.hex(),
                }
                for origin, head in self.heads.items()
            },
            "key": key.public.fingerprint,
        }
        signature = key.sign(_SIGNED + _packed(fields)).hex()
        return _packed({**fields, "signature": signature})

    @classmethod
    def read(cls, line: bytes, key: PublicKey) -> Checkpoint:
        """The checkpoint in `line`, which was signed with `key`.

        Raises:
            CheckpointRefused: it is none, or was not.
        """
        fields = _fields(line)
        signature = fields.pop("signature", None)
        named = fields.get("key")
        if named != key.fingerprint:
            raise CheckpointRefused(
                f"it names the key {str(named)[:20]!r}, not {key.fingerprint}"
            )
        try:
            raw = bytes.fromhex(signature)
            # Of the bytes in the file: another spelling of the same was not signed.
            is_signed = line == _packed({**fields, "signature": raw.hex()})
            is_signed &= key.verifies(raw, _SIGNED + _packed(fields))
        except (TypeError, ValueError):
            is_signed = False
        if not is_signed:
            raise CheckpointRefused("its signature is not of what it says: altered")
        try:
            return cls(
                pair=str(fields["pair"]),
                time=str(fields["time"])[:_TIME_LENGTH_MAX],
                heads={
                    Origin(origin): _head(head)
                    for origin, head in fields["heads"].items()
                    if origin in ORIGINS
                },
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            raise CheckpointRefused("it is of a version that is not known") from None

    def witnesses(self) -> Iterator[Witness]:
        """What it says of each stream."""
        for origin, head in sorted(self.heads.items()):
            yield Witness(origin, head, f"the checkpoint of {self.time}")


def read_checkpoints(
    lines: Iterable[bytes], key: PublicKey, pair: str
) -> Iterator[Checkpoint | str]:
    """Each checkpoint of a file in turn, or what is wrong with its line, in one line.

    Each line has its end, the last one too: else it was cut off.
    """
    for number, line in enumerate(lines, start=1):
        try:
            found = Checkpoint.read(_whole(line), key)
        except CheckpointRefused as error:
            yield f"line {number}: {error}"
            continue
        if found.pair == pair:
            yield found
        else:
            yield f"line {number}: it is of the pair {found.pair[:60]!r}, not {pair!r}"


def _whole(line: bytes) -> bytes:
    if len(line) > CHECKPOINT_BYTES_MAX:
        raise CheckpointRefused(
            f"it has over {CHECKPOINT_BYTES_MAX} bytes: no checkpoint"
        )
    if not line.endswith(b"\n"):
        raise CheckpointRefused("it has no end: cut off")
    return line[:-1]


def _fields(line: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise CheckpointRefused("it is no checkpoint: cut off or altered")
    return fields


def _head(fields: Any) -> Head:
    event_id, digest = EventId.parse(fields["id"]), bytes.fromhex(fields["digest"])
    if fields["n"] != event_id.n:
        raise ValueError("another number than that of its id")
    return Head(event_id, digest)


def _packed(fields: Mapping[str, Any]) -> bytes:
    return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()
