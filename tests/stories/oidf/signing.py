"""A relying party's own keys, and what it signs with them: client assertions (RFC 7523) and DPoP proofs (RFC 9449).

By a library that is not ours, so that nobody judges himself.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Final

from joserfc import jws
from joserfc.jwk import ECKey, RSAKey

from tests.stories.oidf.tokens import ALGORITHMS, Claims

ASSERTION: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ANY_HEADER: Final = jws.JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)
SECONDS: Final = 60
"""For which an assertion is good."""
LEFT_OUT: Final = object()
"""In place of a value: the member is not there."""


@dataclass(frozen=True)
class Key:
    """A key pair, and the algorithm that it signs with."""

    alg: str
    pair: ECKey | RSAKey = field(repr=False)

    @property
    def public(self) -> Claims:
        """Its public half, as it is registered or stands in a proof."""
        return dict(self.pair.as_dict(private=False))

    @property
    def private(self) -> Claims:
        """Both halves: what nobody may ever send."""
        return dict(self.pair.as_dict(private=True))

    @property
    def jkt(self) -> str:
        """Its thumbprint (RFC 7638)."""
        return str(self.pair.thumbprint())

    def sign(self, header: Claims, claims: Claims) -> str:
        """A JWT, whatever stands in it; `alg` in the header decides how it is signed."""
        return str(jws.serialize_compact(header, json.dumps(claims), self.pair, registry=ANY_HEADER))


def ec() -> Key:
    """A new one for ES256."""
    return Key("ES256", ECKey.generate_key("P-256", {"kid": secrets.token_hex(6)}))


@cache
def rsa(kid: str) -> Key:
    """One for PS256; one a process for each name, for making one takes a while."""
    return Key("PS256", RSAKey.generate_key(2048, {"kid": kid}))


def changed(what: Mapping[str, Any], changes: Mapping[str, Any]) -> Claims:
    """The same with these members, and without those that are LEFT_OUT."""
    return {name: value for name, value in {**what, **changes}.items() if value is not LEFT_OUT}


def assertion(key: Key, client_id: str, audience: object, alg: str = "", **changes: Any) -> str:
    """A client assertion (RFC 7523 §3)."""
    now = int(time.time())
    usual = {
        "iss": client_id,
        "sub": client_id,
        "aud": audience,
        "jti": secrets.token_urlsafe(16),
        "iat": now,
        "exp": now + SECONDS,
    }
    return key.sign({"alg": alg or key.alg, "kid": key.public["kid"]}, changed(usual, changes))


@dataclass(frozen=True)
class Proof:
    """How a DPoP proof is made: as it should be (RFC 9449 §4.2), but for what is said here."""

    key: Key
    header: Mapping[str, Any] = field(default_factory=dict)
    claims: Mapping[str, Any] = field(default_factory=dict)
    skew: int = 0
    """Seconds by which `iat` is off."""

    def with_claims(self, **claims: Any) -> Proof:
        """The same with other claims."""
        return replace(self, claims={**self.claims, **claims})

    def with_header(self, **header: Any) -> Proof:
        """The same with another header."""
        return replace(self, header={**self.header, **header})

    def parts(self, method: str, url: str, token: str = "", nonce: str = "") -> tuple[Claims, Claims]:
        """Header and claims for one request."""
        jwk = {name: value for name, value in self.key.public.items() if name != "kid"}
        header = {"typ": "dpop+jwt", "alg": self.key.alg, "jwk": jwk}
        usual: Claims = {"jti": secrets.token_urlsafe(16), "htm": method, "htu": url}
        usual |= {"iat": int(time.time()) + self.skew}
        usual |= {"ath": ath(token)} if token else {}
        usual |= {"nonce": nonce} if nonce else {}
        return changed(header, self.header), changed(usual, self.claims)

    def made(self, method: str, url: str, token: str = "", nonce: str = "") -> str:
        """One for this request, with its `ath` where there is a token."""
        header, claims = self.parts(method, url, token, nonce)
        return self.key.sign(header, claims)


def ath(token: str) -> str:
    """The hash of an access token (RFC 9449 §4.2)."""
    return b64(hashlib.sha256(token.encode()).digest())


def challenge(verifier: str) -> str:
    """S256 (RFC 7636 §4.2)."""
    return b64(hashlib.sha256(verifier.encode()).digest())


def joined(header: Claims, claims: Claims, signature: str) -> str:
    """A JWT with a signature that was made elsewhere, or nowhere."""
    head, body = (b64(json.dumps(part).encode()) for part in (header, claims))
    return f"{head}.{body}.{signature}"


def b64(raw: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
