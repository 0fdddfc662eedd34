"""Ed25519 signatures (RFC 8032), of licences and of what auditors keep.

Keys are PEM, as `openssl genpkey -algorithm ed25519` writes them. The library is `cryptography`.
"""

from __future__ import annotations

import hashlib
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from eventstore.errors import EventStoreError

KEY_FILE_BYTES_MAX: Final = 4096
"""Limit of a key file; one has about 120 bytes."""
SIGNATURE_BYTES: Final = 64


class KeyRefused(EventStoreError):
    """Bytes that are no key of the kind that is wanted."""


class PublicKey:
    """Tells whether a signature was made with its private key."""

    def __init__(self, key: Ed25519PublicKey) -> None:
        self._key = key

    @classmethod
    def from_pem(cls, pem: bytes) -> PublicKey:
        """The key in `pem`.

        Raises:
            KeyRefused: it is no Ed25519 public key in PEM.
        """
        try:
            key = serialization.load_pem_public_key(pem[:KEY_FILE_BYTES_MAX])
        except (ValueError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, Ed25519PublicKey):
            but = ", but a private key" if b"PRIVATE KEY-----" in pem else ""
            raise KeyRefused(f"it holds no Ed25519 public key in PEM{but}")
        return cls(key)

    @property
    def pem(self) -> bytes:
        return self._key.public_bytes(
            serialization.Encoding.PEM,
            serialization.PublicFormat.SubjectPublicKeyInfo,
        )

    @property
    def fingerprint(self) -> str:
        """16 hex digits that name this key: the begin of the SHA-256 of its 32 bytes."""
        raw = self._key.public_bytes(
            serialization.Encoding.Raw, serialization.PublicFormat.Raw
        )
        return hashlib.sha256(raw).hexdigest()[:16]

    def verifies(self, signature: bytes, signed: bytes) -> bool:
        """Whether `signature` is that of `signed` by the private key."""
        try:
            self._key.verify(signature, signed)
        except InvalidSignature:
            return False
        return True


class PrivateKey:
    """Signs. Its `repr` shows nothing of it."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    @classmethod
    def new(cls) -> PrivateKey:
        """A key that nobody had before."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def from_pem(cls, pem: bytes) -> PrivateKey:
        """The key in `pem`.

        Raises:
            KeyRefused: it is no Ed25519 private key in PEM, or it needs a password.
        """
        try:
            key = serialization.load_pem_private_key(
                pem[:KEY_FILE_BYTES_MAX], password=None
            )
        except TypeError:
            raise KeyRefused(
                "it is protected by a password; remove that (openssl pkey), and guard the "
                "file by its mode"
            ) from None
        except (ValueError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, Ed25519PrivateKey):
            but = ", but a public key" if b"PUBLIC KEY-----" in pem else ""
            raise KeyRefused(f"it holds no Ed25519 private key in PEM{but}")
        return cls(key)

    @property
    def pem(self) -> bytes:
        """A secret."""
        return self._key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )

    @property
    def public(self) -> PublicKey:
        return PublicKey(self._key.public_key())

    def sign(self, data: bytes) -> bytes:
        """The 64 bytes of the signature of `data`."""
        return self._key.sign(data)
