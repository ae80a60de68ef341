"""Request objects as clients make them, and as nobody should."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from watchword.jose.b64 import b64url
from watchword.jose.jwk import SecretKey, SigningKey
from watchword.jose.kinds import Kind

CHALLENGE: Final = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
CALLBACK: Final = "https://app.example/cb"
TYP: Final[str] = Kind.REQUEST_OBJECT.value
ASKS: Final = {
    "redirect_uri": CALLBACK,
    "response_type": "code",
    "scope": "openid profile",
    "state": "inside",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
}


def key(alg: str = "ES256") -> SigningKey:
    """A client's own key."""
    return SigningKey.generate(alg)


def claims(client_id: str, issuer: str, now: int, /, **changes: object) -> dict[str, Any]:
    """Good claims with members changed; a change to `...` leaves the member out."""
    own = {"iss": client_id, "client_id": client_id, "aud": issuer, "iat": now, "nbf": now, "exp": now + 60}
    return {name: value for name, value in {**own, **ASKS, **changes}.items() if value is not ...}


def signed(by: SigningKey | SecretKey, body: object, **header: object) -> str:
    """A compact JWS over a payload; a header member that is `...` is left out."""
    head = {"alg": by.alg, "kid": by.kid, "typ": TYP, **header}
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    whole = msgspec.json.encode({name: value for name, value in head.items() if value is not ...})
    message = f"{b64url(whole)}.{b64url(raw)}"
    return f"{message}.{b64url(by.sign(message.encode()))}"


def unsigned(body: object, alg: str = "none") -> str:
    """One that nobody has signed (RFC 7519 §6)."""
    head = msgspec.json.encode({"alg": alg, "typ": TYP})
    return f"{b64url(head)}.{b64url(msgspec.json.encode(body))}."
