"""Access tokens as the issuer writes them, made in advance: distinct ones, and always as bytes.

Only bytes are kept, because a `str` remembers its hash: who looks one up a second time measures something else.
"""

from __future__ import annotations

import secrets
import time
from typing import Final

from watchword.jose import jws
from watchword.jose.b64 import b64url
from watchword.jose.jwk import SigningKey
from watchword_server.protocol.access_token import AccessClaims, payload

ISSUER: Final = "https://id.example.com"
AUDIENCE: Final = "https://api.example.com"
LIFETIME: Final = 900
"""Seconds."""


def program_tokens(key: SigningKey, count: int) -> list[bytes]:
    """Tokens of a program that acts for itself."""
    sign = jws.signer(key, "at+jwt")
    now = int(time.time())
    client = b64url(secrets.token_bytes(16))
    return [sign(payload(_claims(client, now))).encode() for _ in range(count)]


def _claims(client: str, now: int) -> AccessClaims:
    return AccessClaims(
        iss=ISSUER,
        sub=client,
        aud=AUDIENCE,
        exp=now + LIFETIME,
        iat=now,
        jti=b64url(secrets.token_bytes(16)),
        client_id=client,
        rev=1234,
        scope="orders:read",
    )
