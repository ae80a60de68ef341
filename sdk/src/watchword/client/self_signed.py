"""SelfSigned: gives httpx2 clients tokens that the program signs itself, with no trip to the issuer."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Generator
from dataclasses import replace
from datetime import timedelta
from typing import Final, NamedTuple

import httpx2
import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from watchword.client.sending import is_refused, may_be_repeated, must_be_for, with_token
from watchword.errors import InvalidKey, Misconfigured
from watchword.jose import jws
from watchword.jose.jwk import SigningKey
from watchword.jose.kinds import CLIENT_TOKEN_LIFETIME, Kind
from watchword.wire.metadata import checked, origin

SHORTEST: Final = 10
"""Seconds that a token lives at least: less would not outlive the error of clocks."""
SPENT: Final = 0.9
"""After this part of its life a token is replaced."""


class _Claims(msgspec.Struct, frozen=True, omit_defaults=True):
    """In the order in which verifiers read them fastest."""

    iss: str
    sub: str
    aud: str
    exp: int
    iat: int
    jti: str
    scope: str | msgspec.UnsetType = msgspec.UNSET


class _Made(NamedTuple):
    token: str
    until: float
    """On the monotonic clock."""
    expires: float
    """On the wall clock."""


class SelfSigned(httpx2.Auth):
    """Authenticates requests to one API with tokens that this client signs with its own key.

    The issuer has to know the public half, and to let the client (`watchword client set ID --signs-tokens`); the API's
    Verifier has to take them (`client_tokens=True`). A token is used until shortly before its end, by any number of
    clients, threads and event loops. When an API answers 401 `invalid_token`, one new token is tried, once.

    `audience` is the API, to the letter; `scope` what is asked for, all that the client has there when empty. Tokens
    go to `origins` only, when given; never over plain http but to this very machine. Raises Misconfigured.
    """

    def __init__(
        self,
        *,
        client_id: str,
        key: SigningKey,
        audience: str,
        scope: tuple[str, ...] = (),
        origins: tuple[str, ...] = (),
        lifetime: timedelta = timedelta(seconds=CLIENT_TOKEN_LIFETIME),
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        if not client_id or not audience:
            raise Misconfigured("client_id and audience must not be empty")
        if isinstance(scope, str) or isinstance(origins, str):
            raise Misconfigured("scope and origins are tuples of strings")
        self._seconds = int(lifetime.total_seconds())
        if not SHORTEST <= self._seconds <= CLIENT_TOKEN_LIFETIME:
            raise Misconfigured(f"lifetime is between {SHORTEST} and {CLIENT_TOKEN_LIFETIME} seconds")
        self._client_id, self._audience = client_id, audience
        self._scope = " ".join(scope) if scope else msgspec.UNSET
        self._origins = frozenset(origin(checked(each, "each of origins")) for each in origins)
        self._sign = jws.signer(key, Kind.CLIENT_TOKEN)
        self._monotonic, self._wall = monotonic, wall
        self._made: _Made | None = None

    def token(self) -> str:
        """A token that is good for a while: the last one, or a new one when that is nearly spent."""
        made = self._made
        if made is None or self._monotonic() >= made.until or self._wall() >= made.expires:
            made = self._made = self._make()
        return made.token

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        """Send the request with a token; once more with a new one when that is refused."""
        must_be_for(request.url, self._origins)
        token = self.token()
        response = yield with_token(request, token)
        if is_refused(response):
            self._drop(token)
            if may_be_repeated(request):
                yield with_token(request, self.token())

    def _make(self) -> _Made:
        """Two threads may make one each, and both are good."""
        until, now = self._monotonic() + self._seconds * SPENT, int(self._wall())
        expires = now + self._seconds
        claims = _Claims(
            iss=self._client_id,
            sub=self._client_id,
            aud=self._audience,
            exp=expires,
            iat=now,
            jti=secrets.token_urlsafe(16),
            scope=self._scope,
        )
        return _Made(self._sign(msgspec.json.encode(claims)), until, expires)

    def _drop(self, token: str) -> None:
        made = self._made
        if made is not None and made.token == token:
            self._made = None


def signing_key(pem: bytes, alg: str, kid: str | None = None) -> SigningKey:
    """The private key in an unencrypted PEM file, for the algorithm that its public half is registered with.

    `kid` is the name under which that is registered; without one it is the key's thumbprint (RFC 7638). What has to
    be registered is `public_jwk()`. Raises InvalidKey, without a word of the key.
    """
    try:
        private = serialization.load_pem_private_key(pem, None)
        der = private.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise InvalidKey("not an unencrypted private key in PEM") from None
    key = SigningKey.load(der, alg)
    return key if kid is None else replace(key, kid=kid)
