"""JSON as it is stored: strict reading, one canonical writing. Pure.

Python's `json` takes more than JSON (NaN, repeated names, halves of surrogate pairs,
integers of any size). None of that survives the way through a node, so none is accepted.
"""

from __future__ import annotations

import json
import math
from collections import Counter

JsonValue = None | bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"]

INT_MIN, INT_MAX = -(2**63), 2**64 - 1
_INT_DIGIT_COUNT_MAX = 20


class NotJson(ValueError):
    """A text that is not JSON, or not JSON that a node can store. Never quotes a value."""


def parsed_json(text: str) -> JsonValue:
    """The value that `text` denotes.

    Raises:
        NotJson: the text is not strict JSON; the message says what and where.
    """
    try:
        value: JsonValue = json.loads(
            text,
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_number,
            parse_constant=_constant,
        )
        json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise NotJson(f"{error.msg} at character {error.pos + 1}") from None
    except UnicodeEncodeError:
        raise NotJson("half of a surrogate pair, which UTF-8 cannot carry") from None
    except RecursionError:
        raise NotJson("nested too deeply") from None
    return value


def written_json(
    value: object, *, indent: int | None = None, ascii_only: bool = False
) -> str:
    """`value` on one line, or indented for people; safe to show on a terminal.

    Control characters above ASCII are escaped too: some terminals obey them.
    """
    text = json.dumps(value, ensure_ascii=ascii_only, allow_nan=False, indent=indent)
    if text.isprintable():
        return text
    return "".join(c if _is_harmless(c) else _escaped(c) for c in text)


def same_json(left: JsonValue, right: JsonValue) -> bool:
    """Whether both denote the same JSON: 1, 1.0 and true differ, the order of names not."""
    return _canonical(left) == _canonical(right)


def _canonical(value: JsonValue) -> str:
    return json.dumps(value, sort_keys=True)


def _is_harmless(character: str) -> bool:
    # A line end stands between elements only; the others join and part letters.
    return character.isprintable() or character in "\n\u00a0\u200c\u200d\u3000"


def _escaped(character: str) -> str:
    return json.dumps(character)[1:-1] if character > "\x7f" else "\\u007f"


def _object(pairs: list[tuple[str, JsonValue]]) -> JsonValue:
    found = dict(pairs)
    if len(found) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        twice = counts.most_common(1)[0][0]
        raise NotJson(f"the name {twice[:60]!r} occurs twice in one object")
    return found


def _integer(digits: str) -> int:
    if len(digits.lstrip("-")) > _INT_DIGIT_COUNT_MAX:
        raise NotJson(f"an integer of {len(digits)} digits is beyond 64 bits")
    number = int(digits)
    if not INT_MIN <= number <= INT_MAX:
        raise NotJson(f"the integer {number} is beyond 64 bits")
    return number


def _number(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise NotJson(f"the number {digits[:40]} is beyond what 64 bits can carry")
    return number


def _constant(name: str) -> float:
    raise NotJson(f"{name} is not JSON")
