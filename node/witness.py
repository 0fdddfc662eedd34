"""The witness: others than the peer, asked before silence alone makes a node active.

A node that hears nothing of its peer and reaches nobody else is the one that is cut off. It is
reached when one of the addresses answers at all (a refusal is an answer), and, where there is a
command, that ends with 0.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from node.addresses import Address
from node.commands import run_command


class Witness:
    """Asks once per call of `problem`; thread-safe."""

    def __init__(
        self, addresses: Sequence[str], command: Sequence[str], deadline_s: float
    ) -> None:
        self._addresses = tuple(addresses)
        self._command = tuple(command)
        self._deadline_s = deadline_s

    def problem(self) -> str | None:
        """Why it cannot be reached, in one line; None: it can. Waits up to the deadline."""
        return self._unreached() or self._failed()

    def _unreached(self) -> str | None:
        if not self._addresses:
            return None
        with ThreadPoolExecutor(len(self._addresses)) as asking:
            answers = list(asking.map(self._unanswered, self._addresses))
        if None in answers:
            return None
        return "not reached: " + "; ".join(text for text in answers if text)

    def _unanswered(self, address: str) -> str | None:
        place = Address.parse(address)
        try:
            socket.create_connection((place.host, place.port), self._deadline_s).close()
        except ConnectionRefusedError:
            return None  # Its host is there, and said so.
        except (OSError, UnicodeError) as error:
            return f"{address}: {error}"
        return None

    def _failed(self) -> str | None:
        if not self._command:
            return None
        try:
            ended = run_command(self._command, {}, self._deadline_s)
        except OSError as error:
            return f"{self._command[0]} cannot be run: {error}"
        if ended.code is None:
            return f"{self._command[0]} did not end within {self._deadline_s:g} s"
        if ended.code != 0:
            return f"{self._command[0]} ended with {ended.code}: {ended.output[:200]}"
        return None
