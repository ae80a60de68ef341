"""ID tokens (OpenID Connect Core §2 and §3.1.3.7)."""

from __future__ import annotations

import time

from tests.stories.oidf.conditions.userinfo import TYPES, updated, well_typed
from tests.stories.oidf.judge import Judge, condition, must
from tests.stories.oidf.tokens import JWKS, Claims, candidates, header, left_half, verifies

SKEW = 300
"""Seconds that clocks may differ."""
FIFTY_YEARS = 50 * 365 * 24 * 3600
OWN = frozenset({"iss", "sub", "aud", "exp", "iat", "nbf", "jti", "auth_time", "nonce", "acr", "amr", "azp", "sid"}) | {
    "at_hash",
    "c_hash",
    "s_hash",
}
"""Claims of the token itself; facts about the person are asked for."""


@condition("ValidateIdToken")
def is_ours(claims: Claims, issuer: str, client_id: str) -> None:
    """§3.1.3.7: by whom, for whom, of now."""
    now, aud = time.time(), claims.get("aud")
    must(claims.get("iss") == issuer, f"iss is {claims.get('iss')!r}")
    must(aud == client_id or (isinstance(aud, list) and client_id in aud), f"aud is {aud!r}")
    must(not isinstance(aud, list) or len(aud) == 1 or claims.get("azp") == client_id, "azp is not ours")
    for name in ("exp", "iat"):
        must(type(claims.get(name)) in (int, float), f"{name} is {claims.get(name)!r}")
    must(now - SKEW < claims["exp"] < now + FIFTY_YEARS, f"exp is {claims['exp']}")
    must(now - SKEW < claims["iat"] < now + SKEW, f"iat is {claims['iat']}")
    must("nbf" not in claims or claims["nbf"] < now + SKEW, "it is not good yet")


@condition("ValidateIdTokenStandardClaims")
def has_typed_claims(claims: Claims) -> None:
    """§5.1."""
    well_typed(claims)


@condition("ValidateIdTokenNonce")
def has_the_nonce(claims: Claims, nonce: str | None) -> None:
    """§2."""
    must(claims.get("nonce") == nonce, f"the nonce is {claims.get('nonce')!r} instead of {nonce!r}")


@condition("ValidateIdTokenACRClaimAgainstRequest")
def has_a_good_acr(claims: Claims) -> None:
    """§5.5.1.1. None is asked for as essential: where there is one, it is text."""
    must(isinstance(claims.get("acr", ""), str), f"acr is {claims.get('acr')!r}")


@condition("ValidateIdTokenACRClaimAgainstAcrValuesRequest")
def has_an_asked_acr(claims: Claims, asked: list[str]) -> None:
    """§3.1.2.1."""
    must(claims.get("acr") in asked, f"acr is {claims.get('acr')!r}, asked was one of {asked}")


@condition("ValidateIdTokenSignature")
def is_signed(token: str, jwks: JWKS) -> None:
    """§3.1.3.7: by the one key that its header names."""
    found = candidates(token, jwks)
    must(header(token).get("kid"), "its header has no kid")
    must(len(found) == 1, f"the key set has {len(found)} keys for {header(token)}")
    must(verifies(token, found[0]), "the signature is not that of the key")


@condition("CheckForSubjectInIdToken")
def has_a_subject(claims: Claims) -> None:
    """§2: at most 255 characters of ASCII."""
    sub = claims.get("sub")
    must(isinstance(sub, str) and 0 < len(sub) <= 255, f"sub is {sub!r}")
    must(str(sub).isascii() and str(sub).isprintable(), "sub has other characters")


@condition("EnsureIdTokenUpdatedAtValid")
def was_updated(claims: Claims) -> None:
    """§5.1."""
    updated(claims)


@condition("EnsureIdTokenContainsKid")
def has_a_kid(token: str) -> None:
    """§10.1."""
    must(header(token).get("kid"), "its header has no kid")


@condition("EnsureIdTokenSignatureIsRS256")
def is_rs256(token: str) -> None:
    """§3.1.3.7: what holds where nothing was registered."""
    must(header(token).get("alg") == "RS256", f"alg is {header(token).get('alg')!r}")


@condition("CheckIdTokenSignatureAlgorithm")
def is_by(token: str, alg: str) -> None:
    """§3.1.3.7: what was registered."""
    must(header(token).get("alg") == alg, f"alg is {header(token).get('alg')!r}")


@condition("ValidateAtHash")
def is_tied(token: str, claims: Claims, access_token: str) -> None:
    """§3.1.3.6, where there is one."""
    if "at_hash" in claims:
        expected = left_half(access_token, str(header(token).get("alg")))
        must(claims["at_hash"] == expected, "at_hash is that of another access token")


@condition("EnsureIdTokenDoesNotContainName")
def has_no_name(claims: Claims) -> None:
    """§5.5: it was not asked for there."""
    must("name" not in claims, "the name is in the ID token")


@condition("EnsureIdTokenContainsName")
def has_the_name(claims: Claims) -> None:
    """§5.5."""
    must(claims.get("name"), "the name is not in the ID token")


@condition("EnsureIdTokenDoesNotContainEmailForScopeEmail")
def has_no_email(claims: Claims) -> None:
    """§5.4: userinfo answers it."""
    must("email" not in claims, "the e-mail address is in the ID token")


@condition("EnsureIdTokenDoesNotContainNonRequestedClaims")
def has_nothing_else(claims: Claims) -> None:
    """Nothing that nobody asked for."""
    must(claims.keys() <= OWN, f"there is {sorted(claims.keys() - OWN)} too")
    must(not claims.keys() & TYPES.keys() - {"sub"}, "a fact about the person is there")


@condition("CheckIdTokenAuthTimeClaimPresentDueToMaxAge")
def says_when(claims: Claims) -> None:
    """§2."""
    must(type(claims.get("auth_time")) is int, f"auth_time is {claims.get('auth_time')!r}")


@condition("CheckIdTokenAuthTimeIsRecentIfPresent")
def is_recent(claims: Claims, most: int) -> None:
    """§2, in seconds."""
    found = claims.get("auth_time")
    must(found is None or time.time() - found < most + SKEW, "the person signed in long ago")


@condition("CheckSecondIdTokenAuthTimeIsLaterIfPresent")
def is_later(second: Claims, first: Claims) -> None:
    """§2: the person signed in again."""
    must(second.get("auth_time", 1) > first.get("auth_time", 0), "auth_time is not later than before")


@condition("CheckIdTokenAuthTimeClaimsSameIfPresent")
def is_of_the_same_moment(second: Claims, first: Claims) -> None:
    """§2: nobody signed in again."""
    must(second.get("auth_time") == first.get("auth_time"), "auth_time is another")


@condition("CheckIdTokenSubConsistentForSecondAuthorization")
def is_of_the_same_person(second: Claims, first: Claims) -> None:
    """§2."""
    must(second.get("sub") == first.get("sub"), "sub is another")


def good(judge: Judge, token: str, claims: Claims, jwks: JWKS, issuer: str, client_id: str, nonce: str | None) -> None:
    """All that is asked of every ID token."""
    is_signed(judge, token, jwks)
    is_ours(judge, claims, issuer, client_id)
    has_the_nonce(judge, claims, nonce)
    for asks in (has_typed_claims, has_a_good_acr, has_a_subject, was_updated):
        asks(judge, claims)
