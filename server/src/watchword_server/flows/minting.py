"""Making access tokens."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from watchword_server.flows.issuer import Issuer
from watchword_server.flows.keyring import Ring
from watchword_server.flows.repeats import Decided
from watchword_server.ports import Head
from watchword_server.protocol.access_token import AccessClaims, payload
from watchword_server.protocol.values import Grant


class Tokens(msgspec.Struct, frozen=True, gc=False):
    """The answer of a successful token request (RFC 6749 §5.1)."""

    access_token: str
    jti: str
    expires_in: int
    scope: str
    refresh_token: str | None = None


def for_client(issuer: Issuer, head: Head, ring: Ring, decided: Decided, now: int) -> Tokens:
    """A token of a program that acts for itself: `sub` is its `client_id` (RFC 9068 §2.2)."""
    claims = AccessClaims(
        iss=issuer.terms.issuer,
        sub=decided.client_id,
        aud=decided.audience,
        exp=now + issuer.terms.access_lifetime,
        iat=now,
        jti=issuer.identifier(),
        client_id=decided.client_id,
        rev=head.rev,
        scope=decided.scope,
    )
    return _signed(ring, claims, now)


async def for_grant(
    issuer: Issuer, head: Head, grant: Grant, scope: Sequence[str], roles: Sequence[str], now: int, refresh: str | None
) -> Tokens:
    """A token of a person by a client. It never outlives its grant."""
    claims = AccessClaims(
        iss=issuer.terms.issuer,
        sub=grant.sub,
        aud=grant.audience,
        exp=min(now + issuer.terms.access_lifetime, grant.expires_at),
        iat=now,
        jti=issuer.identifier(),
        client_id=grant.client_id,
        rev=head.rev,
        scope=" ".join(scope),
        sid=grant.sid,
        gid=grant.gid,
        roles=tuple(roles),
    )
    return _signed(await issuer.keyring.at(head, now), claims, now, refresh)


def _signed(ring: Ring, claims: AccessClaims, now: int, refresh: str | None = None) -> Tokens:
    return Tokens(ring.sign_access(payload(claims)), claims.jti, claims.exp - now, claims.scope, refresh)
