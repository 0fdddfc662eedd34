"""Real nodes and real pairs for tests."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx

from node.child_process import ChildProcess
from node.pair.client import PairClient
from node.pair.directory import PairDirectory, Settings, settings_of
from node.pair.local import node_command
from node.pair.ports import HOST, NodePorts, PairPorts, other_role
from node.roles import Role
from tests.support.places import HERE, Place
from tests.support.ports import free_pair_ports
from tests.support.proxies import TcpProxy
from tests.support.redis_servers import RedisServer
from tests.support.waiting import wait_until

ACTOR = "test"
ANSWER_LIMIT_S = 5.0
SETTLED_LIMIT_S = 30.0
STOP_LIMIT_S = 15.0
LOG_LINE_COUNT = 60

FAST = {
    "heartbeat_interval_s": 0.2,
    "peer_lost_after_s": 1.0,
    "start_window_s": 1.0,
    "switch_step_s": 0.5,
}
"""Times of supervision that keep tests short, with room for a busy machine."""


class NodeProcess:
    """`python -m node run` with a config of its own, and what can happen to it."""

    def __init__(
        self,
        directory: PairDirectory,
        settings: Settings,
        environment: Mapping[str, str] | None = None,
        command: Callable[[str], tuple[str, ...]] = node_command,
        place: Place = HERE,
    ) -> None:
        """Write the config; nothing runs yet.

        Args:
            directory: where config, secrets and log are.
            settings: sections and keys of the config file; `http.listen` is needed.
            environment: variables added to those of this process.
            command: what runs the node with the config of that path.
            place: where it runs.
        """
        self.role = Role(str(settings["node"]["role"]))
        port = str(settings["http"]["listen"]).rpartition(":")[2]
        self.url = f"http://{place.address}:{port}"
        self._place = place
        self._config = str(directory.write_config(self.role, settings))
        self._log = directory.log_path(self.role)
        self._environment = environment
        self.become(command)
        self.client = PairClient(self.url, directory.change_token(), ACTOR)
        self.http = httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {directory.change_token()}"},
            timeout=ANSWER_LIMIT_S,
            trust_env=False,
        )
        """For requests of which the test looks at the whole response."""
        self.status = self.client.status
        self.put = self.client.put
        self.value = self.client.value

    def __repr__(self) -> str:
        return f"<the {self.role}'s node>"

    def become(self, command: Callable[[str], tuple[str, ...]]) -> None:
        """Let it be another program from its next start on; it must not run now."""
        self.process = ChildProcess(
            (*self._place.within, *command(self._config)),
            log=self._log,
            environment=self._environment,
        )

    def start(self) -> None:
        """Start it, without waiting for anything."""
        self.process.start()

    def kill(self) -> None:
        """End it as `kill -9` does."""
        self.process.kill()

    def pause(self) -> None:
        """It stays there and does nothing (SIGSTOP)."""
        self.process.send(signal.SIGSTOP)

    def resume(self) -> None:
        self.process.send(signal.SIGCONT)

    def terminate(self) -> int | None:
        """End it orderly (SIGTERM) and return its exit code."""
        assert self.process.stop(STOP_LIMIT_S), (
            f"{self!r} did not end within {STOP_LIMIT_S} s after SIGTERM"
        )
        return self.process.exit_code

    def close(self) -> None:
        """End it in any way, and its connections."""
        self.kill()
        self.client.close()
        self.http.close()

    @property
    def is_active(self) -> bool:
        return self.client.says_yes("/active")

    @property
    def is_passive(self) -> bool:
        return self.client.says_yes("/passive")

    @property
    def is_ready(self) -> bool:
        return self.client.says_yes("/ready")

    def log(self) -> str:
        """All that it printed and logged, of all its starts."""
        path = self.process.log
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def wait_until(self, fact: Callable[[NodeProcess], object], what: str) -> None:
        """Wait until a fact about this node holds, such as `lambda n: n.is_active`."""
        wait_until(lambda: fact(self), SETTLED_LIMIT_S, f"{what} of {self!r}")


class PairProcesses:
    """Two nodes and two Redis servers, with a proxy on each path between the sides.

    Paths are named by who opens them: `link_proxies[Role.MASTER]` is on the connection
    that the master dials, `redis_proxies[Role.MASTER]` is between the master and the
    standby's Redis. Each node reaches its own Redis without a proxy.
    """

    def __init__(
        self,
        directory: Path,
        *,
        proxied: bool = False,
        supervision: Mapping[str, float] = FAST,
        sections: Mapping[str, Mapping[str, object]] | None = None,
        environments: Mapping[Role, Mapping[str, str]] | None = None,
        command: Callable[[str], tuple[str, ...]] = node_command,
        places: Mapping[Role, Place] | None = None,
    ) -> None:
        """Write everything that the pair needs; only proxies run yet.

        Args:
            directory: an empty one.
            proxied: whether there are proxies; without them the paths cannot be cut.
            supervision: the section of that name in both config files.
            sections: more sections or keys for both config files.
            environments: variables for the node of a role.
            command: what runs a node with the config of that path.
            places: where each side runs; by default both here.
        """
        self.places = places = places or dict.fromkeys(Role, HERE)
        self._files = PairDirectory(directory / "pair")
        self._files.open()
        self.ports = ports = free_pair_ports()
        self.redis = {
            role: RedisServer(
                self._files.redis_path(role),
                port=ports.of(role).redis,
                password=self._files.redis_password(role),
                place=places[role],
            )
            for role in Role
        }
        self.link_proxies: dict[Role, TcpProxy] = {}
        self.redis_proxies: dict[Role, TcpProxy] = {}
        self.nodes: dict[Role, NodeProcess] = {}
        for role in Role:
            settings = settings_of(role, ports)
            _place(settings, ports, role, places)
            settings["supervision"] = dict(supervision)
            for name, values in (sections or {}).items():
                settings[name] = {**settings.get(name, {}), **values}
            if proxied:
                self._put_proxies_between(role, settings, ports.of(other_role(role)))
            self.nodes[role] = NodeProcess(
                self._files,
                settings,
                (environments or {}).get(role),
                command,
                places[role],
            )
        self.master = self.nodes[Role.MASTER]
        self.standby = self.nodes[Role.STANDBY]

    def __enter__(self) -> PairProcesses:
        return self

    def __exit__(self, *details: object) -> None:
        self.close()
        for node in self.nodes.values():
            lines = node.log().splitlines()[-LOG_LINE_COUNT:]
            print(f"--- end of the {node.role}'s log", *lines, sep="\n")

    @property
    def read_token(self) -> str:
        return self._files.read_token()

    @property
    def change_token(self) -> str:
        return self._files.change_token()

    def start(self) -> None:
        """Start all four processes, and wait until the pair is settled."""
        self.start_redis()
        for node in self.nodes.values():
            node.start()
        self.wait_until_settled()
        self._wait_until_switchable()

    def start_redis(self) -> None:
        for server in self.redis.values():
            server.start()

    def restore(self) -> None:
        """Undo whatever was done to the pair, and wait until it is settled and equal."""
        self.heal()
        for server in self.redis.values():
            server.resume()
            server.start()
        for node in self.nodes.values():
            node.resume()
            node.start()
        self.wait_until_settled()
        self.wait_until_equal()
        self.wait_until_switchable()

    def wait_until_switchable(self) -> None:
        """Wait until the master has nothing against a switch now.

        A node tells in its next heartbeat that it is ready: this is later than settled.
        """
        wait_until(
            lambda: not self._hindrances() or Unsettled(self._hindrances()),
            SETTLED_LIMIT_S,
            "nothing to be against a switch",
        )

    def wait_until_settled(self, limit_s: float = SETTLED_LIMIT_S) -> NodeProcess:
        """Wait until one node is active, the other passive, both are ready.

        Returns:
            The active node.
        """

        wanted = [(False, True, True), (True, False, True)]

        def settled() -> NodeProcess | Unsettled:
            seen = {
                node: (node.is_active, node.is_passive, node.is_ready)
                for node in self.nodes.values()
            }
            if sorted(seen.values()) != wanted:
                return Unsettled(seen)
            return next(node for node, (is_active, *_) in seen.items() if is_active)

        found = wait_until(
            settled,
            limit_s,
            "one node to be active, the other passive, and both ready (active, passive, "
            "ready)",
        )
        assert isinstance(found, NodeProcess)
        return found

    def active(self) -> NodeProcess:
        """The active node; there must be exactly one."""
        found = [node for node in self.nodes.values() if node.is_active]
        assert len(found) == 1, f"active nodes: {found}"
        return found[0]

    def other(self, node: NodeProcess) -> NodeProcess:
        return self.nodes[other_role(node.role)]

    def cut(self) -> None:
        """Cut all paths between the sides, as when a cable is pulled out."""
        for proxy in self._proxies():
            proxy.black_hole()

    def cut_one_way(self, speaker: Role) -> None:
        """Cut the connection on which `speaker` sends its heartbeats; keep the others."""
        self.link_proxies[speaker].black_hole()

    def heal(self) -> None:
        """Mend all paths."""
        for proxy in self._proxies():
            proxy.heal()

    def wait_until_equal(self, limit_s: float = SETTLED_LIMIT_S) -> None:
        """Wait until both nodes have the same entries and know the same events."""

        def contents(node: NodeProcess) -> tuple[object, object]:
            status = node.status()
            return status.get("digest"), status.get("vector")

        wait_until(
            lambda: contents(self.master) == contents(self.standby) != (None, None),
            limit_s,
            "the same entries on both nodes",
        )

    def close(self) -> None:
        """End everything. At the end of a block the logs' ends are shown, for pytest."""
        for node in self.nodes.values():
            node.close()
        for server in self.redis.values():
            server.kill()
        for proxy in self._proxies():
            proxy.close()
        self._files.close()

    def _wait_until_switchable(self) -> None:
        # A node tells in its next heartbeat that it is ready; only then is this all true.
        wait_until(
            lambda: not self._hindrances() or Unsettled(self._hindrances()),
            SETTLED_LIMIT_S,
            "nothing to be against a switch",
        )

    def _hindrances(self) -> list[str]:
        """What the master has against a switch now, but for one that waits for calls."""
        reply = self.master.http.post("/switch", json={"dry_run": True})
        reasons = reply.json().get("reasons", [])
        return [reason for reason in reasons if "waits for calls" not in reason]

    def _proxies(self) -> list[TcpProxy]:
        return [*self.link_proxies.values(), *self.redis_proxies.values()]

    def _put_proxies_between(
        self, role: Role, settings: Settings, peer: NodePorts
    ) -> None:
        link, redis = TcpProxy(peer.link), TcpProxy(peer.redis)
        self.link_proxies[role], self.redis_proxies[role] = link, redis
        settings["node"]["peer"] = f"{HOST}:{link.port}"
        settings["redis"]["peer_url"] = f"redis://{HOST}:{redis.port}/0"


def _place(
    settings: Settings, ports: PairPorts, role: Role, places: Mapping[Role, Place]
) -> None:
    """Put the addresses of where the sides run into the config of `role`."""
    own, peer = ports.of(role), ports.of(other_role(role))
    listen, there = places[role].listen, places[other_role(role)].peer_address
    settings["node"]["listen"] = f"{listen}:{own.link}"
    settings["node"]["peer"] = f"{there}:{peer.link}"
    settings["redis"]["peer_url"] = f"redis://{there}:{peer.redis}/0"
    settings["http"]["listen"] = f"{listen}:{own.http}"


class Unsettled:
    """An answer that counts as no, and shows in a failure what was seen."""

    def __init__(self, seen: object) -> None:
        self._seen = seen

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return repr(self._seen)
