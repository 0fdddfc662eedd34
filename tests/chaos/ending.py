"""The last check: the pair is left alone, and then everything must be right."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from eventstore import Event, Kind, Origin
from node.roles import Role
from tests.chaos.scene import Scene
from tests.chaos.verdict import Attempt, Counts, count
from tests.support import oracle
from tests.support.processes import PairProcesses
from tests.support.told import entries_told, events_told

EQUAL_LIMIT_S = 60.0
SHOWN_CHARACTERS_MAX = 300
CHANGES = (Kind.ENTRY_PUT, Kind.ENTRY_DELETED)
MASTER = Origin(Role.MASTER)
CONTENDED = "contended/"


def check(scene: Scene, attempts: Sequence[Attempt]) -> Counts:
    """Hold both nodes against what was acknowledged; nobody may write any more.

    Raises:
        AssertionError: the pair did not become settled and equal.
    """
    pair = scene.pair
    pair.wait_until_settled(EQUAL_LIMIT_S)
    pair.wait_until_equal(EQUAL_LIMIT_S)
    pair.wait_until_settled(EQUAL_LIMIT_S)
    histories = {str(role): events_told(node) for role, node in pair.nodes.items()}
    counts = count(attempts, histories, scene.destroyed)
    for what in (*counts.lost, *counts.unexpected):
        scene.problem(what)
    for role, node in pair.nodes.items():
        wanted = _entries(histories[str(role)])
        told = {key: value for key, (value, *_) in entries_told(node).items()}
        differing = sorted(
            key for key in wanted.keys() | told if wanted.get(key) != told.get(key)
        )
        if differing:
            scene.problem(
                f"{len(differing)} entries of the {role} are not what its history "
                f"leaves, such as {differing[0]}"
            )
    for what in log_problems(pair):
        scene.problem(what)
    return counts


def log_problems(pair: PairProcesses) -> list[str]:
    """Tracebacks in the logs of the nodes, with their last line."""
    found = []
    for node in pair.nodes.values():
        path = node.process.log
        for log in (path.with_name(path.name + ".1"), path):
            found += [f"{node} logged: {what}" for what in _tracebacks(log)]
    return found


def _tracebacks(log: Path) -> list[str]:
    if not log.exists():
        return []
    blocks = log.read_text("utf-8", "replace").split(
        "Traceback (most recent call last)"
    )
    found = []
    for block in blocks[1:]:
        ending = [line for line in block.splitlines()[1:] if line[:1].strip()]
        found.append((ending or ["a traceback"])[0][:SHOWN_CHARACTERS_MAX])
    return found


def _entries(history: Sequence[Event]) -> dict[str, object]:
    """What the events must leave: an integer of its own is there, others as by oracle."""
    changes = [e for e in history if e.kind in CHANGES]
    contended = [e for e in changes if str(e.key).startswith(CONTENDED)]
    standing = oracle.entries(contended, prevailing=MASTER)
    left: dict[str, object] = {
        str(e.key): e.value for e in changes if not str(e.key).startswith(CONTENDED)
    }
    return left | {key: event.value for key, event in standing.items()}
