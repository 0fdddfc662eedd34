"""`python -m node pair --story`: what a pair is for, happening for real, with times."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from node.clock import SystemClock
from node.errors import NodeError
from node.pair.local import LocalNode, LocalPair
from node.roles import Role
from node.waiting import wait_until

T = TypeVar("T")

COPIED_LIMIT_S = 10.0
TAKEOVER_LIMIT_S = 15.0
RETURN_LIMIT_S = 30.0
SWITCH_LIMIT_S = 15.0
HISTORY_PAGE_COUNT = 1000
LOG_LINE_COUNT = 15

Print = Callable[[str], None]


class StoryEnded(NodeError):
    """Something did not happen as it should, or the story was interrupted."""


def tell_story(
    pair: LocalPair, print_line: Print, interrupted: Callable[[], bool]
) -> int:
    """Let it all happen with `pair`, which is stopped at the end.

    Returns:
        The exit code: 0 when everything happened, 130 when it was interrupted, else 1.
    """
    story = _Story(pair, print_line, interrupted)
    try:
        story.tell()
    except NodeError as error:
        if interrupted():
            print_line("\nThe story was interrupted.")
            return INTERRUPTED
        print_line(f"\nThis failed: {error}")
        _print_ends_of_logs(pair, print_line)
        return 1
    finally:
        pair.stop()
    print_line("\nAll of it happened as it should.")
    return 0


INTERRUPTED = 130
"""As a shell says it of a process that Ctrl-C ended."""


class _Story:
    """The chapters, in order; each leaves a settled pair to the next."""

    def __init__(
        self, pair: LocalPair, print_line: Print, interrupted: Callable[[], bool]
    ) -> None:
        self._pair = pair
        self._print = print_line
        self._interrupted = interrupted
        self._clock = SystemClock()
        self._master = pair.nodes[Role.MASTER]
        self._standby = pair.nodes[Role.STANDBY]

    def tell(self) -> None:
        """All chapters.

        Raises:
            NodeError: one did not end as it should; the message says which and why.
        """
        self._start()
        self._change_entries()
        self._kill_the_active_node()
        self._silence_the_active_node()
        self._switch_both_ways()
        self._look_back()

    def _start(self) -> None:
        self._chapter("Two nodes start, each with a Redis of its own")
        started_s = self._clock.now_s()
        self._pair.start(self._interrupted)
        self._end_if_interrupted()
        self._tell(started_s, f"the {self._active().role} serves, the other copies")

    def _change_entries(self) -> None:
        self._chapter("A change on either node reaches the other")
        self._put_and_await_copy(self._master, "users/alice", {"extension": "101"})
        self._put_and_await_copy(self._standby, "users/bob", {"extension": "102"})

    def _kill_the_active_node(self) -> None:
        killed = self._active()
        taker = self._pair.other(killed)
        self._chapter(f"kill -9 of the {killed.role}, which is active")
        killed_s = self._clock.now_s()
        killed.process.kill()
        self._await_takeover(taker, killed_s)
        taker.client.put("users/carol", {"extension": "103"})
        started_s = self._clock.now_s()
        killed.process.start()
        self._await_settled(taker)
        self._await_equal()
        self._tell(
            started_s,
            f"the {killed.role}, started again, is passive and has the same entries",
        )

    def _silence_the_active_node(self) -> None:
        paused = self._active()
        taker = self._pair.other(paused)
        self._chapter(f"The {paused.role}, active now, falls silent (SIGSTOP)")
        paused_s = self._clock.now_s()
        paused.process.send(signal.SIGSTOP)
        try:
            self._await_takeover(taker, paused_s)
        finally:
            paused.process.send(signal.SIGCONT)
        woken_s = self._clock.now_s()
        self._await_settled(taker)
        self._tell(woken_s, f"the {paused.role}, awake again, is passive: one serves")

    def _switch_both_ways(self) -> None:
        self._chapter("The operator switches, there and back")
        for _ in range(2):
            taker = self._pair.other(self._active())
            ordered_s = self._clock.now_s()
            self._master.client.switch("a planned switch", SWITCH_LIMIT_S)
            self._tell(ordered_s, f"the {taker.role} serves by order")
            self._await_settled(taker)

    def _look_back(self) -> None:
        self._chapter("Everything is in the history, on both nodes")
        self._await_equal()
        events = list(_history(self._master))
        ids = {_identity(event) for event in events}
        self._await(
            lambda: ids <= {_identity(event) for event in _history(self._standby)},
            COPIED_LIMIT_S,
            "the whole history on the standby",
        )
        for event in events:
            self._print("   " + _line(event))

    def _put_and_await_copy(self, node: LocalNode, key: str, value: object) -> None:
        other = self._pair.other(node)
        node.client.put(key, value)
        stored_s = self._clock.now_s()
        self._await(
            lambda: other.client.value(key) == value,
            COPIED_LIMIT_S,
            f"{key} on the {other.role}",
        )
        self._tell(stored_s, f"{key}, put on the {node.role}, is on the {other.role}")

    def _await_takeover(self, taker: LocalNode, lost_s: float) -> None:
        self._await(
            lambda: taker.is_active, TAKEOVER_LIMIT_S, f"the {taker.role} to take over"
        )
        self._tell(lost_s, f"the {taker.role} serves")

    def _await_settled(self, active: LocalNode) -> None:
        self._await(
            lambda: (
                active.is_active and self._pair.is_settled() and self._pair.may_switch()
            ),
            RETURN_LIMIT_S,
            f"the {active.role} to be the only active node, and a switch to be possible",
        )

    def _await_equal(self) -> None:
        self._await(
            lambda: _contents(self._master) == _contents(self._standby) != (None, None),
            COPIED_LIMIT_S,
            "the same entries on both nodes",
        )

    def _await(self, condition: Callable[[], T], limit_s: float, what: str) -> T:
        def uninterrupted() -> T:
            self._end_if_interrupted()
            return condition()

        return wait_until(uninterrupted, limit_s, what)

    def _end_if_interrupted(self) -> None:
        if self._interrupted():
            raise StoryEnded("the story was interrupted")

    def _active(self) -> LocalNode:
        active = self._pair.active()
        if active is None:
            raise StoryEnded("there is not exactly one active node")
        return active

    def _chapter(self, title: str) -> None:
        self._print(f"\n{title}")

    def _tell(self, since_s: float, what: str) -> None:
        self._print(f"   {self._clock.now_s() - since_s:6.2f} s  {what}")


def _contents(node: LocalNode) -> tuple[object, object]:
    status = node.client.status()
    return status.get("digest"), status.get("entries")


def _history(node: LocalNode) -> Iterator[dict[str, Any]]:
    """All events the node knows, oldest first."""
    query: dict[str, str | int] = {"limit": HISTORY_PAGE_COUNT}
    while True:
        page = node.client.ask("GET", "/history", query=query)
        yield from page["events"]
        if page["next"] is None:
            return
        query["after"] = page["next"]


def _identity(event: dict[str, Any]) -> tuple[str, str]:
    return event["origin"], event["id"]


def _line(event: dict[str, Any]) -> str:
    """Who changed what, when and why, on one line."""
    time = event["time"].partition("T")[2][:12]
    why = f" ({event['reason']})" if event["reason"] else ""
    return f"{time}  {event['origin']:<8} {event['actor']}: {_what(event)}{why}"


def _what(event: dict[str, Any]) -> str:
    match event:
        case {"kind": "state-changed", "value": {"from": before, "to": after}}:
            return f"{before} -> {after}"
        case {"kind": kind, "key": str(key), "value": value}:
            return f"{kind} {key} {'' if value is None else json.dumps(value)}".rstrip()
        case _:
            return str(event["kind"])


def _print_ends_of_logs(pair: LocalPair, print_line: Print) -> None:
    for node in pair.nodes.values():
        log = node.process.log
        if log.exists():
            lines = log.read_text("utf-8", "replace").splitlines()[-LOG_LINE_COUNT:]
            print_line("\n".join([f"\nThe end of the {node.role}'s log:", *lines]))
