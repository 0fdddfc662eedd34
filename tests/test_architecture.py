"""Who may import what, and what pure code may not touch."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import eventstore
import node

ROOT = Path(__file__).parent.parent
PACKAGES = ("eventstore", "node", "admin", "benchmarks", "examples")

PURE = {
    "eventstore/errors.py",
    "eventstore/event.py",
    "eventstore/version_vector.py",
    "eventstore/bundle_format.py",
    "eventstore/archived.py",
    "eventstore/beginnings.py",
    "eventstore/archive_verification.py",
    "eventstore/codec.py",
    "eventstore/comparing.py",
    "eventstore/configuration.py",
    "eventstore/licence.py",
    "eventstore/explanation.py",
    "eventstore/losses.py",
    "eventstore/memory.py",
    "eventstore/parting.py",
    "eventstore/recovery.py",
    "eventstore/snapshot_format.py",
    "eventstore/source.py",
    "eventstore/verification.py",
    "eventstore/verified.py",
    "eventstore/verifying.py",
    "eventstore/witnesses.py",
    "node/archive_order.py",
    "node/acknowledgements.py",
    "node/addresses.py",
    "node/both_active.py",
    "node/config_checks.py",
    "node/core.py",
    "node/divergence.py",
    "node/errors.py",
    "node/failure_detector.py",
    "node/http_api/pages.py",
    "node/http_api/strict_json.py",
    "node/licences.py",
    "node/licence_grace.py",
    "node/link_messages.py",
    "node/link_protocol.py",
    "node/replication_setting.py",
    "node/resync_order.py",
    "node/roles.py",
    "node/situation.py",
    "node/status.py",
    "node/supervision.py",
    "node/supervision_table.py",
    "node/switch_order.py",
    "node/switch_steps.py",
    "node/takeover_gate.py",
    "node/takeover_pause.py",
}
"""Modules that decide. A module that says "Pure." of itself must be listed here."""

IMPURE = {
    "asyncio", "apscheduler", "concurrent", "ctypes", "fastapi", "httpx", "logging",
    "multiprocessing", "os", "pathlib", "prometheus_client", "queue", "redis",
    "secrets", "select", "signal", "socket", "subprocess", "tempfile", "threading",
    "time", "uvicorn",
}  # fmt: skip
READS_FILES = {"node/config.py": {"node.config_file"}}
"""`NodeConfig` is a value; only its `from_file` goes through a module that reads."""

CLOCKS = {
    "time.time", "time.time_ns", "time.monotonic", "time.monotonic_ns",
    "time.perf_counter", "time.clock_gettime", "time.clock_gettime_ns",
    "datetime.now", "datetime.utcnow", "datetime.today", "date.today",
}  # fmt: skip
MAY_READ_A_CLOCK = {
    "node/clock.py",
    "node/heartbeat.py",  # APScheduler's own clock; no decision depends on it.
    "node/embedded_redis.py",
    "node/child_process.py",
    "node/die_with_parent.py",
}
"""Modules outside the decisions of a node; ruff's `banned-api` guards the rest."""

MAY_USE_REDIS = {"eventstore/streams.py", "eventstore/replication.py"}


