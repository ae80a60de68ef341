"""A rotation of the issuer's keys, seen from outside (OpenID Connect Core §10.1.1)."""

from __future__ import annotations

from tests.stories.oidf.judge import condition, must
from tests.stories.oidf.tokens import JWKS


def kids(jwks: JWKS) -> set[str]:
    """The names of the keys that sign."""
    return {str(key.get("kid")) for key in jwks.get("keys", ()) if key.get("use", "sig") == "sig"}


@condition("VerifyNewJwksHasNewSigningKey")
def has_a_new_one(after: JWKS, before: JWKS) -> None:
    """With a name that no key had."""
    must(kids(after) - kids(before), "there is no key that was not there before")


@condition("VerifyNewJwksStillHasOldSigningKey")
def has_the_old_ones(after: JWKS, before: JWKS) -> None:
    """Tokens of the old keys are still under way."""
    must(kids(after) & kids(before), "none of the old keys is there")
