"""The example services: a pair in two other programs, which may stall as they like."""

from __future__ import annotations

import re
import socket
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import attrs
import httpx
import pytest

from node.pair.ports import HOST
from node.roles import Role
from tests.support.heartbeats import heartbeats_watched
from tests.support.ports import free_port
from tests.support.processes import NodeProcess, PairProcesses
from tests.support.redis_servers import require_redis
from tests.support.waiting import wait_until

pytestmark = pytest.mark.redis

EXAMPLES = Path(__file__).parents[2] / "examples"
BLOCKED_S = 10
"""Far longer than `peer_lost_after_s`, which is 3 s here as it is by default."""
HEARD_LIMIT_S = 2.0
NO_ANSWER_S = 1.0
ANSWER_LIMIT_S = 15.0


def is_ready_to_switch(master: NodeProcess) -> bool:
    return master.http.post("/switch", json={"dry_run": True}).is_success


@attrs.frozen
class Services:
    """The master in the asyncio service, the standby in the Flask one."""

    pair: PairProcesses
    asyncio_port: int
    flask_port: int

    def ask_asyncio(self, line: str, limit_s: float = ANSWER_LIMIT_S) -> str:
        address = HOST, self.asyncio_port
        with socket.create_connection(address, timeout=limit_s) as connection:
            connection.sendall(line.encode() + b"\n")
            with connection.makefile("r", encoding="utf-8") as lines:
                return lines.readline().rstrip("\n")

    def ask_flask(self, path: str, limit_s: float = ANSWER_LIMIT_S) -> httpx.Response:
        url = f"http://{HOST}:{self.flask_port}{path}"
        return httpx.get(url, timeout=limit_s, trust_env=False)

    def let_serve(self, node: NodeProcess) -> None:
        if not node.is_active:
            self.pair.master.wait_until(is_ready_to_switch, "nothing against a switch")
            self.pair.master.client.switch("for a test", ANSWER_LIMIT_S)
        assert node.is_active


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    require_redis()
    ports = {"master": free_port(), "standby": free_port()}
    programs = {"master": "asyncio_service.py", "standby": "flask_service.py"}

    def command(config: str) -> tuple[str, ...]:
        role = Path(config).stem
        program = str(EXAMPLES / programs[role])
        return (sys.executable, program, config, "--port", str(ports[role]))

    directory = tmp_path_factory.mktemp("embedding")
    with PairProcesses(directory, supervision={}, command=command) as pair:
        pair.start()
        yield Services(pair, ports["master"], ports["standby"])


def told(node: NodeProcess) -> list[str]:
    """What the service was told of its state, as it printed it."""
    found = r"^(?:serving|waiting|active|passive): .*"
    return re.findall(found, node.log(), re.MULTILINE)


def test_the_active_service_answers_and_the_other_sends_callers_away(
    services: Services,
) -> None:
    services.let_serve(services.pair.master)
    services.pair.standby.put("users/101", {"display_name": "Yuki"})
    services.pair.wait_until_equal()
    assert services.ask_asyncio("who 101") == "101 is Yuki"
    assert services.ask_asyncio("who 999") == "999 is nobody"
    sent_away = services.ask_flask("/who/101")
    assert (sent_away.status_code, sent_away.headers["retry-after"]) == (503, "5")
    services.let_serve(services.pair.standby)
    assert services.ask_flask("/healthz").status_code == 200
    found = services.ask_flask("/who/101").json()
    assert found == {"extension": "101", "name": "Yuki"}
    assert services.ask_flask("/who/999").status_code == 404
    assert services.ask_asyncio("who 101").startswith("busy: ")


def test_a_service_is_told_of_changes_on_either_node(services: Services) -> None:
    services.let_serve(services.pair.standby)
    for number, node in enumerate(services.pair.nodes.values()):
        before = services.ask_flask("/who/102").json().get("name")
        name = f"name {number}"
        assert before != name
        node.put("users/102", {"display_name": name})
        wait_until(
            lambda name=name: services.ask_flask("/who/102").json().get("name") == name,  # type: ignore[misc]
            ANSWER_LIMIT_S,
            "the new name",
        )
    services.let_serve(services.pair.master)
    count = int(services.ask_asyncio("changes").split()[0])
    services.pair.standby.put("users/103", {"display_name": "one more"})
    wait_until(
        lambda: int(services.ask_asyncio("changes").split()[0]) == count + 1,
        ANSWER_LIMIT_S,
        "the change to be counted",
    )


@pytest.mark.parametrize("role", Role)
def test_a_service_that_stands_still_for_10_s_is_not_taken_over(
    services: Services, role: Role
) -> None:
    node = services.pair.nodes[role]
    services.let_serve(node)

    def ask(command: str, argument: object, limit_s: float = ANSWER_LIMIT_S) -> Any:
        if role is Role.MASTER:
            return services.ask_asyncio(f"{command} {argument}", limit_s)
        return services.ask_flask(f"/{command}/{argument}", limit_s).text

    nodes = services.pair.nodes.values()
    before = [told(each) for each in nodes]
    with ThreadPoolExecutor(1) as pool, heartbeats_watched(services.pair) as longest_s:
        began_s = time.monotonic()
        blocking = pool.submit(ask, "block", BLOCKED_S)
        # It really stands still: another caller gets no answer.
        time.sleep(NO_ANSWER_S / 2)
        with pytest.raises((TimeoutError, httpx.TimeoutException)):
            ask("who", 101, NO_ANSWER_S)
        assert blocking.result(BLOCKED_S + ANSWER_LIMIT_S) == "done"
        assert time.monotonic() - began_s >= BLOCKED_S
        silence_s = longest_s()
    print(
        f"\n{node!r} stood still for {BLOCKED_S} s: longest silence {silence_s:.2f} s"
    )
    assert silence_s < HEARD_LIMIT_S
    assert node.is_active
    assert [told(each) for each in nodes] == before


def test_a_service_that_ends_in_order_is_taken_over_at_once(services: Services) -> None:
    for node in services.pair.nodes.values():
        services.let_serve(node)
        other = services.pair.other(node)
        assert node.terminate() == 0
        other.wait_until(lambda n: n.is_active, "the takeover")
        other.wait_until(
            lambda n: told(n)[-1].endswith(": the peer said goodbye"), "word of it"
        )
        node.start()
        services.pair.wait_until_settled()
