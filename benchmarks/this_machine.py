"""What figures are worth nothing without: on which machine, of which commit."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

import psutil

REPOSITORY = Path(__file__).resolve().parents[1]


def machine() -> str:
    """The processor, its cores, the memory and the system, in a line."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2] for line in lines if line.startswith("model name")]
    model = names[0].strip() if names else platform.machine()
    memory_gb = psutil.virtual_memory().total / 1024**3
    return f"{model}, {os.cpu_count()} cores, {memory_gb:.0f} GB, {platform.platform()}"


def commit() -> str:
    """The short name of what is checked out, and whether there are changes to it."""

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", *words], cwd=REPOSITORY, capture_output=True, text=True
        ).stdout.strip()

    changed = " with changes" if git("status", "--porcelain") else ""
    return (git("rev-parse", "--short", "HEAD") or "unknown") + changed
