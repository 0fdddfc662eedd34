"""JSON is read strictly and compared exactly."""

from __future__ import annotations

import pytest

from admin.json_text import NotJson, parsed_json, same_json, written_json


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "Expecting value"),
        ("NaN", "NaN"),
        ("-Infinity", "Infinity"),
        ("1e999", "beyond"),
        (str(2**64), "beyond 64 bits"),
        (str(-(2**63) - 1), "beyond 64 bits"),
        ("1" * 5000, "5000 digits"),
        ('{"a": 1, "b": 2, "a": 3}', "'a' occurs twice"),
        ('["\\ud800"]', "surrogate"),
        ('{"\\udc00": 1}', "surrogate"),
        ("[" * 100_000, "nested too deeply"),
        ("1 2", "Extra data"),
        ("'a'", "Expecting value"),
    ],
    ids=lambda text: text[:12],
)
def test_what_is_not_strict_json_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(NotJson, match=complaint):
        parsed_json(text)


def test_the_limits_of_64_bits_are_inside() -> None:
    assert parsed_json(f"[{2**64 - 1}, {-(2**63)}]") == [2**64 - 1, -(2**63)]


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("1", "1", True),
        ("1", "1.0", False),
        ("1", "true", False),
        ("0", "false", False),
        ("null", "false", False),
        ('""', "null", False),
        ("0.0", "-0.0", False),
        ("1e2", "100.0", True),
        ('{"a": 1, "b": [1]}', '{"b": [1], "a": 1}', True),
        ('{"a": 1}', '{"a": 1.0}', False),
        ("[1, 2]", "[2, 1]", False),
    ],
)
def test_values_are_compared_as_json(left: str, right: str, same: bool) -> None:
    assert same_json(parsed_json(left), parsed_json(right)) is same


@pytest.mark.parametrize(
    "text", ["a\x1b[2Jb", "\x7f", "\x9b2J", "\u202e", "\U000e0001"]
)
def test_written_json_cannot_steer_a_terminal_and_reads_back(text: str) -> None:
    written = written_json({text: [text]}, indent=2)
    assert written.replace("\n", "").isprintable()
    assert parsed_json(written) == {text: [text]}


def test_letters_of_every_script_stay_readable() -> None:
    assert written_json("Παύλος Çelik Nguyễn") == '"Παύλος Çelik Nguyễn"'
