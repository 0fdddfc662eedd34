"""A licence: a JSON document that its vendor signed. Pure.

    {"id": "L-2026-17", "product": "netphone-standby", "holder": "Example Ltd", "seats": 50,
     "issued": "2026-01-31T09:00:00Z", "not_before": "2026-02-01", "ends": "2026-12-31",
     "option": "recording",
     "signature": {"algorithm": "ed25519", "key": FINGERPRINT, "value": BASE64}}

`not_before`, `ends`, `option` and `signature` may be absent. What is signed are the canonical
bytes of the document without its signature: UTF-8, names sorted, no spaces, nothing escaped
that need not be, which is what `jq -cjS 'del(.signature)'` prints.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import attrs

from eventstore.errors import InvalidLicence
from eventstore.event import MS_MAX, JsonValue

if TYPE_CHECKING:
    from eventstore.signing import PrivateKey, PublicKey

LICENCE_BYTES_MAX: Final = 64 * 1024
"""Limit of a document; nothing longer is decoded."""
LICENCE_SEATS_MAX: Final = 1_000_000
LICENCE_TEXT_BYTES_MAX: Final = 256
"""Limit of a product and a holder."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z", re.ASCII)
_FINGERPRINT = re.compile(r"[0-9a-f]{16}")
_ALGORITHM: Final = "ed25519"
_SIGNATURE_BYTES: Final = 64

_NEEDED = ("id", "product", "holder", "seats", "issued")
_KNOWN = (*_NEEDED, "not_before", "ends", "option", "signature")
_SIGNATURE_FIELDS = ("algorithm", "key", "value")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_NS = 24 * 3600 * 1_000_000_000


@attrs.frozen
class LicenceSignature:
    """What a document says of its own signature; whether that is true is another matter."""

    fingerprint: str
    """Of the key it names; see `PublicKey.fingerprint`."""
    value: bytes


@attrs.frozen
class Licence:
    """What a document says. Made by `read_licence`, which checks every field."""

    id: str
    """1 to 64 letters, digits, dots, underscores and hyphens; unique within a pair."""
    product: str
    holder: str
    seats: int
    """1 or more."""
    option: str | None
    """The add-on it is for, named like an id; None: it is for the product itself."""
    issued_ns: int
    """Nanoseconds since 1970, as all below. Of two with one id the later issued counts."""
    starts_ns: int | None
    """The first instant of `not_before`; None: valid from the beginning."""
    ends_ns: int | None
    """The first instant at which it is not valid any more; None: it has no end."""
    signature: LicenceSignature | None
    document: Mapping[str, JsonValue] = attrs.field(repr=False)
    """As it was given."""

    def is_signed_by(self, key: PublicKey) -> bool:
        """Whether its signature is there, and made with the private part of `key`."""
        if self.signature is None:
            return False
        return key.verifies(self.signature.value, signed_bytes(self.document))


def read_licence(document: object) -> Licence:
    """The licence that `document`, a JSON object, spells. The signature is not judged.

    Raises:
        InvalidLicence: it spells none; the message names every wrong field.
    """
    if type(document) is not dict:
        raise InvalidLicence("a licence is a JSON object")
    fields = _Fields(document)
    licence = Licence(
        id=fields.name("id") or "",
        product=fields.text("product"),
        holder=fields.text("holder"),
        seats=fields.seats(),
        option=fields.name("option"),
        issued_ns=fields.instant_ns("issued") or 0,
        starts_ns=fields.instant_ns("not_before"),
        ends_ns=fields.instant_ns("ends", whole_day=True),
        signature=fields.signature(),
        document=document,
    )
    fields.check_order(licence)
    if fields.problems:
        raise InvalidLicence("; ".join(fields.problems))
    return licence


def signed_bytes(document: Mapping[str, JsonValue]) -> bytes:
    """The canonical bytes of `document` without its signature."""
    unsigned = {name: v for name, v in document.items() if name != "signature"}
    return json.dumps(
        unsigned, sort_keys=True, ensure_ascii=False, separators=(",", ":")
    ).encode()


def sign_licence(
    document: Mapping[str, JsonValue], key: PrivateKey
) -> dict[str, JsonValue]:
    """`document` with a signature by `key` in place of one it may have.

    Raises:
        InvalidLicence: it is no licence.
    """
    unsigned = {name: v for name, v in document.items() if name != "signature"}
    read_licence(unsigned)
    value = base64.b64encode(key.sign(signed_bytes(unsigned))).decode()
    signature: dict[str, JsonValue] = {
        "algorithm": _ALGORITHM,
        "key": key.public.fingerprint,
        "value": value,
    }
    return {**unsigned, "signature": signature}


