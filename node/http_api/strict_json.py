"""JSON as RFC 8259 has it, without what two readers could understand differently. Pure."""

from __future__ import annotations

import json
import math
from typing import NoReturn

from eventstore import JsonValue


class InvalidJson(ValueError):
    """The bytes are not JSON that this module takes; the message says where or why."""


def decode(data: bytes | bytearray) -> JsonValue:
    """The value that `data` spells.

    Refuses what Python's reader lets pass: NaN, infinities and numbers that become one,
    an object with one name twice, half of a surrogate pair, any encoding but UTF-8.

    Raises:
        InvalidJson: it spells none.
    """
    try:
        text = data.decode()
        value: JsonValue = json.loads(
            text,
            parse_constant=_refuse_constant,
            parse_float=_finite,
            object_pairs_hook=_object,
        )
        if "\\u" in text:
            encode(value).decode()
    except InvalidJson:
        raise
    except UnicodeDecodeError as error:
        raise InvalidJson(f"not UTF-8 at byte {error.start}") from None
    except UnicodeEncodeError:
        raise InvalidJson("half of a surrogate pair in a string") from None
    except json.JSONDecodeError as error:
        raise InvalidJson(
            f"{error.msg} (line {error.lineno}, column {error.colno})"
        ) from None
    except RecursionError:
        raise InvalidJson("nested too deeply") from None
    except ValueError:  # Python reads no integer of more than 4300 digits.
        raise InvalidJson("an integer of too many digits") from None
    return value


def encode(value: object) -> bytes:
    """`value` as compact JSON in UTF-8.

    Raises:
        ValueError: it holds NaN, an infinity or half of a surrogate pair.
    """
    return json.dumps(
        value, ensure_ascii=False, allow_nan=False, separators=(",", ":")
    ).encode()


def _refuse_constant(name: str) -> NoReturn:
    raise InvalidJson(f"{name} is not a number of JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise InvalidJson(f"{text[:20]} is beyond the range of a number")
    return number


def _object(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            raise InvalidJson(f"an object has the name {name[:40]!r} twice")
        seen.add(name)
    raise AssertionError("fewer names than pairs, but none twice")
