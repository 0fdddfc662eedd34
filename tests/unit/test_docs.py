"""The documents name what there is, all of it, and nothing else."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main

import eventstore
import node
from admin.cli.main import app
from admin.cli.session import INPUT_BYTES_MAX
from node import config_file
from node.http_api.limits import Limits
from node.link_protocol import FRAME_BYTES_MAX, HANDSHAKE_FRAME_BYTES_MAX
from node.secrets import SECRET_BYTES_MAX
from tests.support.documents import (
    ANYTHING,
    REPOSITORY,
    Block,
    Document,
    all_documents,
    commands,
    first_missing,
)
from tests.support.http_client import Api
from tests.support.served_node import FakeNode

OPERATORS = Document.read("docs/operators.md")
LICENCES = Document.read("docs/licences.md")
GUIDES = OPERATORS, Document.read("docs/audit.md"), LICENCES
EMBEDDERS = Document.read("docs/embedders.md")
HTTP = Document.read("docs/http.md")
RELIABILITY = Document.read("docs/reliability.md")
_CODE = re.compile(r"`([^`]+)`")
_PLACEHOLDER = re.compile(r"%[.\d]*[a-z]")


# The documents among themselves.


@pytest.mark.parametrize("document", all_documents(), ids=lambda d: d.path.name)
def test_relative_links_lead_somewhere(document: Document) -> None:
    for link in document.links():
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (document.path.parent / name) if name else document.path
        assert target.exists(), f"{document.path.name}: {link}"
        if anchor:
            read = Document.read(str(target.resolve().relative_to(REPOSITORY)))
            assert anchor in read.anchors(), f"{document.path.name}: {link}"


def test_the_changelog_begins_with_this_version() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    found = re.search(r"^## \[(.+?)\]", Document.read("CHANGELOG.md").text, re.M)
    assert found is not None
    assert found[1] == project["version"]


def test_every_row_of_the_failure_matrix_names_a_test_that_exists() -> None:
    there = {
        f"{path.name}::{name}"
        for path in (REPOSITORY / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(), re.M)
    }
    rows = list(RELIABILITY.rows("Failure"))
    assert rows
    for failure, *_, shown_by in rows:
        named = re.findall(r"`(test_\w+\.py::\w+)`", shown_by)
        assert named, failure
        assert set(named) <= there, failure


# The configuration file.


def documented_keys() -> set[str]:
    return {_CODE.findall(row[0])[0] for row in OPERATORS.rows("Key")}


def known_keys() -> dict[str, str]:
    """Keys of the file, and the field of `NodeConfig` that each gives."""
    return {knob.path: field for field, knob in config_file._KNOBS.items()}


def test_every_key_of_the_configuration_is_documented_and_no_other() -> None:
    assert documented_keys() == set(known_keys())


def test_documented_defaults_are_those_of_the_configuration() -> None:
    fields = {a.name: a for a in node.NodeConfig.__attrs_attrs__}
    for key, default, _ in OPERATORS.rows("Key"):
        field = fields[known_keys()[_CODE.findall(key)[0]]]
        if isinstance(field.default, float):
            assert default == str(field.default), key
        else:
            assert (default == "must be given") == (repr(field.default) == "NOTHING")


@pytest.mark.parametrize(
    "block", OPERATORS.blocks("toml"), ids=lambda block: f"line {block.line}"
)
def test_documented_configurations_have_known_keys(block: Block) -> None:
    found = tomllib.loads(block.text)
    keys = {f"{section}.{key}" for section, table in found.items() for key in table}
    assert keys <= set(known_keys())


# Commands, paths, codes, errors, limits.


def admin_commands() -> Iterator[str]:
    """`put`, `replication on`, and all others."""
    root = typer.main.get_command(app)
    for name, command in root.commands.items():  # type: ignore[attr-defined]
        inner = getattr(command, "commands", None)
        yield from (f"{name} {sub}" for sub in inner) if inner else (name,)


@pytest.mark.parametrize("name", list(admin_commands()))
def test_every_admin_command_is_in_the_guide(name: str) -> None:
    assert any(f"python -m admin {name}" in guide.text for guide in GUIDES)


def test_every_path_of_the_http_interface_is_documented_and_no_other() -> None:
    described = Api(FakeNode())("GET", "/openapi.json").json()["paths"]
    there = {
        f"{method.upper()} {path}"
        for path, ways in described.items()
        for method in ways
    }
    documented = {way for row in HTTP.rows("Path") for way in _CODE.findall(row[0])}
    assert documented == there | {"GET /openapi.json"}


def test_every_error_code_of_the_http_interface_is_documented_and_no_other() -> None:
    sources = (REPOSITORY / "node" / "http_api").glob("*.py")
    there = {
        match
        for path in sources
        for match in re.findall(r'\b\d{3},\s+"([a-z-]+)"', path.read_text())
    }
    documented = {code for row in HTTP.rows("Code") for code in _CODE.findall(row[0])}
    assert documented == there | {"invalid-request"}


def test_every_public_error_is_documented_for_embedders() -> None:
    named = {name for row in EMBEDDERS.rows("Raised") for name in _CODE.findall(row[0])}
    for package in (node, eventstore):
        for name in package.__all__:
            found = getattr(package, name)
            if isinstance(found, type) and issubclass(found, Exception):
                assert name in named or f"`{name}`" in EMBEDDERS.text, name


def test_the_documented_limits_are_those_of_the_code() -> None:
    limits, rows = Limits(), OPERATORS.rows("What")
    told = " ".join(" ".join(row) for row in rows)
    for text in (
        f"key {eventstore.KEY_BYTES_MAX} bytes",
        f"value {eventstore.VALUE_BYTES_MAX // 1024} KiB",
        f"{eventstore.ACTOR_BYTES_MAX} and {eventstore.REASON_BYTES_MAX} bytes",
        f"changes in one request {eventstore.BATCH_EVENT_COUNT_MAX}",
        f"body of a request {limits.body_bytes_max // 2**20} MiB",
        f"10000, or {limits.page_bytes_max // 2**20} MiB",
        f"{limits.request_count_max}; open connections {limits.connection_count_max}",
        f"{INPUT_BYTES_MAX // 2**20} MiB",
        f"{FRAME_BYTES_MAX // 1024} KiB; {HANDSHAKE_FRAME_BYTES_MAX // 1024} KiB",
        f"at most {SECRET_BYTES_MAX} bytes",
    ):
        assert text in told, text


# What the guide says that the product prints.


def printed_texts() -> list[str]:
    """Every text in the code, with `…` for what differs from case to case."""
    texts = []
    for package in ("eventstore", "node", "admin"):
        for path in sorted((REPOSITORY / package).rglob("*.py")):
            texts += list(_texts(ast.parse(path.read_text("utf-8"))))
    return texts


def _texts(tree: ast.AST) -> Iterator[str]:
    for part in ast.walk(tree):
        if isinstance(part, ast.JoinedStr):
            yield "".join(
                str(value.value) if isinstance(value, ast.Constant) else ANYTHING
                for value in part.values
            )
        elif isinstance(part, ast.Constant) and isinstance(part.value, str):
            yield _PLACEHOLDER.sub(ANYTHING, part.value)


def quoted_messages() -> list[str]:
    rows = [
        *OPERATORS.rows("You see"),
        *OPERATORS.rows("Reason"),
        *LICENCES.rows("Reason"),
    ]
    return [text for row in rows for text in _CODE.findall(row[0])]


def test_messages_quoted_in_the_guide_are_those_of_the_code() -> None:
    texts = printed_texts()
    not_printed = [
        message
        for message in quoted_messages()
        if len(message) > 20 and not any(_says(text, message) for text in texts)
    ]
    assert not_printed == []


def _says(text: str, message: str) -> bool:
    """Whether the parts of `message` are in `text`, in this order."""
    pattern = ".*".join(re.escape(p.strip()) for p in message.split(ANYTHING) if p)
    return re.search(pattern, text, re.DOTALL) is not None


# The tools of these tests.


def test_a_console_block_is_read_as_commands_and_their_output() -> None:
    first, second = commands("a$ one \\\n> two\nshown\n$ three\n")
    assert (first.machine, first.text, first.shown) == ("a", "one \\\ntwo", ("shown",))
    assert (second.machine, second.text, second.shown) == ("", "three", ())


@pytest.mark.parametrize(
    ("shown", "missing"),
    [
        (("one", "three"), None),
        (("t…o",), None),
        (("three", "one"), "one"),
        (("tw",), "tw"),
    ],
)
def test_output_is_compared_line_by_line_in_order(
    shown: tuple[str, ...], missing: str | None
) -> None:
    assert first_missing(shown, "one\ntwo\nthree\n") == missing


def test_directives_and_replacements_are_found(tmp_path: Path) -> None:
    text = (
        '<!-- why\ntest: replace "A B" with "{name}"\ntest: exit 3 -->\n'
        "```console\n$ A B\n```\n"
    )
    document = Document(tmp_path / "page.md", text)
    (block,) = document.blocks()
    assert block.directive("exit") == "3"
    assert block.directive("skip") is None
    assert document.replaced(block.text, {"name": "C"}) == "$ C\n"


def test_a_section_ends_where_the_next_one_of_its_level_begins(tmp_path: Path) -> None:
    page = Document(tmp_path / "page.md", "## A\n### B\nb\n#### C\nc\n### D\nd\n## E\n")
    assert page.section("B").text == "\nb\n#### C\nc\n"
    assert page.section("D").text == "\nd\n"
    with pytest.raises(AssertionError, match="no heading 'F'"):
        page.section("F")
