"""Licences in files: read for installing, and written by a vendor who issues one."""

from __future__ import annotations

from pathlib import Path

from admin.errors import UsageProblem
from admin.files import write_new
from admin.json_text import JsonValue, NotJson, parsed_json, written_json
from eventstore import InvalidLicence, read_licence


def parsed_licence(name: str, data: bytes) -> dict[str, JsonValue]:
    """The licence in `data`, the content of the file `name`; its signature is not judged.

    Raises:
        UsageProblem: it is not JSON, or a field of it is wrong.
    """
    try:
        document = parsed_json(data.decode())
        read_licence(document)
    except UnicodeDecodeError as error:
        raise UsageProblem(f"{name} is not UTF-8 at byte {error.start}") from None
    except NotJson as error:
        raise UsageProblem(f"{name} is not JSON: {error}") from None
    except InvalidLicence as error:
        raise UsageProblem(f"{name} is no licence: {error}") from None
    assert isinstance(document, dict), "a licence is an object"
    return document


def write_licence(path: Path, document: dict[str, JsonValue]) -> None:
    """Write `document` to the new file `path`, to be read by people too.

    Raises:
        UsageProblem: the file is there already, or cannot be written; then there is none.
    """
    write_new(path, (written_json(document, indent=2) + "\n").encode(), 0o644)
