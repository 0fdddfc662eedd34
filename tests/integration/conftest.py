"""What integration tests ask for by name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.clock_step import ClockStep, require_clock_step
from tests.support.processes import PairProcesses
from tests.support.redis_servers import RedisServer, require_redis


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """A running redis-server with empty data."""
    require_redis()
    with RedisServer(tmp_path / "redis") as server:
        yield server


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[PairProcesses]:
    """A settled pair without proxies, with fast supervision."""
    require_redis()
    with PairProcesses(tmp_path) as processes:
        processes.start()
        yield processes


@pytest.fixture
def proxied_pair(tmp_path: Path) -> Iterator[PairProcesses]:
    """A settled pair whose paths can be cut, with fast supervision."""
    require_redis()
    with PairProcesses(tmp_path, proxied=True) as processes:
        processes.start()
        yield processes


@pytest.fixture(scope="module")
def usual_pair_of_module(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[PairProcesses]:
    require_redis()
    directory = tmp_path_factory.mktemp("usual-pair")
    with PairProcesses(directory, supervision={}) as processes:
        processes.start()
        yield processes


@pytest.fixture
def usual_pair(usual_pair_of_module: PairProcesses) -> PairProcesses:
    """A settled pair without proxies, with all times as they are by default.

    The tests of a module share it, and each gets it mended.
    """
    usual_pair_of_module.restore()
    return usual_pair_of_module


@pytest.fixture(scope="session")
def clock_step_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    require_clock_step()
    return tmp_path_factory.mktemp("clock-step")


@pytest.fixture
def clock_step(clock_step_directory: Path) -> Iterator[ClockStep]:
    """The wall clock of the processes that are started with its `environment`."""
    with ClockStep(clock_step_directory) as step:
        yield step
