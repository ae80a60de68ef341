"""Access tokens as the issuer writes them, made in advance: distinct ones, and always as bytes.

Only bytes are kept, because a `str` remembers its hash: who looks one up a second time measures something else.
"""

from __future__ import annotations

import secrets
import time
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from watchword.jose import jws
from watchword.jose.b64 import b64url
from watchword_server.protocol.access_token import AccessClaims, payload

ISSUER: Final = "https://id.example.com"
AUDIENCE: Final = "https://api.example.com"
TYPE: Final = "at+jwt"
LIFETIME: Final = 900
"""Seconds."""


def program_tokens(key: jws.Signer, count: int) -> list[bytes]:
    """Tokens of a program that acts for itself."""
    return _signed(key, program_claims(count))


def person_tokens(key: jws.Signer, count: int) -> list[bytes]:
    """Tokens of as many people, each with a session, a grant and a role."""
    claims = [_claims(name(), "web") for _ in range(count)]
    return _signed(key, [replace(one, sid=name(), gid=name(), roles=("buyer",)) for one in claims])


def bound_tokens(key: jws.Signer, jkt: str, count: int) -> list[bytes]:
    """As `program_tokens`, bound to a key by its thumbprint (RFC 9449 §6.1)."""
    return _signed(key, [replace(one, cnf={"jkt": jkt}) for one in program_claims(count)])


def program_claims(count: int) -> list[AccessClaims]:
    """The claims of `program_tokens`."""
    client = name()
    return [_claims(client, client) for _ in range(count)]


def as_dict(claims: AccessClaims) -> dict[str, Any]:
    """The claims as libraries of others take them."""
    found: dict[str, Any] = msgspec.json.decode(payload(claims))
    return found


def name() -> str:
    """A random name of 128 bits, as the issuer gives to everything."""
    return b64url(secrets.token_bytes(16))


def _signed(key: jws.Signer, claims: list[AccessClaims]) -> list[bytes]:
    sign = jws.signer(key, TYPE)
    return [sign(payload(one)).encode() for one in claims]


def _claims(subject: str, client: str) -> AccessClaims:
    now = int(time.time())
    return AccessClaims(
        iss=ISSUER,
        sub=subject,
        aud=AUDIENCE,
        exp=now + LIFETIME,
        iat=now,
        jti=name(),
        client_id=client,
        rev=1234,
        scope="orders:read",
    )
