"""Whether this process was told to stop: Ctrl-C, SIGTERM or a closed terminal."""

from __future__ import annotations

import os
import select
import signal


class Interruption:
    """Call it to ask, or `wait`. Making it replaces the handlers of the three signals.

    A pipe, not an `Event`: a handler that took a lock could meet the main thread holding
    that very lock.
    """

    def __init__(self) -> None:
        self._readable, self._writable = os.pipe()
        self._came = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._handle)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # As nohup sets it.
            signal.signal(signal.SIGHUP, self._handle)

    def __call__(self) -> bool:
        return self._came

    def wait(self, limit_s: float) -> bool:
        """Wait until told to stop, at most `limit_s`; whether that is so."""
        select.select([self._readable], [], [], limit_s)
        return self._came

    def _handle(self, *_: object) -> None:
        if not self._came:
            os.write(self._writable, b"!")
        self._came = True
