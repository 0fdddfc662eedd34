"""The names that users of the packages rely on."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import eventstore
import node

ROOT = Path(__file__).parent.parent
EACH_PACKAGE = pytest.mark.parametrize(
    "package", [eventstore, node], ids=["eventstore", "node"]
)


def ordered(names: list[str]) -> list[str]:
    """Constants, then classes, then functions, each by name."""
    return sorted(names, key=lambda n: (not n.isupper(), not n[0].isupper(), n))


@EACH_PACKAGE
def test_the_public_names_are_sorted(package: ModuleType) -> None:
    assert list(package.__all__) == ordered(list(package.__all__))


@EACH_PACKAGE
def test_everything_that_a_package_imports_is_public_and_nothing_else(
    package: ModuleType,
) -> None:
    assert package.__file__ is not None
    tree = ast.parse(Path(package.__file__).read_text())
    imported = {
        alias.asname or alias.name
        for found in tree.body
        if isinstance(found, ast.ImportFrom) and found.module != "__future__"
        for alias in found.names
    }
    assert imported == set(package.__all__)


@EACH_PACKAGE
def test_every_public_name_is_there(package: ModuleType) -> None:
    for name in package.__all__:
        assert hasattr(package, name)


def public_objects(package: ModuleType) -> list[tuple[str, object]]:
    """Classes and functions with their public methods."""
    found: list[tuple[str, object]] = []
    for name in package.__all__:
        value = getattr(package, name)
        if not (inspect.isclass(value) or inspect.isfunction(value)):
            continue
        found.append((name, value))
        if inspect.isclass(value):
            for method, inner in vars(value).items():
                if not method.startswith("_") and inspect.isfunction(inner):
                    found.append((f"{name}.{method}", inner))
    return found


@EACH_PACKAGE
def test_every_public_class_and_function_says_what_it_is(package: ModuleType) -> None:
    silent = [
        name
        for name, value in public_objects(package)
        if not (inspect.getdoc(value) or "").strip()
    ]
    # A method that is named like what it gives needs no sentence; its class has one.
    assert [name for name in silent if "." not in name] == []


@EACH_PACKAGE
def test_no_docstring_is_the_one_that_attrs_makes(package: ModuleType) -> None:
    for name, value in public_objects(package):
        if inspect.isclass(value):
            assert not (value.__doc__ or "").startswith("Method generated"), name


@EACH_PACKAGE
def test_every_public_function_has_types(package: ModuleType) -> None:
    for name, value in public_objects(package):
        if inspect.isfunction(value):
            assert "return" in value.__annotations__, name


def test_the_public_names_can_be_imported_without_starting_anything() -> None:
    code = (
        "import threading, sys; import node, eventstore; "
        "sys.exit(threading.active_count() - 1)"
    )
    done = subprocess.run([sys.executable, "-c", code], timeout=30, cwd=ROOT)
    assert done.returncode == 0
