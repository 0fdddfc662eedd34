"""FreePBX exports: every dialect is read, every broken line named, no password kept."""

from __future__ import annotations

import csv
import hashlib
import io
import time
from pathlib import Path
from typing import Any

import pytest

from admin.importing.freepbx import parse_extensions, realm_problem
from admin.importing.parsed import BrokenLines

EXCERPT = Path(__file__).parents[1] / "data" / "extensions-excerpt.csv"
REAL = Path(__file__).parents[3] / "shared" / "data" / "extensions.csv"
PASSWORD_COLUMNS = {"secret", "password", "voicemail_vmpwd"}
INTERPRETED_COLUMNS = {"extension", "name"}

needs_the_real_file = pytest.mark.skipif(not REAL.exists(), reason="no shared data")


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _csv(*rows: str, end: str = "\r\n") -> bytes:
    return end.join(["extension,name,secret,note", *rows, ""]).encode()


def _problems(data: bytes) -> dict[int, str]:
    with pytest.raises(BrokenLines) as broken:
        parse_extensions(data)
    return broken.value.problems


def _entries(data: bytes, realm: str = "office") -> dict[str, Any]:
    return dict(parse_extensions(data).parsed(realm).entries)


@pytest.mark.parametrize(
    "path",
    [EXCERPT, pytest.param(REAL, marks=needs_the_real_file)],
    ids=lambda p: p.stem,
)
def test_every_user_and_every_column_arrives_verbatim(path: Path) -> None:
    rows = _rows(path)
    entries = _entries(path.read_bytes())
    assert list(entries) == [f"users/{row['extension']}" for row in rows]
    for row, value in zip(rows, entries.values(), strict=True):
        secret = f"{row['extension']}:office:{row['secret']}".encode()
        assert value == {
            "extension": row["extension"],
            "display_name": row["name"],
            "digests": {
                "realm": "office",
                "md5": hashlib.md5(secret).hexdigest(),
                "sha256": hashlib.sha256(secret).hexdigest(),
            },
            "freepbx": {
                name: cell
                for name, cell in row.items()
                if name not in PASSWORD_COLUMNS | INTERPRETED_COLUMNS
            },
        }


@pytest.mark.parametrize(
    "path",
    [EXCERPT, pytest.param(REAL, marks=needs_the_real_file)],
    ids=lambda p: p.stem,
)
def test_no_password_is_in_what_is_stored(path: Path) -> None:
    entries = _entries(path.read_bytes())
    for row, value in zip(_rows(path), entries.values(), strict=True):
        assert row["secret"] not in str(value)
        cells = [value["display_name"], *value["freepbx"].values()]
        assert not row["voicemail_vmpwd"] or row["voicemail_vmpwd"] not in cells


def test_ha1_is_that_of_rfc_7616() -> None:
    """The example of RFC 7616 §3.9.1 uses this user, realm and password."""
    data = _csv("Mufasa,,Circle of Life,")
    digests = _entries(data, "http-auth@example.org")["users/Mufasa"]["digests"]
    assert digests["md5"] == "3d78807defe7de2157e2b0b6573a855f"
    assert digests["sha256"] == (
        "7987c64c30e25f1b74be53f966b49b90f2808aa92faf9a00262392d7b4794232"
    )


def _rewritten(delimiter: str, quoting: int, quote: str = '"') -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, quoting=quoting, quotechar=quote)  # type: ignore[arg-type]
    with EXCERPT.open(encoding="utf-8", newline="") as file:
        writer.writerows(csv.reader(file))
    return text.getvalue().encode()


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbf" + EXCERPT.read_bytes(),
        EXCERPT.read_bytes().replace(b"\r\n", b"\n"),
        EXCERPT.read_bytes().removesuffix(b"\r\n"),
        EXCERPT.read_bytes() + b"\r\n,,,\r\n   \r\n",
        b"sep=,\r\n" + EXCERPT.read_bytes(),
        _rewritten(";", csv.QUOTE_MINIMAL),
        _rewritten("\t", csv.QUOTE_MINIMAL),
        _rewritten(",", csv.QUOTE_ALL),
        _rewritten(";", csv.QUOTE_ALL, "'"),
        b"\xef\xbb\xbfsep=;\r\n" + _rewritten(";", csv.QUOTE_ALL),
    ],
    ids=["bom", "lf", "no end", "blank lines", "sep", ";", "tab", "all", "'", "excel"],
)
def test_every_common_dialect_gives_the_same_entries(data: bytes) -> None:
    assert _entries(data) == _entries(EXCERPT.read_bytes())


def test_tabs_without_quoting_keep_quotes_as_text() -> None:
    data = b'extension\tname\tsecret\n100\t"Jo" Li\tx\n101\t"Al"\ty\n'
    assert _entries(data)["users/100"]["display_name"] == '"Jo" Li'


