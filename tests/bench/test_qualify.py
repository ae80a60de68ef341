"""The bench compares only who does the same work: a contestant that skips a check is found out before the race."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jwt
import msgspec
import pytest

from bench import material, qualify, tokens
from bench.material import Material
from bench.result import Unmeasured
from watchword import Verifier
from watchword.jose import jws

ES256 = material.generate("ES256")
REQUIRED = ["iss", "aud", "exp", "iat"]


def lax(**skipped: Any) -> Callable[[str], bool]:
    """PyJWT with all checks but those."""

    def check(token: str) -> object:
        options: Any = {"require": REQUIRED, **skipped}
        return jwt.decode(
            token, ES256.public, algorithms=["ES256"], audience=tokens.AUDIENCE, issuer=tokens.ISSUER, options=options
        )

    return qualify.accepted(check)


@pytest.mark.parametrize("alg", ["ES256", "EdDSA"])
def test_a_verifier_that_checks_everything_qualifies(alg: str) -> None:
    """Good tokens are good, and nothing else is."""
    key = material.generate(alg)
    verifier = Verifier(issuer=tokens.ISSUER, audience=tokens.AUDIENCE, jwks={"keys": [key.jwk]})
    qualify.as_verifier("watchword", key, qualify.accepted(verifier.verify_sync))


@pytest.mark.parametrize(
    ("skipped", "found"),
    [
        ({"verify_signature": False}, "with another signature"),
        ({"verify_iss": False}, "of another issuer"),
        ({"verify_aud": False}, "for another audience"),
        ({"verify_exp": False}, "that has expired"),
        *(({"require": [name for name in REQUIRED if name != gone]}, f"without {gone}") for gone in ("exp", "iat")),
    ],
)
def test_a_verifier_that_skips_a_check_does_not_qualify(skipped: dict[str, Any], found: str) -> None:
    """Each of the demands is made by a token that fails in nothing else."""
    with pytest.raises(Unmeasured, match=found):
        qualify.as_verifier("lax", ES256, lax(**skipped))


def test_a_verifier_that_refuses_everything_does_not_qualify() -> None:
    """It would be the fastest of all."""
    with pytest.raises(Unmeasured, match="refuses a good"):
        qualify.as_verifier("deaf", ES256, lambda token: False)


def test_a_signer_that_changes_the_claims_does_not_qualify() -> None:
    """As one of Node's did, which left `iat` out when it was told not to make one up."""
    sign = jws.signer(ES256.ours, tokens.TYPE)
    accepts = _accepts(ES256)
    qualify.as_signer("good", ES256, lambda claims: sign(msgspec.json.encode(claims)), accepts)
    with pytest.raises(Unmeasured, match="no good"):
        qualify.as_signer("bad", ES256, lambda claims: sign(msgspec.json.encode({**claims, "iat": None})), accepts)


def _accepts(key: Material) -> Callable[[str], bool]:
    verifier = Verifier(issuer=tokens.ISSUER, audience=tokens.AUDIENCE, jwks={"keys": [key.jwk]})
    return qualify.accepted(verifier.verify_sync)
