"""Makes signing keys and seals them: AES-256-GCM (NIST SP 800-38D) under a key derived from a master key.

What is sealed is, in version 2: the version, the id of the master key, the nonce, the ciphertext with its tag. The tag
also covers the version, that id, and the `kid`, `use` and `alg` of the key. Version 1 had no id; it still opens.
The secrets of clients that sign with theirs are sealed in the same way, each for its client.
"""

from __future__ import annotations

import secrets
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from watchword.errors import InvalidKey
from watchword.jose.jwk import SigningKey
from watchword_server.adapters.keystore.master import ID, MasterKey
from watchword_server.adapters.keystore.masters import Masters, Source
from watchword_server.changes import StoredKey
from watchword_server.ports import KeyStoreError, Random

VERSION: Final = b"\x02"
VERSION_1: Final = b"\x01"
HEAD: Final = len(VERSION) + ID
"""Bytes before the nonce."""
KEY: Final = "watchword key"
SECRET: Final = "watchword client secret"
"""What is sealed: neither opens as the other."""
NONCE: Final = 12
"""Bytes. Random: safe for billions of seals under one key, and a deployment makes hundreds."""

_MEND: Final = "use the master key that this database was made with, or restore both from one backup"


class SealedKeys:
    """Keys under the master keys of a source."""

    def __init__(self, source: Source, random: Random = secrets.token_bytes) -> None:
        self.masters: Final = Masters(source)
        self._random = random

    def make(self, alg: str, use: str, now: int, beside: StoredKey | None) -> StoredKey:
        """A new key. Raises KeyStoreError, and InvalidKey for an algorithm that is not asymmetric."""
        if beside is not None:
            self._plain(beside)
        key = SigningKey.generate(alg)
        sealed = self._sealed(self.masters.newest(), key.pkcs8(), (KEY, key.kid, use, alg))
        return StoredKey(key.kid, use, alg, msgspec.json.encode(key.public_jwk()).decode(), sealed, now)

    def open(self, stored: StoredKey) -> SigningKey:
        """The private key. Raises KeyStoreError when no master key fits or anything was altered."""
        pkcs8 = self._plain(stored)
        try:
            key = SigningKey.load(pkcs8, stored.alg)
        except InvalidKey as error:
            raise KeyStoreError(f"what is stored as signing key {stored.kid} is no key: restore a backup") from error
        if key.kid != stored.kid:
            raise KeyStoreError(f"what is stored as signing key {stored.kid} is another key: restore a backup")
        return key

    def reseal(self, stored: StoredKey) -> bytes | None:
        """The same key sealed under the newest master key; None when it is already, and opens. Raises KeyStoreError."""
        newest, pkcs8 = self.masters.newest(), self._plain(stored)
        if stored.sealed[:HEAD] == VERSION + newest.id:
            return None
        return self._sealed(newest, pkcs8, (KEY, stored.kid, stored.use, stored.alg))

    def seal(self, secret: bytes, owner: str, beside: StoredKey | None) -> bytes:
        """A secret sealed for its owner. Raises KeyStoreError, also where `beside` does not open."""
        if beside is not None:
            self._plain(beside)
        return self._sealed(self.masters.newest(), secret, (SECRET, owner))

    def unseal(self, sealed: bytes, owner: str) -> bytes:
        """The secret. Raises KeyStoreError when no master key fits, or it is not this owner's."""
        if sealed[: len(VERSION)] != VERSION:
            raise KeyStoreError(f"the secret of {owner} was sealed by a newer version of Watchword: run that version")
        master = self._named(sealed, f"the secret of {owner}")
        secret = _decrypted(master.cipher(), sealed[HEAD:], _bound(sealed[:HEAD], (SECRET, owner)))
        if secret is None:
            mend = f"make another with `watchword client secret {owner}`"
            raise KeyStoreError(f"what is stored as the secret of {owner} was altered: {mend}, or restore a backup")
        return secret

    def reseal_secret(self, sealed: bytes, owner: str) -> bytes | None:
        """The same secret under the newest master key; None when it is already, and opens. Raises KeyStoreError."""
        newest, secret = self.masters.newest(), self.unseal(sealed, owner)
        return None if sealed[:HEAD] == VERSION + newest.id else self._sealed(newest, secret, (SECRET, owner))

    def _sealed(self, master: MasterKey, plain: bytes, names: tuple[str, ...]) -> bytes:
        head, nonce = VERSION + master.id, self._random(NONCE)
        return head + nonce + master.cipher().encrypt(nonce, plain, _bound(head, names))

    def _plain(self, stored: StoredKey) -> bytes:
        """The private key as it was sealed."""
        if stored.sealed[:1] == VERSION:
            return self._plain_2(stored)
        if stored.sealed[:1] == VERSION_1:
            return self._plain_1(stored)
        raise KeyStoreError(f"signing key {stored.kid} was sealed by a newer version of Watchword: run that version")

    def _plain_2(self, stored: StoredKey) -> bytes:
        bound = _bound(stored.sealed[:HEAD], (KEY, stored.kid, stored.use, stored.alg))
        master = self._named(stored.sealed, f"signing key {stored.kid}")
        pkcs8 = _decrypted(master.cipher(), stored.sealed[HEAD:], bound)
        if pkcs8 is None:
            raise KeyStoreError(f"what is stored as signing key {stored.kid} was altered: restore a backup")
        return pkcs8

    def _plain_1(self, stored: StoredKey) -> bytes:
        bound = "\n".join(("watchword key", stored.kid, stored.use, stored.alg)).encode()
        for given in (self.masters.known, self.masters.again):
            for master in given():
                pkcs8 = _decrypted(master.cipher_1(), stored.sealed[len(VERSION_1) :], bound)
                if pkcs8 is not None:
                    return pkcs8
        raise KeyStoreError(f"{self.masters.place} does not open signing key {stored.kid}: {_MEND}")

    def _named(self, sealed: bytes, what: str) -> MasterKey:
        """The master key that something was sealed under, as version 2 says."""
        id = sealed[len(VERSION) : HEAD]
        master = self.masters.named(id)
        if master is None:
            given = ", ".join(key.id.hex() for key in self.masters.known())
            raise KeyStoreError(
                f"{what} is sealed under the master key {id.hex()}, and {self.masters.place} gives {given}: {_MEND}"
            )
        return master


def _decrypted(cipher: AESGCM, sealed: bytes, bound: bytes) -> bytes | None:
    """From nonce, ciphertext and tag; None where they, or what they are bound to, are not what they were."""
    try:
        return cipher.decrypt(sealed[:NONCE], sealed[NONCE:], bound)
    except (InvalidTag, ValueError):  # ValueError: too short for a nonce
        return None


def _bound(head: bytes, names: tuple[str, ...]) -> bytes:
    """The associated data: a key that was sealed for one use never opens as another. One reading only."""
    return head + msgspec.json.encode(names)
