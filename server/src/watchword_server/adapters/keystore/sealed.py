"""Makes signing keys and seals them (AES-256-GCM, NIST SP 800-38D)."""

from __future__ import annotations

import secrets
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from watchword.errors import InvalidKey
from watchword.jose.jwk import SigningKey
from watchword_server.changes import StoredKey
from watchword_server.ports import KeyStoreError, Random

VERSION: Final = b"\x01"
"""First byte of what is sealed; then the nonce, then the ciphertext with its tag."""
NONCE: Final = 12
"""Bytes. Random: safe for billions of seals under one key, and a deployment makes hundreds."""

_MEND: Final = "use the master key that this database was made with, or restore both from one backup"


class SealedKeys:
    """Keys under a master key of 32 bytes. What is sealed is bound to its `kid`, `use` and `alg`."""

    def __init__(self, master: bytes, random: Random = secrets.token_bytes) -> None:
        self._cipher = AESGCM(_derived(master))
        self._random = random

    def make(self, alg: str, use: str, now: int) -> StoredKey:
        """A new key. Raises InvalidKey for an algorithm that is not asymmetric."""
        key = SigningKey.generate(alg)
        nonce = self._random(NONCE)
        sealed = VERSION + nonce + self._cipher.encrypt(nonce, key.pkcs8(), _bound(key.kid, use, alg))
        return StoredKey(key.kid, use, alg, msgspec.json.encode(key.public_jwk()).decode(), sealed, now)

    def open(self, stored: StoredKey) -> SigningKey:
        """The private key. Raises KeyStoreError when the master key does not fit or anything was altered."""
        version, nonce, sealed = stored.sealed[:1], stored.sealed[1 : 1 + NONCE], stored.sealed[1 + NONCE :]
        if version != VERSION:
            raise KeyStoreError(
                f"signing key {stored.kid} was sealed by a newer version of Watchword: run that version"
            )
        try:
            key = SigningKey.load(
                self._cipher.decrypt(nonce, sealed, _bound(stored.kid, stored.use, stored.alg)), stored.alg
            )
        except (InvalidTag, InvalidKey, ValueError) as error:
            raise KeyStoreError(f"the master key does not open signing key {stored.kid}: {_MEND}") from error
        if key.kid != stored.kid:
            raise KeyStoreError(f"what is stored as signing key {stored.kid} is another key: restore a backup")
        return key


def _derived(master: bytes) -> bytes:
    """The master key is never used itself, so that other uses of it have nothing in common with this one."""
    return HKDF(SHA256(), 32, salt=None, info=b"watchword keystore v1").derive(master)


def _bound(kid: str, use: str, alg: str) -> bytes:
    """The associated data: a key that was sealed for one use never opens as another."""
    return "\n".join(("watchword key", kid, use, alg)).encode()
