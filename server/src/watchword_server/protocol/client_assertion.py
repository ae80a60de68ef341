"""Assertions of clients: JWTs by which they say who they are, signed with a key or a secret (RFC 7521, RFC 7523).

As a way to authenticate (§2.2), and as a grant by itself (§2.1). The rules for `aud` are those of the revision
(draft-ietf-oauth-rfc7523bis): one string, which nobody but this issuer goes by.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from watchword.errors import InvalidToken
from watchword.jose import jws, jwt
from watchword.jose.b64 import unb64url
from watchword.jose.jws import VerifyingKey
from watchword.jose.kinds import Kind
from watchword_server.protocol import fapi2
from watchword_server.protocol.errors import InvalidClient
from watchword_server.protocol.registration import ALGORITHMS
from watchword_server.protocol.values import ClientMetadata

TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
"""What `client_assertion_type` says (RFC 7523 §2.2)."""
SECRET_JWT: Final = "client_secret_jwt"
PRIVATE_KEY_JWT: Final = "private_key_jwt"
ASSERTING: Final = (SECRET_JWT, PRIVATE_KEY_JWT)
"""Ways to authenticate by an assertion (OpenID Connect Core §9)."""
MACS: Final = ("HS256", "HS384", "HS512")
"""What a client signs with that signs with its secret."""
TYPES: Final = frozenset(
    (Kind.CLIENT_ASSERTION.value, f"application/{Kind.CLIENT_ASSERTION}", Kind.ID_TOKEN.lower(), "")
)
"""Spellings of `typ`, in lower case: its own, and what clients write that do not know it."""
GRANT_TYPES: Final = frozenset((Kind.ID_TOKEN.lower(), ""))
"""The same, for an assertion that is a grant: it has no `typ` of its own."""
LIMIT: Final = 8 * 1024
"""Bytes of the longest one."""
LONGEST_JTI: Final = 256
"""Characters."""
AHEAD: Final = 5 * 60
"""Seconds for which one may be good."""
LEEWAY: Final = 30
"""Seconds by which a client's clock may be ahead: more than 8 and less than 60 (FAPI 2.0 Security Profile §5.3.2.1)."""


class Claimed(NamedTuple):
    """Who it says that it is of, and by which key: not to be believed, but to be looked for."""

    client_id: str
    alg: str
    kid: str


class Reading(NamedTuple):
    """What one is read against: the client that it must be of, and whom it must be for."""

    client_id: str
    audience: str


class Believed(NamedTuple):
    """One that is good: what it is called, and until when (seconds) nobody else may use that name again."""

    jti: str
    until: int


def claimed(text: str) -> Claimed:
    """What it says of itself, nothing verified. Raises InvalidClient."""
    try:
        header, payload, *_ = jws.segments(text, LIMIT)
        if len(header) > jws.MAX_HEADER:
            raise InvalidClient("header is too long")
        head, body = jwt.claims(unb64url(header)), jwt.claims(unb64url(payload))
    except InvalidToken as error:
        raise InvalidClient(f"not an assertion: {error}") from error
    return Claimed(_text(body, "sub"), _text(head, "alg"), _text({"kid": "", **head}, "kid"))


def algorithms(metadata: ClientMetadata, asserting: str) -> tuple[str, ...]:
    """What a client may sign its assertions with; nothing where it has no such way. `asserting` is one of ASSERTING."""
    known: tuple[str, ...] = ()
    if asserting == PRIVATE_KEY_JWT:
        known = fapi2.ALGORITHMS if metadata.fapi2 else ALGORITHMS
    elif asserting == SECRET_JWT and not metadata.fapi2:
        known = MACS
    chosen = metadata.token_endpoint_auth_signing_alg
    return known if chosen is None else tuple(alg for alg in known if alg == chosen)


def audience(metadata: ClientMetadata, issuer: str) -> str:
    """Whom the assertions of a client must be for."""
    if metadata.assertion_audience == "token_endpoint" and not metadata.fapi2:
        return f"{issuer}/token"
    return issuer


def opened(text: str, keys: Mapping[str, VerifyingKey], on: Reading, now: int) -> Believed:
    """Whether it shows who the client is (RFC 7523 §3). `now` is in seconds. Raises InvalidClient.

    It counts once: whoever believes it spends its name afterwards.
    """
    try:
        _, payload = jws.verify(text, keys, TYPES, LIMIT)
    except InvalidToken as error:
        raise InvalidClient(f"not an assertion of this client: {error}") from error
    return _judged(payload, on, now)


def granting(text: str, keys: Mapping[str, VerifyingKey], on: Reading, now: int) -> Believed:
    """As `opened`, for one that is a grant (RFC 7523 §2.1)."""
    try:
        _, payload = jws.verify(text, keys, GRANT_TYPES, LIMIT)
    except InvalidToken as error:
        raise InvalidClient(f"not a grant of this client: {error}") from error
    return _judged(payload, on, now)


def spent_as(client_id: str, believed: Believed) -> str:
    """By which name it is remembered: two clients may have the same `jti`."""
    return f"{client_id}\0{believed.jti}"


def _judged(payload: bytes, on: Reading, now: int) -> Believed:
    try:
        members = jwt.claims(payload)
    except InvalidToken as error:
        raise InvalidClient(f"assertion is not strict JSON: {error}") from error
    for name in ("iss", "sub"):
        if members.get(name) != on.client_id:
            raise InvalidClient(f"{name} is not the client")
    if members.get("aud") != on.audience:
        raise InvalidClient("aud is not the one string that names this issuer")
    return Believed(_jti(members), _until(members, now))


def _until(members: Mapping[str, Any], now: int) -> int:
    exp, nbf, iat = (_time(members, name) for name in ("exp", "nbf", "iat"))
    if exp is None:
        raise InvalidClient("exp is missing")
    if not now < exp <= now + AHEAD + LEEWAY:
        raise InvalidClient("assertion has expired, or is good for too long")
    if any(begin is not None and begin > now + LEEWAY for begin in (nbf, iat)):
        raise InvalidClient("nbf or iat is in the future")
    return int(exp) + 1


def _text(members: Mapping[str, Any], name: str) -> str:
    found = members.get(name)
    if not isinstance(found, str):
        raise InvalidClient(f"{name} is missing or no text")
    return found


def _jti(members: Mapping[str, Any]) -> str:
    found = members.get("jti")
    if not isinstance(found, str) or not 0 < len(found) <= LONGEST_JTI:
        raise InvalidClient("jti is missing, or not a text of a sensible length")
    return found


def _time(members: Mapping[str, Any], name: str) -> float | None:
    if name not in members:
        return None
    found = members[name]
    if not isinstance(found, int | float) or isinstance(found, bool) or not abs(found) < 2**53:  # no date, and no float
        raise InvalidClient(f"{name} is not a time")
    return found
