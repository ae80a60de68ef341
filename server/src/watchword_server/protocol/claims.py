"""Which claims about a person a client asks for, by scopes and by the `claims` parameter (OpenID Connect Core §5)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

import msgspec

from watchword.errors import InvalidToken
from watchword.jose.jwt import claims as strict
from watchword_server.protocol.errors import InvalidRequest, UnmetRequirements

SCOPES: Final[Mapping[str, tuple[str, ...]]] = {
    "profile": (
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
    ),
    "email": ("email", "email_verified"),
    "address": ("address",),
    "phone": ("phone_number", "phone_number_verified"),
}
"""What each standard scope asks for (§5.4)."""
MAX_LENGTH: Final = 4096
"""Characters of the `claims` parameter."""
MAX_CLAIMS: Final = 64
ACRS: Final = ("1",)
"""The authentication context classes there are: somebody has shown something, if only a password (ISO/IEC 29115)."""

Value = str | int | float | bool


class Wanted(msgspec.Struct, frozen=True):
    """How one claim is asked for (§5.5.1). `values` are those that would do, any where there are none."""

    essential: bool = False
    values: tuple[Value, ...] = ()


class ClaimsRequest(msgspec.Struct, frozen=True):
    """The `claims` parameter (§5.5): what is to be in the ID token, and what userinfo is to answer."""

    id_token: Mapping[str, Wanted] = {}
    userinfo: Mapping[str, Wanted] = {}


NOTHING: Final = ClaimsRequest()


def requested(text: str | None) -> ClaimsRequest:
    """Read the `claims` parameter. What is not understood in it is ignored (§5.5); what is no JSON object is not."""
    if text is None:
        return NOTHING
    if len(text) > MAX_LENGTH:
        raise InvalidRequest("claims is too long")
    try:
        found = strict(text.encode())
    except (InvalidToken, UnicodeError) as error:
        raise InvalidRequest("claims is not a JSON object") from error
    return ClaimsRequest(_wanted(found.get("id_token")), _wanted(found.get("userinfo")))


def of_scopes(scopes: Collection[str]) -> frozenset[str]:
    """The claims that these scopes ask userinfo for (§5.4)."""
    return frozenset(name for scope in scopes for name in SCOPES.get(scope, ()))


def scopes_asked(asked: ClaimsRequest) -> frozenset[str]:
    """The standard scopes that tell what is asked for by name: what a person has to allow before it is told."""
    names = {*asked.id_token, *asked.userinfo}
    return frozenset(scope for scope, claims in SCOPES.items() if not names.isdisjoint(claims))


def covered(asked: ClaimsRequest, allowed: Collection[str]) -> ClaimsRequest:
    """What is asked for by name, without the facts about the person that no allowed scope tells."""
    hidden = of_scopes(SCOPES) - of_scopes(allowed)
    id_token, userinfo = (
        {name: how for name, how in where.items() if name not in hidden} for where in (asked.id_token, asked.userinfo)
    )
    return ClaimsRequest(id_token, userinfo)


def acr_for(amr: Collection[str], acr_values: Collection[str], asked: ClaimsRequest) -> str | None:
    """The `acr` of a sign-in, where it was asked for: by `acr_values` (or the client's default), or by its name.

    Raises UnmetRequirements where a class is essential that this sign-in is not of (§5.5.1.1). Whatever else is wished
    for is answered with the class that it is of.
    """
    wanted = asked.id_token.get("acr")
    if wanted is None and not acr_values:
        return None
    acr = ACRS[0] if amr else None
    if wanted is not None and wanted.essential and acr not in (wanted.values or ACRS):
        raise UnmetRequirements("no such authentication context class was reached")
    return acr


def _wanted(found: object) -> Mapping[str, Wanted]:
    if found is None:
        return {}
    if not isinstance(found, dict) or len(found) > MAX_CLAIMS:
        raise InvalidRequest("claims asks for what is no object of claims, or for too many")
    return {name: _one(name, how) for name, how in found.items()}


def _one(name: str, how: object) -> Wanted:
    if how is None:
        return Wanted()
    if not isinstance(how, dict):
        raise InvalidRequest(f"claims asks for {name[:50]!r} neither by null nor by an object")
    values = how.get("values", [])
    if "value" in how:
        values = [how["value"]]
    if not isinstance(values, list) or not all(isinstance(value, str | int | float | bool) for value in values):
        raise InvalidRequest(f"claims asks for values of {name[:50]!r} that no claim has")
    return Wanted(how.get("essential") is True, tuple(values))
