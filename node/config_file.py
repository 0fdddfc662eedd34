"""The TOML file of a node: which key gives which field of `NodeConfig`."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import attrs

from eventstore import KEY_FILE_BYTES_MAX
from node.config_checks import shown
from node.errors import ConfigError
from node.roles import Role
from node.secrets import read_limited, read_secret

FILE_BYTES_MAX = 1024 * 1024
_LISTED_COUNT_MAX = 5
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}")


class _Form(Enum):
    """What a key holds: how a message describes it, and an example."""

    TEXT = "a string like"
    ROLE = "a role like"
    SECONDS = "a number of seconds like"
    DAYS = "a number of days like"
    SECRET_FILE = "the name of a file like"  # noqa: S105
    KEY_FILE = "the name of a key file like"
    COUNT = "a whole number like"
    LIST = "a list of strings like"


@attrs.frozen
class _Knob:
    """A key of the file, in its section."""

    path: str
    form: _Form
    example: str
    required: bool = False


_TEXT, _SECONDS, _SECRET = _Form.TEXT, _Form.SECONDS, _Form.SECRET_FILE
_KNOBS = {
    "pair": _Knob("node.pair", _TEXT, '"office"', required=True),
    "role": _Knob("node.role", _Form.ROLE, '"master"', required=True),
    "listen": _Knob("node.listen", _TEXT, '"10.0.0.1:7400"', required=True),
    "peer": _Knob("node.peer", _TEXT, '"10.0.0.2:7400"', required=True),
    "secret": _Knob("node.secret_file", _SECRET, '"pair.secret"', required=True),
    "next_secret": _Knob("node.next_secret_file", _SECRET, '"next.secret"'),
    "redis_url": _Knob("redis.url", _TEXT, '"redis://127.0.0.1:6379/0"', required=True),
    "redis_password": _Knob("redis.password_file", _SECRET, '"redis.password"'),
    "peer_redis_url": _Knob(
        "redis.peer_url", _TEXT, '"redis://10.0.0.2:6379/0"', required=True
    ),
    "peer_redis_password": _Knob(
        "redis.peer_password_file", _SECRET, '"peer-redis.password"'
    ),
    "heartbeat_interval_s": _Knob("supervision.heartbeat_interval_s", _SECONDS, "1.0"),
    "peer_lost_after_s": _Knob("supervision.peer_lost_after_s", _SECONDS, "3.0"),
    "start_window_s": _Knob("supervision.start_window_s", _SECONDS, "3.0"),
    "switch_step_s": _Knob("supervision.switch_step_s", _SECONDS, "1.0"),
    "switch_timeout_s": _Knob("supervision.switch_timeout_s", _SECONDS, "5.0"),
    "takeover_hold_off_s": _Knob("supervision.takeover_hold_off_s", _SECONDS, "0.0"),
    "takeovers_per_hour_max": _Knob(
        "supervision.takeovers_per_hour_max", _Form.COUNT, "0"
    ),
    "witness_addresses": _Knob(
        "witness.addresses", _Form.LIST, '["10.0.0.254:80", "10.0.0.253:22"]'
    ),
    "witness_command": _Knob(
        "witness.command", _Form.LIST, '["ping", "-c1", "-W1", "10.0.0.254"]'
    ),
    "witness_deadline_s": _Knob("witness.deadline_s", _SECONDS, "1.0"),
    "http_listen": _Knob("http.listen", _TEXT, '"127.0.0.1:7480"'),
    "read_token": _Knob("http.read_token_file", _SECRET, '"read.token"'),
    "change_token": _Knob("http.change_token_file", _SECRET, '"change.token"'),
    "on_active": _Knob("hooks.on_active", _Form.LIST, '["/etc/take-address"]'),
    "on_passive": _Knob("hooks.on_passive", _Form.LIST, '["/etc/drop-address"]'),
    "hook_deadline_s": _Knob("hooks.deadline_s", _SECONDS, "3.0"),
    "grace_days": _Knob("licences.grace_days", _Form.DAYS, "28.0"),
    "realm": _Knob("telephony.realm", _TEXT, '"office"'),
    "vendor_key": _Knob("licences.vendor_key_file", _Form.KEY_FILE, '"vendor.pub"'),
}
_PATHS = {knob.path for knob in _KNOBS.values()}
_SECTIONS = {path.partition(".")[0] for path in _PATHS}


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of the TOML file `path`.

    Raises:
        ConfigError: it cannot be read, is over 1 MiB, or is not TOML.
    """
    data = read_limited(path, FILE_BYTES_MAX)
    try:
        return tomllib.loads(data.decode())
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 at byte {error.start}") from None
    except RecursionError:
        raise ConfigError(f"{path} is nested too deeply") from None
    except ValueError as error:  # TOMLDecodeError, or a number of too many digits.
        reason = str(error).splitlines()[0]
        raise ConfigError(f"{path} is not TOML: {reason}") from None


