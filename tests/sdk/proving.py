"""Proofs of possession to judge: one client's key, good claims for one request, and anything in their place."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import msgspec

from tests.sdk.minting import NOW, changed
from watchword.dpop import ath
from watchword.jose.b64 import b64url
from watchword.jose.jwk import SigningKey

URL: Final = "https://orders.example.com/orders"
TOKEN: Final = "eyJ.eyJ.c2ln"
CLAIMS: Final[Mapping[str, Any]] = {"jti": "p-1", "htm": "GET", "htu": URL, "iat": NOW, "ath": ath(TOKEN)}


def client_key(alg: str = "ES256") -> SigningKey:
    """The test run's one client key of an algorithm; another than the issuer's."""
    return _made(alg)


@cache
def _made(alg: str) -> SigningKey:
    return SigningKey.generate(alg)


def bare(key: SigningKey) -> dict[str, object]:
    """The public key as proofs have it: its required members."""
    return {name: value for name, value in key.public_jwk().items() if name not in ("kid", "alg", "use")}


def proof_header(alg: str = "ES256", /, **changes: object) -> dict[str, object]:
    """A good header with members changed; a change to `...` leaves the member out."""
    return changed({"typ": "dpop+jwt", "alg": alg, "jwk": bare(client_key(alg))}, changes)


def proof_claims(**changes: object) -> dict[str, object]:
    """CLAIMS with members changed; a change to `...` leaves the member out."""
    return changed(CLAIMS, changes)


def proof(head: object = None, body: object = None, key: SigningKey | None = None) -> str:
    """A proof whose header and claims are given as values or as bytes, truly signed over whatever they are."""
    parts = (head if head is not None else proof_header(), body if body is not None else proof_claims())
    signed = ".".join(b64url(part if isinstance(part, bytes) else msgspec.json.encode(part)) for part in parts)
    return f"{signed}.{b64url((key or client_key()).sign(signed.encode()))}"
