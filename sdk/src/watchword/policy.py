"""What a verifier demands of an access token (RFC 9068), and the way from its claims to a Principal or a refusal.

Two questions are asked of a token. `Opener.open` asks everything, once. `Opener.still` asks again at every
cached hit what time and key rotation can change. Revocation, the feed's freshness and the proof of the key that
a token is bound to are the verifier's to ask at both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple, NoReturn

import msgspec

from watchword.dpop import thumbprint_of
from watchword.errors import (
    BadLifetime,
    Expired,
    InsufficientAuthentication,
    InsufficientScope,
    Malformed,
    Misconfigured,
    NotYetValid,
    UnknownKey,
    WrongAudience,
    WrongConfirmation,
    WrongIssuer,
)
from watchword.jose.b64 import unb64url
from watchword.jose.jwk import PublicKey
from watchword.jose.jws import must_be_strict, read_header, segments
from watchword.jose.jwt import BAD_BYTES, claims
from watchword.jose.kinds import Kind

if TYPE_CHECKING:
    from watchword.jose.encryption_keys import DecryptionKey

MAX_TOKEN: Final = 16 * 1024
"""Bytes of the longest token that is looked at."""
ACCESS_TOKEN: Final = frozenset((Kind.ACCESS_TOKEN.value, f"application/{Kind.ACCESS_TOKEN}"))
"""The two spellings of the access token's type (RFC 9068 §2.1), compared without regard to case."""

_DOTS_OF_JWE: Final = 4
_MAX_HEADERS: Final = 256  # genuine headers differ by key only, so a few are all there ever are

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
_Url = Annotated[str, msgspec.Meta(min_length=1, max_length=2048)]
_LAST_SECOND: Final = 253_402_300_799  # of the year 9999: what lies beyond is no date, and would break arithmetic
_Whole = Annotated[int, msgspec.Meta(ge=0, le=_LAST_SECOND)]
_Fraction = Annotated[float, msgspec.Meta(ge=0, le=_LAST_SECOND)]
_Date = _Whole | _Fraction  # RFC 7519 §2: a NumericDate may have a fraction
_Lineage = Annotated[tuple[_Text, ...], msgspec.Meta(max_length=64)]


