"""What an event kills, and how long that has to be remembered."""

from __future__ import annotations

from dataclasses import dataclass

from watchword.client_tokens import LONGEST_FRESH
from watchword.jose.kinds import CLIENT_TOKEN_LIFETIME
from watchword.log import Kind

SLACK = 120
"""Seconds beyond a token's life: leeway of the verifier and the error of its clock."""
KEY_MEMORY = 30 * 24 * 3600
"""Seconds that a key stays dead: far beyond the day for which a verifier may hold a key it cannot refresh."""


SIGNED_BY_CLIENTS = LONGEST_FRESH + CLIENT_TOKEN_LIFETIME
"""Seconds for which a verifier may take what a client signs by an older document, and what was signed until then."""


@dataclass(frozen=True, slots=True)
class Death:
    """One entry to be: what dies, and until when (seconds) that must be known."""

    kind: Kind
    id: str
    until: int


def token(jti: str, exp: int) -> Death:
    """One access token, taken back by its client (RFC 7009)."""
    return Death("token", jti, exp + SLACK)


def grant(gid: str, now: int, lifetime: int) -> Death:
    """Every token of a grant: a refresh token came back, or the grant was cut."""
    return Death("grant", gid, _until(now, lifetime))


def session(sid: str, now: int, lifetime: int) -> Death:
    """Every token of a session: somebody signed out."""
    return Death("session", sid, _until(now, lifetime))


def subject(sub: str, now: int, lifetime: int) -> Death:
    """Every token of a person that was made before now: disabled, another password, other roles."""
    return Death("subject", sub, _until(now, lifetime))


def client(client_id: str, now: int, lifetime: int) -> Death:
    """Every token of a client that was made before now, those too that it has signed itself."""
    return Death("client", client_id, now + span_of_client(lifetime))


def issuer(now: int, lifetime: int) -> Death:
    """Every token that was made before now."""
    return Death("issuer", "", now + span_of_client(lifetime))


def span_of_client(lifetime: int) -> int:
    """Seconds for which it is remembered that a client, or everything, was revoked."""
    return max(lifetime, SIGNED_BY_CLIENTS) + SLACK


def key(kid: str, now: int) -> Death:
    """Every token of a signing key, whatever it claims: the key was stolen."""
    return Death("key", kid, now + KEY_MEMORY)


def _until(now: int, lifetime: int) -> int:
    return now + lifetime + SLACK
