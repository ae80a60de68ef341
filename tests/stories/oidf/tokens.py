"""JWTs read and made by a library that is not ours, so that nobody judges himself."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from functools import cache
from threading import Lock
from typing import Any, Final

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

Claims = dict[str, Any]
JWKS = Mapping[str, Any]

FAMILIES: Final = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}
ONE_AT_A_TIME: Final = Lock()
ALGORITHMS: Final = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]


def header(token: str) -> Claims:
    """The header, unverified; an empty one where there is none."""
    return _part(token, 0)


def claims(token: str) -> Claims:
    """The claims, unverified; none where it is no JWT."""
    return _part(token, 1)


def candidates(token: str, jwks: JWKS) -> list[Mapping[str, Any]]:
    """The keys of a set that a token may be signed with, by its header."""
    said = header(token)
    family = FAMILIES.get(str(said.get("alg"))[:2])
    return [
        key
        for key in jwks.get("keys", ())
        if key.get("kty") == family
        and key.get("alg", said.get("alg")) == said.get("alg")
        and key.get("use", "sig") == "sig"
        and said.get("kid") in (None, key.get("kid"))
    ]


def verifies(token: str, key: Mapping[str, Any]) -> bool:
    """Whether the signature is this key's."""
    from joserfc.jwk import import_key  # the function is new, the rest of the module is not

    try:
        jws.deserialize_compact(token, import_key(dict(key)), algorithms=ALGORITHMS)
    except (JoseError, ValueError):
        return False
    return True


def left_half(text: str, alg: str) -> str:
    """`at_hash` (OpenID Connect Core §3.1.3.6)."""
    digest = hashlib.new(f"sha{'512' if alg == 'EdDSA' else alg[2:]}", text.encode()).digest()
    return base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()


def key(kid: str) -> RSAKey:
    """An RSA key that the server has never seen; one a process for each name, for making one takes a while."""
    with ONE_AT_A_TIME:  # two modules that begin at once have to get the same
        return _made(kid)


@cache
def _made(kid: str) -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": kid, "alg": "RS256", "use": "sig"})


def public(kid: str) -> Claims:
    """Its public half."""
    return dict(key(kid).as_dict(private=False))


def signed(payload: Claims, kid: str, **more: str) -> str:
    """A JWT by RS256."""
    return jws.serialize_compact({"alg": "RS256", "kid": kid, **more}, json.dumps(payload), key(kid))


def unsigned(payload: Claims) -> str:
    """A JWT by `none`."""
    return f"{_b64({'alg': 'none'})}.{_b64(payload)}."


def _part(token: str, number: int) -> Claims:
    try:
        text = token.split(".")[number]
        found = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (IndexError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _b64(value: Claims) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
