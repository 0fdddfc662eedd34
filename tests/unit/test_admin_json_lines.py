"""JSON Lines: every broken line is named; what is written reads back."""

from __future__ import annotations

import json
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from admin.importing.json_lines import parse_json_lines, written_json_lines
from admin.importing.parsed import BrokenLines


def _problems(data: bytes) -> dict[int, str]:
    with pytest.raises(BrokenLines) as broken:
        parse_json_lines(data)
    return broken.value.problems


def test_entries_are_read_in_order_and_blank_lines_are_skipped() -> None:
    data = (
        b'\xef\xbb\xbf{"key": "a/1", "value": 1}\r\n\r\n{"value": null, "key": "a/0"}'
    )
    assert dict(parse_json_lines(data).entries) == {"a/1": 1, "a/0": None}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "Expecting property name"),
        ("[]", "not an object"),
        ('{"key": "a/b"}', "no 'value'"),
        ('{"key": "a/b", "value": 1, "id": "1-1"}', "unknown 'id'"),
        ('{"key": 5, "value": 1}', "the key is not a string"),
        ('{"key": "ab", "value": 1}', "not of the form collection/name"),
        ('{"key": "a/b", "key": "a/c", "value": 1}', "'key' occurs twice"),
        ('{"key": "a/b", "value": {"x": 1, "x": 2}}', "'x' occurs twice"),
        ('{"key": "a/b", "value": NaN}', "NaN is not JSON"),
        ('{"key": "a/b", "value": 18446744073709551616}', "beyond 64 bits"),
        ('{"key": "a/b", "value": "\\ud83d"}', "surrogate"),
        (json.dumps({"key": "a/b", "value": "x" * 65536}), "the limit is 65536"),
        (json.dumps({"key": "a/" + "b" * 300, "value": 1}), "the limit is 256"),
        ('{"key": "c/d", "value": 2}', "'c/d' is in line 1 already"),
    ],
    ids=lambda text: text[:40],
)
def test_a_broken_line_is_named_with_its_reason(line: str, reason: str) -> None:
    data = '{"key": "c/d", "value": 1}\n' + line + "\n"
    problems = _problems(data.encode())
    assert list(problems) == [2]
    assert reason in problems[2]


def test_all_broken_lines_are_named_not_only_the_first() -> None:
    good = b'{"key": "a/%d", "value": 1}\n'
    data = good % 1 + b"{\n" + good % 2 + b'{"key": "a/3", "value": "\xff"}\n]\n'
    problems = _problems(data)
    assert list(problems) == [2, 4, 5]
    assert problems[4].startswith("not UTF-8: byte 0xff at 26")


def test_reasons_do_not_quote_values() -> None:
    line = b'{"key": "a/b", "value": {"password": "hunter2", "x": NaN}}'
    assert "hunter2" not in str(_problems(line))


_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.text(max_size=60), inner, max_size=5)
    ),
    max_leaves=10,
)


@settings(max_examples=50, deadline=None)
@given(st.lists(_VALUES, max_size=5))
def test_what_is_written_reads_back_to_the_same_json(values: list[Any]) -> None:
    entries = {f"a/{number}": value for number, value in enumerate(values)}
    data = "".join(written_json_lines(entries.items())).encode()
    assert data.count(b"\n") == len(values)
    found = dict(parse_json_lines(data).entries)
    assert json.dumps(found) == json.dumps(entries)
