"""Tokens to judge: one key per algorithm, good claims, and any header, payload or signature one likes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import msgspec

from watchword.jose.b64 import b64url
from watchword.jose.jwk import PublicKey, SigningKey, public_key
from watchword.policy import Opener, Policy

NOW: Final = 1_800_000_000
ISSUER: Final = "https://id.example.com"
AUDIENCE: Final = "https://orders.example.com"
POLICY: Final = Policy(ISSUER, AUDIENCE, leeway=5, max_lifetime=3600)
ASYMMETRIC: Final = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA"),
)
CLAIMS: Final[Mapping[str, Any]] = {
    "iss": ISSUER,
    "sub": "user-1",
    "aud": AUDIENCE,
    "exp": NOW + 900,
    "iat": NOW,
    "jti": "AAAAAAAAAAAAAAAAAAAAAA",
    "client_id": "client-1",
    "rev": 7,
    "scope": "orders:read orders:write",
    "sid": "session-1",
    "gid": "grant-1",
    "roles": ["buyer"],
}


@dataclass(frozen=True, slots=True)
class Mint:
    """In whose name tokens are made, for which API, and when; the keys are those of `key`."""

    issuer: str = ISSUER
    audience: str = AUDIENCE
    now: int = NOW

    def claims(self, **changes: object) -> dict[str, object]:
        """Good claims with members changed; a change to `...` leaves the member out."""
        own = {"iss": self.issuer, "aud": self.audience, "exp": self.now + 900, "iat": self.now}
        return changed({**CLAIMS, **own}, changes)

    def token(self, head: object = None, body: object = None, alg: str = "ES256") -> str:
        """As the function `token`, of this mint."""
        return token(head, body if body is not None else self.claims(), alg)


def key(alg: str = "ES256") -> SigningKey:
    """The test run's one key of an algorithm."""
    return _made(alg)


@cache
def _made(alg: str) -> SigningKey:
    return SigningKey.generate(alg)


def trusted(alg: str = "ES256") -> PublicKey:
    """Its public half, by way of its JWK."""
    return public_key(key(alg).public_jwk())


def opener(*algs: str) -> Opener:
    """An Opener under POLICY that trusts the keys of these algorithms (ES256 when none is named)."""
    fresh = Opener(POLICY)
    fresh.trust({found.kid: found for found in map(trusted, algs or ("ES256",))})
    return fresh


def header(of: str = "ES256", /, **changes: object) -> dict[str, object]:
    """A good header of a key with members changed; a change to `...` leaves the member out."""
    return changed({"alg": of, "kid": key(of).kid, "typ": "at+jwt"}, changes)


def claims(**changes: object) -> dict[str, object]:
    """CLAIMS with members changed; a change to `...` leaves the member out."""
    return changed(CLAIMS, changes)


def changed(members: Mapping[str, object], changes: Mapping[str, object]) -> dict[str, object]:
    """Members with some replaced, added or (by `...`) left out."""
    return {name: value for name, value in {**members, **changes}.items() if value is not ...}


def token(head: object = None, body: object = None, alg: str = "ES256") -> str:
    """A token whose header and payload are given as values or as bytes, truly signed over whatever they are."""
    return sealed(
        _bytes(head if head is not None else header(alg)), _bytes(body if body is not None else claims()), alg
    )


def sealed(head: bytes, body: bytes, alg: str = "ES256") -> str:
    """A token over exact bytes."""
    signed = f"{b64url(head)}.{b64url(body)}"
    return f"{signed}.{b64url(key(alg).sign(signed.encode()))}"


def _bytes(part: object) -> bytes:
    return part if isinstance(part, bytes) else msgspec.json.encode(part)
