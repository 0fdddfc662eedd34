"""The vendor's key in the configuration of a node."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.config import NodeConfig
from node.errors import ConfigError
from node.roles import Role
from tests.simulation.world import config_of
from tests.support.licences import KEY

PEM = KEY.public.pem.decode()
PROBLEM = (
    "licences.vendor_key_file cannot be used: it holds no Ed25519 public key in PEM"
)


def config_in(directory: Path) -> NodeConfig:
    secret = directory / "pair.secret"
    secret.write_text("correct horse battery")
    secret.chmod(0o600)
    node = {"pair": "office", "role": "master", "secret_file": "pair.secret"}
    return NodeConfig.from_mapping(
        {
            "node": {**node, "listen": "10.0.0.1:7400", "peer": "10.0.0.2:7400"},
            "redis": {"url": "redis://127.0.0.1", "peer_url": "redis://10.0.0.2"},
            "licences": {"vendor_key_file": "vendor.pub"},
        },
        directory,
    )


def test_it_is_read_from_a_file_that_anybody_may_read(tmp_path: Path) -> None:
    (tmp_path / "vendor.pub").write_text(PEM)
    (tmp_path / "vendor.pub").chmod(0o644)
    assert config_in(tmp_path).vendor_key == PEM


def test_without_one_there_is_none() -> None:
    assert config_of(Role.MASTER).vendor_key is None


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff" * 100, b"not a key", KEY.pem, PEM.encode()[:-30]],
    ids=["empty", "bytes", "text", "private", "cut"],
)
def test_what_is_no_public_key_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "vendor.pub").write_bytes(data)
    with pytest.raises(ConfigError) as error:
        config_in(tmp_path)
    but = ", but a private key" if data == KEY.pem else ""
    assert str(error.value) == PROBLEM + but


def test_a_file_that_is_missing_or_huge_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"licences\.vendor_key_file: .*vendor\.pub"):
        config_in(tmp_path)
    (tmp_path / "vendor.pub").write_bytes(b"x" * 5000)
    with pytest.raises(ConfigError, match="larger than the limit of 4096 bytes"):
        config_in(tmp_path)


@pytest.mark.parametrize("value", [7, b"x", "x", "", "\ud800\n" + PEM])
def test_a_value_from_python_is_checked_too(value: object) -> None:
    with pytest.raises(ConfigError, match="vendor_key"):
        config_of(Role.MASTER, vendor_key=value)
