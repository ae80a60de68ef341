"""JWTs of other issuers that an operator trusts, to be exchanged for tokens of ours (RFC 8693, RFC 7519)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from watchword.errors import InvalidToken
from watchword.jose import jws, jwt
from watchword.jose.b64 import unb64url
from watchword.jose.jwk import PublicKey
from watchword.jose.kinds import Kind
from watchword_server.protocol.errors import UnacceptableToken
from watchword_server.protocol.registration import ALGORITHMS

LIMIT: Final = 16 * 1024
"""Bytes of the longest one."""
_COMMON: Final = (Kind.ACCESS_TOKEN.value, Kind.ID_TOKEN.lower())
TYPES: Final = frozenset(("", *_COMMON, *(f"application/{typ}" for typ in _COMMON)))
"""What others write into `typ`, in lower case; what has a type of its own, such as a logout token, is none of these."""
LEEWAY: Final = 60
"""Seconds by which another's clock may be ahead of ours."""
LONGEST: Final = 24 * 3600
"""Seconds for which one may be good: what its issuer takes back in that time is not heard of here."""
MOST_ACTORS: Final = 8
MARK: Final = "#"
"""Stands between another's issuer and its `sub`. An issuer's URL has none, nor has a name of ours."""
LONGEST_NAME: Final = 256


class Trust(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator says of another issuer: for whom its tokens must be, who may bring them, what they are worth."""

    issuer: str
    audience: str
    clients: tuple[str, ...]
    scopes: tuple[str, ...]
    jwks: Mapping[str, object] | None = None
    jwks_uri: str | None = None


class Hint(NamedTuple):
    """What a token says of itself: not to be believed, but to be looked for."""

    iss: str
    alg: str
    kid: str


class Foreign(msgspec.Struct, frozen=True, kw_only=True):
    """A token that was found good. Seconds since 1970."""

    name: str
    """The subject, as it is called here."""
    digest: bytes
    """The SHA-256 of its claims: another for each token."""
    expires_at: int
    act: Mapping[str, object] | None = None
    may_act: Mapping[str, object] | None = None
    jkt: str | None = None
    """The key that it is bound to (RFC 9449 §6.1)."""


def hint(text: str) -> Hint:
    """Whose it says it is, nothing verified. Raises UnacceptableToken."""
    try:
        header, payload, *_ = jws.segments(text, LIMIT)
        said, members = jwt.claims(unb64url(header)), jwt.claims(unb64url(payload))
    except InvalidToken as error:
        raise UnacceptableToken(f"not a JWT: {error}") from error
    iss, alg, kid = members.get("iss"), said.get("alg"), said.get("kid", "")
    if not isinstance(iss, str) or not isinstance(alg, str) or alg not in ALGORITHMS or not isinstance(kid, str):
        raise UnacceptableToken("a JWT without issuer, or signed in a way that is not taken")
    return Hint(iss, alg, kid)


def opened(text: str, keys: Mapping[str, PublicKey], trust: Trust, now: int) -> Foreign:
    """What a token of a trusted issuer says. `now` is in seconds. Raises UnacceptableToken."""
    try:
        _, payload = jws.verify(text, keys, TYPES, LIMIT)
        members = jwt.claims(payload)
    except InvalidToken as error:
        raise UnacceptableToken(f"not a token of that issuer: {error}") from error
    if members.get("iss") != trust.issuer:
        raise UnacceptableToken("iss is another")
    if members.get("aud") not in (trust.audience, [trust.audience]):  # what is for others too, they could bring here
        raise UnacceptableToken("aud is not this issuer alone")
    return Foreign(
        name=name(trust.issuer, members.get("sub")),
        digest=hashlib.sha256(payload).digest(),
        expires_at=_current(members, now),
        act=_acting(trust.issuer, members),
        may_act=_may_act(members),
        jkt=_bound(members),
    )


def name(issuer: str, sub: object) -> str:
    """What somebody else's subject is called here: nobody of ours is ever called so. Raises UnacceptableToken."""
    if not isinstance(sub, str) or not sub or not sub.isprintable():
        raise UnacceptableToken("sub is missing, or no name")
    found = f"{issuer}{MARK}{sub}"
    if len(found) > LONGEST_NAME:
        raise UnacceptableToken("sub is too long")
    return found


def mark(foreign: Foreign, client_id: str) -> str:
    """The id of the grant that stands for a token in the hands of a client: however often that brings it, one."""
    return hashlib.sha256(foreign.digest + client_id.encode()).hexdigest()[:32]


def is_foreign(sub: str) -> bool:
    """Whether this is how `name` calls somebody."""
    return MARK in sub


def _current(members: Mapping[str, Any], now: int) -> int:
    """When it expires. All dates are demanded but `nbf`, which many do not write."""
    exp, iat = _date(members, "exp"), _date(members, "iat")
    nbf = _date(members, "nbf") if "nbf" in members else iat
    if not now < exp:
        raise UnacceptableToken("exp has passed")
    if max(iat, nbf) > now + LEEWAY:
        raise UnacceptableToken("iat or nbf lies in the future")
    if not 0 < exp - iat <= LONGEST:
        raise UnacceptableToken("lives for longer than a day")
    return int(exp)


def _date(members: Mapping[str, Any], name: str) -> float:
    found = members.get(name)
    if not isinstance(found, int | float) or isinstance(found, bool) or not abs(found) < 2**53:  # no date, and no float
        raise UnacceptableToken(f"{name} is missing, or no time")
    return found


def _acting(issuer: str, members: Mapping[str, Any]) -> Mapping[str, object] | None:
    return _actor(issuer, members["act"], MOST_ACTORS) if "act" in members else None


def _actor(issuer: str, act: object, most: int) -> Mapping[str, object]:
    """Who acts, and who acted before (RFC 8693 §4.1), each with the issuer that says so."""
    if not isinstance(act, dict) or not most:
        raise UnacceptableToken("act is not a chain of actors")
    iss, sub = act.get("iss", issuer), act.get("sub")
    if not isinstance(iss, str) or not isinstance(sub, str):
        raise UnacceptableToken("act is not a chain of actors")
    mine: dict[str, object] = {"iss": iss, "sub": sub}
    return {**mine, "act": _actor(issuer, act["act"], most - 1)} if "act" in act else mine


def _may_act(members: Mapping[str, Any]) -> Mapping[str, object] | None:
    if "may_act" not in members:
        return None
    if not isinstance(members["may_act"], dict):
        raise UnacceptableToken("may_act is not an actor")
    return members["may_act"]


def _bound(members: Mapping[str, Any]) -> str | None:
    if "cnf" not in members:
        return None
    cnf = members["cnf"]
    if not isinstance(cnf, dict) or list(cnf) != ["jkt"] or not isinstance(cnf["jkt"], str):
        raise UnacceptableToken("bound in a way that cannot be proven here")
    return cnf["jkt"]
