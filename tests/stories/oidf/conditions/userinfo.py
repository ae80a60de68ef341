"""What userinfo answers (OpenID Connect Core §5.1 and §5.3)."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from tests.stories.oidf.conditions.values import is_https
from tests.stories.oidf.judge import Judge, condition, must
from tests.stories.oidf.tokens import JWKS, Claims, candidates, header, verifies
from tests.stories.oidf.wire import Got

SCOPES: Final[Mapping[str, frozenset[str]]] = {
    "profile": frozenset(
        {
            "name",
            "family_name",
            "given_name",
            "middle_name",
            "nickname",
            "preferred_username",
            "profile",
            "picture",
            "website",
            "gender",
            "birthdate",
            "zoneinfo",
            "locale",
            "updated_at",
        }
    ),
    "email": frozenset({"email", "email_verified"}),
    "address": frozenset({"address"}),
    "phone": frozenset({"phone_number", "phone_number_verified"}),
}
"""What each scope asks for (§5.4)."""
BIRTHDATE: Final = re.compile(r"\d{4}(-\d{2}-\d{2})?")
LANGUAGE: Final = re.compile(r"[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8})*")
IN_1990: Final = 631_152_000


def _text(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _truth(value: object) -> bool:
    return isinstance(value, bool)


def _number(value: object) -> bool:
    return type(value) in (int, float)


def _address(value: Any) -> bool:
    return isinstance(value, dict) and bool(value) and all(map(_text, value.values()))


def _birthdate(value: object) -> bool:
    return isinstance(value, str) and BIRTHDATE.fullmatch(value) is not None


def _email(value: object) -> bool:
    return isinstance(value, str) and value.count("@") == 1


def _language(value: object) -> bool:
    return isinstance(value, str) and LANGUAGE.fullmatch(value) is not None


# fmt: off
TYPES: Final[Mapping[str, Callable[[Any], bool]]] = {
    **dict.fromkeys(SCOPES["profile"] | {"sub", "phone_number"}, _text),
    **dict.fromkeys(("profile", "picture", "website"), is_https),
    **dict.fromkeys(("email_verified", "phone_number_verified"), _truth),
    "updated_at": _number, "address": _address, "birthdate": _birthdate, "email": _email, "locale": _language,
}
"""What each standard claim is (§5.1)."""
# fmt: on


def well_typed(claims: Claims) -> None:
    """Every standard claim is what it should be (§5.1)."""
    for name, value in claims.items():
        must(name not in TYPES or TYPES[name](value), f"{name} is {value!r}")


def updated(claims: Claims) -> None:
    """`updated_at` is a time that there was."""
    found = claims.get("updated_at", IN_1990)
    must(_number(found) and IN_1990 <= found <= time.time() + 300, f"updated_at is {found!r}")


@condition("EnsureHttpStatusCodeIs200")
def is_ok(got: Got) -> None:
    """§5.3.2."""
    must(got.status == 200, f"the status is {got.status}: {got.text[:300]}")


@condition("ValidateUserInfoStandardClaims")
def has_typed_claims(claims: Claims) -> None:
    """§5.1."""
    well_typed(claims)


@condition("EnsureUserInfoContainsSub")
def has_a_subject(claims: Claims) -> None:
    """§5.3.2."""
    must(_text(claims.get("sub")), f"sub is {claims.get('sub')!r}")


@condition("EnsureUserInfoUpdatedAtValid")
def was_updated(claims: Claims) -> None:
    """§5.1."""
    updated(claims)


@condition("EnsureMemberValuesInClaimNameReferenceToMemberNamesInClaimSources")
def refers_to_sources(claims: Claims) -> None:
    """§5.6.2."""
    names, sources = claims.get("_claim_names", {}), claims.get("_claim_sources", {})
    must(set(names.values()) <= set(sources), "a claim is said to be at a source that is not there")


@condition("VerifyUserInfoAndIdTokenInTokenEndpointSameSub")
def is_of_the_same_person(claims: Claims, id_token: Claims) -> None:
    """§5.3.2."""
    must(claims.get("sub") == id_token.get("sub"), f"sub is {claims.get('sub')!r}, not {id_token.get('sub')!r}")


@condition("VerifyScopesReturnedInUserInfoClaims")
def has_what_was_asked(claims: Claims, scopes: list[str]) -> None:
    """§5.4: everything, for the person of these tests has all of it."""
    wanted = frozenset[str]().union(*(SCOPES.get(scope, frozenset()) for scope in scopes))
    must(wanted <= claims.keys(), f"{sorted(wanted - claims.keys())} is missing")


@condition("EnsureUserInfoDoesNotContainName")
def has_no_name(claims: Claims) -> None:
    """§5.4: nobody asked for it."""
    must("name" not in claims, "the name is there")


@condition("EnsureUserInfoContainsName")
def has_the_name(claims: Claims) -> None:
    """§5.5."""
    must(_text(claims.get("name")), "the name is missing")


@condition("UserInfoEndpointWithAccessTokenInBodyNotSupported")
def takes_a_token_in_a_form(got: Got) -> None:
    """RFC 6750 §2.2: it need not, but it says so then."""
    must(got.status == 200, f"the status is {got.status}")


@condition("EnsureContentTypeApplicationJwt")
def is_a_jwt(got: Got) -> None:
    """§5.3.2."""
    must(got.media_type == "application/jwt", f"the answer is {got.media_type or 'of no type'}")


@condition("ValidateUserInfoResponseSignature")
def is_signed(token: str, jwks: JWKS) -> None:
    """§5.3.2."""
    found = candidates(token, jwks)
    must(len(found) == 1, f"the key set has {len(found)} keys for {header(token)}")
    must(verifies(token, found[0]), "the signature is not that of the key")


@condition("ValidateUserInfoSigningAlgIsRS256")
def is_rs256(token: str) -> None:
    """As it was registered."""
    must(header(token).get("alg") == "RS256", f"alg is {header(token).get('alg')!r}")


@condition("ValidateSignedUserInfoResponseStandardJWTClaims")
def is_for_us(claims: Claims, issuer: str, client_id: str) -> None:
    """§5.3.2."""
    must(claims.get("iss") == issuer, f"iss is {claims.get('iss')!r}")
    must(claims.get("aud") in (client_id, [client_id]), f"aud is {claims.get('aud')!r}")


@condition("EnsureUserInfoDoesNotContainNonce")
def has_no_nonce(claims: Claims) -> None:
    """It could be taken for an ID token."""
    must("nonce" not in claims, "there is a nonce")


@condition("EnsureHttpStatusCodeIs4xx")
def is_refused(got: Got) -> None:
    """RFC 6750 §3.1: a token that was taken back."""
    must(400 <= got.status < 500, f"the status is {got.status}")


def good(judge: Judge, claims: Claims, id_token: Claims) -> None:
    """All that is asked of every answer."""
    for asks in (has_typed_claims, has_a_subject, was_updated, refers_to_sources):
        asks(judge, claims)
    is_of_the_same_person(judge, claims, id_token)