def modules(*packages: str) -> Iterator[tuple[str, ast.Module]]:
    for package in packages:
        for path in sorted((ROOT / package).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            yield name, ast.parse(path.read_text(), name)


def imports(
    tree: ast.Module, *, at_run_time: bool = False
) -> Iterator[tuple[str, str | None]]:
    """Each imported module, and the name that is taken out of it."""
    parts = [
        part
        for part in tree.body
        if not (at_run_time and ast.unparse(part).startswith("if TYPE_CHECKING"))
    ]
    for found in (inner for part in parts for inner in ast.walk(part)):
        if isinstance(found, ast.Import):
            for alias in found.names:
                yield alias.name, None
        elif isinstance(found, ast.ImportFrom):
            assert found.level == 0, "imports are absolute"
            for alias in found.names:
                yield found.module or "", alias.name


def top(module: str) -> str:
    return module.split(".")[0]


TREES = dict(modules(*PACKAGES))
EACH_MODULE = pytest.mark.parametrize("name", sorted(TREES))


@EACH_MODULE
def test_packages_import_only_downwards(name: str) -> None:
    forbidden = {
        "eventstore": {"node", "admin"},
        "node": {"admin"},
        "admin": {"node"},
        "benchmarks": set(),
        "examples": set(),
    }[name.split("/")[0]] | {"tests"}
    found = {top(module) for module, _ in imports(TREES[name])}
    assert not found & forbidden


@EACH_MODULE
def test_redis_is_reached_through_the_streams_only(name: str) -> None:
    if name in MAY_USE_REDIS or name.split("/")[0] == "benchmarks":
        return
    redis = {module for module, _ in imports(TREES[name]) if top(module) == "redis"}
    assert not redis


@EACH_MODULE
def test_other_packages_take_public_names_of_the_event_store_only(name: str) -> None:
    if name.split("/")[0] == "eventstore":
        return
    for module, taken in imports(TREES[name]):
        if top(module) == "eventstore":
            assert module == "eventstore", f"{module} is internal"
            assert taken is None or taken in eventstore.__all__


@EACH_MODULE
def test_examples_and_benchmarks_take_public_names_only(name: str) -> None:
    if name.split("/")[0] not in ("benchmarks", "examples"):
        return
    for module, taken in imports(TREES[name]):
        if top(module) == "node":
            assert module == "node", f"{module} is internal"
            assert taken is None or taken in node.__all__


@pytest.mark.parametrize("name", sorted(PURE))
def test_pure_modules_touch_nothing_outside(name: str) -> None:
    allowed = {"attrs", "msgpack", "eventstore", "node"} | set(sys.stdlib_module_names)
    for module, taken in imports(TREES[name], at_run_time=True):
        assert top(module) not in IMPURE, f"{module} is not pure"
        assert top(module) in allowed, f"{module} is a library"
        if top(module) == "random":
            assert taken == "Random", "chance is an argument"
        if top(module) == "datetime":
            assert taken in {"UTC", "datetime", "timedelta"}


@pytest.mark.parametrize("name", sorted(PURE))
def test_pure_modules_import_pure_modules(name: str) -> None:
    for module, taken in imports(TREES[name], at_run_time=True):
        if top(module) not in ("node", "eventstore") or module == "eventstore":
            continue
        path = f"{module.replace('.', '/')}.py"
        inner = f"{module.replace('.', '/')}/{taken}.py"
        assert path in PURE | set(READS_FILES) or inner in PURE, f"{module} is not pure"


@EACH_MODULE
def test_who_calls_itself_pure_is_held_to_it(name: str) -> None:
    first = (ast.get_docstring(TREES[name]) or "").split("\n\n")[0]
    if first.endswith("Pure.") and not name.startswith("admin/"):
        assert name in PURE


@EACH_MODULE
def test_only_the_clock_reads_time(name: str) -> None:
    if name in MAY_READ_A_CLOCK or name.split("/")[0] in ("benchmarks", "admin"):
        return
    for found in ast.walk(TREES[name]):
        if isinstance(found, ast.Attribute):
            text = ast.unparse(found)
            assert not any(text.endswith(clock) for clock in CLOCKS), text


@pytest.mark.parametrize("name", sorted(PURE))
def test_decisions_use_no_chance_of_their_own(name: str) -> None:
    for found in ast.walk(TREES[name]):
        if isinstance(found, ast.Call):
            assert ast.unparse(found.func) not in {"Random", "open", "print", "input"}


@EACH_MODULE
def test_every_module_says_what_it_is(name: str) -> None:
    if (ROOT / name).read_text().strip():
        assert ast.get_docstring(TREES[name]), f"{name} has no docstring"


@pytest.mark.parametrize(
    "name", ["node/supervision.py", "node/core.py", "node/supervision_table.py"]
)
def test_no_decision_ends_in_a_shrug(name: str) -> None:
    """House style 8, rule 5: every case is written out."""
    for found in ast.walk(TREES[name]):
        if isinstance(found, ast.match_case) and ast.unparse(found.pattern) == "_":
            assert ast.unparse(found.body[0]).startswith("assert_never(")
