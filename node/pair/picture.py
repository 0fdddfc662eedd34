"""A running pair at a glance, and what to type next."""

from __future__ import annotations

import sys
from pathlib import Path

from node.pair.directory import PairDirectory
from node.pair.local import LocalNode, LocalPair


def picture(pair: LocalPair, directory: PairDirectory) -> str:
    """The pair at a glance, and what to type next."""
    active = pair.active()
    admin = f"{typed_python()} -m admin"
    lines = ["", f"A pair of telephone servers, in {directory.path}:", ""]
    lines += [_row(node, node is active) for node in pair.nodes.values()]
    lines += [
        "",
        "In another terminal, here:",
        f"  . {directory.environment_path}",
        f"  {admin} status",
        f"""  {admin} put users/alice '{{"extension": "101"}}'""",
    ]
    if active is not None:
        lines.append(
            f"  kill -9 {active.process.pid}     # the active node: the other takes over; "
            "this one is back in seconds"
        )
    lines += [f"  {admin} switch --reason back", f"  {admin} history"]
    logs = " and ".join(str(node.process.log) for node in pair.nodes.values())
    return "\n".join([*lines, "", f"Logs: {logs}. Ctrl-C stops the pair.", ""])


def _row(node: LocalNode, is_active: bool) -> str:
    state = "active" if is_active else "passive"
    return (
        f"  {node.role:<8} {state:<8} {node.client.url}  link {node.ports.link}  "
        f"Redis {node.ports.redis}  process {node.process.pid}"
    )


def typed_python() -> str:
    """This Python as a person here would type it."""
    python, here = Path(sys.executable), Path.cwd()
    return str(python.relative_to(here) if python.is_relative_to(here) else python)
