"""The loop: one inbox, and nothing that stops it. With real threads and sockets."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from random import Random

import pytest

from node import runtime as under_test
from node.both_active import BothActive
from node.clock import SystemClock
from node.core import Core, Note, PeerWrites
from node.link_messages import Heartbeat
from node.link_protocol import Identity
from node.roles import Role, State
from node.runtime import Announce, Ask, Observed, Runtime, Tick
from node.situation import (
    AwaitHead,
    ChangeState,
    FreezeWrites,
    HeadReached,
    Outcome,
    Report,
    RetireService,
    ServiceRetired,
    Switch,
    WritesFrozen,
)
from tests.simulation.world import config_of
from tests.support.lone_core import FACTS
from tests.support.ports import free_port
from tests.support.situations import TO_STANDBY
from tests.support.waiting import wait_until

LIMIT_S = 20.0
QUICK = {
    "heartbeat_interval_s": 0.1,
    "peer_lost_after_s": 1.0,
    "start_window_s": 0.5,
    "switch_step_s": 0.9,
}


class Carried:
    """Effects that are remembered, and answered like shells that have nothing to do."""

    def __init__(self) -> None:
        self.changes: list[ChangeState] = []
        self.done: list[str] = []
        self.reports: list[Report] = []
        self.failing: set[str] = set()
        self.observe: Callable[[object], object] = lambda _: None

    def _did(self, name: str) -> None:
        self.done.append(name)
        if name in self.failing:
            raise RuntimeError(f"{name} failed")

    def change_state(self, change: ChangeState) -> None:
        self.changes.append(change)
        self._did(f"change to {change.state}")

    def run_callbacks(self, state: State) -> None:
        self._did(f"callbacks {state}")

    def retire_service(self, effect: RetireService) -> None:
        self._did("retire")
        self.observe(ServiceRetired(effect.switch))

    def freeze_writes(self, effect: FreezeWrites) -> None:
        self._did("freeze")
        self.observe(WritesFrozen(effect.switch, "1-1"))

    def thaw_writes(self) -> None:
        self._did("thaw")

    def await_head(self, effect: AwaitHead) -> None:
        self._did("await head")
        self.observe(HeadReached(effect.switch))

    def report(self, report: Report) -> None:
        self.reports.append(report)
        self._did("report")

    def ask_witness(self, question: int) -> None:
        self.done.append("ask witness")

    def both_active(self, effect: BothActive) -> None:
        self.done.append("both active")

    def peer_spoke(self, heartbeat: Heartbeat) -> None:
        self.done.append("peer spoke")

    def peer_writes(self, effect: PeerWrites) -> None:
        self.done.append(f"peer writes {effect.event_format}")

    def realign_heartbeat(self, realign: Callable[[], None]) -> None:
        self._did("realign")


class Node:
    """A runtime with nothing behind it."""

    def __init__(self, role: Role, ports: dict[Role, int]) -> None:
        config = config_of(
            role,
            listen=f"127.0.0.1:{ports[role]}",
            peer=f"127.0.0.1:{ports[role.other]}",
            **QUICK,
        )
        identity = Identity(
            pair=config.pair,
            role=role,
            instance=f"{role}-1",
            version="1",
            event_format=1,
            secrets=(config.secret,),
        )
        self.clock = SystemClock()
        self.stopped = False
        self.core = Core(
            config,
            identity=identity,
            facts=lambda: FACTS,
            rng=Random(1),
            now_s=self.clock.now_s(),
        )
        self.carried = Carried()
        self.runtime = Runtime(config, self.core, self.carried, self.clock)
        self.carried.observe = lambda seen: self.runtime.post(Observed(seen))  # type: ignore[arg-type]

    def start(self) -> None:
        self.runtime.link.bind()
        self.runtime.link.listen()
        self.runtime.start()

    def stop(self) -> None:
        if not self.stopped:
            self.stopped = True
            self.runtime.stop(LIMIT_S)

    @property
    def state(self) -> State:
        return self.runtime.view.state

    def wait_for(self, state: State) -> None:
        wait_until(lambda: self.state is state, LIMIT_S, f"it to be {state}")


@pytest.fixture
def ports() -> dict[Role, int]:
    return {role: free_port() for role in Role}


@pytest.fixture
def master(ports: dict[Role, int]) -> Iterator[Node]:
    node = Node(Role.MASTER, ports)
    node.start()
    yield node
    node.stop()


@pytest.fixture
def standby(ports: dict[Role, int], master: Node) -> Iterator[Node]:
    node = Node(Role.STANDBY, ports)
    node.start()
    yield node
    node.stop()


def test_a_node_alone_becomes_active(master: Node) -> None:
    master.wait_for(State.ACTIVE)
    assert [change.rule for change in master.carried.changes] == ["S2"]
    wait_until(
        lambda: master.carried.done[-1:] == ["callbacks active"], LIMIT_S, "them"
    )
    assert master.runtime.is_live()


def test_two_nodes_meet_and_one_is_active(master: Node, standby: Node) -> None:
    master.wait_for(State.ACTIVE)
    wait_until(
        lambda: standby.runtime.view.connected and standby.runtime.view.hears_us,
        LIMIT_S,
        "the standby to be connected",
    )
    peer = standby.runtime.view.peer
    assert peer is not None
    assert peer.instance == "master-1"
    assert standby.state is State.PASSIVE
    assert "peer spoke" in standby.carried.done


def test_a_planned_switch_goes_through_real_sockets(
    master: Node, standby: Node
) -> None:
    master.wait_for(State.ACTIVE)
    wait_until(lambda: not reasons_against(master), LIMIT_S, "nothing against a switch")
    order(master)
    standby.wait_for(State.ACTIVE)
    master.wait_for(State.PASSIVE)
    wait_until(lambda: master.carried.reports, LIMIT_S, "the report")
    assert [r.outcome for r in master.carried.reports] == [Outcome.DONE]
    done = [what for what in master.carried.done if what != "peer spoke"]
    assert done[-2:] == ["thaw", "report"]


def test_an_orderly_stop_is_taken_over_at_once(master: Node, standby: Node) -> None:
    master.wait_for(State.ACTIVE)
    wait_until(lambda: standby.runtime.view.connected, LIMIT_S, "the standby")
    master.stop()
    assert master.state is State.PASSIVE
    standby.wait_for(State.ACTIVE)
    assert standby.carried.changes[-1].rule == "S11"
    assert not master.runtime.is_live()


def asked(node: Node, work: Callable[[Core, float], object]) -> object:
    answers: list[object] = []
    done = threading.Event()

    def ask(core: Core, now_s: float) -> None:
        answers.append(work(core, now_s))
        done.set()

    node.runtime.post(Ask(ask))
    assert done.wait(LIMIT_S)
    return answers[0]


def reasons_against(node: Node) -> object:
    return asked(node, lambda core, now_s: core.prechecks(now_s))


def order(node: Node) -> None:
    reasons = asked(
        node,
        lambda core, now_s: core.order_switch(
            switch_id="one", actor="jane", reason="why", now_s=now_s, idle_s=None
        ),
    )
    assert reasons == ()


def test_a_turn_that_fails_does_not_end_the_loop(
    master: Node, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_core: Core, _now_s: float) -> None:
        raise RuntimeError("a bug")

    master.runtime.post(Ask(fail))
    assert asked(master, lambda _core, _now_s: 5) == 5
    assert "a turn of the loop failed" in caplog.text


def test_an_effect_that_fails_does_not_stop_those_behind_it(
    master: Node, caplog: pytest.LogCaptureFixture
) -> None:
    master.carried.failing.add("change to active")
    wait_until(lambda: "callbacks active" in master.carried.done, LIMIT_S, "callbacks")
    assert master.state is State.ACTIVE
    assert "an effect failed: ChangeState" in caplog.text


def test_notes_go_to_the_log_by_their_weight(
    master: Node, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="netphone")
    asked(master, lambda core, _: core._effects.append(Note("quiet")))
    asked(master, lambda core, _: core._effects.append(Note("loud", alarming=True)))
    wait_until(lambda: "loud" in caplog.text, LIMIT_S, "both lines")
    levels = {r.getMessage(): r.levelname for r in caplog.records}
    assert (levels["quiet"], levels["loud"]) == ("INFO", "ERROR")


def test_what_heartbeats_carry_is_announced_at_once(
    master: Node, standby: Node
) -> None:
    wait_until(lambda: standby.runtime.view.peer is not None, LIMIT_S, "a heartbeat")
    before = asked(master, lambda core, _: core._sequence)
    master.runtime.post(Announce())
    after = asked(master, lambda core, _: core._sequence)
    assert isinstance(before, int)
    assert isinstance(after, int)
    assert after > before


def test_when_the_job_is_silent_the_loop_ticks_itself(ports: dict[Role, int]) -> None:
    node = Node(Role.MASTER, ports)
    node.runtime._heartbeat.start = lambda: None  # type: ignore[method-assign]
    node.runtime._heartbeat.stop = lambda: None  # type: ignore[method-assign]
    node.start()
    try:
        node.wait_for(State.ACTIVE)
        wait_until(lambda: node.carried.done.count("realign") > 1, LIMIT_S, "realigned")
    finally:
        node.runtime.stop(LIMIT_S)


def test_a_full_inbox_refuses_and_never_waits(
    ports: dict[Role, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(under_test, "INBOX_COUNT_MAX", 2)
    node = Node(Role.MASTER, ports)
    assert [node.runtime.post(Tick()) for _ in range(3)] == [True, True, False]


def test_a_loop_that_has_not_begun_is_not_live(ports: dict[Role, int]) -> None:
    assert not Node(Role.MASTER, ports).runtime.is_live()


def test_a_loop_that_does_not_turn_is_not_live(master: Node) -> None:
    release, begun = threading.Event(), threading.Event()

    def hold(_core: Core, _now_s: float) -> None:
        begun.set()
        release.wait(LIMIT_S)

    master.runtime.post(Ask(hold))
    assert begun.wait(LIMIT_S)
    wait_until(lambda: not master.runtime.is_live(), LIMIT_S, "it to be found out")
    release.set()


def test_s13_nobody_is_told_that_a_node_serves_whose_loop_stands_still(
    master: Node,
) -> None:
    master.wait_for(State.ACTIVE)
    release, begun = threading.Event(), threading.Event()

    def hold(_core: Core, _now_s: float) -> None:
        begun.set()
        release.wait(LIMIT_S)

    master.runtime.post(Ask(hold))
    assert begun.wait(LIMIT_S)
    wait_until(
        lambda: master.runtime.state is State.PASSIVE, LIMIT_S, "it to be distrusted"
    )
    assert master.runtime.view.state is State.ACTIVE
    # On a busy machine it is told so too soon; the loop itself must have stood still.
    until_s = master.clock.now_s() + 2 * QUICK["peer_lost_after_s"]
    wait_until(lambda: master.clock.now_s() >= until_s, LIMIT_S, "a long stall")
    release.set()
    wait_until(
        lambda: master.carried.changes[-1].rule in ("S6", "S12"),
        LIMIT_S,
        "it to serve again, alone",
    )
    assert "S13" in [change.rule for change in master.carried.changes]


def test_what_a_shell_has_done_reaches_the_core(master: Node) -> None:
    master.wait_for(State.ACTIVE)
    seen: Switch = TO_STANDBY
    master.runtime.post(Observed(WritesFrozen(seen, "1-1")))
    assert asked(master, lambda core, _: core.state) is State.ACTIVE
