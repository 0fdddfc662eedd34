"""Types the commands of a document, as a reader would, and compares what is printed."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.support.documents import Block, Command, Document, commands, first_missing

COMMAND_LIMIT_S = 30.0
EVENTUALLY_LIMIT_S = 30.0
LOOK_INTERVAL_S = 0.02
AGAIN_AFTER_S = 0.3


class Shell:
    """A shell that stays open: directories and variables stay from command to command."""

    def __init__(self, directory: Path, environment: Mapping[str, str]) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._scratch = directory.with_name(directory.name + ".shell")
        self._scratch.mkdir()
        self._count = 0
        self._process = subprocess.Popen(
            ["bash", "--norc"],
            stdin=subprocess.PIPE,
            cwd=directory,
            env={**os.environ, **environment},
            start_new_session=True,
        )

    def run(self, command: str) -> tuple[int, str]:
        """The exit code of `command` and what it printed, errors among it."""
        self._count += 1
        script, printed, ended = (
            self._scratch / f"{self._count}.{name}" for name in ("sh", "out", "rc")
        )
        script.write_text(command + "\n")
        line = (
            f". {shlex.quote(str(script))} > {shlex.quote(str(printed))} 2>&1 </dev/null;"
            f" echo $? > {shlex.quote(str(ended))}\n"
        )
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode())
        self._process.stdin.flush()
        until_s = time.monotonic() + COMMAND_LIMIT_S
        while not (ended.exists() and ended.read_text().strip()):
            assert time.monotonic() < until_s, (
                f"not done after {COMMAND_LIMIT_S} s: {command}\n{printed.read_text()}"
            )
            assert self._process.poll() is None, f"the shell ended: {command}"
            time.sleep(LOOK_INTERVAL_S)
        return int(ended.read_text()), printed.read_text("utf-8", "replace")

    def close(self) -> None:
        """End it and whatever it still runs."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        assert self._process.stdin is not None
        self._process.stdin.close()


class Reader:
    """Goes through a document from top to bottom and does what it says.

    `shells` are by the name before the prompt; the first one is also for a bare `$`.
    `played` are commands that the test itself carries out, by their first word, and
    `steps` what `test: run` asks for.
    """

    def __init__(
        self,
        document: Document,
        shells: Mapping[str, Shell],
        names: Mapping[str, Mapping[str, object]],
        *,
        played: Mapping[str, Callable[[str, list[str]], None]] | None = None,
        steps: Mapping[str, Callable[[], None]] | None = None,
        directories: Mapping[str, Path] | None = None,
    ) -> None:
        self._document = document
        self._shells = shells
        self._names = names
        self._played = played or {}
        self._steps = steps or {}
        self._directories = directories or {}

    def read(self) -> None:
        """Do all of it.

        Raises:
            AssertionError: something does not happen as it is written; it says where.
        """
        for block in self._document.blocks():
            self.do(block)

    def do(self, block: Block) -> None:
        """Do one block."""
        needed = block.directive("needs")
        if block.directive("skip") is not None or (needed and not shutil.which(needed)):
            return
        step = block.directive("run")
        if step is not None:
            self._steps[step]()
        where = block.directive("file on")
        if where is not None:
            self._write(block, where)
        elif block.language == "console":
            self._type(block)

    def _write(self, block: Block, where: str) -> None:
        machines, _, name = where.partition(": ")
        for machine in machines.split(" and "):
            path = self._directories[machine] / name
            path.write_text(self._here(machine, block.text), "utf-8")

    def _type(self, block: Block) -> None:
        typed = commands(block.text)
        assert typed, f"{block} has no command"
        if block.directive("eventually") is None:
            for place, command in enumerate(typed, start=1):
                last = place == len(typed)
                wanted = int(block.directive("exit") or 0) if last else 0
                problem = self._problem(block, command, wanted)
                assert problem is None, problem
            return
        until_s = time.monotonic() + EVENTUALLY_LIMIT_S
        while problem := next(
            (p for c in typed if (p := self._problem(block, c, 0)) is not None), None
        ):
            assert time.monotonic() < until_s, problem
            time.sleep(AGAIN_AFTER_S)

    def _problem(self, block: Block, command: Command, wanted: int) -> str | None:
        """What is not as written when `command` is typed; None: all is."""
        machine = command.machine or next(iter(self._shells))
        text = self._here(machine, command.text)
        first, *words = shlex.split(text, comments=True) if "\n" not in text else [""]
        if first in self._played:
            self._played[first](machine, words)
            return None
        code, printed = self._shells[machine].run(text)
        shown = tuple(self._here(machine, line) for line in command.shown)
        told = f"{block}: $ {text}\nexit code {code}, printed:\n{printed}"
        if code != wanted:
            return f"{told}\nwanted: exit code {wanted}"
        missing = first_missing(shown, printed)
        return None if missing is None else f"{told}\nmissing: {missing}"

    def _here(self, machine: str, text: str) -> str:
        return self._document.replaced(text, self._names[machine])
