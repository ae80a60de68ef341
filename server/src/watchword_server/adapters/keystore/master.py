"""A master key: 32 random bytes, written as base64url. Never used itself, only what is derived from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from watchword.errors import Malformed
from watchword.jose.b64 import b64url, unb64url
from watchword_server.ports import KeyStoreError

SIZE: Final = 32
"""Bytes."""
ID: Final = 8
"""Bytes."""

_NAMING: Final = b"watchword master key id"
_SEALING: Final = b"watchword keystore v2"
_SEALING_1: Final = b"watchword keystore v1"


@dataclass(frozen=True, slots=True)
class MasterKey:
    """One master key. Its `id` is derived from it and tells nothing of it, so it may stand beside what it sealed."""

    id: bytes
    secret: bytes = field(repr=False, compare=False)

    @staticmethod
    def of(secret: bytes) -> MasterKey:
        """The master key of these 32 bytes."""
        return MasterKey(_derived(secret, _NAMING, ID), secret)

    def cipher(self) -> AESGCM:
        """What seals under it."""
        return AESGCM(_derived(self.secret, _SEALING, SIZE))

    def cipher_1(self) -> AESGCM:
        """What sealed under it in version 1 of the format."""
        return AESGCM(_derived(self.secret, _SEALING_1, SIZE))


MasterKeys = tuple[MasterKey, ...]
"""The newest first: it seals, all of them open."""


def parse(text: str) -> MasterKeys:
    """Master keys, separated by white space, the newest first. Raises KeyStoreError, which repeats nothing of it."""
    keys = tuple(_parsed(word) for word in text.split())
    if not keys:
        raise KeyStoreError("there is no master key")
    if len({key.id for key in keys}) < len(keys):
        raise KeyStoreError("the same master key stands there twice")
    return keys


def written(keys: MasterKeys) -> str:
    """As `parse` reads them: a line each."""
    return "".join(f"{b64url(key.secret)}\n" for key in keys)


def _parsed(word: str) -> MasterKey:
    try:
        secret = unb64url(word)
    except Malformed:
        secret = b""  # and not raised from here: what failed below has the text in it
    if len(secret) != SIZE:
        raise KeyStoreError(f"a master key must be base64url of {SIZE} bytes, without padding")
    return MasterKey.of(secret)


def _derived(secret: bytes, purpose: bytes, size: int) -> bytes:
    """HKDF (RFC 5869): what is derived for one purpose has nothing in common with what is for another."""
    return HKDF(SHA256(), size, salt=None, info=purpose).derive(secret)
