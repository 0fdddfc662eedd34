"""A disk on which files become no longer than a limit."""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def full_disk(file_bytes_max: int) -> Iterator[None]:
    """Meanwhile, this process cannot make a file longer than `file_bytes_max`."""
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    noted = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes_max, usual[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
        signal.signal(signal.SIGXFSZ, noted)
