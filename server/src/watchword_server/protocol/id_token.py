"""ID tokens (OpenID Connect Core §2): their claims, and what ties them to an access token."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from watchword.jose.b64 import b64url

_HASHES: Final = {
    **{f"{family}256": hashlib.sha256 for family in ("RS", "PS", "ES")},
    **{f"{family}384": hashlib.sha384 for family in ("RS", "PS", "ES")},
    **{f"{family}512": hashlib.sha512 for family in ("RS", "PS", "ES")},
    "EdDSA": hashlib.sha512,
}
RESERVED: Final = frozenset(
    {"iss", "sub", "aud", "exp", "iat", "nbf", "jti", "auth_time", "nonce", "acr", "amr", "azp", "sid", "at_hash"}
    | {"c_hash", "s_hash", "cnf"}
)
"""What the issuer says itself; no fact about a person may stand in its place."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """A sign-in, as an ID token tells of it. Times are seconds since 1970."""

    sub: str
    sid: str
    auth_time: int
    amr: Sequence[str]
    """How (RFC 8176)."""
    acr: str | None = None


def left_half(text: str, alg: str) -> str:
    """`at_hash` and `c_hash` (§3.1.3.6): the left half of the hash that `alg` signs with. Raises KeyError.

    Ed25519 hashes with SHA-512.
    """
    digest = _HASHES[alg](text.encode("ascii")).digest()
    return b64url(digest[: len(digest) // 2])


def claims(
    issuer: str,
    client_id: str,
    event: Event,
    now: int,
    lifetime: int,
    *,
    nonce: str | None = None,
    at_hash: str | None = None,
    person: Mapping[str, object] | None = None,
) -> dict[str, object]:
    """The claims of an ID token. `person` are facts that were asked for; `lifetime` is in seconds."""
    facts = {name: value for name, value in (person or {}).items() if name not in RESERVED}
    own: dict[str, object | None] = {
        "iss": issuer,
        "sub": event.sub,
        "aud": client_id,
        "exp": now + lifetime,
        "iat": now,
        "auth_time": event.auth_time,
        "nonce": nonce,
        "acr": event.acr,
        "amr": list(event.amr),
        "sid": event.sid,
        "at_hash": at_hash,
    }
    return {**facts, **{name: value for name, value in own.items() if value is not None}}
