"""How an encrypted access token is kept, so that it can be revoked and introspected by who cannot decrypt it."""

from __future__ import annotations

import hashlib

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from watchword_server.protocol.errors import InvalidSession
from watchword_server.protocol.values import EncryptedToken

NONCE = 12
DOTS = 4
"""In a compact JWE (RFC 7516 §7.1); a signed token has two."""


def is_encrypted(token: str) -> bool:
    """Whether this has the form of a compact JWE."""
    return token.count(".") == DOTS


def kept(token: str) -> bytes:
    """What is kept of it: the SHA-256 of the whole text."""
    return hashlib.sha256(token.encode()).digest()


def record(token: str, signed: str, nonce: bytes, expires_at: int) -> EncryptedToken:
    """The signed token inside, readable only to who shows the encrypted one: a thief of the database has neither."""
    name = kept(token)
    return EncryptedToken(name, nonce + AESGCM(_key(token)).encrypt(nonce, signed.encode(), name), expires_at)


def signed_inside(found: EncryptedToken, token: str) -> str:
    """What `record` was given. Raises InvalidSession when the text is another's, or the record was changed."""
    try:
        return AESGCM(_key(token)).decrypt(found.sealed[:NONCE], found.sealed[NONCE:], kept(token)).decode()
    except (InvalidTag, ValueError) as error:
        raise InvalidSession("encrypted token does not open its record") from error


def _key(token: str) -> bytes:
    return HKDF(SHA256(), 32, salt=None, info=b"watchword encrypted token").derive(token.encode())