def fields_of(mapping: Mapping[str, Any], directory: Path) -> dict[str, Any]:
    """The fields of `NodeConfig` that `mapping` gives, with the secrets read.

    Raises:
        ConfigError: a key is unknown, missing or of the wrong type, or the file of a
            secret cannot be used.
    """
    given = _known_keys(mapping)
    missing = [k.path for k in _KNOBS.values() if k.required and k.path not in given]
    if missing:
        raise ConfigError(f"missing: {', '.join(missing)}")
    return {
        name: _field_value(knob, given[knob.path], directory)
        for name, knob in _KNOBS.items()
        if knob.path in given
    }


def in_file_terms(message: str) -> str:
    """`message`, which starts with a field's name, with the key of the file instead."""
    name, space, rest = message.partition(" ")
    return f"{_KNOBS[name].path}{space}{rest}" if name in _KNOBS else message


def _known_keys(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of all sections, as `section.key`; refuses what is not known."""
    given: dict[str, Any] = {}
    problems: list[str] = []
    for section, table in mapping.items():
        if section not in _SECTIONS:
            name = _printable(section)
            problems.append(
                f"unknown section {name}{_nearest(name, _SECTIONS)}"
                if isinstance(table, Mapping)
                else _unknown_key(name)
            )
        elif not isinstance(table, Mapping):
            problems.append(f"{section} is {_typed(table)}, not a section [{section}]")
        else:
            paths = {f"{section}.{_printable(key)}": v for key, v in table.items()}
            problems += [_unknown_key(path) for path in paths if path not in _PATHS]
            given |= paths
    if len(problems) > _LISTED_COUNT_MAX:
        more = len(problems) - _LISTED_COUNT_MAX
        problems[_LISTED_COUNT_MAX:] = [f"and {more} more"]
    if problems:
        raise ConfigError("; ".join(problems))
    return given


def _printable(key: object) -> str:
    """`key` for a message: as it is where TOML needs no quotes for it."""
    if isinstance(key, str) and _BARE_KEY.fullmatch(key) is not None:
        return key
    return shown(key)


def _typed(value: object) -> str:
    return f"{shown(value)} ({type(value).__name__})"


def _unknown_key(path: str) -> str:
    return f"unknown key {path}{_nearest(path, _PATHS)}"


def _nearest(path: str, known: set[str]) -> str:
    by_name = {name.rpartition(".")[2]: name for name in sorted(known, reverse=True)}
    found = difflib.get_close_matches(path, known, n=1) or [
        by_name[name]
        for name in difflib.get_close_matches(path.rpartition(".")[2], by_name, n=1)
    ]
    return f"; did you mean {found[0]}?" if found else ""


def _field_value(knob: _Knob, value: object, directory: Path) -> object:
    if not _has_form(knob.form, value):
        what = type(value).__name__ if knob.form is _SECRET else _typed(value)
        raise ConfigError(
            f"{knob.path} is {what}, not {knob.form.value} {knob.example}"
        )
    match knob.form:
        case _Form.SECRET_FILE:
            return _secret(knob, str(value), directory)
        case _Form.KEY_FILE:
            return _public_key(knob, str(value), directory)
        case _Form.ROLE:
            return _role(knob, str(value))
        case _:
            return value


def _has_form(form: _Form, value: object) -> bool:
    match form:
        case _Form.SECONDS | _Form.DAYS:
            return isinstance(value, int | float) and not isinstance(value, bool)
        case _Form.COUNT:
            return type(value) is int
        case _Form.LIST:
            return isinstance(value, list) and all(isinstance(w, str) for w in value)
        case _:
            return isinstance(value, str)


def _secret(knob: _Knob, name: str, directory: Path) -> str:
    try:
        return read_secret(directory / name)
    except ConfigError as error:
        raise ConfigError(f"{knob.path}: {error}") from None


def _public_key(knob: _Knob, name: str, directory: Path) -> str:
    try:
        data = read_limited(directory / name, KEY_FILE_BYTES_MAX)
    except ConfigError as error:
        raise ConfigError(f"{knob.path}: {error}") from None
    return data.decode(errors="replace")


def _role(knob: _Knob, name: str) -> Role:
    try:
        return Role(name)
    except ValueError:
        raise ConfigError(
            f'{knob.path} is {shown(name)}, not "master" or "standby"'
        ) from None
