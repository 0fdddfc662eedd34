"""What each field of `NodeConfig` may hold: validators for `attrs`. Pure.

Every message starts with the field's name, then gives the value, the limit and what to
write instead. A field that carries a secret is never shown.
"""

from __future__ import annotations

import math
import re
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, urlsplit

import attrs

from eventstore import KeyRefused, PublicKey
from node.addresses import Address
from node.errors import ConfigError
from node.roles import Role

SECONDS_MIN = 0.01
SECONDS_MAX = 3600.0
GRACE_DAYS_MIN, GRACE_DAYS_MAX = 0.00001, 28.0
SECRET_CHARACTERS_MIN = 16
COMMAND_WORDS_MAX = 64
ADDRESSES_MAX = 8
TAKEOVERS_MAX = 1000
SHOWN_CHARACTERS_MAX = 60

_PAIR = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_REALM = re.compile(r'[^\x00-\x1f\x7f"\\\ud800-\udfff]{1,128}')
_TOKEN = re.compile(r"[\x21-\x7e]+")
_REDIS_OPTION = re.compile(r"db|ssl_[a-z_]+")

Field: TypeAlias = "attrs.Attribute[Any]"


def shown(value: object) -> str:
    """`value` for a message: on one line, of bounded length."""
    try:
        text = repr(value)
    except ValueError:  # Python does not print an integer of more than 4300 digits.
        return "a huge number"
    if len(text) <= SHOWN_CHARACTERS_MAX:
        return text
    return text[: SHOWN_CHARACTERS_MAX - 1] + "…"


def is_role(_: object, field: Field, value: object) -> None:
    """Validate a `Role`."""
    if not isinstance(value, Role):
        raise ConfigError(f'{field.name} is {shown(value)}, not "master" or "standby"')


def is_pair_name(_: object, field: Field, value: object) -> None:
    """Validate a pair's name, which becomes a part of every Redis key."""
    if _PAIR.fullmatch(_text(field, value)) is None:
        raise ConfigError(
            f"{field.name} is {shown(value)}, not 1 to 64 letters, digits, "
            "underscores, dots or hyphens"
        )


def is_realm(_: object, field: Field, value: object) -> None:
    """Validate a realm, which is sent to phones in quotes (RFC 3261 §22.1)."""
    if value is not None and _REALM.fullmatch(_text(field, value)) is None:
        raise ConfigError(
            f"{field.name} is {shown(value)}, not 1 to 128 characters without quotes, "
            "backslashes and control characters"
        )


def is_address(_: object, field: Field, value: object) -> None:
    """Validate `host:port`, or None where the field allows it."""
    if value is None and field.default is None:
        return
    try:
        Address.parse(_text(field, value))
    except ValueError as error:
        raise ConfigError(f"{field.name} is {shown(value)}, {error}") from None


def is_seconds(_: object, field: Field, value: object) -> None:
    """Validate a finite number of seconds within the limits of this module."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(
            f"{field.name} is {shown(value)} ({type(value).__name__}), not a number "
            "of seconds"
        )
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{field.name} is {value}, not a finite number of seconds")
    if not SECONDS_MIN <= value <= SECONDS_MAX:
        raise ConfigError(
            f"{field.name} is {shown(value)}, not between {SECONDS_MIN} and "
            f"{SECONDS_MAX} seconds"
        )


def is_hold_off(instance: object, field: Field, value: object) -> None:
    """Validate a number of seconds up to the limit, or 0 for none."""
    if isinstance(value, bool) or value != 0:
        is_seconds(instance, field, value)


def is_takeover_count(_: object, field: Field, value: object) -> None:
    """Validate a number of takeovers within an hour; 0 for no limit."""
    if type(value) is not int or not 0 <= value <= TAKEOVERS_MAX:
        raise ConfigError(
            f"{field.name} is {shown(value)}, not a whole number from 0 (no limit) to "
            f"{TAKEOVERS_MAX}"
        )


def is_grace_days(_: object, field: Field, value: object) -> None:
    """Validate a number of days, fractions among them."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(
            f"{field.name} is {shown(value)} ({type(value).__name__}), not a number of days"
        )
    if not GRACE_DAYS_MIN <= value <= GRACE_DAYS_MAX:
        raise ConfigError(
            f"{field.name} is {shown(value)}, not between {GRACE_DAYS_MIN:f} and "
            f"{GRACE_DAYS_MAX:g} days"
        )


