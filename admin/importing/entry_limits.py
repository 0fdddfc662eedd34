"""What a node accepts as an entry, checked here so that a whole file fails at once. Pure.

The same limits as the node's; `test_admin_entry_limits` compares the two. A node of another
version still has the last word.
"""

from __future__ import annotations

from admin.json_text import JsonValue

LICENCES = "licences/"
KEY_BYTES_MAX = 256
VALUE_BYTES_MAX = 64 * 1024
"""Limit of a packed value (msgpack), in bytes."""
VALUE_DEPTH_MAX = 32
NAME_BYTES_MAX = 256
"""Limit of a name in an object, in bytes."""


class OverLimit(ValueError):
    """A key or value that no node stores. Never quotes a value."""


def check_entry(key: str, value: JsonValue) -> None:
    """Accept what a node accepts.

    Raises:
        OverLimit: it would be refused; the message gives the limit.
    """
    check_key(key)
    if key.startswith(LICENCES):
        raise OverLimit(f"the key {key!r}: a licence is installed, not put")
    size = _packed_bytes(value, 0)
    if size > VALUE_BYTES_MAX:
        raise OverLimit(
            f"the value of {key} has {size} bytes; the limit is {VALUE_BYTES_MAX}"
        )


def check_key(key: str) -> None:
    """Accept `collection/name`.

    Raises:
        OverLimit: it has another form, control characters, or is too long.
    """
    size = len(key.encode())
    if size > KEY_BYTES_MAX:
        raise OverLimit(
            f"the key {key[:40]!r}… has {size} bytes; the limit is {KEY_BYTES_MAX}"
        )
    collection, slash, name = key.partition("/")
    if not (collection and slash and name):
        raise OverLimit(f"the key {key!r} is not of the form collection/name")
    if not key.isprintable():
        raise OverLimit(f"the key {key!r} has control characters")


def _packed_bytes(value: JsonValue, depth: int) -> int:
    """Bytes of `value` in msgpack, by its specification."""
    if depth > VALUE_DEPTH_MAX:
        raise OverLimit(f"the value is nested deeper than {VALUE_DEPTH_MAX}")
    match value:
        case None | bool():
            return 1
        case float():
            return 9
        case int():
            return _packed_int_bytes(value)
        case str():
            return _packed_text_bytes(value)
        case list():
            inner = sum(_packed_bytes(element, depth + 1) for element in value)
            return _head_bytes(len(value), 15, 0) + inner
        case dict():
            inner = 0
            for name, element in value.items():
                if len(name.encode()) > NAME_BYTES_MAX:
                    raise OverLimit(
                        f"a name is over the limit of {NAME_BYTES_MAX} bytes"
                    )
                inner += _packed_text_bytes(name) + _packed_bytes(element, depth + 1)
            return _head_bytes(len(value), 15, 0) + inner


def _packed_text_bytes(text: str) -> int:
    size = len(text.encode())
    return _head_bytes(size, 31, 2**8 - 1) + size


def _head_bytes(count: int, tiny_max: int, one_byte_max: int) -> int:
    if count <= tiny_max:
        return 1
    if count <= one_byte_max:
        return 2
    return 3 if count < 2**16 else 5


def _packed_int_bytes(number: int) -> int:
    if -32 <= number < 128:
        return 1
    bits = number.bit_length() if number > 0 else (-number - 1).bit_length() + 1
    return next(1 + size // 8 for size in (8, 16, 32, 64) if bits <= size)
