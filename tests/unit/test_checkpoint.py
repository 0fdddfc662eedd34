"""Checkpoints: what was signed is read back, and nothing else is taken."""

from __future__ import annotations

import json

import pytest

from eventstore import (
    CHECKPOINT_BYTES_MAX,
    Checkpoint,
    CheckpointRefused,
    EventId,
    Head,
    PrivateKey,
    read_checkpoints,
)
from tests.support.histories import MASTER, STANDBY

KEY, OTHER_KEY = PrivateKey.new(), PrivateKey.new()
HEADS = {
    MASTER: Head(EventId(1_767_225_600_000, 42), b"\x01" * 32),
    STANDBY: Head(EventId(1_767_225_600_500, 7), b"\x02" * 32),
}
MADE = Checkpoint("office", "2026-01-01T00:00:00Z", HEADS)
LINE = MADE.signed(KEY)


def found(*lines: bytes) -> list[Checkpoint | str]:
    return list(read_checkpoints(lines, KEY.public, "office"))


def test_a_checkpoint_is_read_back() -> None:
    assert Checkpoint.read(LINE, KEY.public) == MADE
    told = json.loads(LINE)
    assert told["heads"]["master"] == {
        "id": "1767225600000-42",
        "n": 42,
        "digest": "01" * 32,
    }
    assert told["key"] == KEY.public.fingerprint


def test_every_byte_of_a_line_is_signed() -> None:
    for place in range(len(LINE)):
        for bit in (0, 5):
            altered = bytearray(LINE)
            altered[place] ^= 1 << bit
            with pytest.raises(CheckpointRefused):
                Checkpoint.read(bytes(altered), KEY.public)


def test_every_line_that_was_cut_off_is_refused() -> None:
    for length in range(len(LINE)):
        assert isinstance(found(LINE[:length] + b"\n")[0], str)
    assert found(LINE) == ["line 1: it has no end: cut off"]


def test_a_line_of_another_key_is_forged() -> None:
    (told,) = found(MADE.signed(OTHER_KEY) + b"\n")
    assert isinstance(told, str)
    assert "names the key" in told
    named = {**json.loads(MADE.signed(OTHER_KEY)), "key": KEY.public.fingerprint}
    (told,) = found(_line(named))
    assert told == "line 1: its signature is not of what it says: altered"


def test_another_spelling_of_the_same_was_not_signed() -> None:
    told = found(json.dumps(json.loads(LINE)).encode() + b"\n")
    assert told == ["line 1: its signature is not of what it says: altered"]


@pytest.mark.parametrize(
    "line",
    [b"", b"null", b"[]", b"1", b"{}", b"\xff", b"[" * 2000, b"x" * 5000],
    ids=lambda line: line[:4].decode("latin-1"),
)
def test_what_is_no_checkpoint_is_refused(line: bytes) -> None:
    assert isinstance(found(line + b"\n")[0], str)


def test_a_line_over_the_limit_is_not_decoded() -> None:
    longest = b"x" * (CHECKPOINT_BYTES_MAX - 1)
    told = found(longest + b"\n", longest + b"x\n")
    assert told == [
        "line 1: it is no checkpoint: cut off or altered",
        "line 2: it has over 4096 bytes: no checkpoint",
    ]


def test_each_bad_line_is_named_and_the_others_count() -> None:
    other = Checkpoint("branch", "2026-01-01T00:00:00Z", HEADS).signed(KEY)
    told = found(LINE + b"\n", other + b"\n", b"junk\n", LINE + b"\n")
    assert [told[0], told[3]] == [MADE, MADE]
    assert told[1] == "line 2: it is of the pair 'branch', not 'office'"
    assert str(told[2]).startswith("line 3: ")


def test_a_line_is_far_below_its_limit() -> None:
    longest = Checkpoint("x" * 255, "2026-01-01T00:00:00Z", HEADS).signed(KEY)
    assert len(longest) < CHECKPOINT_BYTES_MAX / 2


def _line(fields: object) -> bytes:
    return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode() + b"\n"
