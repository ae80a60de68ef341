"""Tokens that a client signs itself, for one API, and the document of that client by which they are judged.

Such a token chooses its own times and names, so what takes it back is never it but what it stands on: the client and
its key. It carries no `rev`; its document does, which the issuer wrote after it had read that much of its log.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Annotated, Any, Final, NamedTuple

import msgspec

from watchword.errors import (
    BadLifetime,
    CannotDecide,
    Expired,
    InvalidKey,
    Malformed,
    NotYetValid,
    Revoked,
    UnknownKey,
    WrongAudience,
    WrongConfirmation,
    WrongIssuer,
)
from watchword.jose.b64 import unb64url
from watchword.jose.jwk import PublicKey, key_set
from watchword.jose.jws import must_be_strict, read_header, segments, type_said
from watchword.jose.jwt import BAD_BYTES, claims
from watchword.jose.kinds import CLIENT_TOKEN_LIFETIME, Kind
from watchword.policy import MAX_TOKEN, Policy, Principal, Verified

LONGEST_FRESH: Final = 300
"""Seconds for which a document is believed at most, whatever it says: revocations are remembered for longer."""
SHORTEST_FRESH: Final = 5
"""Seconds for which it is believed at least."""
CLIENT_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
"""Names of clients that may sign tokens: those that an issuer gives, which are never a URL."""

_MOST_HEADERS: Final = 64
_MOST_KNOWN: Final = 4096
_LAST_SECOND: Final = 253_402_300_799  # of the year 9999
_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
_Date = Annotated[int, msgspec.Meta(ge=0, le=_LAST_SECOND)] | Annotated[float, msgspec.Meta(ge=0, le=_LAST_SECOND)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class _Claims(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The claims that decide, in the order in which `watchword.client` writes them. Another type is a refusal."""

    iss: _Text
    sub: _Text
    aud: Annotated[str, msgspec.Meta(min_length=1, max_length=2048)]
    exp: _Date
    iat: _Date
    jti: _Text
    scope: str | msgspec.UnsetType = msgspec.UNSET
    nbf: _Date = 0
    cnf: Any = msgspec.UNSET


class _Written(msgspec.Struct, frozen=True):
    """A document as it comes; members that are not known are ignored."""

    client_id: _Text
    jwks: dict[str, Any]
    rev: _Count
    fresh_for: _Count
    scope: str = ""
    revoked_at: _Count = 0


_decode: Final = msgspec.json.Decoder(_Claims).decode
_encode: Final = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class ClientDocument:
    """What an issuer says of a client to one API: the keys that it signs with, by `kid`, and the scopes that it has.

    The keys are named `{client_id}/{kid}`, as in the revocation log. `rev` is what the issuer had read of that log.
    What the client issued at `revoked_at` (seconds) or before is dead. It may be kept for `fresh_for` seconds.
    """

    client_id: str
    keys: Mapping[str, PublicKey]
    scope: str
    rev: int
    revoked_at: int
    fresh_for: int
    headers: dict[bytes, PublicKey] = field(default_factory=dict, repr=False, compare=False)
    """Headers that were found good under exactly these keys."""


class Standing(NamedTuple):
    """A document and the second until which it is believed; without one, that there is none: no such client signs."""

    document: ClientDocument | None
    until: float


class DocumentDue(UnknownKey):
    """The client's document is not at hand, or lacks the key: it has to be read, if it may be."""

    def __init__(self, message: str, client_id: str) -> None:
        super().__init__(message)
        self.client_id = client_id


def read_document(body: bytes, client_id: str) -> ClientDocument:
    """The document of this very client. Raises CannotDecide for anything else."""
    try:
        found = msgspec.convert(claims(body), _Written)
        keys = key_set(found.jwks)
    except (msgspec.ValidationError, Malformed, InvalidKey) as error:
        raise CannotDecide(f"the document of a client cannot be used: {error}") from error
    if found.client_id != client_id:
        raise CannotDecide("the document of another client came")
    named = {kid: replace(key, kid=f"{client_id}/{kid}") for kid, key in keys.items()}
    fresh_for = min(max(found.fresh_for, SHORTEST_FRESH), LONGEST_FRESH)
    return ClientDocument(client_id, named, found.scope, found.rev, found.revoked_at, fresh_for)


