"""One core, and a peer that says exactly what a test tells it to."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from random import Random

import attrs

from node.core import (
    CloseConnection,
    Core,
    CoreEffect,
    Dial,
    Facts,
    Note,
    PeerSpoke,
    SendBytes,
)
from node.link_messages import Goodbye, Heartbeat, SwitchMessage
from node.link_protocol import Connection, Greeting, Identity, Received, Unacceptable
from node.roles import Role, State
from node.situation import ChangeState, Report, SwitchStep
from tests.simulation.world import config_of
from tests.support.links import HEARTBEAT, MASTER, STANDBY

FACTS = Facts(
    heads={},
    digest="ef",
    entry_count=0,
    fold_version=1,
    problems={},
    ready=True,
    replicating=True,
    replication_revision=0,
    replication_enabled=True,
    pause_revision=0,
    paused=False,
    pause_left_ms=0,
    pause_text="",
    calls=0,
)
IDENTITIES = {Role.MASTER: MASTER, Role.STANDBY: STANDBY}


class LoneCore:
    """The core of `role`, and its peer's end of every connection."""

    def __init__(self, role: Role = Role.MASTER, **configured: object) -> None:
        self.now_s = 1000.0
        self.facts = FACTS
        self.role = role
        self.peer = IDENTITIES[role.other]
        self.peer_state = State.PASSIVE
        self.peer_promise: str | None = None
        self.effects: list[CoreEffect] = []
        self.heard: list[Heartbeat | Goodbye | SwitchMessage] = []
        """What the peer has heard of the core."""
        self.ends: dict[int, Connection] = {}
        """The peer's end of each connection."""
        self.core = Core(
            config_of(role, secret=self.peer.secrets[0], **configured),
            identity=IDENTITIES[role],
            facts=lambda: self.facts,
            rng=Random(1),
            now_s=self.now_s,
        )
        self._sequence = 0
        self._last_number = 0

    # Time.

    def tick(self, after_s: float = 0.0) -> None:
        self.now_s += after_s
        self.core.tick(self.now_s)
        self.settle()

    def turn(self, after_s: float = 0.0) -> None:
        self.now_s += after_s
        self.core.turn(self.now_s)
        self.settle()

    def ticks(self, count: int) -> None:
        for _ in range(count):
            self.tick(1.0)

    def settle(self) -> list[CoreEffect]:
        """Carry bytes to the peer's ends; returns the new effects."""
        new = self.core.take_effects()
        self.effects += new
        for effect in new:
            if isinstance(effect, SendBytes) and effect.connection in self.ends:
                self._deliver(effect.connection, effect.data)
        return new

    # Connections.

    def accept(self, peer: Identity | None = None) -> int:
        """The peer dials; returns the connection on which it speaks."""
        number = self._open(peer, dialled=True)
        self._to_core(number)
        return number

    def answer(self, peer: Identity | None = None) -> int:
        """The core's dial succeeds."""
        return self._open(peer, dialled=False)

    def connect(self) -> int:
        """Both directions; returns the connection on which the peer speaks."""
        if self.core._turned_s is None:
            self.tick()
        number = self.accept()
        self.answer()
        return number

    def close(self, number: int) -> None:
        """The network ends a connection."""
        self.ends.pop(number, None)
        self.core.connection_closed(number, self.now_s)
        self.settle()

    # What the peer says.

    def beat(self, state: State | None = None, **said: object) -> None:
        """The peer's heartbeat on the newest connection that it dialled."""
        self.peer_state = state or self.peer_state
        self._sequence += 1
        fields: Mapping[str, object] = {
            "instance": self.peer.instance,
            "sequence": self._sequence,
            "heard_sequence": self.last_sequence,
            "role": self.peer.role,
            "state": self.peer_state,
            "promise": self.peer_promise,
        }
        self.say(attrs.evolve(HEARTBEAT, **{**fields, **said}))  # type: ignore[arg-type]

    def say(self, message: Heartbeat | Goodbye | SwitchMessage) -> None:
        number = max(n for n in self.ends if self.ends[n].dialled)
        self.ends[number].send(message)
        self._to_core(number)

    def say_step(self, step: SwitchStep, text: str = "") -> None:
        """One step of the switch that is under way at the core."""
        switch = self.core.situation.switch
        assert switch is not None
        self.say(SwitchMessage(step, switch, text))

    # What came of it.

    @property
    def last_sequence(self) -> int:
        """Of the last heartbeat that the core sent."""
        beats = [m for m in self.heard if isinstance(m, Heartbeat)]
        return beats[-1].sequence if beats else 0

    def seen(self, *kinds: type[CoreEffect]) -> list[CoreEffect]:
        return [effect for effect in self.effects if isinstance(effect, kinds)]

    @property
    def changes(self) -> list[tuple[State, str]]:
        found = [e for e in self.effects if isinstance(e, ChangeState)]
        return [(effect.state, effect.rule) for effect in found]

    @property
    def notes(self) -> list[str]:
        return [effect.text for effect in self.effects if isinstance(effect, Note)]

    @property
    def dials(self) -> int:
        return len(self.seen(Dial))

    @property
    def closed(self) -> list[int]:
        found = [e for e in self.effects if isinstance(e, CloseConnection)]
        return [effect.connection for effect in found]

    @property
    def reports(self) -> list[Report]:
        return [effect for effect in self.effects if isinstance(effect, Report)]

    @property
    def spoken(self) -> list[Heartbeat]:
        return [e.heartbeat for e in self.effects if isinstance(e, PeerSpoke)]

    # Inside.

    def _open(self, peer: Identity | None, *, dialled: bool) -> int:
        self._last_number += 1
        number = self._last_number
        self.ends[number] = Connection(
            peer or self.peer,
            dialled=dialled,
            greeting=lambda: Greeting(
                self.peer_state, self.peer_promise, self._sequence
            ),
            rng=Random(number),
        )
        self.core.connection_opened(number, dialled=not dialled, now_s=self.now_s)
        self.settle()
        return number

    def _to_core(self, number: int) -> None:
        data = self.ends[number].take_outbox()
        if data:
            self.core.data_received(number, data, self.now_s)
            self.settle()

    def _deliver(self, number: int, data: bytes) -> None:
        end = self.ends[number]
        # Who does not accept the core sends why; the core has to read it.
        with suppress(Unacceptable):
            for incident in end.receive(data):
                if isinstance(incident, Received):
                    self.heard.append(incident.message)
        self._to_core(number)