def is_address_list(_: object, field: Field, value: object) -> None:
    """Validate a tuple of `host:port`; it may be empty."""
    if not isinstance(value, tuple) or len(value) > ADDRESSES_MAX:
        raise ConfigError(
            f"{field.name} is {shown(value)}, not a list of at most {ADDRESSES_MAX} "
            "addresses"
        )
    for address in value:
        try:
            place = Address.parse(_text(field, address))
        except ValueError as error:
            raise ConfigError(f"{field.name} has {shown(address)}, {error}") from None
        if place.is_wildcard:
            raise ConfigError(f"{field.name} has {address}, which cannot be dialled")


def is_secret(_: object, field: Field, value: object) -> None:
    """Validate a shared secret, or None where the field allows it."""
    if value is None and field.default is None:
        return
    if not isinstance(value, str):
        raise ConfigError(f"{field.name} is not a string ({type(value).__name__})")
    if len(value) < SECRET_CHARACTERS_MIN:
        raise ConfigError(
            f"{field.name} has {len(value)} characters, below the limit of "
            f"{SECRET_CHARACTERS_MIN}"
        )
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise ConfigError(f"{field.name} has half of a surrogate pair")


def is_token(instance: object, field: Field, value: object) -> None:
    """Validate a bearer token, or None."""
    is_secret(instance, field, value)
    if isinstance(value, str) and _TOKEN.fullmatch(value) is None:
        raise ConfigError(
            f"{field.name} has a character other than printable ASCII, which an "
            "Authorization header cannot carry"
        )


def is_password(_: object, field: Field, value: object) -> None:
    """Validate a password for Redis, or None."""
    if value is not None and (not isinstance(value, str) or not value):
        raise ConfigError(f"{field.name} is not a string of at least one character")


def is_public_key(_: object, field: Field, value: object) -> None:
    """Validate an Ed25519 public key in PEM, or None."""
    if value is None:
        return
    try:
        PublicKey.from_pem(_text(field, value, show=False).encode())
    except UnicodeEncodeError:
        raise ConfigError(f"{field.name} has half of a surrogate pair") from None
    except KeyRefused as error:
        raise ConfigError(f"{field.name} cannot be used: {error}") from None


def is_redis_url(_: object, field: Field, value: object) -> None:
    """Validate where a Redis is: no password in it, no option that changes its use.

    Nothing of the URL is shown: what is wrong with it may be a password.
    """
    text = _text(field, value, show=False)
    if " " in text or not text.isprintable():  # urlsplit would drop some of them.
        raise ConfigError(f"{field.name} is not a URL: {_REDIS_FORMS}")
    try:
        url = urlsplit(text)
        port_ok = url.port is None or url.port > 0
    except ValueError:
        raise ConfigError(f"{field.name} is not a URL: {_REDIS_FORMS}") from None
    if url.scheme not in ("redis", "rediss", "unix"):
        raise ConfigError(f"{field.name} has no known scheme: {_REDIS_FORMS}")
    options = dict(parse_qsl(url.query, keep_blank_values=True))
    if url.password is not None or "password" in options:
        raise ConfigError(
            f"{field.name} has a password in it; put it in a file, named by "
            + ("peer_" if field.name.startswith("peer") else "")
            + "password_file"
        )
    place = url.path if url.scheme == "unix" else url.hostname
    if not place or not port_ok or url.fragment:
        raise ConfigError(f"{field.name} does not say where: {_REDIS_FORMS}")
    if not all(_REDIS_OPTION.fullmatch(option) for option in options):
        raise ConfigError(f"{field.name} has an option other than db and ssl_…")
    database = url.path.strip("/") if url.scheme != "unix" else options.get("db", "")
    if not (database == "" or (database.isascii() and database.isdigit())):
        raise ConfigError(f"{field.name} has a database that is no number")


_REDIS_FORMS = "redis://HOST:PORT/DB, rediss://HOST:PORT/DB or unix:///PATH"


def is_command(_: object, field: Field, value: object) -> None:
    """Validate one command: a program and its arguments; empty for none."""
    if not isinstance(value, tuple) or not all(isinstance(word, str) for word in value):
        raise ConfigError(
            f"{field.name} is {shown(value)}, not a list of strings: a program and "
            "its arguments"
        )
    if len(value) > COMMAND_WORDS_MAX:
        raise ConfigError(
            f"{field.name} has {len(value)} words; the limit is {COMMAND_WORDS_MAX}"
        )
    if value and (not value[0] or any("\0" in word for word in value)):
        raise ConfigError(f"{field.name} has no program, or a NUL in a word")


def _text(field: Field, value: object, *, show: bool = True) -> str:
    if isinstance(value, str):
        return value
    what = f"{shown(value)} ({type(value).__name__})" if show else "a different type"
    raise ConfigError(f"{field.name} is {what}, not a string")