class ClientOpener:
    """Opens tokens that clients sign, under one policy. Safe to use from any number of threads.

    `find` gives how things stand with a client; None when that has to be asked first.
    """

    __slots__ = ("_find", "_known", "_policy")

    def __init__(self, policy: Policy, find: Callable[[str], Standing | None]) -> None:
        self._policy = policy
        self._find = find
        self._known: set[str] = set()

    def recognizes(self, token: str) -> bool:
        """Whether it calls itself such a token. That says who judges it, and no more."""
        header = token[: token.find(".")]
        return header in self._known or type_said(header) == Kind.CLIENT_TOKEN

    def open(self, token: str, now: float) -> Verified:
        """Verify such a token completely, but for revocation by the feed. `now` is in seconds since 1970.

        Who it says that it is from only says by whose document it is judged. Raises DocumentDue where that has to be
        read, and a subclass of InvalidToken for all that is wrong.
        """
        header, payload, signed, signature = segments(token, MAX_TOKEN)
        text = unb64url(payload)
        found = _read(text)
        starts, ends = _admitted(found, self._policy, now)
        document, until = self._standing(found.iss)
        key = document.headers.get(header)
        if key is None:
            key = _key_for(header, document)
            key.verify(signed, unb64url(signature))
            must_be_strict(header)
            self._remember(token, header, key, document)
        else:
            key.verify(signed, unb64url(signature))
        if found.iat <= document.revoked_at:
            raise Revoked("issued before its client was revoked")
        principal = _principal(found, key.kid, text, document, self._policy)
        return Verified(principal, key, starts, min(ends, until), document=document)

    def still(self, verified: Verified, now: float) -> None:
        """Ask again what may have changed since `open`: the client's document, and the time. As `Opener.still`."""
        found = self._find(verified.principal.client_id)
        if found is None or found.document is not verified.document:
            raise UnknownKey("the client's document is another one by now")
        if not verified.starts <= now < verified.ends:
            _must_be_now(verified.starts, verified.ends, now)

    def _standing(self, client_id: str) -> _Judge:
        if not CLIENT_ID.fullmatch(client_id):
            raise UnknownKey("iss is no client that signs tokens")
        found = self._find(client_id)
        if found is None:
            raise DocumentDue("the client's document is not at hand", client_id)
        if found.document is None:
            raise UnknownKey("no such client signs tokens for this API")
        return _Judge(found.document, found.until)

    def _remember(self, token: str, header: bytes, key: PublicKey, document: ClientDocument) -> None:
        """Only what was signed by a key of the document is remembered."""
        if len(document.headers) < _MOST_HEADERS:
            document.headers[header] = key
        if len(self._known) >= _MOST_KNOWN:
            self._known = set()
        self._known.add(token[: len(header)])


class _Judge(NamedTuple):
    document: ClientDocument
    until: float


def _key_for(header: bytes, document: ClientDocument) -> PublicKey:
    try:
        _, key = read_header(header, document.keys, (Kind.CLIENT_TOKEN,))
    except UnknownKey as error:
        raise DocumentDue("the client's document has no key of this kid", document.client_id) from error
    return key


def _read(payload: bytes) -> _Claims:
    """The claims, strictly: what is not written as a Struct writes it gets the longer look."""
    try:
        found = _decode(payload)
        if _encode(found) != payload:
            claims(payload)
    except BAD_BYTES as error:
        raise Malformed(f"claims that are no claims: {error}") from error
    return found


def _admitted(found: _Claims, policy: Policy, now: float) -> tuple[float, float]:
    """From when and until when the claims hold. They are cheap to ask, and so come before anything is fetched."""
    if found.sub != found.iss:
        raise WrongIssuer("a client signs for itself only: sub is not iss")
    if found.aud != policy.audience:
        raise WrongAudience("aud is not this API")
    if not 0 < found.exp - found.iat <= CLIENT_TOKEN_LIFETIME:
        raise BadLifetime(f"a client's own token lives {CLIENT_TOKEN_LIFETIME} seconds at most")
    if found.cnf is not msgspec.UNSET:
        raise WrongConfirmation("a client's own token is bound to no further key")
    starts, ends = max(found.iat, found.nbf) - policy.leeway, found.exp + policy.leeway
    _must_be_now(starts, ends, now)
    return starts, ends


def _must_be_now(starts: float, ends: float, now: float) -> None:
    if now >= ends:
        raise Expired("exp has passed")
    if now < starts:
        raise NotYetValid("nbf or iat lies in the future")


def _principal(found: _Claims, key_id: str, payload: bytes, document: ClientDocument, policy: Policy) -> Principal:
    scopes = _scopes(document.scope)
    if found.scope is not msgspec.UNSET:
        asked = _scopes(found.scope)
        if not asked <= scopes:
            raise Malformed("a scope that the client does not have at this API")
        scopes = asked
    return Principal(
        subject=document.client_id,
        client_id=document.client_id,
        scopes=scopes,
        roles=frozenset(),
        sid=None,
        gid=None,
        token_id=found.jti,
        rev=document.rev,
        key_id=key_id,
        issuer=policy.issuer,  # who vouches for the client
        audience=policy.audience,
        issued_at=found.iat,
        expires_at=found.exp,
        payload=payload,
    )


@lru_cache(maxsize=1024)
def _scopes(scope: str) -> frozenset[str]:
    scopes = frozenset(scope.split(" ") if scope else ())
    if "" in scopes:  # RFC 6749 §3.3: one space between two scopes
        raise Malformed("scope is not a list separated by single spaces")
    return scopes
