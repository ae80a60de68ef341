"""Proofs of possession for tests: good ones, and those that fail on one thing only."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from watchword.dpop import ProofKey
from watchword.jose.jwk import SigningKey


def spelled(raw: bytes) -> str:
    """As base64url."""
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


@dataclass(frozen=True)
class Holder:
    """Somebody with a key, who makes proofs for one issuer by hand, so that each part of one can be wrong."""

    issuer: str
    key: SigningKey = field(default_factory=lambda: SigningKey.generate("ES256"))

    @property
    def jkt(self) -> str:
        """The thumbprint of the key."""
        return ProofKey(self.key).jkt

    def claims(self, path: str = "/token", method: str = "POST", **more: Any) -> dict[str, Any]:
        """Those of a good proof, but for `more`; None leaves one out."""
        plain = {
            "jti": secrets.token_hex(16),
            "htm": method,
            "htu": self.issuer + path,
            "iat": int(time.time()),
        }
        return {name: value for name, value in (plain | more).items() if value is not None}

    def proof(self, path: str = "/token", method: str = "POST", token: str | None = None, **more: Any) -> str:
        """A proof for one request, for this access token where there is one."""
        ath = {} if token is None else {"ath": spelled(hashlib.sha256(token.encode()).digest())}
        return self.signed(self.claims(path, method, **{**ath, **more}))

    def signed(self, claims: Mapping[str, Any], **header: Any) -> str:
        """Signed by the key, whatever is said; `header` replaces members, None takes one away."""
        jwk = {name: value for name, value in self.key.public_jwk().items() if name in ("kty", "crv", "x", "y")}
        plain = {"typ": "dpop+jwt", "alg": "ES256", "jwk": jwk}
        kept = {name: value for name, value in (plain | header).items() if value is not None}
        first = f"{spelled(json.dumps(kept).encode())}.{spelled(json.dumps(claims).encode())}"
        return f"{first}.{spelled(self.key.sign(first.encode()))}"


def by_key(token: str, proof: str) -> dict[str, str]:
    """The headers of a request with a bound token."""
    return {"authorization": f"DPoP {token}", "dpop": proof}
