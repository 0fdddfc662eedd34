"""The directory of a pair: what is made once, and when it is refused."""

from __future__ import annotations

import stat
import tomllib
from pathlib import Path

import pytest

from node.config import NodeConfig
from node.pair.directory import (
    DirectoryRefused,
    PairDirectory,
    Settings,
    settings_of,
    toml_text,
)
from node.pair.ports import NodePorts, PairPorts
from node.roles import Role


def test_its_config_files_are_accepted_and_fit_each_other(tmp_path: Path) -> None:
    directory = PairDirectory(tmp_path / "pair")
    directory.open()
    master, standby = (
        NodeConfig.from_file(
            directory.write_config(role, settings_of(role, PairPorts()))
        )
        for role in Role
    )
    directory.close()
    assert (master.role, standby.role) == (Role.MASTER, Role.STANDBY)
    assert (master.listen, master.peer) == (standby.peer, standby.listen)
    assert master.secret == standby.secret
    assert master.redis_url == standby.peer_redis_url
    assert master.redis_password == standby.peer_redis_password
    assert standby.redis_url == master.peer_redis_url
    assert standby.redis_password == master.peer_redis_password


def test_its_secrets_stay_and_are_for_the_owner_only(tmp_path: Path) -> None:
    directory = PairDirectory(tmp_path / "pair")
    tokens = []
    for _ in range(2):
        directory.open()
        directory.write_environment("http://127.0.0.1:7480")
        tokens.append(directory.change_token())
        directory.close()
    assert tokens[0] == tokens[1]
    assert stat.S_IMODE(directory.path.stat().st_mode) == 0o700
    for path in directory.path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_only_one_has_it_open(tmp_path: Path) -> None:
    first, second = PairDirectory(tmp_path / "pair"), PairDirectory(tmp_path / "pair")
    first.open()
    with pytest.raises(DirectoryRefused, match=r"runs in .* already"):
        second.open()
    first.close()
    second.open()
    second.close()


def test_a_directory_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    mode = tmp_path.stat().st_mode
    with pytest.raises(DirectoryRefused, match="--directory"):
        PairDirectory(tmp_path).open()
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    assert tmp_path.stat().st_mode == mode


def test_settings_survive_as_toml() -> None:
    settings: Settings = {
        "node": {"pair": 'a "b" \\ ü\n', "some": ["x", "y"]},
        "times": {"one_s": 1.5, "two_s": 2, "is_on": True},
    }
    assert tomllib.loads(toml_text(settings)) == settings


def test_the_ports_of_a_pair_are_the_documented_ones() -> None:
    assert PairPorts().of(Role.MASTER) == NodePorts(link=7400, http=7480, redis=7490)
    assert PairPorts().of(Role.STANDBY) == NodePorts(link=7401, http=7481, redis=7491)
    assert PairPorts(8400).of(Role.STANDBY).redis == 8491
