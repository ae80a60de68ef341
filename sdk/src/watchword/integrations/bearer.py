"""What every framework shares: the token out of a request, and a refusal as status, headers and body.

Nothing of a framework is imported here. An integration hands in the few parts of a request that count, and
turns a Refusal into its own kind of response.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple
from urllib.parse import parse_qsl

from watchword.dpop import ALGS, Presented
from watchword.errors import (
    BadLifetime,
    BadSignature,
    Blind,
    CannotDecide,
    Expired,
    InsufficientAuthentication,
    InsufficientScope,
    InvalidProof,
    InvalidRequest,
    InvalidToken,
    Malformed,
    Misconfigured,
    MissingToken,
    NonceRequired,
    NotYetValid,
    Revoked,
    UntrustedOrigin,
    WatchwordError,
    WrongAudience,
    WrongConfirmation,
)
from watchword.exchanging import is_api_key
from watchword.wire.metadata import checked, origin

SAFE: Final = frozenset(("GET", "HEAD", "OPTIONS"))
"""Methods that change nothing, so that a foreign page gains nothing by them (RFC 9110 §9.2.1, less TRACE)."""
_SHOWN: Final = re.compile(r"(?:bearer|dpop) +(?P<token>[A-Za-z0-9._~+/-]+=*)", re.IGNORECASE)
_SCHEME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


@dataclass(frozen=True, slots=True)
class Carriers:
    """How an API lets tokens come: in the `Authorization` header, and where `cookie` names one, in that cookie.

    `origins` are the pages whose unsafe requests and WebSockets may use the cookie (`https://app.example`). With
    `public_url`, what clients put before a request's path (`https://api.example`), tokens that are bound to a key may
    come with a proof of it (RFC 9449). `trust_host` takes scheme and host from the request itself instead: only where
    nothing but this API can be reached under any name that a request may give. `api_key_header` names a header in
    which customers may send their API keys (`X-API-Key`), beside `Authorization`. Raises Misconfigured.
    """

    cookie: str | None = None
    origins: frozenset[str] = frozenset()
    public_url: str | None = None
    trust_host: bool = False
    api_key_header: str | None = None

    def __post_init__(self) -> None:
        if self.public_url is not None and set("?#") & set(checked(self.public_url, "public_url")):
            raise Misconfigured("public_url must not have a query or a fragment")
        if self.cookie is not None and not _SCHEME.fullmatch(self.cookie):
            raise Misconfigured("cookie is not a name that a cookie can have")
        if self.api_key_header is not None and not _SCHEME.fullmatch(self.api_key_header):
            raise Misconfigured("api_key_header is not a name that a header can have")
        if self.origins and self.cookie is None:
            raise Misconfigured("origins are for a cookie: name it, or leave them out")
        for each in self.origins:
            if origin(checked(each, "each of origins")) != each:
                raise Misconfigured(f"{each} is not an origin: scheme, host and port only")

    @property
    def dpop(self) -> bool:
        """Whether tokens that are bound to a key can come."""
        return self.public_url is not None or self.trust_host


@dataclass(frozen=True, slots=True)
class Bearing:
    """The parts of a request that count; every header with all the values that came."""

    method: str
    authorization: tuple[str, ...] = ()
    cookie: tuple[str, ...] = ()
    origin: tuple[str, ...] = ()
    query: str = ""
    is_websocket: bool = False
    dpop: tuple[str, ...] = ()
    path: str = ""
    """As it stood in the request, still encoded."""
    host: str = ""
    """Scheme and host as the request has them: what a client says, not what is true."""
    api_key: tuple[str, ...] = ()
    """What came in the header that Carriers names for API keys."""


class Carried(NamedTuple):
    """A token, and the proof that came with it when it was sent as one that is bound to a key."""

    token: str
    proof: Presented | None = None


@dataclass(frozen=True, slots=True)
class Offer:
    """What a refused request is told besides why: how tokens may come here.

    `scheme` is the one that the request has used; `nonce` is for its next proof; `parameters` are more of the
    challenge's, each a name with its value.
    """

    dpop: bool = False
    scheme: Literal["Bearer", "DPoP"] = "Bearer"
    nonce: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error as HTTP (RFC 6750 §3)."""

    status: int
    headers: dict[str, str]
    body: dict[str, str]


def carried(bearing: Bearing, carriers: Carriers) -> Carried:
    """The one token of a request, with its proof.

    Raises MissingToken, InvalidRequest, UntrustedOrigin, and InvalidProof or WrongConfirmation.
    """
    if bearing.query and any(name == "access_token" for name, _ in parse_qsl(bearing.query, keep_blank_values=True)):
        raise InvalidRequest("a token in the query, where every log keeps it")
    scheme, shown = _in_header(bearing.authorization, carriers)
    baked = _in_cookie(bearing.cookie, carriers.cookie)
    if shown and baked:
        raise InvalidRequest("a token in the header and another in the cookie")
    if bearing.api_key and carriers.api_key_header is not None:
        if shown or baked:
            raise InvalidRequest("a token beside an API key")
        shown = _api_key_in(bearing.api_key)
    if scheme == "dpop":
        return Carried(shown, _proof_in(bearing, carriers))
    if baked:
        _must_come_from_us(bearing, carriers.origins)
    token = shown or baked
    if not token:
        raise MissingToken("no token was sent")
    if bearing.dpop:  # RFC 9449 §7.2: whoever has a proof says so, or it could be left out on the way
        raise WrongConfirmation("a proof came with a token that was not sent as one that is bound")
    return Carried(token)


