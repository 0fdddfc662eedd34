"""Bytes -> lines of text, with the number of every line that is not UTF-8. Pure."""

from __future__ import annotations

import codecs

from admin.importing.parsed import BrokenLines, Problems

_OTHER_ENCODINGS = {
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
    codecs.BOM_UTF32_BE: "UTF-32",
}


def decoded_lines(data: bytes, problems: Problems) -> list[str]:
    """The lines of `data`, ends included, without a byte order mark.

    A line that is not UTF-8 is noted in `problems` and comes with replacement characters,
    so that what follows is still read in step.

    Raises:
        BrokenLines: the file is in another encoding altogether.
    """
    for mark, name in _OTHER_ENCODINGS.items():
        if data.startswith(mark):
            raise BrokenLines({1: f"the file is {name}; save it as UTF-8"})
    lines = []
    for number, raw in enumerate(
        data.removeprefix(codecs.BOM_UTF8).splitlines(keepends=True), start=1
    ):
        try:
            lines.append(raw.decode())
        except UnicodeDecodeError as error:
            problems.add(
                number, f"not UTF-8: byte 0x{raw[error.start]:02x} at {error.start + 1}"
            )
            lines.append(raw.decode(errors="replace"))
    return lines
