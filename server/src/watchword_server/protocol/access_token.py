"""The claims of an access token (RFC 9068)."""

from __future__ import annotations

import msgspec


class AccessClaims(msgspec.Struct, frozen=True, omit_defaults=True):
    """RFC 9068 §2.2, and `rev`: the position of the revocation log that the issuer had read.

    `sid` names the session, `gid` the grant, `roles` the user's (RFC 9068 §2.2.3.1). Times are seconds.
    """

    iss: str
    sub: str
    aud: str
    exp: int
    iat: int
    jti: str
    client_id: str
    rev: int
    scope: str = ""
    sid: str | None = None
    gid: str | None = None
    roles: tuple[str, ...] = ()


_encode = msgspec.json.Encoder().encode


def payload(claims: AccessClaims) -> bytes:
    """The claims as the JWT's payload."""
    return _encode(claims)