def scheme_of(bearing: Bearing) -> Literal["Bearer", "DPoP"]:
    """How a request has sent its token: in the answer, errors stand with that scheme."""
    return "DPoP" if bearing.authorization and _is_dpop(bearing.authorization[0]) else "Bearer"


def _is_dpop(authorization: str) -> bool:
    return authorization.partition(" ")[0].lower() == "dpop"


def _in_header(values: tuple[str, ...], carriers: Carriers) -> tuple[str, str]:
    """The scheme and the token in `Authorization` (RFC 6750 §2.1, RFC 9449 §7.1); empty for none, or another scheme."""
    if len(values) > 1:
        raise InvalidRequest("more than one Authorization header")
    if not values:
        return "", ""
    found = _SCHEME.match(values[0])
    if found is None:
        raise InvalidRequest("an Authorization header without a scheme")
    scheme = found[0].lower()
    if scheme != "bearer" and not (scheme == "dpop" and carriers.dpop):
        return "", ""
    shown = _SHOWN.fullmatch(values[0])
    if shown is None:
        raise InvalidRequest("an Authorization header that says Bearer or DPoP and holds no token")
    return scheme, shown["token"]


def _proof_in(bearing: Bearing, carriers: Carriers) -> Presented:
    """The one proof of a request, and the address that it has to be for (RFC 9449 §4.3).

    Forwarded headers have no say: anybody can send them.
    """
    if len(bearing.dpop) != 1:
        raise InvalidProof("no DPoP header, or more than one")
    before = bearing.host if carriers.public_url is None else carriers.public_url.rstrip("/")
    return Presented(bearing.dpop[0], "GET" if bearing.is_websocket else bearing.method, before + bearing.path)


def _api_key_in(values: tuple[str, ...]) -> str:
    """The one API key of a request. No other token may come in its header."""
    if len(values) > 1:
        raise InvalidRequest("more than one API key")
    if not is_api_key(values[0]):
        raise Malformed("not an API key")
    return values[0]


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
    (InvalidProof, "the proof of the key that the token is bound to is not good for this request"),
    (NonceRequired, "make another proof, with the nonce of this answer"),
    (WrongConfirmation, "the token is bound to a key that was not proven, or to none"),
    (InvalidToken, "the token is not accepted here"),
    (InvalidRequest, "send one token, in the Authorization header as: Bearer TOKEN"),
    (InsufficientScope, "the token lacks a scope that is needed here"),
    (InsufficientAuthentication, "this needs a sign-in that is better or more recent"),
    (UntrustedOrigin, "the page that made this request is not one of this API's"),
    (Blind, "it cannot be told now whether the token was revoked; try again"),
    (CannotDecide, "it cannot be told now whether the token is good; try again"),
)


def refusal(error: WatchwordError, offer: Offer = Offer()) -> Refusal:
    """The one place where a refusal becomes HTTP. Errors that are the program's own fault are raised again."""
    words = next((words for kind, words in _WORDS if isinstance(error, kind)), None)
    if words is None:
        raise error
    headers = {"Cache-Control": "no-store"}
    if isinstance(error, CannotDecide):
        headers["Retry-After"] = str(error.retry_after)
    elif not isinstance(error, UntrustedOrigin):
        headers["WWW-Authenticate"] = challenge(error, words, offer)
    if offer.nonce:
        headers["DPoP-Nonce"] = offer.nonce
    return Refusal(error.status, headers, {"error": error.code or "missing_token", "error_description": words})


def challenge(error: WatchwordError, words: str, offer: Offer) -> str:
    """The value of `WWW-Authenticate`: the error under the scheme of the request, then how else tokens may come."""
    said = {**_said(error, words), **offer.parameters}
    algs = {"algs": " ".join(ALGS)}
    if offer.scheme == "DPoP" and offer.dpop:
        return _written("DPoP", {**said, **algs})
    bearer = _written("Bearer", said)
    return f"{bearer}, {_written('DPoP', {**offer.parameters, **algs})}" if offer.dpop else bearer


def _said(error: WatchwordError, words: str) -> dict[str, str]:
    if not error.code:  # RFC 6750 §3.1: who sent nothing hears no error code
        return {}
    said = {"error": error.code, "error_description": words}
    if isinstance(error, InsufficientScope) and error.scopes:
        said["scope"] = " ".join(error.scopes)
    if isinstance(error, InsufficientAuthentication):  # RFC 9470 §3
        if error.acr_values:
            said["acr_values"] = " ".join(error.acr_values)
        if error.max_age is not None:
            said["max_age"] = str(error.max_age)
    return said


def _written(scheme: str, parameters: Mapping[str, str]) -> str:
    """A challenge (RFC 9110 §11.6.1), every value as a quoted string."""
    pairs = (f'{name}="{_ESCAPED.sub(lambda found: chr(92) + found[0], value)}"' for name, value in parameters.items())
    return f"{scheme} {', '.join(pairs)}".rstrip()


_ESCAPED: Final = re.compile(r'["\\]')
