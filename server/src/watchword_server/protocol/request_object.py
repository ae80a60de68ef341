"""Request objects (RFC 9101, OpenID Connect Core §6): what a client asks for, signed by it.

Signed ones only: nobody can tell who made any other. What is signed counts, and nothing that stands beside it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from watchword.errors import InvalidToken
from watchword.jose import jws, jwt
from watchword.jose.b64 import unb64url
from watchword.jose.jwk import PublicKey
from watchword.jose.kinds import Kind
from watchword_server.protocol.authorization import PARAMETERS
from watchword_server.protocol.errors import InvalidRequestObject
from watchword_server.protocol.registration import ALGORITHMS

TYPES: Final = frozenset((Kind.REQUEST_OBJECT.value, f"application/{Kind.REQUEST_OBJECT}", Kind.ID_TOKEN.lower(), ""))
"""Spellings of `typ`, in lower case. Clients of OpenID Connect write the usual one, or none (§6.1); so what else a
client signs with its keys is told apart by its claims (RFC 9101 §10.8)."""
LIMIT: Final = 64 * 1024
"""Bytes of the longest one."""
LEEWAY: Final = 60
"""Seconds by which a client's clock may be ahead of ours."""
AHEAD: Final = 10 * 60
"""Seconds for which one may be good, at most, if it says so: it is made for one request."""


class Hint(NamedTuple):
    """By which key it says that it was signed: not to be believed, but to be looked for."""

    alg: str
    kid: str


class Reading(NamedTuple):
    """What one is read against. `issuer` is who it must be for; `expires`: it has to say until when."""

    client_id: str
    issuer: str
    expires: bool


def signed_by(text: str | bytes, alg: str | None) -> Hint:
    """The algorithm and the `kid` of its header, nothing verified. `alg` is the only one that the client uses, if any.

    Raises InvalidRequestObject: for an unsigned one and an encrypted one as well.
    """
    try:
        header, *_ = jws.segments(text, LIMIT)
        if len(header) > jws.MAX_HEADER:
            raise InvalidRequestObject("header is too long")
        said = jwt.claims(unb64url(header))
    except InvalidToken as error:
        raise InvalidRequestObject(f"not a signed request object: {error}") from error
    found, kid = said.get("alg"), said.get("kid", "")
    if not isinstance(found, str) or found not in ALGORITHMS or not isinstance(kid, str):
        raise InvalidRequestObject("request object is unsigned, or signed in a way that is not taken")
    if alg not in (None, found):
        raise InvalidRequestObject("request object is signed by another algorithm than the client has registered")
    return Hint(found, kid)


def opened(text: str | bytes, keys: Mapping[str, PublicKey], on: Reading, now: int) -> Mapping[str, str]:
    """The parameters inside, as they would stand in a form. `now` is in seconds. Raises InvalidRequestObject."""
    try:
        _, payload = jws.verify(text, keys, TYPES, LIMIT)
        members = jwt.claims(payload)
    except InvalidToken as error:
        raise InvalidRequestObject(f"not a request object of this client: {error}") from error
    _must_be_for_us(members, on)
    _must_be_current(members, on.expires, now)
    inside = {name: _text(name, members[name]) for name in PARAMETERS & members.keys()}
    return {name: value for name, value in inside.items() if value}


def place(registered: Collection[str], given: str) -> str | None:
    """Where a registered `request_uri` lies; None for any other.

    All of it is compared but the fragment, which says of which version the client speaks (OpenID Connect Core §6.2),
    and which no server ever sees.
    """
    url, _, _ = given.partition("#")
    return url if any(url == one.partition("#")[0] for one in registered) else None


def _must_be_for_us(members: Mapping[str, Any], on: Reading) -> None:
    if members.get("iss") != on.client_id:
        raise InvalidRequestObject("iss is not the client")
    if members.get("client_id") != on.client_id:  # RFC 9101 §5
        raise InvalidRequestObject("client_id inside is not the one outside")
    if members.get("sub") == on.client_id:  # then it is a client's assertion of itself (RFC 9101 §10.8)
        raise InvalidRequestObject("sub is the client")
    aud = members.get("aud")
    if on.issuer not in (aud if isinstance(aud, list) else [aud]):
        raise InvalidRequestObject("aud is not this issuer")
    if not members.keys().isdisjoint({"request", "request_uri"}):
        raise InvalidRequestObject("a request object within a request object (RFC 9101 §4)")


def _must_be_current(members: Mapping[str, Any], expires: bool, now: int) -> None:
    exp, nbf, iat = (_time(members, name) for name in ("exp", "nbf", "iat"))
    if exp is None and expires:
        raise InvalidRequestObject("exp is missing")
    if exp is not None and not now < exp <= now + AHEAD + LEEWAY:
        raise InvalidRequestObject("request object has expired, or is good for too long")
    if any(begin is not None and begin > now + LEEWAY for begin in (nbf, iat)):
        raise InvalidRequestObject("nbf or iat is in the future")


def _time(members: Mapping[str, Any], name: str) -> float | None:
    if name not in members:
        return None
    found = members[name]
    if not isinstance(found, int | float) or isinstance(found, bool) or not abs(found) < 2**53:  # no date, and no float
        raise InvalidRequestObject(f"{name} is not a time")
    return found


def _text(name: str, value: object) -> str:
    """A member as the parameter of that name is written in a form: there, numbers and objects are text (§6.1)."""
    match value:
        case str():
            return value
        case int() if name == "max_age" and not isinstance(value, bool):
            return str(value)
        case dict() if name == "claims":
            return msgspec.json.encode(value).decode()
    raise InvalidRequestObject(f"{name} inside is of a type that it cannot have")