class _Claims(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The claims of RFC 9068 §2.2 that decide, with their types: another type, null too, is a refusal.

    In the order in which a Watchword issuer writes them, which makes reading them faster (see `_read`).
    """

    iss: _Url
    sub: _Text
    aud: _Url
    exp: _Date
    iat: _Date
    jti: _Text
    client_id: _Text
    rev: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] = 0  # none given is the oldest: every entry is later
    scope: str = ""
    sid: _Text = ""
    gid: _Text = ""
    roles: tuple[str, ...] = ()
    acr: _Text = ""
    auth_time: _Date = 0
    lineage: _Lineage = ()
    via: _Lineage = ()
    act: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    cnf: Any = msgspec.UNSET
    nbf: _Date = 0


_decode: Final = msgspec.json.Decoder(_Claims).decode
_encode: Final = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Policy:
    """What one API demands. `leeway` and `max_lifetime` are in seconds; `types` in lower case.

    `max_lifetime` bounds `exp` - `iat`: revocation entries are forgotten by it. Raises Misconfigured.
    """

    issuer: str
    audience: str
    leeway: int = 5
    max_lifetime: int = 86_400
    types: frozenset[str] = ACCESS_TOKEN

    def __post_init__(self) -> None:
        if not self.issuer or not self.audience:
            raise Misconfigured("a verifier needs the issuer and the audience that tokens must name")
        if not 0 <= self.leeway <= 300:
            raise Misconfigured("leeway is between 0 and 300 seconds")
        if self.max_lifetime <= 0:
            raise Misconfigured("max_lifetime is a positive number of seconds")
        if not self.types or any(not typ or typ != typ.lower() for typ in self.types):
            raise Misconfigured("types are media types in lower case, at least one")


class Principal(msgspec.Struct, frozen=True, gc=False):
    """Whom a verified token speaks for and what it may do. Times are in seconds since 1970.

    Shared between all requests that carry the same token, and therefore immutable.
    """

    subject: str
    client_id: str
    scopes: frozenset[str]
    roles: frozenset[str]
    sid: str | None
    gid: str | None
    token_id: str
    rev: int
    key_id: str
    issuer: str
    audience: str
    issued_at: float
    expires_at: float
    payload: bytes = b"{}"
    """The token's claims as they were signed."""
    acr: str | None = None
    """How well the person had to sign in (OpenID Connect Core §2); None where the token does not say."""
    auth_time: float | None = None
    """When the person last signed in."""
    lineage: tuple[str, ...] = ()
    """The ids of the grants that its own descends from, the nearest first, and of a token that one of them came of."""
    confirmation: str | None = None
    """The thumbprint of the key that the token is bound to (RFC 9449 §6.1), and that a request has to prove."""
    via: tuple[str, ...] = ()
    """The clients through whose hands it came before its own, the last one first."""

    @property
    def actor(self) -> Mapping[str, Any] | None:
        """Who acts for the subject, with those before it inside (`act`, RFC 8693 §4.1); None when nobody does."""
        found: Mapping[str, Any] | None = self.claims.get("act")
        return found

    @property
    def claims(self) -> Mapping[str, Any]:
        """All claims of the token, decoded anew (and so the caller's own) at every access."""
        found: dict[str, Any] = msgspec.json.decode(self.payload)
        return found

    def has(self, *scopes: str) -> bool:
        """Whether every one of these scopes was granted."""
        return self.scopes.issuperset(scopes)

    def require(self, *scopes: str) -> None:
        """Raises InsufficientScope unless every one of these scopes was granted (RFC 6750 §3.1)."""
        if not self.scopes.issuperset(scopes):
            raise InsufficientScope("the token lacks a scope that is needed here", scopes)

    def require_authentication(
        self, *, now: float, acr: tuple[str, ...] = (), max_age: timedelta | None = None
    ) -> None:
        """Raises InsufficientAuthentication unless the person signed in well and lately enough (RFC 9470 §3).

        `acr` are the values that will do, the best one first; `max_age` is the longest time since the sign-in; `now`
        is in seconds since 1970. A token that does not say is not enough. Raises Misconfigured when nothing is asked.
        """
        if isinstance(acr, str) or (not acr and max_age is None):  # of a string, any part would do
            raise Misconfigured("acr is a tuple of strings; it, max_age or both are to be given")
        seconds = None if max_age is None else int(max_age.total_seconds())
        if acr and self.acr not in acr:
            raise InsufficientAuthentication("the person did not sign in well enough", acr, seconds)
        if seconds is not None and (self.auth_time is None or now - self.auth_time > seconds):
            raise InsufficientAuthentication("the person signed in too long ago", acr, seconds)

    def has_role(self, *roles: str) -> bool:
        """Whether the subject has every one of these roles (RFC 9068 §2.2.3.1)."""
        return self.roles.issuperset(roles)

    def __repr__(self) -> str:
        return f"Principal(subject={self.subject!r}, client_id={self.client_id!r}, scopes={sorted(self.scopes)!r})"


class Trusted(NamedTuple):
    """Keys, and the headers that were found good under exactly these keys: one value, so that both change as one."""

    keys: Mapping[str, PublicKey]
    headers: dict[bytes, PublicKey]


class Verified(msgspec.Struct, gc=False):
    """A token that `Opener.open` has accepted, with what `Opener.still` asks again.

    `trusted` and `mark` say on what it was last found good: while the opener's and the revocation set's are the
    same objects, only time can have changed the answer.
    """

    principal: Principal
    key: PublicKey
    starts: float
    """From this second on it holds: the later of `nbf` and `iat`, less leeway."""
    ends: float
    """At this second it no longer holds: `exp` plus leeway."""
    trusted: Trusted | None = None
    mark: object = None
    document: object = None
    """The document of the client that has signed it itself; None for what the issuer has signed."""
    plain: bool = False
    """Whether it is as nearly all are: signed by the issuer, bound to no key, and come of no other."""


class Opener:
    """Opens access tokens under one policy. Safe to use from any number of threads.

    With decryption keys it opens encrypted ones as well. What is inside must be a signed access token all the same.
    """

    __slots__ = ("_decryption", "_policy", "trusted")

    def __init__(self, policy: Policy, decryption: Mapping[str, DecryptionKey] | None = None) -> None:
        self.trusted = Trusted({}, {})
        """Another object with every `trust`."""
        self._policy = policy
        self._decryption = decryption

    def trust(self, keys: Mapping[str, PublicKey]) -> None:
        """Trust these keys, and no others, from now on.

        A key that was trusted before stays the same object, so that tokens opened with it stay good in `still`.
        Raises Misconfigured for anything but public keys: a secret shared with a client signs no access tokens.
        """
        known = self.trusted.keys
        if not all(isinstance(key, PublicKey) for key in keys.values()):
            raise Misconfigured("access tokens are verified with public keys only")
        kept = {key.kid: known[key.kid] if known.get(key.kid) == key else key for key in keys.values()}
        self.trusted = Trusted(kept, {})

    def open(self, token: str, now: float, *, bound: bool = False) -> Verified:
        """Verify a token completely, but for revocation. `now` is in seconds since 1970.

        The order is decryption, header (`typ`, key, `alg`, no extensions), signature, `iss`, `aud`, `exp`, `nbf`,
        `iat`, lifetime, `cnf`. A token that is bound to a key is refused, unless `bound`: whoever says so has yet to
        ask for a proof by the key that `confirmation` names. Raises a subclass of InvalidToken, and nothing else
        whatever the token.
        """
        if not isinstance(token, str):
            raise Malformed("not a token")
        text: str | bytes = token
        if self._decryption is not None and len(token) <= MAX_TOKEN and token.count(".") == _DOTS_OF_JWE:
            text = _decrypted(token, self._decryption, self._policy)
        header, payload, signed, signature = segments(text, MAX_TOKEN)
        keys, headers = self.trusted
        key = headers.get(header)
        if key is None:
            _, key = read_header(header, keys, self._policy.types)
            key.verify(signed, unb64url(signature))
            must_be_strict(header)
            if len(headers) < _MAX_HEADERS:  # only now: what is remembered was signed by the trusted key
                headers[header] = key
        else:
            key.verify(signed, unb64url(signature))
        return _admit(unb64url(payload), key, self._policy, now, bound)

    def still(self, verified: Verified, now: float) -> None:
        """Ask again what may have changed since `open`: that the key is trusted, and the time.

        For every hit of a cache of Verified, together with revocation and freshness, which are asked elsewhere.
        Raises UnknownKey, Expired or NotYetValid. The policy itself never changes under an Opener: with a new
        policy comes a new Opener and an empty cache.
        """
        key = verified.key
        if self.trusted.keys.get(key.kid) is not key:
            raise UnknownKey("the key is no longer trusted")
        if not verified.starts <= now < verified.ends:
            _refuse_now(verified.ends, now)


def _decrypted(token: str, keys: Mapping[str, DecryptionKey], policy: Policy) -> bytes:
    """The nested JWT (RFC 7519 §5.2). Decryption proves nothing: whoever knows the public key can encrypt."""
    from watchword.jose.jwe import decrypt  # only here: it needs joserfc, which not everybody has

    return decrypt(token, keys, policy.types, MAX_TOKEN)[1]


def _read(payload: bytes) -> _Claims:
    """The claims, strictly: no member twice, at any level.

    What a Struct writes has none twice. So where writing gives the very bytes that were read, nothing is hidden
    in them; that is so for all tokens of a Watchword issuer. Any other spelling or claim gets the longer look.
    """
    try:
        found = _decode(payload)
        if _encode(found) != payload:
            claims(payload)
    except BAD_BYTES as error:
        raise Malformed(f"claims that are no claims: {error}") from error
    return found


def _admit(payload: bytes, key: PublicKey, policy: Policy, now: float, bound: bool) -> Verified:
    """Judge the claims of a token whose signature is good."""
    found = _read(payload)
    issued_at, expires_at = found.iat, found.exp
    starts, ends = _window(issued_at if issued_at >= found.nbf else found.nbf, expires_at, policy.leeway)
    if found.iss != policy.issuer:
        raise WrongIssuer("iss is not the issuer that is trusted")
    if found.aud != policy.audience:
        raise WrongAudience("aud is not this API")
    if not starts <= now < ends:
        _refuse_now(ends, now)
    if not 0 < expires_at - issued_at <= policy.max_lifetime:
        raise BadLifetime("lives longer than its issuer allows, or not at all")
    jkt = None if found.cnf is msgspec.UNSET else _thumbprint(found.cnf, bound)
    plain = jkt is None and not found.lineage and not found.via
    return Verified(_principal(found, key.kid, payload, policy, jkt), key, starts, ends, plain=plain)


def _thumbprint(cnf: object, bound: bool) -> str:
    """The one way in which a token may be bound; any other, or two, could not be held here (RFC 7800 §3.1)."""
    if not bound:
        raise WrongConfirmation("bound to a key, of which no proof was given")
    jkt = thumbprint_of(cnf)
    if jkt is None:
        raise WrongConfirmation("bound to something else than one key by its thumbprint")
    return jkt


def _refuse_now(ends: float, now: float) -> NoReturn:
    # >=, not >: RFC 7519 §4.1.4 refuses a token on its expiry second.
    if now >= ends:
        raise Expired("exp has passed")
    raise NotYetValid("nbf or iat lies in the future")


def _principal(found: _Claims, kid: str, payload: bytes, policy: Policy, jkt: str | None) -> Principal:
    return Principal(
        found.sub,
        found.client_id,
        _scopes(found.scope),
        _roles(found.roles),
        found.sid or None,
        found.gid or None,
        found.jti,
        found.rev,
        kid,
        policy.issuer,  # equal to the token's own, and one object for all of them
        policy.audience,
        found.iat,
        found.exp,
        payload,
        found.acr or None,
        found.auth_time or None,
        found.lineage,
        jkt,
        found.via,
    )


# Thousands of cached tokens share a few of these values, so each is kept once: what is one object stays near the
# processor, and asking a cached token again waits for memory less.
@lru_cache(maxsize=4096)
def _window(begins: float, expires: float, leeway: int) -> tuple[float, float]:
    return begins - leeway, expires + leeway


@lru_cache(maxsize=1024)
def _scopes(scope: str) -> frozenset[str]:
    scopes = frozenset(scope.split(" ") if scope else ())
    if "" in scopes:  # RFC 6749 §3.3: one space between two scopes
        raise Malformed("scope is not a list separated by single spaces")
    return scopes


@lru_cache(maxsize=1024)
def _roles(roles: tuple[str, ...]) -> frozenset[str]:
    return frozenset(roles)
