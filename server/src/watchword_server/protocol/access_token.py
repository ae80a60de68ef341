"""The claims of an access token (RFC 9068)."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class AccessClaims(msgspec.Struct, frozen=True, omit_defaults=True):
    """RFC 9068 §2.2, and `rev`: the position of the revocation log that the issuer had read.

    `sid` names the session, `gid` the grant and `lineage` those that it came from, nearest first, `via` the clients
    through whose hands it came; `roles` are the user's (RFC 9068 §2.2.3.1), `acr` and `auth_time` say how and when they
    signed in (RFC 9470 §6), `act` who acts for them (RFC 8693 §4.1), `cnf` which key must be proven (RFC 9449 §6.1).
    Times are seconds.

    In the order in which a verifier reads them fastest (`watchword.policy`).
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
    acr: str | None = None
    auth_time: int | None = None
    lineage: tuple[str, ...] = ()
    via: tuple[str, ...] = ()
    act: Mapping[str, object] | None = None
    cnf: Mapping[str, str] | None = None


_encode = msgspec.json.Encoder().encode


def payload(claims: AccessClaims) -> bytes:
    """The claims as the JWT's payload."""
    return _encode(claims)
