"""A program run as a child that never outlives the process that started it.

The kernel ties a parent-death signal to the *thread* that started the child. So each
child is started, and waited for, by a thread of its own: it ends when the child does, or
with this process, however that ends.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from node import die_with_parent

LOG_BYTES_MAX = 1_000_000
LAUNCH = (sys.executable, "-I", "-S", str(Path(die_with_parent.__file__).resolve()))


class ChildProcess:
    """One program that can be started, signalled, stopped and started again.

    Its output goes to a file, so a parent that is itself paused never blocks it. It has a
    session of its own: Ctrl-C in the terminal reaches the parent only, which then stops
    its children in the right order. What it writes is for its owner only.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        log: Path,
        directory: Path | None = None,
        environment: Mapping[str, str] | None = None,
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        """Describe the program; nothing runs yet.

        Args:
            command: an absolute path of a program, and its arguments.
            log: receives its output. It is appended to; at a start when it is over 1 MB,
                the old one is set aside under the same name with `.1` behind it.
            directory: where it runs; by default where this process runs.
            environment: variables added to those of this process.
            on_end: called from a thread of ours whenever the program has ended.
        """
        self.log = log
        self._command = tuple(command)
        self._directory = directory
        self._environment = dict(environment or {})
        self._on_end = on_end
        self._process: subprocess.Popen[bytes] | None = None
        self._keeper: threading.Thread | None = None
        self._ended = threading.Event()
        self._ended.set()

    @property
    def pid(self) -> int:
        """Of the running program, or of the last one."""
        assert self._process is not None, "it was never started"
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return not self._ended.is_set()

    @property
    def exit_code(self) -> int | None:
        """None while it runs or before the first start; negative: ended by that signal."""
        return None if self._process is None else self._process.returncode

    @property
    def ending(self) -> str:
        """How it ended, for people: `with exit code 2` or `by SIGKILL`."""
        code = self.exit_code
        assert code is not None, "it has not ended"
        return (
            f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        )

    def last_line(self) -> str:
        """The last line of its log that is not empty."""
        try:
            lines = self.log.read_text("utf-8", "replace").split("\n")
        except OSError:
            lines = []
        filled = [line.strip() for line in lines if line.strip()]
        return filled[-1] if filled else "its log is empty"

    def start(self) -> None:
        """Start the program and return at once; one that is running stays.

        Raises:
            OSError: the log cannot be written, or no process can be made.
        """
        if self.is_running:
            return
        started = threading.Event()
        failures: list[OSError] = []
        self._ended.clear()
        self._keeper = threading.Thread(
            target=self._keep, args=(started, failures), daemon=True, name="child"
        )
        self._keeper.start()
        started.wait()
        if failures:
            raise failures[0]

    def _keep(self, started: threading.Event, failures: list[OSError]) -> None:
        try:
            self._process = process = self._spawn()
        except OSError as error:
            failures.append(error)
            self._ended.set()
            return
        finally:
            started.set()
        process.wait()
        self._ended.set()
        self._on_end()

    def _spawn(self) -> subprocess.Popen[bytes]:
        if self.log.exists() and self.log.stat().st_size > LOG_BYTES_MAX:
            self.log.replace(self.log.with_name(self.log.name + ".1"))
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        with os.fdopen(os.open(self.log, flags, 0o600), "ab") as log:
            return subprocess.Popen(  # noqa: S603  the caller's own command
                (*LAUNCH, str(os.getpid()), *self._command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._directory,
                env={**os.environ, **self._environment},
                start_new_session=True,
                umask=0o077,
            )

    def send(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens when the program has ended."""
        if self._process is not None:
            self._process.send_signal(number)

    def wait(self, limit_s: float) -> bool:
        """Wait at most `limit_s` for the end; tell whether it has ended."""
        return self._ended.wait(limit_s)

    def kill(self) -> None:
        """End it as `kill -9` does, also when it is paused; it is gone on return."""
        self.send(signal.SIGKILL)
        self._join()

    def stop(self, limit_s: float) -> bool:
        """End it orderly; kill it when that takes longer than `limit_s`.

        Returns:
            Whether it ended by itself within the limit.
        """
        self.send(signal.SIGTERM)
        orderly = self.wait(limit_s)
        if not orderly:
            self.send(signal.SIGKILL)
        self._join()
        return orderly

    def _join(self) -> None:
        # A killed process ends as soon as the kernel gets to it; there is no useful limit.
        if self._keeper is not None and self._keeper is not threading.current_thread():
            self._keeper.join()
