"""What the programs behind `make explore`, `simulate`, `chaos`, `mutants` and `fuzz` share."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable

INTERRUPTED = 130


def exit_code(main: Callable[[], int]) -> int:
    """What `main` returns; Ctrl-C and SIGTERM unwind it, and one line says so."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return main()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED


def leave_interrupts_to_parent() -> None:
    """For processes of a pool: the one that made them ends them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def at_least_one(text: str) -> int:
    """A whole number from 1, as the type of an argument."""
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return number


def whole_number(text: str) -> int:
    """Any whole number, as the type of an argument."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
