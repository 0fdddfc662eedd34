"""`python -m admin verify` against real nodes and their Redis: whole, and tampered with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pytest

from admin.errors import ExitCode
from eventstore import START, Event, Streams, codec
from eventstore.memory import Stored
from node.roles import Role
from tests.support.admin_process import done, run_admin
from tests.support.histories import MASTER
from tests.support.processes import PairProcesses
from tests.support.redis_servers import require_redis
from tests.support.tampering import OTHER_VALUE, put_into

pytestmark = pytest.mark.redis


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PairProcesses]:
    """A pair with changes of both nodes, equal on both."""
    require_redis()
    with PairProcesses(tmp_path_factory.mktemp("verify")) as pair:
        pair.start()
        for n in range(12):
            for node in pair.nodes.values():
                reply = node.http.put(f"/entries/users/u{n % 5}", json={"n": n})
                assert reply.status_code == 200, reply.text
        pair.wait_until_equal()
        yield pair


def pair_name(pair: PairProcesses) -> str:
    return str(pair.master.http.get("/status").json()["pair"])


def rewrite(pair: PairProcesses, role: Role, name: str, stored: list[Stored]) -> None:
    with pair.redis[role].client() as client:
        streams = Streams(client, name, name="Redis")
        client.delete(streams.key(MASTER))
        put_into(streams, MASTER, stored)


def tampered(
    stored: list[Stored], change: Callable[[Event], bool], *, tail: bool
) -> tuple[list[Stored], Event]:
    """The first event that `change` names has another value; `tail`: the rest fits to it."""
    made, victim = list[Stored](), None
    for event_id, blob in stored:
        event = codec.decode(MASTER, event_id, blob)
        assert isinstance(event, Event)
        if victim is None and change(event):
            victim = event
            event = attrs.evolve(event, packed=OTHER_VALUE)
            blob = codec.encode_event(event)
        elif victim is not None and tail:
            blob = codec.encode_event(
                attrs.evolve(event, previous=codec.digest_of(made[-1][1]))
            )
        made.append((event_id, blob))
    assert victim is not None
    return made, victim


def offline(pair: PairProcesses, name: str, directory: Path) -> list[str]:
    """The options that name both Redis."""
    options = ["--pair", name, "--redis-of", "master"]
    for role, word in ((Role.MASTER, "redis"), (Role.STANDBY, "other-redis")):
        server = pair.redis[role]
        password = directory / f"{role}.password"
        password.touch(0o600)
        password.write_text(server.password)
        options += [f"--{word}", f"redis://127.0.0.1:{server.port}/0"]
        options += [f"--{word}-password-file", str(password)]
    return options


def test_tampering_is_found_through_nodes_and_offline(
    written: PairProcesses, tmp_path: Path
) -> None:
    pair, name = written, pair_name(written)
    key, file = tmp_path / "audit.key", tmp_path / "checkpoints"
    done(pair, pair.master, "key", "new", key)
    done(pair, pair.standby, "checkpoint", file, "--key", key)
    done(pair, pair.master, "checkpoint", file, "--key", key)
    against = "--against", file, "--public-key", f"{key}.pub"
    both = offline(pair, name, tmp_path)
    for node in pair.nodes.values():
        (found,) = done(pair, node, "--json", "verify", *against).records
        assert found["ok"] is True
        assert found["checkpoints"]["count"] == 2
        assert found["problem"] == ""
        assert len(found["streams"][0]["heads"]) == 2
        assert min(stream["events"] for stream in found["streams"]) > 12
    done(pair, pair.master, "verify", *both, *against)

    # One event in the middle, in the standby's Redis.
    good = master_stream(pair, Role.STANDBY, name)
    changed, victim = tampered(good, lambda e: e.key == "users/u2", tail=False)
    rewrite(pair, Role.STANDBY, name, changed)
    for node in pair.nodes.values():
        run = run_admin(pair, node, "verify")
        assert run.exit_code == ExitCode.UNVERIFIED, run.printed
        assert "stream master: the copy in the standby's Redis is bad" in run.err
        assert f"the standby's Redis, event {victim.id}: " in run.err
        assert "Traceback" not in run.err
    run = run_admin(pair, pair.master, "verify", *both)
    assert run.exit_code == ExitCode.UNVERIFIED, run.printed
    port = pair.redis[Role.STANDBY].port
    assert f"127.0.0.1:{port}/0, event {victim.id}: " in run.err
    rewrite(pair, Role.STANDBY, name, good)
    done(pair, pair.standby, "verify")

    # The whole tail, in both Redis, while no node runs.
    for node in pair.nodes.values():
        node.kill()
    for role in Role:
        good = master_stream(pair, role, name)
        changed, victim = tampered(good, lambda e: e.key == "users/u2", tail=True)
        rewrite(pair, role, name, changed)
    assert run_admin(pair, pair.master, "verify").exit_code == ExitCode.UNREACHABLE
    done(pair, pair.master, "verify", *both)
    run = run_admin(pair, pair.master, "verify", *both, *against)
    assert run.exit_code == ExitCode.UNVERIFIED, run.printed
    assert "stream master: both copies are bad" in run.err
    assert "the checkpoint of 20" in run.err


def master_stream(pair: PairProcesses, role: Role, name: str) -> list[Stored]:
    with pair.redis[role].client() as client:
        return Streams(client, name, name="Redis").read(MASTER, START, 10_000)
