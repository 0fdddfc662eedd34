"""FreePBX Bulk Handler export of extensions -> users without their passwords. Pure.

Events are for ever, so a password must never become one. What SIP digest authentication
needs is kept in its place: HA1 of extension, realm and secret (RFC 7616 §3.4.2, with
SHA-256 as RFC 8760 uses it). HA1 is bound to the realm: another realm needs a new import.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

import attrs

from admin.fields import shortened
from admin.importing.csv_table import Row, Table, column_name, parse_table
from admin.importing.entry_limits import OverLimit, check_entry
from admin.importing.parsed import BrokenLines, ParsedFile, Problems
from admin.json_text import JsonValue

REALM_BYTES_MAX = 128
_EXTENSION = re.compile(r"(?!\.+$)[0-9A-Za-z*#+_.-]+")
_NAME_COLUMNS = ("name", "description")
_PASSWORD_PARTS = ("secret", "passw", "pwd")
"""A column whose name has one of these is never stored.

These are `secret`, `password`, `voicemail_vmpwd`, and what other modules add by such names.
"""


@attrs.frozen
class _User:
    line: int
    extension: str
    display_name: str
    secret: str = attrs.field(repr=False)
    columns: dict[str, JsonValue] = attrs.field(repr=False)


@attrs.frozen
class ExtensionsFile:
    """The users of a file, checked; `parsed` gives their entries for a realm."""

    _users: tuple[_User, ...] = attrs.field(repr=False)
    left_out: dict[str, int]
    """Columns that are not stored -> how many rows had a value there."""

    def parsed(self, realm: str) -> ParsedFile:
        """The entries, with digests for `realm`: 1 to `REALM_BYTES_MAX` printable bytes."""
        return ParsedFile(
            entries={_key(user): _value(user, realm) for user in self._users},
            left_out=self.left_out,
            realm=realm,
            without_secret_count=sum(not user.secret for user in self._users),
        )


def realm_problem(realm: str) -> str | None:
    """Why `realm` cannot be one, or None."""
    if not realm.strip() or not realm.isprintable() or '"' in realm or "\\" in realm:
        return f"the realm {shortened(realm)!r} is empty, or has quotes or controls"
    if len(realm.encode()) > REALM_BYTES_MAX:
        return f"the realm has {len(realm.encode())} bytes; limit {REALM_BYTES_MAX}"
    return None


def parse_extensions(data: bytes) -> ExtensionsFile:
    """Read and check the whole file.

    Raises:
        BrokenLines: a line or the header is broken; reasons never quote a password.
    """
    problems = Problems()
    table = parse_table(data, "extension", problems)
    names = [column_name(cell) for cell in table.header.cells]
    if "secret" not in names:
        raise BrokenLines(
            {
                table.header.line: "the header has no column 'secret', so no user could "
                "log on; is this a Bulk Handler export of extensions?"
            }
        )
    users = _users(table, names, problems)
    problems.raise_if_any()
    if not users:
        raise BrokenLines({table.header.line: "there is no extension below the header"})
    return ExtensionsFile(tuple(users), _left_out(table.rows, table.header, names))


def _users(table: Table, names: list[str], problems: Problems) -> list[_User]:
    users = []
    first_line: dict[str, int] = {}
    for row in table.rows:
        user = _user(row, table.header, names)
        if not _EXTENSION.fullmatch(user.extension):
            problems.add(row.line, _extension_problem(user.extension))
        elif user.extension in first_line:
            earlier = first_line[user.extension]
            problems.add(
                row.line, f"extension {user.extension} is in line {earlier} already"
            )
        else:
            first_line[user.extension] = row.line
            _check_limits(user, problems)
            users.append(user)
    return users


def _user(row: Row, header: Row, names: list[str]) -> _User:
    cells = dict(zip(names, row.cells, strict=True))
    name_column = next((name for name in _NAME_COLUMNS if name in cells), None)
    taken = {"extension", "name"}
    columns: dict[str, JsonValue] = {
        title.strip(): cell
        for title, name, cell in zip(header.cells, names, row.cells, strict=True)
        if name not in taken and not _is_password(name)
    }
    return _User(
        line=row.line,
        extension=cells["extension"],
        display_name=cells[name_column] if name_column else "",
        secret=cells["secret"],
        columns=columns,
    )


def _extension_problem(extension: str) -> str:
    if not extension.strip():
        return "no extension"
    # Not quoted: in a line that is out of step, this may be someone's password.
    return (
        f"the extension has {len(extension)} characters that are not all digits, letters "
        "or one of * # + - _ ."
    )


def _check_limits(user: _User, problems: Problems) -> None:
    longest_realm = "r" * REALM_BYTES_MAX
    try:
        check_entry(_key(user), _value(user, longest_realm))
    except OverLimit as error:
        problems.add(user.line, str(error))


def _key(user: _User) -> str:
    return f"users/{user.extension}"


def _value(user: _User, realm: str) -> dict[str, JsonValue]:
    value: dict[str, JsonValue] = {
        "extension": user.extension,
        "display_name": user.display_name,
    }
    if user.secret:  # A digest of an empty password would let everyone in.
        value["digests"] = _digests(user, realm)
    value["freepbx"] = user.columns
    return value


def _digests(user: _User, realm: str) -> dict[str, JsonValue]:
    secret = f"{user.extension}:{realm}:{user.secret}".encode()
    return {
        "realm": realm,
        "md5": hashlib.md5(secret, usedforsecurity=False).hexdigest(),
        "sha256": hashlib.sha256(secret).hexdigest(),
    }


def _is_password(name: str) -> bool:
    return any(part in name for part in _PASSWORD_PARTS)


def _left_out(rows: Sequence[Row], header: Row, names: list[str]) -> dict[str, int]:
    return {
        header.cells[i].strip(): sum(1 for row in rows if row.cells[i])
        for i, name in enumerate(names)
        if _is_password(name)
    }
