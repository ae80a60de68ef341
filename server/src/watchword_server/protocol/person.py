"""The standard claims about a person (OpenID Connect Core §5.1), and which of them an answer gets to hold."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from watchword_server.people.values import User
from watchword_server.protocol.claims import SCOPES, ClaimsRequest, Value, Wanted, of_scopes

STANDARD: Final = frozenset(name for names in SCOPES.values() for name in names)
"""Everything that may be told of a person; what else stands in a profile stays here."""
_FLAGS: Final = frozenset({"email_verified", "phone_number_verified"})
_ADDRESS: Final = frozenset({"formatted", "street_address", "locality", "region", "postal_code", "country"})
"""The members of an address (§5.1.1)."""
Facts = Mapping[str, object]


def facts(user: User) -> dict[str, object]:
    """What is known of a person, by claim; of what is unknown, or not of the type that the claim has, nothing."""
    found = {name: value for name, value in user.profile.items() if name in STANDARD and _fits(name, value)}
    own = {"name": user.name, "email": user.email}
    told = {**found, **{name: value for name, value in own.items() if value}}
    # A flag says something about the claim beside it, and of nothing it says nothing.
    about = {name: name.removesuffix("_verified") in told for name in _FLAGS}
    return {name: value for name, value in told.items() if about.get(name, True)}


def by_scopes(known: Facts, scopes: Collection[str]) -> dict[str, object]:
    """What these scopes let a client know (§5.4)."""
    wanted = of_scopes(scopes)
    return {name: value for name, value in known.items() if name in wanted}


def by_name(known: Facts, wanted: Mapping[str, Wanted]) -> dict[str, object]:
    """What was asked for by name (§5.5); a claim of another value than was asked for is left out (§5.5.1)."""
    return {name: known[name] for name, how in wanted.items() if name in known and _would_do(known[name], how)}


def is_another(asked: ClaimsRequest, sub: str) -> bool:
    """Whether a request wants a certain person, and this is not that one; `sub` is the one that the client sees.

    Then nothing may be answered about this person (§5.5.1): it is as if nobody were signed in.
    """
    return any(not _would_do(sub, how) for where in (asked.id_token, asked.userinfo) if (how := where.get("sub")))


def _would_do(value: object, how: Wanted) -> bool:
    return not how.values or any(_equal(value, wished) for wished in how.values)


def _equal(value: object, wished: Value) -> bool:
    """As in JSON: `true` is not 1."""
    return value == wished and isinstance(value, bool) == isinstance(wished, bool)


def _fits(name: str, value: object) -> bool:
    if name in _FLAGS:
        return isinstance(value, bool)
    if name == "updated_at":
        return isinstance(value, int | float) and not isinstance(value, bool)
    if name == "address":
        return _is_address(value)
    return _is_text(value)


def _is_address(value: object) -> bool:
    """Some of the members that an address has, and no other."""
    if not isinstance(value, Mapping) or not value:
        return False
    return value.keys() <= _ADDRESS and all(_is_text(part) for part in value.values())


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""
