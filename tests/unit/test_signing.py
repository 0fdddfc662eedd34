"""Ed25519 keys, and what they sign."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed448

from eventstore import KeyRefused, PrivateKey, PublicKey


def test_only_what_was_signed_by_the_private_key_verifies() -> None:
    key = PrivateKey.new()
    signature = key.sign(b"a licence")
    public = PublicKey.from_pem(key.public.pem)
    assert public.verifies(signature, b"a licence")
    assert not public.verifies(signature, b"a licencf")
    assert not public.verifies(signature[:-1], b"a licence")
    assert not public.verifies(b"", b"a licence")
    assert not PrivateKey.new().public.verifies(signature, b"a licence")


def test_a_key_comes_back_from_its_pem() -> None:
    key = PrivateKey.new()
    again = PrivateKey.from_pem(key.pem)
    assert again.public.pem == key.public.pem
    assert again.public.fingerprint == key.public.fingerprint
    assert len(key.public.fingerprint) == 16


def another_kind() -> bytes:
    return ed448.Ed448PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


@pytest.mark.parametrize(
    "pem", [b"", b"no key", PrivateKey.new().public.pem, another_kind(), b"\xff" * 9000]
)
def test_what_is_no_private_key_is_refused(pem: bytes) -> None:
    with pytest.raises(KeyRefused, match="no Ed25519 private key"):
        PrivateKey.from_pem(pem)


@pytest.mark.parametrize("pem", [b"", b"no key", PrivateKey.new().pem])
def test_what_is_no_public_key_is_refused(pem: bytes) -> None:
    with pytest.raises(KeyRefused, match="no Ed25519 public key"):
        PublicKey.from_pem(pem)


def test_the_other_half_of_a_key_is_told() -> None:
    key = PrivateKey.new()
    with pytest.raises(KeyRefused, match="but a public key"):
        PrivateKey.from_pem(key.public.pem)
    with pytest.raises(KeyRefused, match="but a private key"):
        PublicKey.from_pem(key.pem)


def test_a_key_with_a_password_is_refused_with_the_remedy() -> None:
    key = ed448.Ed448PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"password"),
    )
    with pytest.raises(KeyRefused, match="remove that"):
        PrivateKey.from_pem(key)


def test_a_private_key_is_not_shown() -> None:
    key = PrivateKey.new()
    body = key.pem.decode().splitlines()[1]
    assert body not in repr(key)
    assert body not in str(key)
