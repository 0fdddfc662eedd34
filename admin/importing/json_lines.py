"""JSON Lines, `{"key": …, "value": …}` each: what `export` writes. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from admin.fields import shortened
from admin.importing.entry_limits import OverLimit, check_entry
from admin.importing.parsed import ParsedFile, Problems
from admin.importing.text_lines import decoded_lines
from admin.json_text import JsonValue, NotJson, parsed_json, written_json

_NAMES = {"key", "value"}


def parse_json_lines(data: bytes) -> ParsedFile:
    """The entries of a file; blank lines are skipped.

    Raises:
        BrokenLines: a line is no entry, or a key occurs twice.
    """
    problems = Problems()
    entries: dict[str, JsonValue] = {}
    first_line: dict[str, int] = {}
    for number, line in enumerate(decoded_lines(data, problems), start=1):
        if not line.strip():
            continue
        try:
            key, value = _entry(line)
        except (NotJson, OverLimit) as error:
            problems.add(number, str(error))
            continue
        if key in first_line:
            problems.add(
                number, f"the key {key!r} is in line {first_line[key]} already"
            )
            continue
        first_line[key] = number
        entries[key] = value
    problems.raise_if_any()
    return ParsedFile(entries)


def written_json_lines(entries: Iterable[tuple[str, JsonValue]]) -> Iterable[str]:
    """The lines of a file that `parse_json_lines` reads back to the same entries."""
    for key, value in entries:
        yield written_json({"key": key, "value": value}) + "\n"


def _entry(line: str) -> tuple[str, JsonValue]:
    value = parsed_json(line)
    if not isinstance(value, dict) or value.keys() != _NAMES:
        raise NotJson(f'not of the form {{"key": …, "value": …}}{_difference(value)}')
    key = value["key"]
    if not isinstance(key, str):
        raise NotJson("the key is not a string")
    check_entry(key, value["value"])
    return key, value["value"]


def _difference(value: JsonValue) -> str:
    if not isinstance(value, dict):
        return ": it is not an object"
    missing = [f"no {name!r}" for name in sorted(_NAMES - value.keys())]
    unknown = [f"unknown {shortened(n)!r}" for n in sorted(value.keys() - _NAMES)[:3]]
    return ": " + ", ".join(missing + unknown)
