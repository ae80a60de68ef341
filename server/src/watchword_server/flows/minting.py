"""Making access tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from watchword_server.flows.issuer import Issuer
from watchword_server.ports import Head
from watchword_server.protocol.access_token import AccessClaims, payload
from watchword_server.protocol.values import Grant


@dataclass(frozen=True, slots=True)
class Tokens:
    """The answer of a successful token request (RFC 6749 §5.1)."""

    access_token: str
    jti: str
    expires_in: int
    scope: str
    refresh_token: str | None = None


async def for_client(
    issuer: Issuer, head: Head, client_id: str, audience: str, scope: Sequence[str], now: int
) -> Tokens:
    """A token of a program that acts for itself: `sub` is its `client_id` (RFC 9068 §2.2)."""
    return await _mint(
        issuer,
        head,
        now,
        AccessClaims(
            iss=issuer.terms.issuer,
            sub=client_id,
            aud=audience,
            exp=now + issuer.terms.access_lifetime,
            iat=now,
            jti=issuer.identifier(),
            client_id=client_id,
            rev=head.rev,
            scope=" ".join(scope),
        ),
    )


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
    return await _mint(issuer, head, now, claims, refresh)


async def _mint(issuer: Issuer, head: Head, now: int, claims: AccessClaims, refresh: str | None = None) -> Tokens:
    ring = await issuer.keyring.at(head, now)
    return Tokens(ring.sign_access(payload(claims)), claims.jti, claims.exp - now, claims.scope, refresh)
