"""Assertions of clients as they make them, and as nobody should."""

from __future__ import annotations

import secrets
from typing import Any, Final

from tests.server.request_objects import signed
from watchword.jose.jwk import SecretKey, SigningKey, secret_key
from watchword.jose.kinds import Kind
from watchword_server.protocol.client_assertion import TYPE

TYP: Final[str] = Kind.CLIENT_ASSERTION.value
BEARER: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"


def claims(client_id: str, aud: object, now: int, /, **changes: object) -> dict[str, Any]:
    """Good claims with members changed; a change to `...` leaves the member out."""
    own = {"iss": client_id, "sub": client_id, "aud": aud, "iat": now, "exp": now + 60, "jti": secrets.token_hex(8)}
    return {name: value for name, value in {**own, **changes}.items() if value is not ...}


def assertion(by: SigningKey | SecretKey, body: object, **header: object) -> str:
    """One that is signed; a header member that is `...` is left out."""
    return signed(by, body, **{"typ": TYP, **header})


def by_secret(secret: str, alg: str = "HS256") -> SecretKey:
    """What a client signs with that has a secret and no key."""
    return secret_key(secret.encode(), alg, "")


def shown(text: str, **more: str) -> dict[str, str]:
    """The parameters that carry it (RFC 7521 §4.2)."""
    return {"client_assertion_type": TYPE, "client_assertion": text, **more}
