"""Connections and messages for tests of the link."""

from __future__ import annotations

from random import Random

import attrs

from node.link_messages import Head, Heartbeat
from node.link_protocol import Connection, Greeting, Identity, Incident
from node.roles import Role, State

SECRET, NEXT_SECRET = "the current secret", "the secret to come"

MASTER = Identity(
    pair="office",
    role=Role.MASTER,
    instance="m",
    version="1.0",
    event_format=1,
    secrets=(SECRET,),
)
STANDBY = attrs.evolve(MASTER, role=Role.STANDBY, instance="s")

HEARTBEAT = Heartbeat(
    instance="m",
    sequence=7,
    heard_sequence=6,
    role=Role.MASTER,
    state=State.ACTIVE,
    promise=None,
    state_age_ms=1500,
    yield_count=0,
    heads={"master": Head("1767225600000-42", "ab"), "standby": Head("0-0", "cd")},
    digest="ef",
    entry_count=42,
    fold_version=1,
    problems={"sip": "no answer"},
    ready=True,
    replicating=True,
    replication_revision=3,
    replication_enabled=True,
    pause_revision=0,
    paused=False,
    pause_left_ms=0,
    pause_text="",
    calls=2,
    version="1.0",
)


def connection(
    identity: Identity, *, dialled: bool, seed: int = 0, state: State = State.PASSIVE
) -> Connection:
    """One end of a connection."""
    return Connection(
        identity,
        dialled=dialled,
        greeting=lambda: Greeting(state, None, 0),
        rng=Random(f"{identity.instance}{dialled}{seed}"),
    )


def ends(
    dialler: Identity = MASTER, listener: Identity = STANDBY, *, seed: int = 0
) -> tuple[Connection, Connection]:
    """Dialler and listener of one connection, before any byte."""
    return (
        connection(dialler, dialled=True, seed=seed),
        connection(listener, dialled=False, seed=seed),
    )


def exchange(one: Connection, two: Connection) -> list[Incident]:
    """Carry bytes to and fro until both are silent; returns what happened."""
    seen: list[Incident] = []
    while True:
        there, back = one.take_outbox(), two.take_outbox()
        if not there and not back:
            return seen
        seen += two.receive(there)
        seen += one.receive(back)


def opened(
    dialler: Identity = MASTER, listener: Identity = STANDBY, *, seed: int = 0
) -> tuple[Connection, Connection]:
    """Both ends of a connection on which the dialler may speak."""
    both = ends(dialler, listener, seed=seed)
    exchange(*both)
    return both


def framed(body: bytes) -> bytes:
    return len(body).to_bytes(4) + body
