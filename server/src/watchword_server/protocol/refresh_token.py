"""How a refresh token looks, and how its successor is kept for one retry."""

from __future__ import annotations

import hashlib
import hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from watchword.jose.b64 import b64url
from watchword_server.protocol.errors import InvalidGrant

PREFIX = "wwr_"
NONCE = 12
_INFO = b"watchword refresh successor"


def spelled(entropy: bytes) -> str:
    """A refresh token of 256 random bits. The prefix lets secret scanners find a leaked one."""
    return PREFIX + b64url(entropy)


def kept(token: str) -> bytes:
    """What is kept of it: the SHA-256 of the whole text."""
    return hashlib.sha256(token.encode()).digest()


def sealed(successor: str, spent: str, nonce: bytes) -> bytes:
    """The successor, readable only to who shows the spent token again."""
    return nonce + AESGCM(_key(spent)).encrypt(nonce, successor.encode(), kept(spent))


def unsealed(blob: bytes, spent: str) -> str:
    """The successor that a spent token was replaced by."""
    try:
        return AESGCM(_key(spent)).decrypt(blob[:NONCE], blob[NONCE:], kept(spent)).decode()
    except InvalidTag as error:
        raise InvalidGrant("successor does not open") from error


def _key(spent: str) -> bytes:
    """HKDF with SHA-256, no salt, and one block of output (RFC 5869 §2): it is on the path of every refresh."""
    return hmac.digest(hmac.digest(bytes(32), spent.encode(), "sha256"), _INFO + b"\x01", "sha256")