def test_a_cell_may_go_over_several_lines() -> None:
    entries = _entries(_csv('100,Al,x,"a\r\nb"', "101,Bo,y,"))
    assert entries["users/100"]["freepbx"] == {"note": "a\r\nb"}
    assert _problems(_csv('100,Al,x,"a\nb"', "101,Bo")) == {
        4: "2 columns; the header has 4"
    }


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("101,Bo,y", "3 columns; the header has 4"),
        ("101,Bo,y,,", "5 columns; the header has 4"),
        ("100,Bo,y,", "extension 100 is in line 2 already"),
        (",Bo,y,", "no extension"),
        ("  ,Bo,y,", "no extension"),
        ("1/2,Bo,y,", "the extension has 3 characters that are not all"),
        ("1 2,Bo,y,", "the extension has 3 characters"),
        ("1:2,Bo,y,", "the extension has 3 characters"),
        ("..,Bo,y,", "the extension has 2 characters"),
        ("٣,Bo,y,", "the extension has 1 characters"),
        ("1" * 251 + ",Bo,y,", "has 257 bytes; the limit is 256"),
        ("101,Bo,y," + "n" * 65536, "the limit is 65536"),
        ("101,Bo,y," + "n" * 140000, "a column is over 131072 characters"),
        ('101,"Bo" B,y,', "quotes do not match"),
        ('101,"Bo,y,', "a quote is not closed"),
    ],
    ids=lambda text: text[:24],
)
def test_a_broken_row_is_named_with_its_reason(row: str, reason: str) -> None:
    problems = _problems(_csv("100,Al,x,", row))
    assert list(problems) == [3]
    assert reason in problems[3]


def test_all_broken_rows_are_named_and_none_quotes_a_password() -> None:
    rows = [
        "100,Al,hunter2,",
        "101,Bo,hunter2",
        "100,Cy,hunter2,",
        "hunter 2,Di,100,",
        '103,"Ed" E,hunter2,',
        "104,Flo,hunter2,",
    ]
    data = _csv(*rows).replace(b"Flo", b"Fl\xf6")
    problems = _problems(data)
    assert list(problems) == [3, 4, 5, 6, 7]
    assert problems[7] == "not UTF-8: byte 0xf6 at 7"
    assert "hunter" not in str(problems)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file is empty"),
        (b"\n\n", "the file is empty"),
        (b",,,\n", "no column 'extension'"),
        (b"100,Al,hunter2\n", "no column 'extension'"),
        (b"extension|name|secret\n", "no column 'extension'"),
        (b"extension,name\n100,Al\n", "no column 'secret'"),
        (b"extension,name,secret,name\n", "the column 'name' occurs twice"),
        (b"extension,name,secret,\n100,Al,x,\n", "column 4 has no name"),
        (b"extension,name,secret\n", "there is no extension below the header"),
        ("extension,secret\n".encode("utf-16"), "the file is UTF-16"),
    ],
)
def test_a_file_that_is_no_export_is_refused(data: bytes, reason: str) -> None:
    problems = _problems(data)
    assert reason in next(iter(problems.values()))
    assert "hunter2" not in str(problems)


def test_left_out_columns_are_counted_by_their_values() -> None:
    data = (
        b"extension,secret,Password,voicemail_vmpwd,devinfo_secret\n1,a,,1,z\n2,,,,\n"
    )
    file = parse_extensions(data)
    assert file.left_out == {
        "secret": 1,
        "Password": 0,
        "voicemail_vmpwd": 1,
        "devinfo_secret": 1,
    }
    assert file.parsed("office").entries["users/1"]["freepbx"] == {}  # type: ignore[index,call-overload]


def test_a_user_without_a_secret_gets_no_digest_of_an_empty_password() -> None:
    parsed = parse_extensions(_csv("100,Al,,")).parsed("office")
    assert "digests" not in str(parsed.entries)
    assert parsed.without_secret_count == 1


@pytest.mark.parametrize("realm", ["", " ", 'a"b', "a\nb", "a\\b", "r" * 129])
def test_what_a_phone_could_not_quote_is_no_realm(realm: str) -> None:
    assert realm_problem(realm)
    assert realm_problem("office") is None


def test_secrets_do_not_show_in_a_repr() -> None:
    assert "hunter2" not in repr(parse_extensions(_csv("100,Al,hunter2,hunter2")))


def test_a_header_of_very_many_columns_takes_time_by_its_length_only() -> None:
    columns = ["extension", "secret", *(f"c{n}" for n in range(100_000))]
    data = ",".join(columns).encode() + b"\n1001,x" + b",1" * 100_000 + b"\n"
    began_s = time.process_time()
    problems = _problems(data)
    assert time.process_time() - began_s < 10.0  # Once it was minutes.
    assert "limit" in problems[2]