class _Fields:
    """One reading of a document: it goes on behind a wrong field, so that all are named."""

    def __init__(self, document: Mapping[str, JsonValue]) -> None:
        self._document = document
        self.problems: list[str] = []
        unknown = [name for name in document if name not in _KNOWN]
        if unknown:
            self._wrong(f"{_shown(unknown[0])} is no field of a licence")
        missing = [name for name in _NEEDED if name not in document]
        if missing:
            self._wrong(f"missing: {', '.join(missing)}")

    def name(self, field: str) -> str | None:
        value = self._document.get(field)
        if field not in self._document:
            return None
        if type(value) is str and _NAME.fullmatch(value):
            return value
        self._wrong(
            f"{field} is {_shown(value)}, not 1 to 64 letters, digits, dots, underscores "
            "and hyphens, the first a letter or digit"
        )
        return None

    def text(self, field: str) -> str:
        value = self._document.get(field)
        if field not in self._document:
            return ""
        if (
            type(value) is str
            and value.isprintable()
            and value.strip() == value
            and 0 < len(value.encode()) <= LICENCE_TEXT_BYTES_MAX
        ):
            return value
        self._wrong(
            f"{field} is {_shown(value)}, not a text of 1 to {LICENCE_TEXT_BYTES_MAX} "
            "bytes on one line"
        )
        return ""

    def seats(self) -> int:
        value = self._document.get("seats")
        if "seats" not in self._document:
            return 0
        if type(value) is int and 1 <= value <= LICENCE_SEATS_MAX:
            return value
        self._wrong(
            f"seats is {_shown(value)}, not a whole number from 1 to {LICENCE_SEATS_MAX}"
        )
        return 0

    def instant_ns(self, field: str, *, whole_day: bool = False) -> int | None:
        """`whole_day`: a date means its end, not its begin."""
        value = self._document.get(field)
        if field not in self._document:
            return None
        if type(value) is str and (_DATE.fullmatch(value) or _INSTANT.fullmatch(value)):
            try:
                instant = datetime.fromisoformat(value).replace(tzinfo=UTC)
            except ValueError:
                self._wrong(f"{field} is {value}, which no calendar has")
                return None
            ns = (instant - _EPOCH) // timedelta(microseconds=1) * 1000
            day_ns = _DAY_NS if whole_day and _DATE.fullmatch(value) else 0
            return min(ns + day_ns, MS_MAX * 1_000_000)
        self._wrong(
            f"{field} is {_shown(value)}, not a date like 2026-12-31 or an instant like "
            "2026-12-31T12:00:00Z"
        )
        return None

    def signature(self) -> LicenceSignature | None:
        stored = self._document.get("signature")
        if "signature" not in self._document:
            return None
        if type(stored) is not dict or set(stored) != set(_SIGNATURE_FIELDS):
            self._wrong(f"signature is no object of {', '.join(_SIGNATURE_FIELDS)}")
            return None
        if stored["algorithm"] != _ALGORITHM:
            self._wrong(
                f"signature.algorithm is {_shown(stored['algorithm'])}, not {_ALGORITHM!r}"
            )
        key, value = stored["key"], _from_base64(stored["value"])
        if type(key) is not str or not _FINGERPRINT.fullmatch(key):
            self._wrong(f"signature.key is {_shown(key)}, not 16 hex digits")
        elif value is None:
            self._wrong(f"signature.value is not {_SIGNATURE_BYTES} bytes in base64")
        else:
            return LicenceSignature(key, value)
        return None

    def check_order(self, licence: Licence) -> None:
        starts_ns, ends_ns = licence.starts_ns, licence.ends_ns
        if ends_ns is None or self.problems:
            return
        for name, begin_ns in ("not_before", starts_ns), ("issued", licence.issued_ns):
            if begin_ns is not None and begin_ns >= ends_ns:
                ends, begin = licence.document["ends"], licence.document[name]
                self._wrong(
                    f"ends is {_shown(ends)}, not after {name}, {_shown(begin)}"
                )

    def _wrong(self, problem: str) -> None:
        self.problems.append(problem)


def _from_base64(text: JsonValue) -> bytes | None:
    """The 64 bytes that `text` spells in the one way that is allowed."""
    if type(text) is not str or len(text) > 2 * _SIGNATURE_BYTES:
        return None
    try:
        value = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    one_way = base64.b64encode(value).decode() == text
    return value if one_way and len(value) == _SIGNATURE_BYTES else None


def _shown(value: object) -> str:
    """`value` for a message: on one line, of bounded length."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    try:
        text = ascii(value)
    except ValueError:  # Python does not print an integer of more than 4300 digits.
        return "a huge number"
    return text if len(text) <= 60 else text[:59] + "…"
