"""The Python libraries that are compared, one after the other: how each verifies, how each signs.

Each is asked for the same: a token of this issuer for this audience, with `exp` and `iat`, not expired, signed with
this key by this algorithm. Keys and options are made in advance. What they look at beyond that is their own.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import joserfc.jwk
import joserfc.jwt
import jwt as pyjwt
import msgspec
from joserfc.errors import SecurityWarning

from bench.material import Material
from bench.tokens import AUDIENCE, ISSUER, TYPE
from watchword import Verifier
from watchword.jose import jws
from watchword.jose.jwk import SecretKey
from watchword.jose.jwt import claims as read_claims

with warnings.catch_warnings(record=True):  # Authlib says, past all filters, that joserfc is its successor
    import authlib.jose  # type: ignore[import-untyped]  # has no types
import jose.jwk  # type: ignore[import-untyped]  # has no types
import jose.jwt  # type: ignore[import-untyped]  # has no types
import jwcrypto.jwk  # type: ignore[import-untyped]  # has no types
import jwcrypto.jwt  # type: ignore[import-untyped]  # has no types

warnings.simplefilter("ignore", SecurityWarning)  # joserfc would have `Ed25519` in headers, which few can read

Claims = dict[str, Any]
Check = Callable[[str], object]
"""Takes a token, returns what it says, or raises."""
Seal = Callable[[Claims], object]
"""Takes claims, returns a token."""

REQUIRED: Final = ("iss", "aud", "exp", "iat")


@dataclass(frozen=True, slots=True)
class Library:
    """How one library verifies and signs with a key. `lacks` are algorithms that it does not have."""

    name: str
    checker: Callable[[Material], Check]
    sealer: Callable[[Material], Seal]
    lacks: frozenset[str] = frozenset()


def _header(key: Material) -> dict[str, str]:
    return {"alg": key.alg, "kid": key.kid, "typ": TYPE}


def _check_watchword(key: Material) -> Check:
    """A new Verifier, so that no token is in its cache. Where it accepts no secret, what a client's token gets."""
    if isinstance(key.ours, SecretKey):
        return _check_secret(key.ours)
    return Verifier(issuer=ISSUER, audience=AUDIENCE, jwks={"keys": [key.jwk]}).verify_sync


def _check_secret(key: SecretKey) -> Check:
    """A secret signs no access token, so there is no Verifier for it: the strict JWS and JSON, and the same claims."""
    keys, types, wall = {key.kid: key}, frozenset((TYPE,)), time.time

    def check(token: str) -> Claims:
        _, payload = jws.verify(token, keys, types, 16 * 1024)
        found = read_claims(payload)
        if found["iss"] != ISSUER or found["aud"] != AUDIENCE or not found["iat"] <= wall() < found["exp"]:
            raise ValueError("not a token for us, or not now")
        return found

    return check


def _seal_watchword(key: Material) -> Seal:
    sign, encode = jws.signer(key.ours, TYPE), msgspec.json.Encoder().encode
    return lambda claims: sign(encode(claims))


def _check_pyjwt(key: Material) -> Check:
    options: Any = {"require": list(REQUIRED)}
    return lambda token: pyjwt.decode(
        token, key.public, algorithms=[key.alg], audience=AUDIENCE, issuer=ISSUER, options=options
    )


def _seal_pyjwt(key: Material) -> Seal:
    header = {"kid": key.kid, "typ": TYPE}
    return lambda claims: pyjwt.encode(claims, key.private, algorithm=key.alg, headers=header)


def _check_joserfc(key: Material) -> Check:
    known: Any = joserfc.jwk.import_key(key.public_pem, key.kty)  # type: ignore[call-overload]  # kty is any of its four
    claims = joserfc.jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": ISSUER},
        aud={"essential": True, "value": AUDIENCE},
        exp={"essential": True},
        iat={"essential": True},
    )
    return lambda token: claims.validate(joserfc.jwt.decode(token, known, [key.alg]).claims)


def _seal_joserfc(key: Material) -> Seal:
    known: Any = joserfc.jwk.import_key(key.private_pem, key.kty)  # type: ignore[call-overload]  # as above
    header = _header(key)
    return lambda claims: joserfc.jwt.encode(header, claims, known, [key.alg])


def _check_python_jose(key: Material) -> Check:
    known = jose.jwk.construct(key.public_pem, key.alg)
    options = {f"require_{name}": True for name in REQUIRED}
    return lambda token: jose.jwt.decode(token, known, [key.alg], options, AUDIENCE, ISSUER)


def _seal_python_jose(key: Material) -> Seal:
    known = jose.jwk.construct(key.private_pem, key.alg)
    header = {"kid": key.kid, "typ": TYPE}
    return lambda claims: jose.jwt.encode(claims, known, key.alg, header)


def _check_authlib(key: Material) -> Check:
    known = authlib.jose.JsonWebKey.import_key(key.public_pem, {"kty": key.kty})
    library = authlib.jose.JsonWebToken([key.alg])
    wanted = {
        "iss": {"essential": True, "value": ISSUER},
        "aud": {"essential": True, "value": AUDIENCE},
        "exp": {"essential": True},
        "iat": {"essential": True},
    }
    return lambda token: library.decode(token, known, claims_options=wanted).validate()


def _seal_authlib(key: Material) -> Seal:
    known = authlib.jose.JsonWebKey.import_key(key.private_pem, {"kty": key.kty})
    library, header = authlib.jose.JsonWebToken([key.alg]), _header(key)
    return lambda claims: library.encode(header, claims, known)


def _jwcrypto_key(key: Material, pem: bytes) -> Any:
    if key.kty == "oct":
        return jwcrypto.jwk.JWK(kty="oct", k=jwcrypto.jwk.base64url_encode(pem))
    return jwcrypto.jwk.JWK.from_pem(pem)


def _check_jwcrypto(key: Material) -> Check:
    known = _jwcrypto_key(key, key.public_pem)
    wanted = {"iss": ISSUER, "aud": AUDIENCE, "exp": None, "iat": None}
    return lambda token: (
        jwcrypto.jwt.JWT(jwt=token, key=known, algs=[key.alg], check_claims=wanted, expected_type="JWS").claims
    )


def _seal_jwcrypto(key: Material) -> Seal:
    known, header = _jwcrypto_key(key, key.private_pem), _header(key)

    def seal(claims: Claims) -> object:
        token = jwcrypto.jwt.JWT(header=header, claims=claims, algs=[key.alg])
        token.make_signed_token(known)
        return token.serialize()

    return seal


WATCHWORD: Final = Library("watchword", _check_watchword, _seal_watchword)
PYJWT: Final = Library("PyJWT", _check_pyjwt, _seal_pyjwt)

# fmt: off
LIBRARIES: Final = (
    WATCHWORD,
    PYJWT,
    #       name           verifies             signs               lacks
    Library("joserfc",     _check_joserfc,      _seal_joserfc),
    Library("python-jose", _check_python_jose,  _seal_python_jose,  frozenset(("PS256", "PS384", "PS512", "EdDSA"))),
    Library("Authlib",     _check_authlib,      _seal_authlib),
    Library("jwcrypto",    _check_jwcrypto,     _seal_jwcrypto),
)
# fmt: on
