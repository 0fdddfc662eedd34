"""Markdown documents as tests see them: code blocks, what is asked of them, tables, links.

An HTML comment may hold lines that begin with `test:`, which say how blocks are tested:

    test: replace "A" with "B"   everywhere in this document; B may have {names}
    test: skip: WHY              the next block is not run
    test: needs PROGRAM          it is run only where there is this program
    test: file on MACHINE: NAME  the next block is written to this file
    test: run NAME               do this before the next block
    test: exit N                 its last command ends with this code
    test: eventually             repeat its commands until they show what is written

In a `console` block a line `$ …` or `machine$ …` is a command, `> …` continues it, and all
other lines are its output, in which `…` stands for anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs

REPOSITORY = Path(__file__).resolve().parents[2]
ANYTHING = "…"
_COMMENT = re.compile(r"<!--(.*?)-->", re.DOTALL)
_DIRECTIVE = re.compile(r"^\s*test: (.*?)\s*$", re.MULTILINE)
_REPLACE = re.compile(r'replace "(.+?)" with "(.*)"')
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"^(\w*)\$ (.*)$")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


@attrs.frozen
class Block:
    """A fenced block of code."""

    document: str
    line: int
    language: str
    text: str
    directives: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.document} line {self.line}"

    def directive(self, name: str) -> str | None:
        """What follows `name` in a directive of this block; None: it has none."""
        for directive in self.directives:
            if directive == name or directive.startswith((f"{name} ", f"{name}:")):
                return directive[len(name) :].strip(" :")
        return None


@attrs.frozen
class Command:
    """What is typed, where, and what is shown."""

    machine: str
    """Name before the prompt; empty: any."""
    text: str
    shown: tuple[str, ...]


@attrs.frozen
class Document:
    """One Markdown file of the repository."""

    path: Path
    text: str

    @classmethod
    def read(cls, name: str) -> Document:
        path = REPOSITORY / name
        return cls(path, path.read_text("utf-8"))

    def section(self, heading: str) -> Document:
        """What is under `heading`, up to the next one that is not below it."""
        found = re.search(rf"^(#+) {re.escape(heading)}$", self.text, re.MULTILINE)
        assert found is not None, f"{self.path.name} has no heading {heading!r}"
        rest = self.text[found.end() :]
        following = re.search(rf"^#{{1,{len(found[1])}}} ", rest, re.MULTILINE)
        return Document(self.path, rest[: following.start()] if following else rest)

    @property
    def replacements(self) -> list[tuple[str, str]]:
        """What tests write in place of what, in the order in which it is done."""
        return [
            (found[1], found[2])
            for directive in _directives(self.text)
            if (found := _REPLACE.fullmatch(directive))
        ]

    def replaced(self, text: str, names: Mapping[str, object]) -> str:
        """`text` with every declared replacement."""
        for old, new in self.replacements:
            for name, value in names.items():
                new = new.replace("{" + name + "}", str(value))
            text = text.replace(old, new)
        return text

    def blocks(self, *languages: str) -> list[Block]:
        """Its blocks in these languages; without any, all."""
        return [b for b in self._blocks() if not languages or b.language in languages]

    def _blocks(self) -> Iterator[Block]:
        end = 0
        for found in _BLOCK.finditer(self.text):
            between, end = self.text[end : found.start()], found.end()
            line = self.text.count("\n", 0, found.start()) + 1
            yield Block(
                self.path.name, line, found[1], found[2], tuple(_directives(between))
            )

    def prose(self) -> str:
        """Its text without blocks and comments."""
        return _COMMENT.sub("", _BLOCK.sub("", self.text))

    def links(self) -> list[str]:
        return _LINK.findall(self.prose())

    def anchors(self) -> set[str]:
        """Names of its headings, as links spell them."""
        return {
            re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
            for heading in _HEADING.findall(self.prose())
        }

    def rows(self, title: str) -> list[list[str]]:
        """The rows of the tables whose first column has this title."""
        found: list[list[str]] = []
        inside = False
        for line in self.prose().splitlines():
            cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
            if not line.startswith("|"):
                inside = False
            elif cells[0] == title:
                inside = True
            elif inside and not cells[0].startswith("---"):
                found.append(cells)
        return found


def all_documents() -> list[Document]:
    """Every Markdown file that readers are meant to open."""
    paths = sorted([*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/*.md")])
    return [Document.read(str(path.relative_to(REPOSITORY))) for path in paths]


def commands(text: str) -> list[Command]:
    """The commands of a `console` block."""
    found: list[tuple[str, list[str], list[str]]] = []
    for line in text.splitlines():
        if typed := _COMMAND.match(line):
            found.append((typed[1], [typed[2]], []))
        elif line.startswith("> ") and found and not found[-1][2]:
            found[-1][1].append(line[2:])
        else:
            assert found, f"output without a command: {line!r}"
            found[-1][2].append(line)
    return [Command(m, "\n".join(typed), tuple(shown)) for m, typed, shown in found]


def first_missing(shown: tuple[str, ...], printed: str) -> str | None:
    """The first line of `shown` that is not in `printed`, in order; None: all are."""
    lines = iter(map(_squeezed, printed.splitlines()))
    for line in shown:
        if not any(_fits(_squeezed(line), other) for other in lines):
            return line
    return None


def _fits(shown: str, printed: str) -> bool:
    pattern = ".*".join(re.escape(part) for part in shown.split(ANYTHING))
    return re.fullmatch(pattern, printed) is not None


def _squeezed(line: str) -> str:
    return " ".join(line.split())


def _directives(text: str) -> list[str]:
    return [
        d for comment in _COMMENT.findall(text) for d in _DIRECTIVE.findall(comment)
    ]
