"""Which kind of file it is. Pure."""

from __future__ import annotations

import codecs
from enum import StrEnum


class FileFormat(StrEnum):
    """What `import` reads."""

    AUTO = "auto"
    JSONL = "jsonl"
    FREEPBX = "freepbx"


def detected_format(data: bytes) -> FileFormat:
    """`JSONL` if the first character is that of an object, else `FREEPBX`."""
    start = data.removeprefix(codecs.BOM_UTF8)[:4096].lstrip()
    return FileFormat.JSONL if start.startswith(b"{") else FileFormat.FREEPBX
