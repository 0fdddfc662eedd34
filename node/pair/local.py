"""A whole pair on this machine: two nodes and two Redis servers, each a child process."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress

from node.child_process import ChildProcess
from node.embedded_redis import EmbeddedRedis
from node.errors import NodeError
from node.pair.client import PairClient
from node.pair.directory import PairDirectory, settings_of
from node.pair.ports import HOST, PairPorts, other_role
from node.roles import Role
from node.waiting import WaitedTooLong, wait_until

ACTOR = "pair"
SETTLED_LIMIT_S = 30.0
SWITCH_LIMIT_S = 5.0
NODE_STOP_LIMIT_S = 15.0
"""Longer than a planned switch and its hooks may take by default."""


class PairNotStarted(NodeError):
    """A node of the pair ended while it started; the message says what it said."""


class LocalNode:
    """One side of the pair: a node process and its Redis, and how to ask it."""

    def __init__(self, role: Role, directory: PairDirectory, ports: PairPorts) -> None:
        """Write the node's config; nothing runs yet.

        Raises:
            RedisMissing: there is no redis-server to run.
        """
        own = ports.of(role)
        self.role = role
        self.ports = own
        self.redis = EmbeddedRedis(
            directory.redis_path(role), own.redis, directory.redis_password(role)
        )
        config = directory.write_config(role, settings_of(role, ports))
        self.process = ChildProcess(
            node_command(str(config)), log=directory.log_path(role)
        )
        self.client = PairClient(
            f"http://{HOST}:{own.http}", directory.change_token(), ACTOR
        )

    @property
    def is_active(self) -> bool:
        return self.client.says_yes("/active")

    @property
    def is_passive(self) -> bool:
        return self.client.says_yes("/passive")

    @property
    def is_ready(self) -> bool:
        return self.client.says_yes("/ready")


class LocalPair:
    """The two nodes by role, started and stopped in the order that suits a pair."""

    def __init__(self, directory: PairDirectory, ports: PairPorts) -> None:
        self.nodes = {role: LocalNode(role, directory, ports) for role in Role}

    def start(self, interrupted: Callable[[], bool] = lambda: False) -> None:
        """Start all four processes; return when one node is active, the other passive.

        A switch is possible then, unless something is against it for longer than a moment:
        a pair whose replication is off is started like any other. Returns early, without
        error, when `interrupted` says so.

        Raises:
            RedisNotStarted: a Redis did not come up.
            PairNotStarted: a node ended by itself.
            WaitedTooLong: the nodes did not agree.
        """
        for node in self.nodes.values():
            node.redis.start()
        for node in self.nodes.values():
            node.process.start()
        self._await_settled(interrupted)

    def _await_settled(self, interrupted: Callable[[], bool]) -> None:
        wait_until(
            lambda: interrupted() or self._ended() or self.is_settled(),
            SETTLED_LIMIT_S,
            "one node to be active, the other passive, and both ready",
        )
        for node in self._ended():
            raise PairNotStarted(
                f"the {node.role}'s node ended {node.process.ending}: "
                f"{node.process.last_line()}; its log is {node.process.log}"
            )
        with suppress(WaitedTooLong):
            wait_until(
                lambda: interrupted() or self.may_switch(),
                SWITCH_LIMIT_S,
                "replication",
            )

    def stop(self) -> None:
        """Stop orderly: the passive node first, so that it does not take over for nothing."""
        for node in sorted(self.nodes.values(), key=lambda node: node.is_active):
            node.process.stop(NODE_STOP_LIMIT_S)
            node.client.close()
        for node in self.nodes.values():
            node.redis.stop()

    def is_settled(self) -> bool:
        """Whether one node is active, the other passive, and both are ready."""
        nodes = self.nodes.values()
        return (
            all(node.is_ready for node in nodes)
            and sum(node.is_active for node in nodes) == 1
            and sum(node.is_passive for node in nodes) == 1
        )

    def may_switch(self) -> bool:
        """Whether a switch, ordered now, would begin."""
        return self.nodes[Role.MASTER].client.may_switch()

    def active(self) -> LocalNode | None:
        """The only active node; None while there is none, or two."""
        found = [node for node in self.nodes.values() if node.is_active]
        return found[0] if len(found) == 1 else None

    def other(self, node: LocalNode) -> LocalNode:
        return self.nodes[other_role(node.role)]

    def _ended(self) -> list[LocalNode]:
        return [node for node in self.nodes.values() if not node.process.is_running]


def node_command(config: str) -> tuple[str, ...]:
    """The command that runs a node with the same Python as this process."""
    return (sys.executable, "-m", "node", "run", "--config", config)
