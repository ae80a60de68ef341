"""What every framework shares: the token out of a request, and a refusal as status, headers and body.

Nothing of a framework is imported here. An integration hands in the few parts of a request that count, and
turns a Refusal into its own kind of response.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

from watchword.errors import (
    BadLifetime,
    BadSignature,
    Blind,
    CannotDecide,
    Expired,
    InsufficientScope,
    InvalidRequest,
    InvalidToken,
    Malformed,
    Misconfigured,
    MissingToken,
    NotYetValid,
    Revoked,
    UntrustedOrigin,
    WatchwordError,
    WrongAudience,
)
from watchword.wire.metadata import checked, origin

SAFE: Final = frozenset(("GET", "HEAD", "OPTIONS"))
"""Methods that change nothing, so that a foreign page gains nothing by them (RFC 9110 §9.2.1, less TRACE)."""
_BEARER: Final = re.compile(r"bearer(?: +(?P<token>[A-Za-z0-9._~+/-]+=*))?", re.IGNORECASE)
_SCHEME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


@dataclass(frozen=True, slots=True)
class Carriers:
    """How an API lets tokens come: in the `Authorization` header, and where `cookie` names one, in that cookie.

    `origins` are the pages whose unsafe requests and WebSockets may use the cookie (`https://app.example`).
    Raises Misconfigured.
    """

    cookie: str | None = None
    origins: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if self.cookie is not None and not _SCHEME.fullmatch(self.cookie):
            raise Misconfigured("cookie is not a name that a cookie can have")
        if self.origins and self.cookie is None:
            raise Misconfigured("origins are for a cookie: name it, or leave them out")
        for each in self.origins:
            if origin(checked(each, "each of origins")) != each:
                raise Misconfigured(f"{each} is not an origin: scheme, host and port only")


@dataclass(frozen=True, slots=True)
class Bearing:
    """The parts of a request that count; every header with all the values that came."""

    method: str
    authorization: tuple[str, ...] = ()
    cookie: tuple[str, ...] = ()
    origin: tuple[str, ...] = ()
    query: str = ""
    is_websocket: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error as HTTP (RFC 6750 §3)."""

    status: int
    headers: dict[str, str]
    body: dict[str, str]


def token_in(bearing: Bearing, carriers: Carriers) -> str:
    """The one token of a request. Raises MissingToken, InvalidRequest or UntrustedOrigin."""
    if bearing.query and any(name == "access_token" for name, _ in parse_qsl(bearing.query, keep_blank_values=True)):
        raise InvalidRequest("a token in the query, where every log keeps it")
    shown, baked = _in_header(bearing.authorization), _in_cookie(bearing.cookie, carriers.cookie)
    if shown and baked:
        raise InvalidRequest("a token in the header and another in the cookie")
    if baked:
        _must_come_from_us(bearing, carriers.origins)
    token = shown or baked
    if not token:
        raise MissingToken("no token was sent")
    return token


def _in_header(values: tuple[str, ...]) -> str:
    """The token in `Authorization` (RFC 6750 §2.1); empty when there is none, or another scheme."""
    if len(values) > 1:
        raise InvalidRequest("more than one Authorization header")
    if not values:
        return ""
    scheme = _SCHEME.match(values[0])
    if scheme is None:
        raise InvalidRequest("an Authorization header without a scheme")
    if scheme[0].lower() != "bearer":
        return ""
    found = _BEARER.fullmatch(values[0])
    if found is None or found["token"] is None:
        raise InvalidRequest("an Authorization header that says Bearer and holds no token")
    return found["token"]


def _in_cookie(values: Iterable[str], name: str | None) -> str:
    """The value of the one cookie of that name (RFC 6265 §5.4); empty when there is none."""
    if name is None:
        return ""
    pairs = (pair.strip().partition("=") for value in values for pair in value.split(";"))
    found = [value for key, _, value in pairs if key == name]
    if len(found) > 1:  # another host of the same site may plant a second one
        raise InvalidRequest("the cookie came more than once")
    return found[0] if found else ""


def _must_come_from_us(bearing: Bearing, origins: frozenset[str]) -> None:
    """Browsers send cookies with requests that any page makes, so an unsafe one must say which page made it."""
    if bearing.method in SAFE and not bearing.is_websocket:
        return
    if len(bearing.origin) != 1 or bearing.origin[0] not in origins:
        raise UntrustedOrigin("a cookie with an unsafe request whose Origin is missing or not listed")


# The first row that fits speaks; what exactly was wrong with a bad token is for the log.
_WORDS: Final[tuple[tuple[type[WatchwordError], str], ...]] = (
    (MissingToken, "this needs an access token"),
    (Expired, "the token has expired"),
    (NotYetValid, "the token is not valid yet"),
    (Revoked, "the token was revoked"),
    (WrongAudience, "the token is for another API"),
    (BadLifetime, "the token lives longer than its issuer allows"),
    (Malformed, "this is not an access token"),
    (BadSignature, "the signature of the token is wrong"),
    (InvalidToken, "the token is not accepted here"),
    (InvalidRequest, "send one token, in the Authorization header as: Bearer TOKEN"),
    (InsufficientScope, "the token lacks a scope that is needed here"),
    (UntrustedOrigin, "the page that made this request is not one of this API's"),
    (Blind, "it cannot be told now whether the token was revoked; try again"),
    (CannotDecide, "it cannot be told now whether the token is good; try again"),
)


def refusal(error: WatchwordError) -> Refusal:
    """The one place where a refusal becomes HTTP. Errors that are the program's own fault are raised again."""
    words = next((words for kind, words in _WORDS if isinstance(error, kind)), None)
    if words is None:
        raise error
    headers = {"Cache-Control": "no-store"}
    if isinstance(error, CannotDecide):
        headers["Retry-After"] = str(error.retry_after)
    elif not isinstance(error, UntrustedOrigin):
        headers["WWW-Authenticate"] = _challenge(error, words)
    return Refusal(error.status, headers, {"error": error.code or "missing_token", "error_description": words})


def _challenge(error: WatchwordError, words: str) -> str:
    if not error.code:  # RFC 6750 §3.1: who sent nothing hears no error code
        return "Bearer"
    challenge = f'Bearer error="{error.code}", error_description="{words}"'
    if isinstance(error, InsufficientScope) and error.scopes:
        challenge += f', scope="{" ".join(error.scopes)}"'
    return challenge
